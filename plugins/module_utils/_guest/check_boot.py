# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Whether a guest's boot loader, kernel line and mounts are fit for Azure."""

import re
from typing import Collection, Dict, Iterator, List, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._guest.check import Check, Problem
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.disk_root import DiskRoot
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.guest import Guest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.mounts import read_fstab
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.places import paths

_GRUB = ("/boot/grub/grub.cfg", "/boot/grub2/grub.cfg", "/boot/efi/EFI/*/grub.cfg")
_ENTRIES = ("/boot/loader/entries/*.conf", "/boot/efi/loader/entries/*.conf", "/efi/loader/entries/*.conf")
_GRUB_VARIABLES = ("/boot/{grub2,grub,efi/EFI/*}/grubenv", "/boot/{mariner,azl,systemd}.cfg")
_VARIABLE = re.compile(r"\$\{?(\w+)\}?")
# Variables of distributions that never hold a console.
_HARMLESS = ("$vt_handoff", "$tuned_params", "$tuned_initrd", "$ignition_firstboot")
_RESCUE = (
    "single",
    "recovery",
    "rescue",
    "emergency",
    "systemd.unit=rescue.target",
    "rd.break",
    "dis_ucode_ldr",
)
_SERIAL = ("console=ttyS0", "console=ttyAMA0")
# Names that depend on the bus, the order or the slot that a disk was found at.
_BY_ORDER = re.compile(
    r"/dev/((sd|hd|vd|xvd)[a-z]+\d*|nvme\d+n\d+(p\d+)?|mmcblk\d+(p\d+)?|disk/by-path/.+|disk/by-id/(?!dm-|lvm-).+)$"
)
_SPLASH = ("rhgb", "quiet", "splash", "splash=silent")
_FALLBACKS = ("bootx64.efi", "bootaa64.efi")
_EFI_POINTS = ("/boot/efi", "/efi", "/boot")
_BIOS_GRUB = ("/boot/grub/i386-pc", "/boot/grub2/i386-pc")


class KernelLine(NamedTuple):
    """What a boot entry hands to the kernel."""

    path: str
    arguments: List[str]


def kernel_lines(guest: Guest) -> List[KernelLine]:
    """The kernel lines of all boot entries, those for rescue left out."""
    root = guest.root
    variables = _grub_variables(guest)
    found = []
    for pattern in _GRUB:
        for path in root.glob(pattern):
            for line in guest.lines(path):
                words = line.split()
                if words[:1] and words[0] in {"linux", "linux16", "linuxefi"} and len(words) > 2:
                    found.append(KernelLine(path, _expanded(words[2:], variables)))
    for pattern in _ENTRIES:
        for path in root.glob(pattern):
            options = [line.split()[1:] for line in guest.lines(path) if line.startswith("options")]
            if "rescue" not in path.rpartition("/")[2]:
                words = [word for words in options for word in words]
                found.append(KernelLine(path, _expanded(words, variables)))
    return [
        line
        for line in found
        if any(word.startswith("root=") for word in line.arguments) and not set(line.arguments) & set(_RESCUE)
    ]


def _grub_variables(guest: Guest) -> Dict[str, str]:
    """What grub2-editenv(1) stores and grub.cfg sets: grubby(8) and Azure Linux keep arguments there."""
    found: Dict[str, str] = {}
    for pattern in _GRUB + _GRUB_VARIABLES:
        for path in paths(guest, [pattern]):
            for line in guest.lines(path):
                name, equals, value = line.strip().partition("=")
                if equals and not name.startswith("#") and len(name.split()) <= 2:
                    found.setdefault(name.rpartition(" ")[2], value.strip("\"'"))
    return found


def _expanded(words: List[str], variables: Dict[str, str]) -> List[str]:
    """Kernel arguments with GRUB's variables filled in; those that are not known stay."""
    filled = _VARIABLE.sub(lambda match: variables.get(match.group(1), match.group(0)), " ".join(words))
    return filled.split()


