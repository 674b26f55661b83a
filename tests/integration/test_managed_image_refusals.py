# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What managed_image refuses after a look at Azure: with a clear sentence, and before any write."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession
from ansible_collections.goldenimage.azure.plugins.module_utils._image.image_request import ImageRequest
from ansible_collections.goldenimage.azure.plugins.module_utils._image.managed_image import ensure_image

from tests.integration.cloud import LocalAzure

URL = "https://account.blob.core.windows.net"
VMS = "Microsoft.Compute/virtualMachines"


@pytest.fixture(scope="module")
def sources(azure: LocalAzure, group: str) -> str:
    """Disks and a running machine, each of another kind of trouble; returns the resource group."""
    azure.disk(group, "web-os", osType="Linux", hyperVGeneration="V2")
    azure.disk(group, "web-data", size_gb=2)
    azure.disk(group, "west-os", location="westus", osType="Linux", hyperVGeneration="V1")
    azure.disk(group, "no-system")
    upload = azure.id(group, "Microsoft.Compute/disks", "half-uploaded")
    creation = {"createOption": "Upload", "uploadSizeBytes": 20 * 1024 * 1024 + 512}
    azure.put(upload, {"location": "eastus", "properties": {"creationData": creation, "osType": "Linux"}})
    granted = azure.disk(group, "granted-os", osType="Linux")
    azure.do("POST", f"{granted}/beginGetAccess", {"access": "Read", "durationInSeconds": 600})
    twice = azure.disk(group, "twice", osType="Linux")
    copy = {"creationData": {"createOption": "Copy", "sourceResourceId": twice}}
    azure.put(
        azure.id(group, "Microsoft.Compute/snapshots", "twice"), {"location": "eastus", "properties": copy}
    )
    return group


def image(group: str, **change: Any) -> dict[str, Any]:
    return {"resource_group": group, "name": "bad", "os_disk": {"source": "web-os"}, **change}


@pytest.mark.parametrize(
    ("change", "fragments"),
    [
        ({"data_disks": [{"lun": 0, "source": "west-os"}]}, ("data_disks[0].source", "westus")),
        ({"os_disk": {"source": "missing-os"}}, ("os_disk.source", "no managed disk or snapshot missing-os")),
        ({"os_disk": {"source": "half-uploaded"}}, ("half-uploaded", "ReadyToUpload", "revoke")),
        ({"os_disk": {"source": "granted-os"}}, ("granted-os", "ActiveSAS", "revoke")),
        ({"os_disk": {"source": "twice"}}, ("as well as a snapshot", "Give the id")),
        ({"os_disk": {"source": "no-system"}}, ("os_disk.os_type", "Linux or Windows")),
        (
            {"os_disk": {"source": "web-os", "os_type": "Windows"}},
            ("os_disk.os_type", "has operating system Linux"),
        ),
        ({"hyper_v_generation": "V1"}, ("hyper_v_generation", "has generation V2")),
        ({"data_disks": [{"lun": 1, "source": "web-data", "disk_size_gb": 1}]}, ("cannot shrink",)),
        ({"os_disk": None}, ("to update", "source_vm, or os_disk")),
        ({"os_disk": None, "source_vm": "missing-vm"}, ("source_vm", "no virtual machine missing-vm")),
        ({"os_disk": {"source": f"{URL}/vhds/web.vhd", "os_type": "Linux"}}, ("hyper_v_generation", "UEFI")),
        ({"os_disk": {"source": f"{URL}/vhds/web.vhd"}, "hyper_v_generation": "V1"}, ("os_disk.os_type",)),
    ],
    ids=lambda value: str(value)[:60] if isinstance(value, dict) else "",
)
def test_an_image_that_azure_would_not_make_is_refused_before_any_write(
    azure: LocalAzure, session: AzureSession, sources: str, change: dict[str, Any], fragments: tuple[str, ...]
) -> None:
    mark = azure.mark()
    with pytest.raises(AzureError) as refused:
        request = ImageRequest.from_options(image(sources, **change))
        ensure_image(session, request, check_mode=False, waiter=Waiter())
    for fragment in fragments:
        assert fragment in str(refused.value)
    assert azure.writes(mark) == []
    assert azure.get(azure.id(sources, "Microsoft.Compute/images", "bad")) is None


def test_a_source_that_was_made_anew_under_its_old_name_is_noticed(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    def ensured(**more: Any) -> bool:
        options = {"resource_group": group, "name": "anew", "os_disk": {"source": "anew-os"}, **more}
        request = ImageRequest.from_options(options)
        return ensure_image(session, request, check_mode=False, waiter=Waiter()).changed

    disk = azure.disk(group, "anew-os", osType="Linux", hyperVGeneration="V1")
    assert ensured()
    azure.do("DELETE", disk)
    assert not ensured(), "an image does not need its source any more"
    azure.disk(group, "anew-os", osType="Linux", hyperVGeneration="V1")
    with pytest.raises(AzureError, match=r"replaced by another one of the same name.*replace: true"):
        ensured()
    assert ensured(replace=True)
    assert not ensured()
