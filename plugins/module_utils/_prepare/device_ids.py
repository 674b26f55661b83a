# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Names of block devices that mean the same disk on every machine, and those that do not."""

import os
import re
from typing import Dict, Optional

from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import GuestError
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.programs import Programs

# /dev/disk/azure is made by rules that come with Azure's own tools.
_STABLE_LINKS = re.compile(
    r"^/dev/(disk/(by-(uuid|partuuid|label|partlabel)|azure|cloud)/|disk/by-id/(dm|md)-(name|uuid)-|md/)"
)
_KERNEL_NAMES = re.compile(r"^/dev/([svh]d[a-z]|xvd[a-z]|dasd[a-z]|(nvme|mmcblk|md|pmem|nbd|loop)\d)[^/]*$")
_REMOVABLE = re.compile(r"^/dev/(sr\d+|scd\d+|cdrom\w*|dvd\w*|fd\d+|floppy\w*)$")


def is_unstable(name: str) -> bool:
    """Whether a device's name can mean another disk, or none, on another machine.

    Names by content (UUID=, LABEL= and the like), of LVM, of the device mapper and of network file systems
    are stable. /dev/disk/by-id and by-path carry serial numbers and addresses that no copy of the disk has.
    """
    if not name.startswith("/dev/") or name.startswith("/dev/mapper/") or _STABLE_LINKS.match(name):
        return False
    return bool(_KERNEL_NAMES.match(name)) or name.startswith("/dev/disk/")


def is_removable(name: str) -> bool:
    """Whether a device is a drive for media, which need not have any."""
    return bool(_REMOVABLE.match(name))


class DeviceIds:
    """Ids of the devices of this host, read from the devices themselves and not from a cache."""

    def __init__(self, programs: Programs) -> None:
        self._programs = programs
        self._known: Dict[str, Dict[str, str]] = {}

    def facts(self, device: str) -> Dict[str, str]:
        """What blkid finds on a device, like {"UUID": "...", "TYPE": "ext4"}; empty when nothing is there."""
        if device not in self._known:
            self._known[device] = self._probe(device)
        return self._known[device]

    def content_id(self, device: str) -> Optional[str]:
        """ "UUID=..." of what is on a device; None when it has none."""
        uuid = self.facts(device).get("UUID")
        return "UUID=" + uuid if uuid else None

    def partition_id(self, device: str) -> Optional[str]:
        """ "PARTUUID=..." of a partition; None for all else."""
        uuid = self.facts(device).get("PARTUUID") or self.facts(device).get("PART_ENTRY_UUID")
        return "PARTUUID=" + uuid if uuid else None

    def stable(self, device: str) -> str:
        """The stable name of a device. Raises GuestError when there is none."""
        name = self.content_id(device) or self.partition_id(device)
        if name is None:
            raise GuestError("{0}: {1}".format(device, self.why_none(device)))
        return name

    def why_none(self, device: str) -> str:
        """Why a device has no stable name."""
        if not os.path.exists(device):
            return "there is no such device on this host"
        return "neither what is on it nor its partition has a UUID"

    def _probe(self, device: str) -> Dict[str, str]:
        blkid = self._programs.find("blkid")
        if blkid is None:
            raise GuestError(
                "blkid is not installed, so that ids of devices cannot be read; install util-linux"
            )
        try:
            told = self._programs.run([blkid, "-p", "-o", "export", device], timeout=60)
        except GuestError:
            return {}  # it ends with an error for devices that are absent or empty
        found = {}
        for line in told.splitlines():
            key, equals, value = line.partition("=")
            if equals:
                found[key] = value.replace("\\ ", " ")
        return found
