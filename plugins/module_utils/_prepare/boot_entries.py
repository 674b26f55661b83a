# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Entries after the Boot Loader Specification (uapi-group.org), as systemd-boot and GRUB's blscfg read them,
and the command line that kernel-install gives to new ones.

On Red Hat's distributions grubby edits the same files. Early versions of it keep one argument of a name only,
and two consoles are needed, so the files are edited here.
"""

from typing import Dict, List, Optional

from ansible_collections.goldenimage.azure.plugins.module_utils._guest.live_root import LiveRoot
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import GuestError
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.changes import (
    FileChange,
    change_of,
    text_of,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.kernel_words import (
    Wish,
    key_of,
    split_words,
)

COMMAND_LINE = "/etc/kernel/cmdline"
_ENTRIES = ("/boot/loader/entries/*.conf", "/efi/loader/entries/*.conf", "/boot/efi/loader/entries/*.conf")
_ENVIRONMENTS = ("/boot/grub2/grubenv", "/boot/grub/grubenv")
_ENVIRONMENT_SIZE = 1024  # GRUB takes a block of this very size only
_ENVIRONMENT_HEADER = "# GRUB Environment Block\n"
_PADDING = "#"  # what is left of the block is filled with it
_KERNEL_OPTIONS = "kernelopts="
_VARIABLE = "$kernelopts"
# What belongs to one entry or one start, not to the command line of the next kernel.
_OWN_KEYS = {"initrd", "BOOT_IMAGE", "systemd.machine_id"}


def plan_entries(root: LiveRoot, wish: Wish) -> List[FileChange]:
    """The changes that make the kernel line of every entry, and of entries to come, as wished."""
    entries = _entries(root)
    changes: List[FileChange] = []
    environment = _Environment(root)
    for path, text in entries.items():
        words = _words(text)
        if _VARIABLE in words and environment.words is not None:
            # The variable is shared by all entries and stands for most of the line.
            environment.apply(wish)
            others = [word for word in words if word != _VARIABLE]
            new = [_VARIABLE] + (wish.kept(others) if wish.touches(others) else wish.cleaned(others))
        else:
            new = wish.applied(words)
        if new != words:
            changes.extend(change_of(root, path, _with_words(text, new)))
    return changes + environment.changes() + _command_line(root, wish, list(entries.values()))


def has_entries(root: LiveRoot) -> bool:
    """Whether there are any entries that start a kernel."""
    return bool(_entries(root))


def _entries(root: LiveRoot) -> Dict[str, str]:
    found: Dict[str, str] = {}
    seen = set()
    for pattern in _ENTRIES:
        for path in root.glob(pattern):
            info, text = root.stat(path), text_of(root, path)
            # One file system can be mounted at several of these places.
            if info is None or text is None or info.identity in seen:
                continue
            seen.add(info.identity)
            if any(line.split(None, 1)[0] == "linux" for line in text.splitlines() if line.strip()):
                found[path] = text
    return found


def _is_options(line: str) -> bool:
    return line.split(None, 1)[:1] == ["options"]


def _words(text: str) -> List[str]:
    words: List[str] = []
    for line in text.splitlines():
        if _is_options(line):
            words.extend(split_words(line.split(None, 1)[1] if len(line.split(None, 1)) > 1 else ""))
    return words


def _with_words(text: str, words: List[str]) -> str:
    """The entry with these words in one line of options, at the place of the first one."""
    lines = text.splitlines()
    places = [number for number, line in enumerate(lines) if _is_options(line)]
    new = "options " + " ".join(words)
    if places:
        lines[places[0]] = new
        lines = [line for number, line in enumerate(lines) if number not in places[1:]]
    else:
        lines.append(new)
    return "".join(line + "\n" for line in lines)


class _Environment:
    """GRUB's environment block, as far as it holds the kernel line of all entries (Red Hat 8)."""

    def __init__(self, root: LiveRoot) -> None:
        self._root = root
        self._path = ""
        self._lines: List[str] = []
        self._before: List[str] = []
        self.words: Optional[List[str]] = None
        for path in _ENVIRONMENTS:
            text = text_of(root, path)
            if self.words is not None or text is None or not text.startswith(_ENVIRONMENT_HEADER):
                continue
            self._path = path
            self._lines = text.rstrip(_PADDING).splitlines()
            for line in self._lines:
                if line.startswith(_KERNEL_OPTIONS):
                    self._before = split_words(line[len(_KERNEL_OPTIONS) :])
                    self.words = list(self._before)

    def apply(self, wish: Wish) -> None:
        self.words = wish.applied(self.words or [])

    def changes(self) -> List[FileChange]:
        if self.words is None or self.words == self._before:
            return []
        line = _KERNEL_OPTIONS + " ".join(self.words)
        lines = [line if old.startswith(_KERNEL_OPTIONS) else old for old in self._lines]
        text = "".join(new + "\n" for new in lines)
        missing = _ENVIRONMENT_SIZE - len(text.encode("utf-8", "surrogateescape"))
        if missing < 0:
            raise GuestError(
                "{0}: the kernel line does not fit into GRUB's environment block of {1} bytes; take words "
                "out of it. Nothing was changed".format(self._path, _ENVIRONMENT_SIZE)
            )
        return change_of(self._root, self._path, text + _PADDING * missing)


def _command_line(root: LiveRoot, wish: Wish, entries: List[str]) -> List[FileChange]:
    """What kernel-install gives to new entries; without the file that is the line of the running kernel."""
    text = text_of(root, COMMAND_LINE)
    if text is None:
        if not entries or root.stat("/usr/bin/kernel-install") is None:
            return []
        words = [word for word in _words(entries[-1]) if key_of(word) not in _OWN_KEYS]
        if any(word.startswith("$") for word in words):
            return []  # the system's own scripts know what to do with their variables
        return change_of(root, COMMAND_LINE, " ".join(wish.applied(words)) + "\n")
    words = split_words(text)
    new = wish.applied(words)
    return change_of(root, COMMAND_LINE, " ".join(new) + "\n") if new != words else []
