# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The loader at the path that firmware without boot entries takes (UEFI specification, 3.5.1.1).

A machine made from an image has none of the boot entries that the first machine kept in its firmware.
"""

from typing import Dict, List, NamedTuple, Optional, Tuple

from ansible_collections.goldenimage.azure.plugins.module_utils._guest.live_root import LiveRoot
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import GuestError

_PLACES = ("/boot/efi", "/efi", "/boot")
# The ends of loaders' names and the fallback's name, by architecture.
_ARCHITECTURES = (("x64", "BOOTX64.EFI"), ("aa64", "BOOTAA64.EFI"))
_MAX_LOADER = 64 << 20
# Where the directory is not called like the distribution's id.
_VENDORS = {"rhel": "redhat", "ol": "redhat", "opensuse-leap": "opensuse", "opensuse-tumbleweed": "opensuse"}


class Copy(NamedTuple):
    """A file to copy within the EFI system partition."""

    source: str
    target: str


class Plan(NamedTuple):
    """The path of the fallback loader, None without an EFI system partition, and what has to be copied."""

    loader: Optional[str]
    copies: List[Copy]


def plan_fallback(root: LiveRoot, distribution: str) -> Plan:
    """What has to be copied so that there is a fallback loader.

    With Secure Boot in mind shim is taken together with what it starts, and looks for beside itself.

    :param distribution: the os-release(5) id, which decides between several vendors' loaders
    """
    for place in _PLACES:
        top = _child(root, place, "EFI")
        if top is None or top in _PLACES:  # the directory /boot/efi is not what is looked for in /boot
            continue
        vendors = {name: _files(root, top + "/" + name) for name in root.listdir(top)}
        directory = _child(root, top, "BOOT") or top + "/BOOT"
        for ending, fallback in _ARCHITECTURES:
            present = _child(root, directory, fallback)
            if present is not None:
                return Plan(present, [])
            found = _loader_of(vendors, ending, distribution)
            if found is not None:
                vendor, names = found
                copies = [Copy("{0}/{1}/{2}".format(top, vendor, names[0]), directory + "/" + fallback)]
                copies += [
                    Copy("{0}/{1}/{2}".format(top, vendor, name), directory + "/" + name)
                    for name in names[1:]
                ]
                return Plan(copies[0].target, copies)
        raise GuestError(
            "{0}: holds no loader of systemd-boot, shim or GRUB that could be copied to {1}; install the "
            "distribution's boot loader for UEFI. Nothing was changed".format(top, directory)
        )
    return Plan(None, [])


def make_copies(root: LiveRoot, plan: Plan) -> None:
    """Copy; the fallback itself last, so that it is never there without what it starts."""
    for copy in reversed(plan.copies):
        data = root.read(copy.source, _MAX_LOADER)
        if not data.startswith(b"MZ"):
            raise GuestError("{0}: is no program for UEFI, so it was not copied".format(copy.source))
        root.write(copy.target, data)


def _child(root: LiveRoot, directory: str, name: str) -> Optional[str]:
    """The path of a name in a directory, in whatever case: FAT keeps case and does not tell it apart."""
    for present in root.listdir(directory):
        if present.lower() == name.lower():
            return directory.rstrip("/") + "/" + present
    return None


def _files(root: LiveRoot, directory: str) -> Dict[str, str]:
    return {name.lower(): name for name in root.listdir(directory)}


def _loader_of(
    vendors: Dict[str, Dict[str, str]], ending: str, distribution: str
) -> Optional[Tuple[str, List[str]]]:
    """The directory and the names of a loader and of what it needs beside it, the loader first."""
    found: Dict[str, List[str]] = {}
    for vendor, files in vendors.items():
        if vendor.lower() == "boot":
            continue
        boot = files.get("systemd-boot{0}.efi".format(ending))
        shim = files.get("shim{0}.efi".format(ending)) or files.get("shim.efi")
        grub = files.get("grub{0}.efi".format(ending)) or files.get("grub.efi")
        helpers = [files[name] for name in ("mm{0}.efi".format(ending), "mokmanager.efi") if name in files]
        if boot:
            found[vendor] = [boot]
        elif shim and grub:
            found[vendor] = [shim, grub] + helpers
        elif grub:
            found[vendor] = [grub]
    if len(found) > 1:
        own = [
            name for name in found if name.lower() in {distribution.lower(), _VENDORS.get(distribution, "")}
        ]
        if len(own) != 1:
            raise GuestError(
                "several vendors' loaders are in the EFI system partition ({0}), and none is this system's "
                "for sure; remove those of other systems. Nothing was changed".format(
                    ", ".join(sorted(found))
                )
            )
        return own[0], found[own[0]]
    return next(iter(found.items()), None)
