# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""fstab(5) and crypttab(5) with devices by id."""

import re
from typing import List, Match, NamedTuple, Optional, Tuple

from ansible_collections.goldenimage.azure.plugins.module_utils._guest.live_root import LiveRoot
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import GuestError
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.changes import (
    FileChange,
    change_of,
    text_of,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.device_ids import (
    DeviceIds,
    is_removable,
    is_unstable,
)

FSTAB = "/etc/fstab"
CRYPTTAB = "/etc/crypttab"
RESUME = "/etc/initramfs-tools/conf.d/resume"

_MAY_BE_ABSENT = {"noauto", "nofail"}
_NEW_CONTENT = {"swap", "tmp", "plain"}  # what is on these is made anew at each boot, its UUID with it
_OCTAL = re.compile(r"\\([0-7]{3})")
# Words and what is between them, so that a table keeps its columns.
_FIELDS = re.compile(r"\S+|\s+")


class Tables(NamedTuple):
    """What is to be changed in which tables, and sentences about what cannot be."""

    changes: List[FileChange]
    warnings: List[str]


class _Line:
    """A line of a table: its fields can be replaced, all else stays as it is."""

    def __init__(self, text: str) -> None:
        self._parts = _FIELDS.findall(text)
        self._places = [index for index, part in enumerate(self._parts) if not part.isspace()]
        self.is_entry = bool(self._places) and not self.field(0).startswith("#")

    def field(self, number: int) -> str:
        """A field; empty when the line has less."""
        return self._parts[self._places[number]] if number < len(self._places) else ""

    def options(self, number: int) -> List[str]:
        """The options in a field."""
        return [option.strip() for option in self.field(number).split(",")]

    def replace(self, number: int, value: str) -> None:
        """Give a field another value; the next column keeps its place where there is room."""
        place = self._places[number]
        longer = len(value) - len(self._parts[place])
        self._parts[place] = value
        if place + 1 < len(self._parts) and self._parts[place + 1].strip("\n") != "":
            blanks = self._parts[place + 1]
            if set(blanks) == {" "}:
                self._parts[place + 1] = " " * max(1, len(blanks) - longer)

    def __str__(self) -> str:
        return "".join(self._parts)


def plan_tables(root: LiveRoot, ids: DeviceIds) -> Tables:
    """What has to be changed so that no table names a device by what another machine calls another disk.

    Raises GuestError, naming every line, when the machine would wait at boot for a device without a known id.
    """
    warnings: List[str] = []
    problems: List[str] = []
    changes: List[FileChange] = []
    for path, by_id in ((FSTAB, _fstab_line), (CRYPTTAB, _crypttab_line)):
        text = text_of(root, path)
        if text is None:
            continue
        lines = []
        for number, line in enumerate(text.splitlines(True), 1):
            new, warning, problem = by_id(_Line(line), ids)
            lines.append(new)
            where = "{0} line {1}: ".format(path, number)
            warnings.extend([where + warning] if warning else [])
            problems.extend([where + problem] if problem else [])
        changes.extend(change_of(root, path, "".join(lines)))
    if problems:
        raise GuestError(
            "{0}. On Azure the machine would wait for what these lines name; correct them, or give them the "
            "option nofail. Nothing was changed".format("; ".join(problems))
        )
    resume = text_of(root, RESUME)
    if resume is not None:
        changes.extend(change_of(root, RESUME, _resume(resume, ids)))
    return Tables(changes, warnings)


_Told = Tuple[str, str, str]


def _fstab_line(line: _Line, ids: DeviceIds) -> _Told:
    device = _OCTAL.sub(lambda found: chr(int(found.group(1), 8)), line.field(0))
    if not line.is_entry:
        return str(line), "", ""
    may_be_absent = bool(_MAY_BE_ABSENT.intersection(line.options(3)))
    if is_removable(device):
        warning = "" if may_be_absent else "{0} need not hold a medium; nofail is missing".format(device)
        return str(line), warning, ""
    if not is_unstable(device):
        return str(line), "", ""
    name = ids.content_id(device) or ids.partition_id(device)
    return _by_id(line, 0, name, may_be_absent, ids.why_none(device))


def _crypttab_line(line: _Line, ids: DeviceIds) -> _Told:
    if not line.is_entry:
        return str(line), "", ""
    options = set(line.options(3))
    may_be_absent = bool(_MAY_BE_ABSENT.intersection(options))
    random_key = line.field(2) in {"/dev/urandom", "/dev/random", "/dev/hw_random"}
    made_anew = random_key or bool(_NEW_CONTENT & {option.partition("=")[0] for option in options})
    name_of = ids.partition_id if made_anew else ids.content_id
    device = line.field(1)
    if not is_unstable(device):
        return str(line), "", ""
    return _by_id(line, 1, name_of(device), may_be_absent, ids.why_none(device))


def _by_id(line: _Line, field: int, name: Optional[str], may_be_absent: bool, why_none: str) -> _Told:
    if name is not None:
        line.replace(field, name)
        return str(line), "", ""
    told = "{0} has no id to replace its name by: {1}".format(line.field(field), why_none)
    return (str(line), told, "") if may_be_absent else (str(line), "", told)


def _resume(text: str, ids: DeviceIds) -> str:
    def by_id(found: Match[str]) -> str:
        device = found.group(2)
        # Without a name initramfs-tools looks for the right device itself.
        return found.group(1) + (ids.content_id(device) or "auto") if is_unstable(device) else found.group(0)

    return re.sub(r"^(\s*RESUME=)(\S+)", by_id, text, flags=re.MULTILINE)
