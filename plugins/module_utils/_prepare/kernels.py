# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The kernels that a machine can boot, their drivers and their initial file systems."""

import os
import re
from typing import FrozenSet, List, NamedTuple, Optional, Tuple, Union

from ansible_collections.goldenimage.azure.plugins.module_utils._guest.live_root import LiveRoot
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.changes import text_of

# {0} stands for the version; entries have directories named after the machine or the system.
_IMAGES = ("/boot/vmlinuz-{0}", "/boot/vmlinux-{0}", "/boot/Image-{0}", "/usr/lib/modules/{0}/vmlinuz")
_IMAGES_OF_ENTRIES = ("/boot/*/{0}/linux", "/efi/*/{0}/linux", "/boot/efi/*/{0}/linux")
# sdbootutil of openSUSE names them by their content, and keeps those that older snapshots start.
_NAMED_BY_CONTENT = ("/boot/*/{0}/initrd-*", "/efi/*/{0}/initrd-*", "/boot/efi/*/{0}/initrd-*")
_HASH = re.compile(r"/initrd-[0-9a-f]{40}$")
_INITRAMFS = ("/boot/initrd.img-{0}", "/boot/initramfs-{0}.img", "/boot/initrd-{0}")
_INITRAMFS_OF_ENTRIES = ("/boot/*/{0}/initrd", "/efi/*/{0}/initrd", "/boot/efi/*/{0}/initrd")
_MODULE = re.compile(r"([^/\s]+)\.ko(?:\.(?:gz|xz|zst|bz2))?$")


class Kernel(NamedTuple):
    """A kernel: its drivers as modules and those that are part of it, and the path of its initramfs."""

    version: str
    modules: FrozenSet[str]
    built_in: FrozenSet[str]
    initramfs: Optional[str]

    @property
    def is_named_by_content(self) -> bool:
        """Whether the name of the initramfs says what is in it, so that another cannot take its place."""
        return self.initramfs is not None and _HASH.search(self.initramfs) is not None


def module_name(text: str) -> Optional[str]:
    """The name of the module that a path ends with, as the kernel writes it; None for other files."""
    found = _MODULE.search(text)
    return found.group(1).replace("-", "_") if found else None


def installed_kernels(root: LiveRoot) -> List[Kernel]:
    """The kernels that are there with their modules, the newest one last."""
    found = {}
    for path in root.glob("/usr/lib/modules/*") + root.glob("/lib/modules/*"):
        version = path.rpartition("/")[2]
        dependencies = text_of(root, path + "/modules.dep")
        if (
            version in found
            or dependencies is None
            or _first(root, _IMAGES, _IMAGES_OF_ENTRIES, version) is None
        ):
            continue
        built_in = text_of(root, path + "/modules.builtin") or ""
        found[version] = Kernel(
            version,
            _names([line.partition(":")[0] for line in dependencies.splitlines()]),
            _names(built_in.splitlines()),
            _first(root, _INITRAMFS, _INITRAMFS_OF_ENTRIES, version) or _newest(root, version),
        )
    return [found[version] for version in sorted(found, key=_in_order)]


def _names(paths: List[str]) -> FrozenSet[str]:
    names = [module_name(path.strip()) for path in paths]
    return frozenset(name for name in names if name is not None)


def _first(root: LiveRoot, paths: Tuple[str, ...], patterns: Tuple[str, ...], version: str) -> Optional[str]:
    for path in paths:
        if root.stat(path.format(version)) is not None:
            return path.format(version)
    for pattern in patterns:
        matching = root.glob(pattern.format(version))
        if matching:
            return matching[0]
    return None


def _newest(root: LiveRoot, version: str) -> Optional[str]:
    """The last made of the files that are named by their content."""
    found = [path for pattern in _NAMED_BY_CONTENT for path in root.glob(pattern.format(version))]
    return max(found, key=lambda path: os.stat(root.on_host(path)).st_mtime, default=None)


def _in_order(version: str) -> List[Tuple[int, Union[int, str]]]:
    parts = re.findall(r"\d+|[a-z]+", version.lower())
    return [(1, int(part)) if part.isdigit() else (0, part) for part in parts]
