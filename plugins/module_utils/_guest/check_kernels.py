# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Whether the kernels of a guest find their disk and network on Azure: drivers in kernel and initramfs."""

import re
from typing import Dict, FrozenSet, Iterator, List, NamedTuple, Optional, Tuple

from ansible_collections.goldenimage.azure.plugins.module_utils._guest.check import Check, Problem
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.guest import Guest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.initramfs import (
    InitramfsError,
    initramfs_names,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import GuestError, RootView

# Without the first two there is no root file system; the others are for sizes with NVMe disks.
_EARLY = {"hv_vmbus": "error", "hv_storvsc": "error", "nvme": "warning", "pci_hyperv": "info"}
# They may come from the root file system. udf reads the medium that a machine is provisioned from, which
# cloud-init has not needed since version 21.2.
_LATER = {"hv_netvsc": "error", "hv_utils": "warning", "udf": "info"}
_INITRAMFS = ("/boot/initrd.img-{0}", "/boot/initramfs-{0}.img", "/boot/initrd-{0}", "/boot/initramfs-{0}")
_IMAGES = ("/boot/vmlinuz-*", "/boot/Image-*", "/boot/vmlinux-*", "/boot/kernel-*")
_ENTRY_IMAGES = ("/{boot}/*/*/linux", "/{boot}/*/*/vmlinuz")
_ENTRIES = "/{boot}/loader/entries/*.conf"
_UNIFIED = ("/boot/efi/EFI/Linux/*.efi", "/efi/EFI/Linux/*.efi", "/boot/EFI/Linux/*.efi")
_BOOT_DIRECTORIES = ("boot", "efi", "boot/efi")
_MODULE = re.compile(r"(?:^|/)([^/]+)\.ko(?:\.(?:gz|xz|zst))?$")
_MAX_LIST = 16 << 20
_MAX_ENTRY = 1 << 16
_NAMES = ("linux", "initrd")


class Kernel(NamedTuple):
    """A kernel that can be booted; `initramfs` is empty when there is none beside it."""

    version: str
    path: str
    initramfs: str


def kernels(root: RootView) -> List[Kernel]:
    """The kernels of a guest by version, the newest first; rescue kernels are left out."""
    found: Dict[str, Kernel] = {}
    for pattern in _IMAGES:
        for path in root.glob(pattern):
            version = path.rpartition("/")[2].partition("-")[2]
            candidates = [name.format(version) for name in _INITRAMFS]
            found.setdefault(version, Kernel(version, path, _existing(root, candidates)))
    for directory in _BOOT_DIRECTORIES:
        for pattern in _ENTRY_IMAGES:
            for path in root.glob(pattern.replace("{boot}", directory)):
                folder = path.rpartition("/")[0]
                version = folder.rpartition("/")[2]
                initramfs = _existing(root, [folder + "/initrd", folder + "/initramfs.img"])
                found.setdefault(version, Kernel(version, path, initramfs))
        for kernel in _of_entries(root, "/" + directory):
            found.setdefault(kernel.version, kernel)
    usable = [kernel for kernel in found.values() if "rescue" not in kernel.version and kernel.version]
    return sorted(usable, key=lambda kernel: _by_age(kernel.version), reverse=True)


def _of_entries(root: RootView, top: str) -> Iterator[Kernel]:
    """Kernels with names that only their entries know: sdbootutil of openSUSE makes them from the content."""
    for entry in root.glob(_ENTRIES.replace("/{boot}", top)):
        words = [
            line.split() for line in root.read(entry, _MAX_ENTRY).decode("utf-8", "replace").splitlines()
        ]
        paths = {name: [line[1] for line in words if len(line) > 1 and line[0] == name] for name in _NAMES}
        for image in paths["linux"]:
            folder, _slash, name = (top + image).rpartition("/")
            if name.startswith("linux-") and root.stat(top + image) is not None:
                initramfs = _existing(root, [top + path for path in paths["initrd"]])
                yield Kernel(folder.rpartition("/")[2], top + image, initramfs)


def _existing(root: RootView, paths: List[str]) -> str:
    return next((path for path in paths if root.stat(path) is not None), "")


def _by_age(version: str) -> List[Tuple[int, str]]:
    return [(int(number or 0), text) for number, text in re.findall(r"(\d+)|([^\d.\-+~_]+)", version)]


def _modules_in(names: List[str]) -> FrozenSet[str]:
    found = (_MODULE.search(name) for name in names)
    return frozenset(match.group(1).replace("-", "_") for match in found if match)


class _Drivers(NamedTuple):
    built_in: FrozenSet[str]
    installed: FrozenSet[str]


def _drivers(root: RootView, version: str) -> Optional[_Drivers]:
    """What a kernel has; None when its modules are not installed."""
    for top in ("/lib/modules/", "/usr/lib/modules/"):
        lists = [root.read(top + version + name, _MAX_LIST) for name in ("/modules.builtin", "/modules.dep")]
        if any(lists):
            built_in, installed = [text.decode("utf-8", "replace").splitlines() for text in lists]
            return _Drivers(
                _modules_in(built_in), _modules_in([line.partition(":")[0] for line in installed])
            )
    return None


def _look(guest: Guest) -> Iterator[Problem]:
    family = guest.family
    if family is not None and family.id == "flatcar":
        return  # its kernel has everything built in, and is no package
    known = kernels(guest.root)
    if not known:
        unified = [path for pattern in _UNIFIED for path in guest.root.glob(pattern)]
        for path in unified:
            yield Problem(path, "unified kernel image, which is not looked into", "info")
        if not unified:
            yield Problem("/boot", "no kernel")
    for index, kernel in enumerate(known):
        for problem in _problems(guest.root, kernel):
            # Older ones are there in case the newest does not boot.
            yield problem if not index else problem._replace(severity="info")


def _problems(root: RootView, kernel: Kernel) -> Iterator[Problem]:
    drivers = _drivers(root, kernel.version)
    if drivers is None:
        yield Problem(kernel.path, "its modules are not in /lib/modules/{0}".format(kernel.version))
        return
    usable = drivers.built_in | drivers.installed
    for name, severity in sorted({**_EARLY, **_LATER}.items()):
        if name not in usable:
            yield Problem(kernel.path, "the kernel has no driver {0}".format(name), severity)
    wanted = {name: how for name, how in _EARLY.items() if name in drivers.installed - drivers.built_in}
    if not wanted:
        return
    if not kernel.initramfs:
        yield Problem(
            kernel.path, "has no initramfs, which {0} would have to be in".format(", ".join(sorted(wanted)))
        )
        return
    try:
        present = _modules_in(initramfs_names(root, kernel.initramfs))
    except (InitramfsError, GuestError) as error:
        yield Problem(kernel.initramfs, "could not be looked into: {0}".format(error), "warning")
        return
    for name, severity in sorted(wanted.items()):
        if name not in present:
            yield Problem(kernel.initramfs, "lacks driver {0}".format(name), severity)


def _denied(guest: Guest) -> Iterator[Problem]:
    """Drivers that modprobe.d(5) keeps from loading."""
    names = {**_EARLY, **_LATER}
    for directory in ("/etc/modprobe.d", "/usr/lib/modprobe.d", "/lib/modprobe.d"):
        for path in guest.root.glob(directory + "/*.conf"):
            for line in guest.lines(path):
                words = line.split()
                name = words[1].replace("-", "_") if len(words) > 1 else ""
                denied = words[:1] == ["blacklist"] or (
                    words[:1] == ["install"] and words[-1].endswith(("true", "false"))
                )
                if denied and name in names:
                    yield Problem(path, "keeps driver {0} from loading".format(name), names[name])


CHECKS = (
    Check(
        "azure-drivers",
        "Hyper-V's and NVMe drivers in the kernels and their initramfs",
        "Without Hyper-V's drivers the kernel finds neither disk nor network; some sizes have NVMe disks.",
        "error",
        _look,
    ),
    Check(
        "azure-denied-drivers",
        "Drivers that modprobe.d keeps from loading",
        "Drivers that are kept from loading are missing on Azure.",
        "error",
        _denied,
    ),
)
