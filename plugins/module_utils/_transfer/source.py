# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The disk file of an upload, and what is known of it before anything is created."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._image.disk_state import UPLOAD
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.engine import Sent
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.sending import Planned
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.source_facts import SourceFacts

CONTENT = "goldenimage_content_sha256"
SIZE = "goldenimage_virtual_size"
RESERVED_TAGS = (CONTENT, SIZE, UPLOAD)


class Transfer(NamedTuple):
    """How to send.

    `connections`: how many at once; `verify`: "ranges" asks the service what was written, "full" reads it
    back, "none" does neither; `force`: whether other content may be replaced; `verify_tls`: False leaves
    certificates unchecked; `resume`: whether an upload that ends early is kept and gone on with;
    `journal_dir`: where its journal is, None for the folder of the disk file; `bandwidth_limit`: bytes per
    second.
    """

    connections: int
    verify: str
    force: bool
    check_mode: bool
    verify_tls: bool = True
    resume: bool = True
    journal_dir: str | None = None
    bandwidth_limit: int | None = None


class Uploaded(NamedTuple):
    """What came of an upload. `facts` describe the disk or blob; `before`, `after` are for the diff."""

    changed: bool
    facts: dict[str, Any]
    before: dict[str, Any] | None
    after: dict[str, Any]
    plan: Planned
    sent: Sent
    actions: list[str]
    warnings: list[str]


NOTHING_SENT = Sent(0, 0, 0.0)


def attached_at(resource: Mapping[str, Any]) -> str | None:
    """When a disk or snapshot, in wire shape, was attached to a machine or detached from it last, if ever.

    Compute's REST API writes the property's name with a capital letter, other than all else.
    """
    found = resource["properties"].get("LastOwnershipUpdateTime")
    return None if found is None else str(found)


def known_content(resource: Mapping[str, Any]) -> str | None:
    """The digest of the content that an upload has left; None where a machine may have changed that."""
    if resource.get("managedBy") or attached_at(resource) is not None:
        return None
    found = (resource.get("tags") or {}).get(CONTENT)
    return None if found is None else str(found)


def check_system(disk: SourceFacts, os_type: str | None) -> None:
    """Refuse an operating system that is not the one whose boot loader the disk has; raises InvalidInput."""
    if os_type is not None and disk.system not in (None, os_type):
        raise InvalidInput(
            f"{disk.path}: os_type is {os_type}, but the disk boots {disk.system} ({disk.system_from}).",
            remedy="Correct os_type.",
        )


def generation_for(disk: SourceFacts, os_type: str | None, wanted: str | None) -> str | None:
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
    found = disk.generations
    if wanted is None:
        if not found:
            raise InvalidInput(
                f"{disk.path}: nothing on this disk shows how it boots: there is neither an EFI system"
                " partition nor a boot loader in its first sector.",
                remedy="Set hyper_v_generation, or leave os_type out if this is a data disk.",
            )
        return "V2" if "V2" in found else "V1"
    if found and wanted not in found:
        has = "an EFI system partition only" if "V2" in found else "a BIOS boot loader only"
        raise InvalidInput(
            f"{disk.path}: hyper_v_generation is {wanted}, but the disk has {has}, so it boots as"
            f" {found[0]}.",
            remedy="Correct hyper_v_generation, or leave it out.",
        )
    return wanted


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB"


def sent_in_words(plan: Planned) -> str:
    """What is sent of a plan, for a sentence."""
    words = f"sent {_megabytes(plan.bytes_to_send - plan.bytes_held)}"
    if plan.bytes_held:
        return f"{words}; {_megabytes(plan.bytes_held)} had been sent before"
    return f"{words} in {plan.puts} requests"