def _console(guest: Guest) -> Iterator[Problem]:
    for line in _once(kernel_lines(guest)):
        unknown = [word for word in line.arguments if word.startswith("$") and word not in _HARMLESS]
        if not unknown and not any(word.startswith(_SERIAL) for word in line.arguments):
            yield Problem(line.path, "no serial console on the kernel line")
        hidden = [word for word in line.arguments if word in _SPLASH]
        if hidden:
            yield Problem(
                line.path, "{0} on the kernel line hides messages".format(", ".join(hidden)), "info"
            )


def _root_device(guest: Guest) -> Iterator[Problem]:
    root = guest.root
    for line in _once(kernel_lines(guest)):
        for word in line.arguments:
            name, _equals, value = word.partition("=")
            value = value.replace('"', "")
            if name not in {"root", "resume"}:
                continue
            if _BY_ORDER.match(value):
                severity = "error" if name == "root" else "warning"
                detail = "{0}={1} depends on the order of disks".format(name, value)
                yield Problem(line.path, detail, severity)
            elif name == "root" and isinstance(root, DiskRoot) and _is_elsewhere(value, root.sources):
                yield Problem(line.path, "{0} is not this disk's root file system".format(word))


def _once(lines: List[KernelLine]) -> Iterator[KernelLine]:
    """One line of each file: its first, which boots unless somebody chooses another."""
    seen = set()
    for line in lines:
        if line.path not in seen:
            seen.add(line.path)
            yield line


def _mounts(guest: Guest) -> Iterator[Problem]:
    root = guest.root
    for entry in read_fstab(root):
        if _BY_ORDER.match(entry.source) and "noauto" not in entry.options:
            severity = "warning" if "nofail" in entry.options else "error"
            detail = "{0} at {1} depends on the order of disks".format(entry.source, entry.point)
            yield Problem("/etc/fstab", detail, severity)
        elif {"nofail", "noauto"} & set(entry.options):
            continue
        elif isinstance(root, DiskRoot) and _is_elsewhere(entry.source, root.known):
            detail = "{0} at {1} is not on this disk".format(entry.source, entry.point)
            yield Problem("/etc/fstab", detail, "error" if entry.point == "/" else "warning")
    for line in guest.lines("/etc/crypttab"):
        fields = line.split()
        if len(fields) > 1 and not line.startswith("#") and _BY_ORDER.match(fields[1]):
            yield Problem("/etc/crypttab", "{0} depends on the order of disks".format(fields[1]))


def _is_elsewhere(source: str, names: Collection[str]) -> bool:
    """Whether an id is none of these names of volumes."""
    is_id = source.upper().startswith(("UUID=", "LABEL=", "PARTUUID=", "PARTLABEL="))
    return is_id and bool(names) and source.lower() not in names


def _fallback(guest: Guest) -> Iterator[Problem]:
    root = guest.root
    for point in _EFI_POINTS:
        names = {name.lower(): name for name in root.listdir(point)}
        if "efi" not in names or (point == "/boot" and "efi" in root.listdir(point)):
            continue
        folder = point + "/" + names["efi"]
        inside = {name.lower(): name for name in root.listdir(folder)}
        if not inside:
            continue
        boot = root.listdir(folder + "/" + inside["boot"]) if "boot" in inside else []
        if not any(name.lower() in _FALLBACKS for name in boot):
            by_bios = any(root.stat(path) is not None for path in _BIOS_GRUB)
            yield Problem(folder, "no BOOT/BOOTX64.EFI", "warning" if by_bios else "error")


CHECKS = (
    Check(
        "azure-console",
        "Kernel lines without a serial console, or with quiet, rhgb or splash",
        "Azure shows what the machine writes to its first serial port; without it a boot cannot be watched.",
        "warning",
        _console,
    ),
    Check(
        "azure-root-device",
        "Kernel lines that name the root file system by the order of disks, or one of another disk",
        "Disks have other names on Azure, and may change places at every boot: name them by UUID or label.",
        "error",
        _root_device,
    ),
    Check(
        "azure-fstab",
        "Mounts and encrypted disks by the order of disks, or of another disk",
        "Disks have other names on Azure, and a mount that fails stops the boot: name them by UUID or label.",
        "error",
        _mounts,
    ),
    Check(
        "azure-uefi-loader",
        "EFI system partitions without BOOT/BOOTX64.EFI",
        "A new machine of generation 2 has no boot entries and starts EFI/BOOT only.",
        "error",
        _fallback,
    ),
)
