# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What speaks against a twin is found before anything is made: no write request is ever sent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import (
    AzureSession,
    open_session,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.twin import ensure_twin, remove_twin
from ansible_collections.goldenimage.azure.plugins.module_utils._image.twin_request import TwinRequest

from tests.integration.cloud import LocalAzure
from tests.integration.machines import COMPUTE
from tests.integration.quotas import set_quota
from tests.integration.twins import Source, make_source

NETWORK = "Microsoft.Network"
LOCKS = "providers/Microsoft.Authorization/locks"


@pytest.fixture(scope="module")
def source(azure: LocalAzure, group: str) -> Source:
    return make_source(azure, group, "origin")


def refusal(azure: LocalAzure, session: AzureSession, options: dict[str, Any]) -> AzureError:
    """The error of a twin that is not made; nothing may have been written."""
    mark = azure.mark()
    with pytest.raises(AzureError) as raised:
        _ensure(session, options)
    assert azure.writes(mark) == []
    return raised.value


def _ensure(session: AzureSession, options: dict[str, Any]) -> Any:
    now = datetime.now(timezone.utc)
    request = TwinRequest.from_options(options, session.subscription_id, now)
    return ensure_twin(session, request, check_mode=False, waiter=Waiter(), now=now)


def findings(error: AzureError) -> list[str]:
    return sorted(finding["id"] for finding in error.as_result()["findings"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"source_vm": "nowhere", "resource_group": "GROUP"}, "there is no virtual machine"),
        ({"source_vm": "origin"}, "resource group it is in is not said"),
        ({"source_vm": "SOURCE", "build_id": "Not Good"}, "build_id"),
        ({"source_vm": "SOURCE", "expires_after": 0}, "expires_after"),
        ({"source_vm": "SOURCE", "name": "-bad-"}, "name"),
        ({"source_vm": "SOURCE", "twin_resource_group": "GROUP"}, "group of the source"),
        ({"source_vm": "SOURCE", "subnet": "default"}, "subnet"),
        ({"source_vm": "SOURCE", "open_ports": [70000]}, "open_ports"),
        ({"source_vm": "SOURCE", "tags": {"GoldenImage_Build": "x"}}, "found again"),
        ({"source_vm": "SOURCE", "method": "snapshots", "consistency": "application"}, "consistency"),
        ({"source_vm": "SOURCE", "twin_resource_group": "taken"}, "its tags do not say"),
    ],
)
def test_options_that_cannot_work_are_refused(
    azure: LocalAzure, session: AzureSession, source: Source, options: dict[str, Any], said: str
) -> None:
    azure.group("taken")
    words = {"GROUP": source.id.split("/")[4], "SOURCE": source.id}
    given = {
        name: words.get(value, value) if isinstance(value, str) else value for name, value in options.items()
    }
    assert said in str(refusal(azure, session, given))


