# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Disks and snapshots that do not hold their content, or are given to nobody or somebody else."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._image.disk_state import (
    check_access,
    check_content,
)


def disk(tags: dict[str, str] | None = None, **properties: object) -> dict[str, Any]:
    return {"id": "/disks/web", "tags": tags, "managedBy": "vm-1", "properties": properties}


@pytest.mark.parametrize(
    ("resource", "words"),
    [
        (disk(diskState="ReadyToUpload"), "it waits for its upload"),
        (disk(diskState="ActiveUpload"), "has not been completed"),
        (disk({"goldenimage_upload": "discarded"}, diskState="Unattached"), "was not completed"),
        (disk(completionPercent=12.5), r"still being copied \(12.5 %\)"),
    ],
)
def test_a_disk_without_its_content_is_refused(resource: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=f"^The disk web .*{words}"):
        check_content("The disk web", resource)


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"diskState": "Attached"}, "attached to vm-1, which may be writing to it"),
        ({"diskState": "ActiveSAS"}, "read by somebody else.*--ids /disks/web"),
        ({"networkAccessPolicy": "DenyAll"}, "DenyAll"),
        ({"dataAccessAuthMode": "AzureActiveDirectory"}, "Microsoft Entra token"),
    ],
)
def test_a_disk_that_azure_gives_no_access_to_is_refused(properties: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=f"^The disk web .*{words}"):
        check_access("The disk web", "disk", disk(**properties), own=False)


@pytest.mark.parametrize("state", ["Unattached", "Reserved", "ActiveSAS"])
def test_a_disk_at_rest_or_left_by_an_earlier_run_is_read(state: str) -> None:
    resource = disk({"owner": "us"}, diskState=state, completionPercent=100.0, networkAccessPolicy="AllowAll")
    check_content("The disk web", resource)
    check_access("The disk web", "disk", resource, own=True)
