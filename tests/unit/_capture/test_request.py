# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Options of vm_capture that cannot be right, whatever there is in Azure."""

from __future__ import annotations

from typing import Any, cast

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.job import capture

from tests.unit._capture.machines import request


def image(name: str, **more: Any) -> dict[str, Any]:
    return {"type": "managed_image", "name": name, **more}


def version(name: str, **more: Any) -> dict[str, Any]:
    return {"type": "gallery_version", "gallery": "g", "definition": name, "version": "1.0.0", **more}


@pytest.mark.parametrize(
    ("change", "fragments"),
    [
        ({"targets": []}, ("targets", "at least one")),
        ({"targets": [{"type": "managed_image"}]}, ("targets[0]", "needs name")),
        ({"targets": [image("web"), image("WEB")]}, ("targets[1]", "the same as targets[0]")),
        ({"targets": [image("web", version="1.0.0")]}, ("targets[0].version", "no such thing")),
        ({"targets": [version("web", version="1.0")]}, ("targets[0].version", "1.0.0")),
        ({"targets": [version("web", end_of_life="soon")]}, ("end_of_life", "2030-01-31")),
        ({"targets": [version("web", end_of_life="2001-01-01")]}, ("end_of_life", "in the past")),
        ({"targets": [version("web", regions=[{"name": "a", "replicas": 0}])]}, ("replicas", "1 and 100")),
        ({"kind": "os_image", "data_disks": [1]}, ("data_disks", "vm_image")),
        ({"data_disks": [64]}, ("LUN 64",)),
        ({"allow_running": True}, ("allow_running", "specialized")),
        ({"rescue": True}, ("rescue", "backup")),
        (
            {"source_vm": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/disks/d"},
            ("disks/d",),
        ),
        ({"build_id": "No Id"}, ("build_id",)),
        ({"expires_after": 0}, ("expires_after", "from 1 to")),
        ({"tags": {"Goldenimage_Expires": "now"}}, ("Goldenimage_Expires", "temporary")),
    ],
    ids=lambda value: str(value)[:60] if isinstance(value, dict) else "",
)
def test_options_that_cannot_be_right_need_no_look_at_azure(
    change: dict[str, Any], fragments: tuple[str, ...]
) -> None:
    with pytest.raises(InvalidInput) as refusal:
        request(**change)
    for fragment in fragments:
        assert fragment in str(refusal.value)


def test_a_rescue_has_to_be_waited_for() -> None:
    wanted = request(backup=True, rescue=True)
    session: AzureSession = cast("Any", None)
    with pytest.raises(InvalidInput, match="rescue: what fails when nobody waits"):
        capture(session, wanted, check_mode=False, waiter=Waiter(wait=False))