def test_everything_that_speaks_against_a_twin_is_told_at_once(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    machine = make_source(azure, group, "hopeless")
    shared = azure.id(group, f"{COMPUTE}/disks", "shared")
    properties = {"creationData": {"createOption": "Empty"}, "diskSizeGB": 256, "maxShares": 2}
    azure.put(shared, {"location": "eastus", "sku": {"name": "Premium_LRS"}, "properties": properties})
    storage = azure.get(machine.id)["properties"]["storageProfile"]
    attached = [*storage["dataDisks"], {"lun": 9, "createOption": "Attach", "managedDisk": {"id": shared}}]
    azure.do("PATCH", machine.id, {"properties": {"storageProfile": {"dataDisks": attached}}})
    azure.do("POST", f"{machine.id}/deallocate")
    azure.do("POST", f"{machine.id}/generalize")
    elsewhere = azure.id(group, f"{NETWORK}/virtualNetworks", "west")
    subnets = [{"name": "default", "properties": {"addressPrefix": "10.8.0.0/24"}}]
    space = {"addressSpace": {"addressPrefixes": ["10.8.0.0/24"]}, "subnets": subnets}
    azure.put(elsewhere, {"location": "westus", "properties": space})
    options = {"source_vm": machine.id, "subnet": f"{elsewhere}/subnets/default"}
    error = refusal(azure, session, options)
    assert findings(error) == ["shared-disk", "source-generalized", "subnet"]
    assert "LUN 9" in str(error)
    missing = refusal(azure, session, {**options, "subnet": f"{elsewhere}/subnets/none"})
    assert "is not there" in str(missing)


@contextmanager
def lock(azure: LocalAzure, scope: str, level: str) -> Iterator[None]:
    place = f"{scope}/{LOCKS}/keep"
    query = f"{azure.url}{place}?api-version=2020-05-01"
    assert azure.request("PUT", query, {"properties": {"level": level}}).status < 300
    try:
        yield
    finally:
        assert azure.request("DELETE", query).status < 300


def test_a_lock_that_would_keep_the_twin_is_found_and_one_on_the_source_is_none(
    azure: LocalAzure, session: AzureSession, group: str, source: Source
) -> None:
    with lock(azure, f"/subscriptions/{azure.subscription_id}", "CanNotDelete"):
        assert findings(refusal(azure, session, {"source_vm": source.id})) == ["lock"]
    options = {"source_vm": source.id, "build_id": "beside-a-lock"}
    with lock(azure, azure.id(group), "ReadOnly"):
        assert _ensure(session, options).changed
    request = TwinRequest.from_options(options, session.subscription_id, datetime.now(timezone.utc))
    assert remove_twin(session, request, check_mode=False, waiter=Waiter()).changed


def test_missing_rights_are_named(azure: LocalAzure, source: Source) -> None:
    reader = {
        **azure.env,
        "AZURE_CLIENT_ID": azure.env["LOCAL_AZURE_READER_CLIENT_ID"],
        "AZURE_SECRET": azure.env["LOCAL_AZURE_READER_SECRET"],
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REQUESTS_CA_BUNDLE", azure.env["REQUESTS_CA_BUNDLE"])
        with open_session({}, reader) as session:
            error = refusal(azure, session, {"source_vm": source.id, "public_ip": True})
    assert set(findings(error)) == {"missing-right"}
    for action in (
        "Microsoft.Resources/subscriptions/resourceGroups/write",
        "Microsoft.Compute/restorePointCollections/restorePoints/write",
        "Microsoft.Compute/virtualMachines/write",
        "Microsoft.Network/publicIPAddresses/write",
    ):
        assert action in str(error)
    assert "snapshots" not in str(error)


def test_what_is_no_machine_or_is_in_another_subscription_is_refused(
    azure: LocalAzure, session: AzureSession, source: Source
) -> None:
    other = source.id.replace(azure.subscription_id, azure.env["LOCAL_AZURE_SECOND_SUBSCRIPTION_ID"])
    assert "another subscription" in str(refusal(azure, session, {"source_vm": other}))
    disk = source.disk_ids()[0]
    assert "no virtual machine" in str(refusal(azure, session, {"source_vm": disk}))


@pytest.mark.parametrize("quota", ["cores", "virtualMachines", "StandardDiskCount"])
def test_a_quota_that_a_twin_exceeds_is_named(
    azure: LocalAzure, session: AzureSession, source: Source, quota: str
) -> None:
    path = f"/subscriptions/{azure.subscription_id}/providers/{COMPUTE}/locations/eastus/usages"
    listed = {each["name"]["value"]: each for each in azure.get(path)["value"]}
    set_quota(azure, quota, listed[quota]["currentValue"])
    try:
        error = refusal(azure, session, {"source_vm": source.id, "build_id": "too-much"})
    finally:
        set_quota(azure, quota, listed[quota]["limit"])
    assert findings(error) == ["quota"]
    assert f"{quota} is limited to" in str(error)
