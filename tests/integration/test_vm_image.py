# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What the module vm learns of its image before anything is made: plan, disks, and whether it fits."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession
from ansible_collections.goldenimage.azure.plugins.module_utils._image.ensured import Ensured
from ansible_collections.goldenimage.azure.plugins.module_utils._image.image_request import ImageRequest
from ansible_collections.goldenimage.azure.plugins.module_utils._image.managed_image import ensure_image
from ansible_collections.goldenimage.azure.plugins.module_utils._image.marketplace_terms import ensure_terms
from ansible_collections.goldenimage.azure.plugins.module_utils._image.virtual_machine import ensure_vm
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_request import VmRequest

from tests.integration.captures import definition
from tests.integration.cloud import LocalAzure
from tests.integration.machines import COMPUTE, golden_image, wanted

PLAN = {"publisher": "resf", "product": "rockylinux-x86_64", "name": "9-lvm"}
ROCKY = "resf:rockylinux-x86_64:9-lvm:latest"


def ensured(session: AzureSession, group: str, name: str, *, check: bool = False, **options: Any) -> Ensured:
    request = VmRequest.from_options(wanted(group, name, **options))
    return ensure_vm(session, request, check_mode=check, waiter=Waiter())


@pytest.fixture(scope="module")
def version(azure: LocalAzure, group: str) -> str:
    """A version of generation V1 with a data disk, in eastus alone."""
    image = golden_image(azure, group)
    made = f"{definition(azure, group, 'web')}/versions/1.0.0"
    profile = {"targetRegions": [{"name": "eastus"}], "replicationMode": "Shallow"}
    properties = {"publishingProfile": profile, "storageProfile": {"source": {"id": image}}}
    azure.put(made, {"location": "eastus", "properties": properties})
    return made


def test_the_plan_comes_from_the_image_once_its_terms_are_accepted(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    mark = azure.mark()
    with pytest.raises(AzureError, match=r"plan: the terms of plan .* marketplace_terms"):
        ensured(session, group, "rocky", image=ROCKY)
    assert azure.writes(mark) == []
    ensure_terms(session, PLAN, {"state": "accepted"}, check_mode=False)
    other = {**PLAN, "name": "9-base"}
    with pytest.raises(AzureError, match=r"plan: .* is to have resf:rockylinux-x86_64:9-base"):
        ensured(session, group, "rocky", image=ROCKY, plan=other)
    assert ensured(session, group, "rocky", image=ROCKY).changed
    made = azure.get(azure.id(group, f"{COMPUTE}/virtualMachines", "rocky"))
    assert made["plan"] == PLAN
    assert not ensured(session, group, "rocky", image=ROCKY).changed


def test_the_plan_goes_by_a_managed_image_to_the_machines_made_of_it(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    ensure_terms(session, PLAN, {"state": "accepted"}, check_mode=False)
    ensured(session, group, "first", image=ROCKY, power_state="deallocated", generalized=True)
    options = {"resource_group": group, "name": "planned", "source_vm": "first"}
    request = ImageRequest.from_options(options)
    ensure_image(session, request, check_mode=False, waiter=Waiter())
    image = azure.get(azure.id(group, f"{COMPUTE}/images", "planned"))
    assert image["tags"]["goldenimage_plan"] == "resf:rockylinux-x86_64:9-lvm"
    bare = ImageRequest.from_options({**options, "tags": {}, "append_tags": False})
    assert not ensure_image(session, bare, check_mode=False, waiter=Waiter()).changed
    ensured(session, group, "second", image="planned")
    assert azure.get(azure.id(group, f"{COMPUTE}/virtualMachines", "second"))["plan"] == PLAN


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"image": "golden/web", "location": "westus"}, "no latest version in westus"),
        ({"image": "golden/web/1.0.0", "location": "westus"}, "image: .* has no copy in westus"),
        ({"image": "golden/web/9.0.0"}, r"image: .* has no version 9\.0\.0"),
        ({"image": "golden/web", "security_type": "TrustedLaunch"}, "security_type: .* not TrustedLaunch"),
        ({"image": "golden/web", "os_disk": {"size_gb": 2}}, r"os_disk\.size_gb: 2 GiB are less than the 4"),
        ({"image": "golden/web", "data_disks": [{"lun": 3, "size_gb": 1}]}, "LUN 3 is a data disk"),
        ({"image": "OpenLogic:CentOS:8_5-gen2:latest"}, "image: .* is deprecated"),
        ({"image": "/srv/web.vhd"}, "disk file"),
    ],
)
def test_what_azure_would_make_no_machine_of_is_refused_before_any_write(
    azure: LocalAzure, session: AzureSession, group: str, *, version: str, options: dict[str, Any], said: str
) -> None:
    assert version
    mark = azure.mark()
    with pytest.raises(AzureError, match=said):
        ensured(session, group, "bad", **options)
    assert azure.writes(mark) == []


def test_data_disks_of_a_gallery_image_go_with_the_machine_and_a_deprecation_is_told(
    azure: LocalAzure, session: AzureSession, group: str, version: str
) -> None:
    assert ensured(session, group, "from-version", image=version).changed
    machine = azure.get(azure.id(group, f"{COMPUTE}/virtualMachines", "from-version"))
    (data,) = machine["properties"]["storageProfile"]["dataDisks"]
    assert (data["lun"], data["deleteOption"]) == (3, "Delete")
    foreseen = ensured(session, group, "old", check=True, image="Debian:debian-10:10:latest")
    assert "will be deprecated" in foreseen.warnings[0]
