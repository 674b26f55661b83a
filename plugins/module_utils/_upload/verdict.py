# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Whether Azure takes a disk, and what an upload does to make it fit."""

from typing import Callable, Dict, List, NamedTuple, Optional

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskError
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.vhd_footer import FOOTER_SIZE
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.limits import (
    check_managed_disk_size,
    check_page_blob_size,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.plan import rounded_size


class Verdict(NamedTuple):
    """`accepted_as`: of "os_disk", "data_disk" and "page_blob" what the disk can become; `reasons`: why not
    the others, by the same names; `actions`: what an upload does on the way; `upload_size`: the size of the
    disk in Azure, `vhd_size` with the footer."""

    accepted_as: List[str]
    reasons: Dict[str, str]
    actions: List[str]
    upload_size: int
    vhd_size: int


def judge(
    path: str, disk_format: str, virtual_size: int, generation: Optional[str], fixed_vhd: bool = False
) -> Verdict:
    """What Azure takes this disk as.

    :param generation: "V1" or "V2", None for a disk that does not boot
    :param fixed_vhd: whether the file is a fixed VHD already
    """
    reasons: Dict[str, str] = {}
    if generation is None:
        reasons["os_disk"] = (
            "nothing on this disk shows how it boots: there is neither an EFI system partition nor a boot "
            "loader in its first sector"
        )
    else:
        _note(reasons, "os_disk", lambda: check_managed_disk_size(path, virtual_size, generation))
    _note(reasons, "data_disk", lambda: check_managed_disk_size(path, virtual_size, None))
    _note(reasons, "page_blob", lambda: check_page_blob_size(path, virtual_size))
    size = rounded_size(virtual_size)
    actions = []
    if disk_format not in {"raw", "vhd"} or (disk_format == "vhd" and not fixed_vhd):
        actions.append("The {0} disk is sent as a fixed VHD; no converted file is made.".format(disk_format))
    if size != virtual_size:
        actions.append(
            "The size is rounded up from {0} to {1} bytes, whole MiB, with zeros behind the disk.".format(
                virtual_size, size
            )
        )
    actions.append(
        "The footer of a fixed VHD is made anew."
        if fixed_vhd
        else "The footer of a fixed VHD is made behind the disk."
    )
    return Verdict(
        [name for name in ("os_disk", "data_disk", "page_blob") if name not in reasons],
        reasons,
        actions,
        size,
        size + FOOTER_SIZE,
    )


def _note(reasons: Dict[str, str], name: str, check: Callable[[], None]) -> None:
    try:
        check()
    except DiskError as error:
        reasons[name] = str(error)
