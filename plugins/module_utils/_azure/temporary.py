# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The tags by which what a build makes for itself alone is known again, and collected if left behind.

A temporary resource carries them from the request that creates it, so that a run killed at any point leaves
nothing that could not be found. Lengths of tags: "Use tags to organize your Azure resources".
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput

PURPOSE_TAG = "goldenimage_temporary"
BUILD_TAG = "goldenimage_build"
EXPIRES_TAG = "goldenimage_expires"
SOURCE_TAG = "goldenimage_source"
# On a twin, and on images of it: Azure's own id of the machine that it is a twin of.
SOURCE_VM_ID_TAG = "goldenimage_source_vm_id"
TAG_NAMES = (PURPOSE_TAG, BUILD_TAG, EXPIRES_TAG, SOURCE_TAG)

DEFAULT_HOURS = 24
# Of what lies on the way of a copy or download, which is gone on with days later.
TRANSFER_HOURS = 72
# Beyond ten years something is mistyped; the figure keeps the sum within what datetime can hold.
_MOST_HOURS = 24 * 3653
_TAG_VALUE_LENGTH = 256
_DIGEST_LENGTH = 16
# Part of the names of resource groups, disks and machines, with words before and after it.
_BUILD_ID = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")


class Build(NamedTuple):
    """One run that makes an image, and its repetitions. ``expires`` has a time zone."""

    id: str
    expires: datetime


def checked_build_id(build_id: str) -> str:
    """The id as it is written. Raises InvalidInput for one that cannot be part of Azure's names."""
    if not _BUILD_ID.fullmatch(build_id):
        raise InvalidInput(
            f"build_id: {build_id!r} cannot be part of the names of Azure's resources.",
            remedy="Use 1 to 40 lower-case letters, digits or hyphens, with none of the hyphens at an end.",
        )
    return build_id


def derived_build_id(source_id: str, *targets: str) -> str:
    """The same id for the same work: a second run finds what the first one made.

    ``targets``: the ids, names or kinds of what is made of the source, in any order and case.
    """
    parts = [source_id, *sorted(target.casefold() for target in targets)]
    return build_id_of("\n".join(part.rstrip("/").casefold() for part in parts))


def build_id_of(work: str) -> str:
    """The same id for the same work, described in full; large and small letters differ, as in file names."""
    return hashlib.sha256(work.encode("utf-8")).hexdigest()[:_DIGEST_LENGTH]


def new_build(build_id: str, expires_after: int, now: datetime) -> Build:
    """The build that begins (or goes on) at ``now`` and whose resources may be collected
    ``expires_after`` hours later. Raises InvalidInput for a bad id or number of hours."""
    if not 1 <= expires_after <= _MOST_HOURS:
        raise InvalidInput(
            f"expires_after: {expires_after} is not a number of hours from 1 to {_MOST_HOURS}."
        )
    return Build(checked_build_id(build_id), now + timedelta(hours=expires_after))


def temporary_tags(build: Build, purpose: str, source_id: str) -> dict[str, str]:
    """The tags of a temporary resource.

    ``purpose`` says in a word or two what it is for, for example "twin"; ``source_id`` is the id of the
    virtual machine or disk that the build works on.
    """
    return {
        PURPOSE_TAG: purpose,
        BUILD_TAG: build.id,
        EXPIRES_TAG: build.expires.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        SOURCE_TAG: source_tag(source_id),
    }


def source_tag(source_id: str) -> str:
    """A resource id as the value of a tag: as it is, or cut off and completed by a digest when a tag cannot
    hold it."""
    if len(source_id) <= _TAG_VALUE_LENGTH:
        return source_id
    digest = build_id_of(source_id.casefold())
    return f"{source_id[: _TAG_VALUE_LENGTH - _DIGEST_LENGTH - 1]}~{digest}"


def _tag(resource: Mapping[str, Any], name: str) -> str:
    """A tag's value whatever the case of its name, of which Azure takes no notice; "" where there is none."""
    for key, value in (resource.get("tags") or {}).items():
        if key.casefold() == name:
            return str(value)
    return ""


def build_of(resource: Mapping[str, Any]) -> str | None:
    """The id of the build that a temporary resource belongs to; None for any other resource."""
    return _tag(resource, BUILD_TAG) if is_temporary(resource) else None


def purpose_of(resource: Mapping[str, Any]) -> str:
    """What a temporary resource is for; "" for any other resource."""
    return _tag(resource, PURPOSE_TAG)


def source_of(resource: Mapping[str, Any]) -> str:
    """What `source_tag` made of the id of what the build works on; "" where the tag is missing."""
    return _tag(resource, SOURCE_TAG)


def belongs_to(resource: Mapping[str, Any], build_id: str, source_id: str | None = None) -> bool:
    """Whether a resource, in wire shape, was made temporarily by this build, and of this source if named."""
    if build_of(resource) != build_id:
        return False
    return source_id is None or _tag(resource, SOURCE_TAG).casefold() == source_tag(source_id).casefold()


def is_temporary(resource: Mapping[str, Any]) -> bool:
    """Whether a resource, in wire shape, says by its tags that a build of ours made it for itself alone."""
    return all(_tag(resource, name) for name in (PURPOSE_TAG, BUILD_TAG)) and expiry(resource) is not None


def expiry(resource: Mapping[str, Any]) -> datetime | None:
    """When the resource may be collected; None where the tag is missing or no time with a zone."""
    try:
        # Python 3.10 does not read the Z that stands for +00:00.
        found = datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", _tag(resource, EXPIRES_TAG)))
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def has_expired(resource: Mapping[str, Any], now: datetime) -> bool:
    """Whether a temporary resource may be collected at ``now`` (with a time zone), whoever made it."""
    ends = expiry(resource)
    return is_temporary(resource) and ends is not None and ends <= now
