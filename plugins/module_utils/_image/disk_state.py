# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Whether a managed disk or snapshot can be read, whatever is to be made of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput

#: The tag of a disk from the beginning of its upload to the end of it.
UPLOAD = "goldenimage_upload"
_IN_UPLOAD = {
    "ReadyToUpload": "it waits for its upload",
    "ActiveUpload": "an upload into it has not been completed",
}
_COMPLETE = 100


def check_content(what: str, resource: Mapping[str, Any]) -> None:
    """Refuse a disk or snapshot, in wire shape, that does not hold its content yet; raises InvalidInput.

    :param what: the disk, as a sentence begins with it
    """
    properties = resource["properties"]
    state = properties.get("diskState", "")
    if state in _IN_UPLOAD:
        raise InvalidInput(
            f"{what} cannot be read: {_IN_UPLOAD[state]} (its state is {state}).",
            remedy="Complete the upload and revoke the access that it had.",
        )
    if UPLOAD in (resource.get("tags") or {}):
        # Azure takes a disk for whole that has a footer, also one that was given up.
        raise InvalidInput(
            f"{what} cannot be read: by its tag {UPLOAD}, the upload into it was not completed.",
            remedy="Run the upload again, which goes on with it.",
        )
    done = properties.get("completionPercent")
    if done is not None and done < _COMPLETE:
        raise InvalidInput(
            f"{what} is still being copied ({done:g} %).",
            remedy="Run the task again when that copy is complete.",
        )


def check_access(what: str, kind: str, resource: Mapping[str, Any], *, own: bool) -> None:
    """Refuse a disk or snapshot that Azure grants no access to, or somebody else has; raises InvalidInput.

    :param kind: "disk" or "snapshot"
    :param own: whether access that is granted may be what an earlier run has left
    """
    properties = resource["properties"]
    state = properties.get("diskState")
    if state == "Attached":
        raise InvalidInput(
            f"{what} is attached to {resource.get('managedBy')}, which may be writing to it.",
            remedy="Deallocate the machine, or make a snapshot of the disk and take that.",
        )
    if state == "ActiveSAS" and not own:
        raise InvalidInput(
            f"{what} is being read by somebody else, whose access would end with this task.",
            remedy=f"Wait for it, or end it: az {kind} revoke-access --ids {resource['id']}",
        )
    if properties.get("networkAccessPolicy") == "DenyAll":
        raise InvalidInput(
            f"{what} gives nobody access: its network access policy is DenyAll.",
            remedy="Set the policy to AllowAll or AllowPrivate for the time of the task.",
        )
    if properties.get("dataAccessAuthMode") == "AzureActiveDirectory":
        raise InvalidInput(
            f"{what} wants a Microsoft Entra token beside the SAS (its data access authentication mode is"
            " AzureActiveDirectory), which this module does not send.",
            remedy="Set the mode to None for the time of the task.",
        )
