# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The kernel line of every entry that the machine can boot: GRUB's menu and boot loader entries alike."""

import os
import re
from typing import Dict, List, Mapping, NamedTuple, Optional

from ansible_collections.goldenimage.azure.plugins.module_utils._guest.live_root import LiveRoot
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import GuestError
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.boot_entries import (
    COMMAND_LINE,
    has_entries,
    plan_entries,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.changes import (
    FileChange,
    make_changes,
    text_of,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.device_ids import (
    DeviceIds,
    is_unstable,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.grub_defaults import GrubDefaults
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.kernel_words import (
    Wish,
    key_of,
    split_words,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.programs import Programs

_MENUS = ("/boot/grub/grub.cfg", "/boot/grub2/grub.cfg", "/boot/efi/EFI/*/grub.cfg")
# A menu that was made of the settings, and one that was written by hand and is to be made of them. Other
# files of this name are a few lines that lead to the menu.
_MADE, _BY_HAND = "### BEGIN /etc/grub.d/", "menuentry "
# Unified kernel images: kernel, initramfs and kernel line in one program for UEFI.
_UNIFIED = ("/boot/efi/EFI/Linux/*.efi", "/efi/EFI/Linux/*.efi", "/boot/EFI/Linux/*.efi")
_OWN_SECTION = re.compile(r"### BEGIN (\S+/10_\S+) ###\n(.*?)### END \1 ###", re.DOTALL)
_KERNEL = re.compile(r"^\s*linux(?:16|efi)?\s+\S+(.*)$", re.MULTILINE)
# A kernel of its own, or the command that has the entries of the Boot Loader Specification shown.
_STARTS = re.compile(r"^\s*(linux(16|efi)?\s|blscfg\b)", re.MULTILINE)
_MAKERS = ("grub2-mkconfig", "grub-mkconfig")
_BY_NAME = "GRUB_DISABLE_LINUX_UUID"
_DEVICE_KEYS = ("root", "resume")


class Plan(NamedTuple):
    """Files to change and menus of GRUB to make anew; `maker` is the program that does it."""

    changes: List[FileChange]
    menus: List[str]
    maker: str


class KernelLine:
    """The kernel line of one machine.

    :param present: arguments that must be there, see :class:`Wish`
    :param absent: arguments that must not be there, see :class:`Wish`
    :param grub_settings: variables of /etc/default/grub; of no effect where GRUB's menu is not made from it
    """

    def __init__(
        self,
        root: LiveRoot,
        programs: Programs,
        present: List[str],
        absent: List[str],
        grub_settings: Mapping[str, str],
    ) -> None:
        self._root = root
        self._programs = programs
        self._ids = DeviceIds(programs)
        self._wish = Wish(present, absent, self._by_id)
        self._settings = grub_settings

    def plan(self) -> Plan:
        """What has to be done; nothing when all is as wished.

        Raises GuestError when the machine has no boot loader that is known, or when its files cannot be
        changed safely.
        """
        unified = [path for pattern in _UNIFIED for path in self._root.glob(pattern)]
        if unified:
            raise GuestError(
                "the kernel line is a part of {0}, which would have to be made and signed anew; have it made "
                "from /etc/kernel/cmdline with the arguments for Azure, and leave this machine's kernel line "
                "alone then. Nothing was changed".format(", ".join(unified))
            )
        defaults = GrubDefaults(self._root)
        menus = self._menus()
        if not (defaults.exist() or has_entries(self._root) or text_of(self._root, COMMAND_LINE)):
            raise GuestError(
                "neither /etc/default/grub nor boot loader entries nor {0} are there, so nothing is known of "
                "how this machine boots. Nothing was changed".format(COMMAND_LINE)
            )
        changes = plan_entries(self._root, self._wish)
        if not defaults.exist():
            return Plan(changes, [], "")
        defaults.apply(self._wish)
        for name, value in self._settings.items():
            defaults.put(name, value)
        if (defaults.value(_BY_NAME) or "").lower() == "true":
            defaults.put(_BY_NAME, "false")
        changed = defaults.changes()
        outdated = [
            path for path, text in menus.items() if changed or self._is_outdated(path, text, defaults)
        ]
        return Plan(changed + changes, outdated, self._maker() if outdated else "")

    def carry_out(self, plan: Plan) -> None:
        """Do it, and look whether it has had the effect.

        A menu is made beside the old one, checked by GRUB itself, looked into, and only then replaces it.
        Raises GuestError with what is not as wished.
        """
        make_changes(self._root, plan.changes)
        for path in plan.menus:
            self._make_menu(plan.maker, self._root.resolve(path, follow=True) or path)
        left = self.plan()
        if left.changes or left.menus:
            names = [change.path for change in left.changes] + left.menus
            raise GuestError(
                "{0} is not as wished although it was just made so; does another program change it at the "
                "same time?".format(", ".join(names))
            )

    def _make_menu(self, maker: str, path: str) -> None:
        new = "{0}/.goldenimage-{1}".format(*path.rpartition("/")[::2])
        try:
            self._programs.run([maker, "-o", new])
            text = text_of(self._root, new) or ""
            off = self._off(text)
            if off is not None:
                raise GuestError(
                    "the menu that {0} makes for {1} has a kernel line that is not as wished "
                    "although the settings are: {2}. Look at the scripts in /etc/grub.d".format(
                        maker, path, off
                    )
                )
            if not _STARTS.search(text):
                raise GuestError(
                    "the menu that {0} makes for {1} starts no kernel; look what the scripts in /etc/grub.d "
                    "miss. The old menu was kept".format(maker, path)
                )
            os.rename(self._root.on_host(new), self._root.on_host(path))
        finally:
            self._root.remove(new)

    def _by_id(self, word: str) -> str:
        key, equals, device = word.partition("=")
        if key in _DEVICE_KEYS and equals and is_unstable(device):
            return key + "=" + self._ids.stable(device)
        return word

    def _maker(self) -> str:
        for name in _MAKERS:
            found = self._programs.find(name)
            if found is not None:
                return found
        raise GuestError(
            "{0} is not installed, so GRUB's menu cannot be made; install grub2-common or grub2-tools. "
            "Nothing was changed".format(" or ".join(_MAKERS))
        )

    def _menus(self) -> Dict[str, str]:
        found: Dict[str, str] = {}
        for pattern in _MENUS:
            for path in self._root.glob(pattern):
                text = text_of(self._root, path)
                if text is not None and (_MADE in text or _BY_HAND in text):
                    found[path] = text
        return found

    def _is_outdated(self, path: str, text: str, defaults: GrubDefaults) -> bool:
        # An earlier run can have been killed after it had changed the settings.
        older = os.stat(self._root.on_host(path)).st_mtime < defaults.newest()
        return older or _MADE not in text or self._off(text) is not None

    def _off(self, menu: str) -> Optional[str]:
        """A kernel line of the menu that is not as wished; lines for other systems do not count."""
        for section in _OWN_SECTION.finditer(menu):
            for found in _KERNEL.finditer(section.group(2)):
                words = split_words(found.group(1))
                devices = [word.partition("=")[2] for word in words if key_of(word) in _DEVICE_KEYS]
                by_name = any(is_unstable(device) for device in devices)
                if by_name or not self._wish.fulfilled(words):
                    return found.group(0).strip()
        return None
