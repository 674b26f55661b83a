# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""What an upload needs to know of a disk before anything is created for it."""

from typing import Dict, List, NamedTuple, Optional, Tuple

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.boot import BootFacts, read_boot_facts
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.partitions import bootable_generations
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskReader
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.scan import data_bytes

# Parts of the paths of boot loaders on an EFI system partition.
_LOADERS = {"Windows": ("/microsoft/boot/",), "Linux": ("/grub", "/shim", "/systemd/", "/linux/", "vmlinuz")}
# Windows' own boot code stands on disks of others, too.
_LINUX_BOOT_CODE = ("grub", "lilo", "syslinux")


class SourceFacts(NamedTuple):
    """Sizes in bytes.

    `data_bytes`: how much of the disk may hold data. The rest is only looked for on a disk to boot from:
    `generations`, of "V1" and "V2" those it boots as; `architecture` ("x64", "Arm64" or None) and `system`
    ("Linux", "Windows", or None where that is not beyond doubt), each with where it was seen.
    """

    path: str
    format: str
    virtual_size: int
    data_bytes: int
    generations: List[str]
    architecture: Optional[str]
    architecture_from: str
    system: Optional[str]
    system_from: str


def source_facts(reader: DiskReader, boots: bool) -> SourceFacts:
    """Look at an open disk; a broken partition table raises DiskError.

    :param boots: whether a machine shall boot from it
    """
    generations: List[str] = []
    architecture, seen_in = None, ""
    system, booted_by = None, ""
    if boots:
        generations = sorted(bootable_generations(reader))
        found = read_boot_facts(reader)
        architecture, seen_in = found.architecture, found.architecture_from
        system, booted_by = _system(found)
    return SourceFacts(
        reader.path,
        reader.format,
        reader.virtual_size,
        data_bytes(reader),
        generations,
        architecture,
        seen_in,
        system,
        booted_by,
    )


def _system(boot: BootFacts) -> Tuple[Optional[str], str]:
    """The one system whose boot loaders are on the disk, and one of them."""
    seen: Dict[str, str] = {}
    for loader in boot.loaders:
        path = "/" + loader.path.lower()
        for system, parts in _LOADERS.items():
            if any(part in path for part in parts):
                seen.setdefault(system, loader.path)
    if not boot.loaders and boot.bios_code in _LINUX_BOOT_CODE:
        return "Linux", "{0} in the boot sector".format(boot.bios_code)
    return next(iter(seen.items())) if len(seen) == 1 else (None, "")
