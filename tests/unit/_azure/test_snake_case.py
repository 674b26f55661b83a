# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Azure's member names as facts."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.snake_case import snake_name, to_snake
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("diskSizeGB", "disk_size_gb"),
        ("sizeInGB", "size_in_gb"),
        ("osDisk", "os_disk"),
        ("hyperVGeneration", "hyper_v_generation"),
        ("blobUri", "blob_uri"),
        ("accessSAS", "access_sas"),
        ("securityDataAccessSAS", "security_data_access_sas"),
        ("diskIOPSReadWrite", "disk_iops_read_write"),
        ("diskMBpsReadWrite", "disk_mbps_read_write"),
        ("publicIPAddress", "public_ip_address"),
        ("vCPUsAvailable", "v_cpus_available"),
        ("provisionVMAgent", "provision_vm_agent"),
        ("vmId", "vm_id"),
        ("computerName", "computer_name"),
        ("id", "id"),
        ("sha256", "sha256"),
        ("already_snake", "already_snake"),
        ("$schema", "$schema"),
        ("/subscriptions/S/x", "/subscriptions/S/x"),
    ],
)
def test_names(name: str, expected: str) -> None:
    assert snake_name(name) == expected


@given(st.from_regex(r"[a-z][A-Za-z0-9]{0,30}", fullmatch=True))
def test_a_name_keeps_its_letters_and_converting_again_changes_nothing(name: str) -> None:
    converted = snake_name(name)
    assert converted.replace("_", "") == name.lower()
    assert re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*", converted)
    assert snake_name(converted) == converted


def test_depth_lists_and_values() -> None:
    resource: dict[str, Any] = {
        "storageProfile": {"dataDisks": [{"diskSizeGB": 4, "managedDisk": None}], "zoneResilient": False},
        "osType": "Linux",
    }
    assert to_snake(resource) == {
        "storage_profile": {
            "data_disks": [{"disk_size_gb": 4, "managed_disk": None}],
            "zone_resilient": False,
        },
        "os_type": "Linux",
    }


def test_tags_keep_their_names() -> None:
    assert to_snake({"tags": {"costCenter": "a", "Env": "b"}}) == {"tags": {"costCenter": "a", "Env": "b"}}
    assert to_snake({"properties": {"tags": {"fooBar": "x"}}}) == {"properties": {"tags": {"fooBar": "x"}}}
    assert to_snake({"tags": None}) == {"tags": None}


def test_members_named_by_resource_id_are_kept() -> None:
    identity = (
        "/subscriptions/S/resourceGroups/G/providers/Microsoft.ManagedIdentity/userAssignedIdentities/u"
    )
    facts = to_snake({"identity": {"userAssignedIdentities": {identity: {"clientId": "1"}}}})
    assert facts == {"identity": {"user_assigned_identities": {identity: {"client_id": "1"}}}}
