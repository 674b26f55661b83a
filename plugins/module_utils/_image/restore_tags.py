# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The tags of disks that a restore makes: by them a restore that was interrupted is gone on with.

Limits: "Use tags to organize your Azure resources" of Azure's documentation.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from typing import Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import (
    parse_resource_id,
    resource_id,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.temporary import (
    EXPIRES_TAG,
    PURPOSE_TAG,
    SOURCE_TAG,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.backup import (
    packed_facts,
    tag_of,
    unpacked_facts,
)

# While the restore goes on: whose disk it will be, in which restore, at which place, whether it goes with the
# machine, the disk that is there so far, what is to be done at the end, and a machine to be made anew.
RESTORE_OF_TAG = "goldenimage_restore_of"
RESTORE_TAG = "goldenimage_restore"
PLACE_TAG = "goldenimage_restore_disk"
DELETE_OPTION_TAG = "goldenimage_restore_delete_option"
REPLACES_TAG = "goldenimage_restore_replaces"
START_TAG = "goldenimage_restore_facts"
_MACHINE_TAG = "goldenimage_restore_machine_"
# For good: the backup a disk was made of, and on a disk that was taken out, when and from which machine.
RESTORED_FROM_TAG = "goldenimage_restored_from"
REPLACED_TAG = "goldenimage_replaced"
REPLACED_OF_TAG = "goldenimage_replaced_of"

_VALUE_LENGTH = 256
_MOST_TAGS = 50
_PASSING = (
    RESTORE_OF_TAG,
    RESTORE_TAG,
    PLACE_TAG,
    DELETE_OPTION_TAG,
    REPLACES_TAG,
    START_TAG,
    PURPOSE_TAG,
    EXPIRES_TAG,
    SOURCE_TAG,
)


def lasting_tags(resource: Mapping[str, Any]) -> dict[str, str]:
    """Its tags without those that have to do with a restore under way, or with being temporary."""
    passing = {name.casefold() for name in _PASSING}
    return {
        name: value
        for name, value in (resource.get("tags") or {}).items()
        if name.casefold() not in passing and not name.casefold().startswith(_MACHINE_TAG)
    }


def users_tags(resource: Mapping[str, Any]) -> dict[str, str]:
    """Its tags without any of this collection: what a disk made in its place takes over."""
    return {
        name: value
        for name, value in (resource.get("tags") or {}).items()
        if not name.casefold().startswith("goldenimage_")
    }


def replaces_tag(disk_id: str | None) -> dict[str, str]:
    """The disk that is taken out, as a tag; its whole id might be too long for one."""
    if disk_id is None:
        return {}
    parsed = parse_resource_id(disk_id)
    return {REPLACES_TAG: f"{parsed.resource_group}/{parsed.name}"}


def replaced_by(disk: Mapping[str, Any]) -> str | None:
    """The id of the disk that `replaces_tag` names."""
    group, separator, name = (tag_of(disk, REPLACES_TAG) or "").partition("/")
    if not separator:
        return None
    subscription = parse_resource_id(str(disk["id"])).subscription
    return resource_id(subscription, group, "Microsoft.Compute", "disks", name)


def start_tag(start: bool) -> dict[str, str]:
    """Whether the machine is to run in the end, as a tag."""
    return {START_TAG: packed_facts(start=start)}


def start_of(disk: Mapping[str, Any]) -> bool | None:
    """What `start_tag` has said."""
    found = unpacked_facts(tag_of(disk, START_TAG)).get("start")
    return found if isinstance(found, bool) else None


def machine_tags(description: Mapping[str, Any]) -> dict[str, str]:
    """A description of a machine that will be gone for a while, in as many tags as it takes."""
    text = json.dumps(description, separators=(",", ":"), sort_keys=True)
    packed = base64.b64encode(zlib.compress(text.encode("utf-8"), 9)).decode("ascii")
    pieces = [packed[at : at + _VALUE_LENGTH] for at in range(0, len(packed), _VALUE_LENGTH)]
    return {f"{_MACHINE_TAG}{number:02d}": piece for number, piece in enumerate(pieces)}


def machine_described(disk: Mapping[str, Any]) -> dict[str, Any] | None:
    """The description that a disk's tags hold; None where there is none, or not all of it."""
    pieces = sorted(
        (name.casefold(), str(value))
        for name, value in (disk.get("tags") or {}).items()
        if name.casefold().startswith(_MACHINE_TAG)
    )
    try:
        text = zlib.decompress(base64.b64decode("".join(piece for _unused, piece in pieces)))
        found = json.loads(text)
    except (ValueError, zlib.error):
        return None
    return found if isinstance(found, dict) else None


def fits(tags: Mapping[str, str]) -> bool:
    """Whether one resource can have all of these tags."""
    return len(tags) <= _MOST_TAGS
