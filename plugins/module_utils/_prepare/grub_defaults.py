# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The settings that grub-mkconfig sources: /etc/default/grub, and what Debian puts beside it."""

import os
import re
from typing import Dict, List, NamedTuple, Optional

from ansible_collections.goldenimage.azure.plugins.module_utils._guest.live_root import LiveRoot
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import GuestError
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.changes import (
    FileChange,
    change_of,
    text_of,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.kernel_words import Wish, split_words

DEFAULTS = "/etc/default/grub"
_DROP_INS = "/etc/default/grub.d/*.cfg"
# For every entry of the menu, and for those that are not for rescue. The second comes after the first.
_EVERY, _NORMAL = "GRUB_CMDLINE_LINUX", "GRUB_CMDLINE_LINUX_DEFAULT"

_ASSIGNMENT = re.compile(
    r"^(?P<before>\s*(?:export\s+)?(?P<name>\w+)=)"
    r"(?:\"(?P<double>(?:[^\"\\]|\\.)*)\"|'(?P<single>[^']*)'|(?P<bare>[^\s\"'#;`$()]*))"
    r"(?P<after>\s*(?:[;#].*)?)$"
)
_REFERENCE = re.compile(r"^\$\{?(\w+)\}?$")


class _Assignment(NamedTuple):
    """NAME=value at a line of a file; `quote` is the kind of quotes it has."""

    path: str
    line: int
    before: str
    value: str
    quote: str
    after: str

    def words(self) -> List[str]:
        """The words of the value; a reference to a variable is one of them."""
        return split_words(self.value.replace('\\"', '"') if self.quote == '"' else self.value)


class GrubDefaults:
    """The settings as they would be sourced, in their order."""

    def __init__(self, root: LiveRoot) -> None:
        self._root = root
        self._files: Dict[str, List[str]] = {}
        for path in [DEFAULTS, *sorted(root.glob(_DROP_INS))]:
            text = text_of(root, path)
            if text is not None:
                self._files[path] = text.splitlines()

    def exist(self) -> bool:
        """Whether there are any."""
        return DEFAULTS in self._files

    def newest(self) -> float:
        """When a file of them was changed last, in seconds since the epoch."""
        return max((os.stat(self._root.on_host(path)).st_mtime for path in self._files), default=0.0)

    def value(self, name: str) -> Optional[str]:
        """The value of a setting without its quotes; None when it is not set."""
        assignments = self._assignments(name)
        return assignments[-1].value if assignments else None

    def put(self, name: str, value: str) -> None:
        """Set a variable where it is set last, or at the end of the main file."""
        if self.value(name) == value:
            return
        assignments = self._assignments(name)
        if assignments:
            self._replace(assignments[-1], value)
        else:
            self._files[DEFAULTS].append('{0}="{1}"'.format(name, value))

    def apply(self, wish: Wish) -> None:
        """Make the kernel line of every entry as wished.

        Wished words go where every entry has them, those for rescue included, and away from what comes after.
        """
        every, normal = self._assignments(_EVERY), self._assignments(_NORMAL)
        complete = wish.has_all(self._effective(_EVERY)) and not wish.touches(self._effective(_NORMAL))
        if not complete and not every:
            self._files[DEFAULTS].append(_EVERY + '=""')
            every = self._assignments(_EVERY)
        for assignment in every + normal:
            words = assignment.words()
            new = wish.cleaned(words) if complete else wish.kept(words)
            if not complete and assignment is every[-1]:
                new += wish.present
            if new != words:
                self._replace(assignment, " ".join(new))

    def changes(self) -> List[FileChange]:
        """The files that are to have another content."""
        found: List[FileChange] = []
        for path, lines in self._files.items():
            found.extend(change_of(self._root, path, "".join(line + "\n" for line in lines)))
        return found

    def _assignments(self, name: str) -> List[_Assignment]:
        found = []
        loose = re.compile(r"^\s*(?:export\s+)?{0}\s*\+?=".format(name))
        for path, lines in self._files.items():
            for number, line in enumerate(lines):
                if not loose.match(line):
                    continue
                parsed = _ASSIGNMENT.match(line)
                if parsed is None or "`" in line or "$(" in line:
                    raise GuestError(
                        "{0} line {1}: {2} is not set by one plain line, so it cannot be changed safely; "
                        'write it as {2}="..." on one line. Nothing was changed'.format(
                            path, number + 1, name
                        )
                    )
                quote = '"' if parsed.group("double") is not None else "'" if parsed.group("single") else ""
                value = parsed.group("double") or parsed.group("single") or parsed.group("bare") or ""
                found.append(
                    _Assignment(path, number, parsed.group("before"), value, quote, parsed.group("after"))
                )
        return found

    def _effective(self, name: str) -> List[str]:
        """The words that a variable has when all files were sourced."""
        values: Dict[str, List[str]] = {}
        in_order = sorted(
            [(name, found) for name in (_EVERY, _NORMAL) for found in self._assignments(name)],
            key=lambda item: (list(self._files).index(item[1].path), item[1].line),
        )
        for assigned, assignment in in_order:
            words: List[str] = []
            for word in assignment.words():
                reference = _REFERENCE.match(word)
                known = reference is not None and assignment.quote != "'"
                words.extend(values.get(reference.group(1), [word]) if reference and known else [word])
            values[assigned] = words
        return values.get(name, [])

    def _replace(self, assignment: _Assignment, value: str) -> None:
        quote = assignment.quote or '"'
        if quote == '"':
            value = re.sub(r'(?<!\\)"', r"\"", value)
        line = assignment.before + quote + value + quote + assignment.after
        self._files[assignment.path][assignment.line] = line
