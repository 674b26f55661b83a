# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The reader of SDK models, on the installed package and on models of the kind that older packages have."""

from __future__ import annotations

import enum
import types
from typing import Any, ClassVar

import pytest

from tests.contract.body_schema import BodySchema
from tests.contract.examples import COMPUTE, SUBSCRIPTION, exchange
from tests.contract.exchange import REQUEST, RESPONSE
from tests.contract.sdk_models import SdkContract
from tests.contract.sdk_schema import ModelSchemas


@pytest.fixture(scope="module")
def contract() -> SdkContract:
    return SdkContract()


VM_IMAGES = f"{SUBSCRIPTION}/providers/Microsoft.Compute/locations/eastus/publishers/p/artifacttypes/vmimage"
OPERATIONS = [
    ("PUT", f"{COMPUTE}/images/i", "Images.begin_create_or_update"),
    ("PATCH", f"{COMPUTE}/images/i", "Images.begin_update"),
    ("GET", f"{COMPUTE}/images", "Images.list_by_resource_group"),
    ("GET", f"{SUBSCRIPTION}/providers/microsoft.compute/IMAGES", "Images.list"),
    ("DELETE", f"{COMPUTE}/disks/d", "Disks.begin_delete"),
    ("POST", f"{COMPUTE}/disks/d/beginGetAccess", "Disks.begin_grant_access"),
    ("POST", f"{COMPUTE}/snapshots/s/endGetAccess", "Snapshots.begin_revoke_access"),
    ("POST", f"{COMPUTE}/virtualMachines/v/generalize", "VirtualMachines.generalize"),
    ("POST", f"{COMPUTE}/virtualMachines/v/deallocate", "VirtualMachines.begin_deallocate"),
    ("POST", f"{COMPUTE}/virtualMachines/v/powerOff", "VirtualMachines.begin_power_off"),
    ("GET", f"{COMPUTE}/virtualMachines/v/instanceView", "VirtualMachines.instance_view"),
    ("PUT", f"{COMPUTE}/galleries/g/images/d/versions/1.0.0", "GalleryImageVersions.begin_create_or_update"),
    ("GET", f"{VM_IMAGES}/offers/o/skus/s/versions", "VirtualMachineImages.list"),
    ("GET", f"{VM_IMAGES}/offers/o/skus/s/versions/1", "VirtualMachineImages.get"),
]


@pytest.mark.parametrize(("method", "path", "name"), OPERATIONS, ids=[row[2] for row in OPERATIONS])
def test_request_finds_its_operation(method: str, path: str, name: str, contract: SdkContract) -> None:
    operation = contract.find(exchange(method, path))
    assert operation is not None
    assert operation.name == name
    assert operation.query["api-version"] is True
    assert operation.statuses
    assert (operation.body is not None) == (method in ("PUT", "PATCH") or path.endswith("beginGetAccess"))


def test_every_operation_of_the_package_compiles_for_both_sides(contract: SdkContract) -> None:
    operations = [operation for listed in contract._operations.values() for operation in listed]
    assert len(operations) > 250
    for operation in operations:
        for side in (REQUEST, RESPONSE):
            contract.schema(operation, side)


class Generation(str, enum.Enum):
    V1 = "V1"
    V2 = "V2"


class Disk:
    """A disk.

    :vartype generation: str or ~azure.mgmt.compute.models.Generation
    """

    _validation: ClassVar[dict[str, Any]] = {"lun": {"required": True}, "state": {"readonly": True}}
    _attribute_map: ClassVar[dict[str, Any]] = {
        "lun": {"key": "lun", "type": "int"},
        "state": {"key": "properties.state", "type": "str"},
        "generation": {"key": "properties.generation", "type": "str"},
        "created": {"key": "properties.created", "type": "iso-8601"},
        "parts": {"key": "parts", "type": "[Disk]"},
        "labels": {"key": "labels", "type": "{str}"},
        "kind": {"key": "@odata\\.type", "type": "str"},
        "anything": {"key": "anything", "type": "object"},
    }


def _older_schema(side: str) -> BodySchema:
    models = types.ModuleType("models")
    vars(models).update(Disk=Disk, Generation=Generation)
    return ModelSchemas(models, side).build(Disk)


def test_model_of_an_older_package_takes_what_it_declares() -> None:
    body = {
        "lun": 0,
        "properties": {"generation": "V2", "created": "2024-08-26T05:58:14Z"},
        "parts": [{"lun": 1}],
        "labels": {"a": "b"},
        "@odata.type": "x",
        "anything": [1, {"a": None}],
    }
    assert _older_schema(REQUEST).problems(body) == ()
    assert _older_schema(RESPONSE).problems({"lun": 0, "properties": {"state": "Ready"}}) == ()


@pytest.mark.parametrize(
    ("body", "kind", "where"),
    [
        ({}, "missing-property", "/lun"),
        ({"lun": "0"}, "wrong-type", "/lun"),
        ({"lun": 0, "state": "x"}, "unknown-property", "/state"),
        ({"lun": 0, "properties": {"state": "x"}}, "read-only", "/properties/state"),
        ({"lun": 0, "properties": {"generation": "V3"}}, "unknown-value", "/properties/generation"),
        ({"lun": 0, "properties": {"created": "today"}}, "wrong-format", "/properties/created"),
        ({"lun": 0, "parts": [{}]}, "missing-property", "/parts/0/lun"),
        ({"lun": 0, "labels": {"a": 1}}, "wrong-type", "/labels/a"),
    ],
)
def test_model_of_an_older_package_refuses_what_it_does_not(
    body: dict[str, Any], kind: str, where: str
) -> None:
    (problem,) = _older_schema(REQUEST).problems(body)
    assert (problem.kind, problem.where) == (kind, where)
