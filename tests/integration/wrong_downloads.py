# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Options of disk_download that cannot work, and words that the refusal has to say."""

from __future__ import annotations

from typing import Any

WRONG: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "missing group": ({"resource_group": "rg-missing", "disk_name": "web"}, ("rg-missing",)),
    "missing disk": ({"disk_name": "none"}, ("no disk none",)),
    "missing snapshot": ({"snapshot_name": "none"}, ("no snapshot none",)),
    "missing image": ({"image_name": "none"}, ("no image none",)),
    "missing lun": ({"image_name": "web", "lun": 1}, ("no data disk 1", "3")),
    "missing lun of a version": (
        {"gallery_name": "golden", "gallery_image": "web", "lun": 1}, ("no data disk 1", "3")
    ),
    "missing version": (
        {"gallery_name": "golden", "gallery_image": "web", "gallery_image_version": "9.9.9"},
        ("no version 9.9.9",),
    ),
    "missing blob": ({"container": "vhds", "blob": "none.vhd"}, ("no blob", "none.vhd")),
    "missing container": ({"container": "none", "blob": "web.vhd"}, ("no container none",)),
    "missing account": (
        {"storage_account": "nobodysaccount", "container": "vhds", "blob": "web.vhd"}, ("no storage account",)
    ),
    "block blob": ({"container": "vhds", "blob": "text"}, ("is a BlockBlob, and so no disk",)),
    "no VHD": ({"container": "vhds", "blob": "zeros.vhd"}, ("holds no VHD", "conectix")),
    "lun of a disk": ({"disk_name": "web", "lun": 1}, ("only an image",)),
    "bad name": ({"disk_name": "-bad"}, ("disk_name",)),
    "no folder": ({"disk_name": "web", "path": "/no/such/folder/x"}, ("no directory /no/such/folder",)),
    "a folder": ({"disk_name": "web", "path": "/"}, ("is a directory",)),
    "below a file": ({"disk_name": "web", "path": "/etc/passwd/x"}, ("no directory /etc/passwd",)),
    "a device": ({"disk_name": "web", "path": "/dev/null"}, ("no regular file",)),
    "long name": ({"disk_name": "web", "path": "x" * 250}, ("too long a name",)),
    "little bandwidth": ({"disk_name": "web", "bandwidth_limit": 1024}, ("at least 100000",)),
    "many connections": ({"disk_name": "web", "connections": 99}, ("1 to 12",)),
    "waits for upload": ({"disk_name": "waiting"}, ("cannot be read", "upload")),
    "in use": ({"disk_name": "read"}, ("somebody else",)),
    "other file": ({"disk_name": "web", "path": "other"}, ("exists", "force")),
}  # fmt: skip
