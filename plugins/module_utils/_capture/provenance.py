# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Where an image comes from, as tags on the image and as metadata of blobs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.temporary import (
    BUILD_TAG,
    SOURCE_TAG,
    SOURCE_VM_ID_TAG,
    is_temporary,
    source_of,
    source_tag,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.evidence import time_text
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.request import CaptureRequest
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.source import SourceVm
from ansible_collections.goldenimage.azure.plugins.module_utils._image.image_tags import (
    PLAN_TAG,
    SOURCES_TAG,
    STATE_TAG,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_facts import plan_text

VM_ID_TAG = SOURCE_VM_ID_TAG
# The machine that was captured, where that was a twin of the source.
TWIN_TAG = "goldenimage_twin"
IMAGE_TAG = "goldenimage_source_image"
TIME_TAG = "goldenimage_captured"
JOB_TAG = "goldenimage_awx_job"
# When the capture failed that made this and was to make more. The rest can only be made of the same machine
# as long as that is not restored or, a twin, removed.
INCOMPLETE_TAG = "goldenimage_incomplete"
# The digest of what was captured: the machine, and each disk by its uniqueId.
CONTENT_TAG = SOURCES_TAG
_DIGEST_LENGTH = 32


def content_digest(request: CaptureRequest, source: SourceVm) -> str:
    """The same for the same machine with the same disks, captured in the same way.

    A disk that is swapped or made anew under its old name has another `uniqueId`.
    """
    lines = [f"vm={source.vm_id}", f"state={request.os_state}"]
    lines += [
        f"{'os' if disk.lun is None else disk.lun}={disk.properties.get('uniqueId', disk.id)}"
        for disk in source.captured(request)
    ]
    return hashlib.sha256("\n".join(lines).lower().encode()).hexdigest()[:_DIGEST_LENGTH]


def provenance_tags(request: CaptureRequest, source: SourceVm, now: datetime) -> dict[str, str]:
    """The tags of an image that is made now. The source of a twin's image is the machine it is a twin of."""
    machine = {SOURCE_TAG: source_tag(source.id), VM_ID_TAG: source.vm_id}
    if is_temporary(source.machine) and source_of(source.machine):
        machine = {SOURCE_TAG: source_of(source.machine), TWIN_TAG: source_tag(source.id)}
        if source.tags.get(VM_ID_TAG):
            machine[VM_ID_TAG] = source.tags[VM_ID_TAG]
    tags = {
        **machine,
        STATE_TAG: request.os_state,
        BUILD_TAG: request.build_id,
        TIME_TAG: time_text(now),
        CONTENT_TAG: content_digest(request, source),
    }
    image = _image_name(source.image_reference)
    if image:
        tags[IMAGE_TAG] = source_tag(image)
    if source.plan:
        tags[PLAN_TAG] = plan_text(source.plan)
    if request.awx_job_id:
        tags[JOB_TAG] = request.awx_job_id
    return tags


def completed(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags without the one that says that the capture was not completed."""
    return {name: value for name, value in tags.items() if name != INCOMPLETE_TAG}


def _image_name(reference: Mapping[str, Any]) -> str:
    """An id, or publisher:offer:sku:version with the version that was really used."""
    for member in ("id", "sharedGalleryImageId", "communityGalleryImageId"):
        if reference.get(member):
            return str(reference[member])
    if not reference.get("publisher"):
        return ""
    version = reference.get("exactVersion") or reference.get("version")
    return ":".join(
        str(part) for part in (reference["publisher"], reference["offer"], reference["sku"], version)
    )


def made_by(tags: Mapping[str, Any], request: CaptureRequest) -> bool:
    """Whether an image's or version's tags, or a blob's metadata, say that this build made it of this
    machine or a twin of it. One build id may stand for builds of several machines."""
    machine = source_tag(request.vm_id).casefold()
    captured = {str(tags.get(name) or "").casefold() for name in (TWIN_TAG, SOURCE_TAG)}
    return tags.get(BUILD_TAG) == request.build_id and machine in captured


def is_replaceable(tags: Mapping[str, Any], request: CaptureRequest) -> bool:
    """Whether it was made by a run of this build that then failed: it does not go with what is made now."""
    return INCOMPLETE_TAG in tags and made_by(tags, request)
