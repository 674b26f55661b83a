# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The disk file of an upload, and what is known of it before anything is created."""

from __future__ import annotations

from typing import Any, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.partitions import bootable_generations
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskReader
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.engine import Sent
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.plan import Plan

CONTENT = "goldenimage_content_sha256"
SIZE = "goldenimage_virtual_size"
UPLOAD = "goldenimage_upload"
RESERVED_TAGS = (CONTENT, SIZE, UPLOAD)


class Transfer(NamedTuple):
    """How to send.

    `connections`: how many at once; `verify`: whether the service is asked what was written; `force`: whether
    other content may be replaced; `verify_tls`: False leaves certificates unchecked.
    """

    connections: int
    verify: bool
    force: bool
    check_mode: bool
    verify_tls: bool = True


class Uploaded(NamedTuple):
    """What came of an upload. `facts` describe the disk or blob; `before`, `after` are for the diff."""

    changed: bool
    facts: dict[str, Any]
    before: dict[str, Any] | None
    after: dict[str, Any]
    plan: Plan
    sent: Sent
    actions: list[str]
    warnings: list[str]


NOTHING_SENT = Sent(0, 0, 0.0)


def generation_for(reader: DiskReader, os_type: str | None, wanted: str | None) -> str | None:
    """The generation of the disk in Azure, "V1" or "V2"; None for a data disk.

    Read from the disk unless given; a disk that can boot both ways becomes V2, which is what new machine
    sizes need. A value that the disk contradicts raises InvalidInput.
    """
    if os_type is None:
        if wanted is not None:
            raise InvalidInput(
                "hyper_v_generation says how a machine boots, but without os_type this is a data disk.",
                remedy="Set os_type as well, or leave hyper_v_generation out.",
            )
        return None
    found = bootable_generations(reader)
    if wanted is None:
        if not found:
            raise InvalidInput(
                f"{reader.path}: nothing on this disk shows how it boots: there is neither an EFI system"
                " partition nor a boot loader in its first sector.",
                remedy="Set hyper_v_generation, or leave os_type out if this is a data disk.",
            )
        return "V2" if "V2" in found else "V1"
    if found and wanted not in found:
        has = "an EFI system partition only" if "V2" in found else "a BIOS boot loader only"
        raise InvalidInput(
            f"{reader.path}: hyper_v_generation is {wanted}, but the disk has {has}, so it boots as"
            f" {next(iter(found))}.",
            remedy="Correct hyper_v_generation, or leave it out.",
        )
    return wanted


def megabytes(count: int) -> str:
    """A number of bytes for a sentence."""
    return f"{count / 1e6:.1f} MB"
