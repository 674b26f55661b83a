# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The catalogue of platform images, the terms of those with a plan, sizes, SKUs and quotas."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.local_azure.call import Call
from tests.local_azure.errors import ArmError
from tests.local_azure.providers.compute.vm_sizes import find_vm_size, vm_sizes
from tests.local_azure.providers.marketplace import marketplace_catalogue as catalogue
from tests.local_azure.providers.marketplace.marketplace_images import MarketplaceImages
from tests.unit.local_azure.arm_server import Arm, compute, error_of

_COMPUTE = "providers/Microsoft.Compute/locations/westus"
_UBUNTU = f"{_COMPUTE}/publishers/Canonical/artifacttypes/vmimage/offers/UbuntuServer/skus/18.04-LTS/versions"
_PLAN = ("fortinet", "fortinet_fortigate-vm_v5", "fortinet_fg-vm_payg")
_AGREEMENT = (
    "providers/Microsoft.MarketplaceOrdering/offerTypes/virtualmachine/publishers/{}/offers/{}/plans/{}"
    "/agreements/current"
)
_ORDERING = "2021-01-01"


def names(arm: Arm, path: str, query: str = "") -> list[str]:
    answer = arm.send("GET", path, query=query)
    assert answer.status_code == 200, answer.text
    entries: list[dict[str, Any]] = answer.json()
    assert all(entry["location"] == "westus" for entry in entries)
    return [str(entry["name"]) for entry in entries]


def test_catalogue_is_listed_level_by_level_as_bare_arrays(arm: Arm) -> None:
    assert "Canonical" in names(arm, f"{_COMPUTE}/publishers")
    offers = f"{_COMPUTE}/publishers/canonical/artifacttypes/vmimage/offers"
    assert "UbuntuServer" in names(arm, offers)
    assert "18.04-LTS" in names(arm, f"{offers}/ubuntuserver/skus")
    first = arm.send("GET", _UBUNTU).json()[0]
    assert first["id"] == (
        f"/Subscriptions/{arm.subscription.split('/')[2]}/Providers/Microsoft.Compute/Locations/westus/Publishers/"
        f"Canonical/ArtifactTypes/VMImage/Offers/UbuntuServer/Skus/18.04-LTS/Versions/{first['name']}"
    )
    assert set(first) == {"location", "name", "id"}


def test_versions_are_ordered_and_cut(arm: Arm) -> None:
    every = names(arm, _UBUNTU)
    assert every == sorted(every)
    assert names(arm, _UBUNTU, "&$top=1&$orderby=name%20desc") == every[-1:]
    assert error_of(arm.send("GET", _UBUNTU, query="&$orderby=size")) == (400, "InvalidParameter")


def test_versions_are_filtered_and_expanded() -> None:
    """Not over the wire: no published API version has these options, and Azure knows them all the same."""
    verb = next(iter(MarketplaceImages().verbs().values()))
    path = ["westus", "Canonical", "vmimage", "UbuntuServer", "18.04-LTS"]
    types = ("locations", "publishers", "artifacttypes", "offers", "skus", "versions")

    def look(**query: str) -> list[dict[str, Any]]:
        call = Call("GET", "", {"api-version": "2024-07-01", **query}, None, types=types, names=tuple(path))
        return asyncio.run(body_of(call))

    async def body_of(call: Call) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await verb(call)).body
        return found

    assert [e["name"] for e in look(**{"$filter": "startswith(name, '18.04.2023')"})] == ["18.04.202306070"]
    expanded = look(**{"$expand": "properties", "$top": "1"})
    assert [e["properties"]["osDiskImage"]["operatingSystem"] for e in expanded] == ["Linux"]


def test_version_says_what_a_machine_needs_to_know(arm: Arm) -> None:
    shown = arm.send("GET", f"{_UBUNTU}/18.04.202002180").json()
    assert shown["properties"] == {
        "hyperVGeneration": "V1",
        "architecture": "x64",
        "replicaType": "Unmanaged",
        "disallowed": {"vmDiskType": "None"},
        "automaticOSUpgradeProperties": {"automaticOSUpgradeSupported": True},
        "imageDeprecationStatus": {"imageState": "Active"},
        "features": [
            {"name": "IsAcceleratedNetworkSupported", "value": "True"},
            {"name": "IsHibernateSupported", "value": "True"},
        ],
        "osDiskImage": {"operatingSystem": "Linux", "sizeInBytes": 32213303808},
        "dataDiskImages": [],
    }
    path = "{}/publishers/{}/artifacttypes/vmimage/offers/{}/skus/{}/versions/5.6.5".format(_COMPUTE, *_PLAN)
    planned = arm.send("GET", path).json()["properties"]
    assert planned["plan"] == dict(zip(("publisher", "product", "name"), _PLAN, strict=True))
    assert planned["osDiskImage"]["sizeInGb"] == 2
    old = arm.send("GET", f"{_UBUNTU}/18.04.202002180", version="2018-06-01").json()["properties"]
    assert not {"hyperVGeneration", "architecture", "features"} & set(old)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("publishers/fooBAR/artifacttypes/vmimage/offers", "Publisher: fooBAR was not found."),
        (
            "publishers/fooBAR/artifacttypes/vmextension/types/x/versions/1",
            "Publisher: fooBAR was not found.",
        ),
        ("publishers/Canonical/artifacttypes/vmimage/offers/x/skus", "Artifact: VMImage was not found."),
        (
            "publishers/Canonical/artifacttypes/vmimage/offers/UbuntuServer/skus/x/versions",
            "Artifact: VMImage",
        ),
    ],
)
def test_what_is_not_offered_is_not_found(arm: Arm, path: str, message: str) -> None:
    answer = arm.send("GET", f"{_COMPUTE}/{path}")
    assert error_of(answer) == (404, "NotFound")
    assert answer.json()["error"]["message"].startswith(message)
    assert error_of(arm.send("GET", f"{_UBUNTU}/latest")) == (400, "InvalidParameter")
    assert error_of(arm.send("GET", f"{_UBUNTU}/18.04.1")) == (404, "NotFound")
    elsewhere = arm.send("GET", _UBUNTU.replace("westus", "atlantis"))
    assert error_of(elsewhere) == (400, "NoRegisteredProviderFound")


def test_latest_is_the_highest_version_that_is_not_deprecated() -> None:
    reference = {"publisher": "CANONICAL", "offer": "ubuntuserver", "sku": "18.04-lts", "version": "latest"}
    assert catalogue.find_platform_image(reference).version == "18.04.202401161"
    with pytest.raises(ArmError) as missing:
        catalogue.find_platform_image({**reference, "sku": "4.10"})
    assert (missing.value.status, missing.value.code) == (404, "PlatformImageNotFound")
    deprecated = {"publisher": "OpenLogic", "offer": "CentOS", "sku": "8_5-gen2", "version": "latest"}
    with pytest.raises(ArmError) as old:
        catalogue.find_platform_image(deprecated)
    assert (old.value.status, old.value.code) == (404, "ImageVersionDeprecated")


def test_every_image_of_the_catalogue_is_whole() -> None:
    for publisher in catalogue.publishers():
        for offer in catalogue.offers(publisher)[1]:
            for sku in catalogue.skus(publisher, offer)[1]:
                for image in catalogue.versions(publisher, offer, sku):
                    assert image.facts["sizeInBytes"] % (1024 * 1024) == 512, image.urn
                    assert not (image.architecture == "Arm64" and image.generation == "V1"), image.urn


def test_terms_are_accepted_with_the_signature_they_were_read_with(arm: Arm) -> None:
    path = _AGREEMENT.format(*_PLAN)
    terms = arm.send("GET", path, version=_ORDERING).json()
    assert terms["properties"]["accepted"] is False
    assert terms["id"].endswith(f"/offerTypes/VirtualMachine/{path.partition('virtualmachine/')[2]}")
    terms["properties"]["accepted"] = True
    forged = {"properties": {**terms["properties"], "signature": "A" * 103}}
    assert arm.send("PUT", path, forged, version=_ORDERING).status_code == 400
    assert arm.send("GET", path, version=_ORDERING).json()["properties"]["accepted"] is False
    answer = arm.send("PUT", path, terms, version=_ORDERING)
    assert answer.status_code == 200
    assert "/offerTypes/Microsoft.MarketplaceOrdering/offertypes/publishers/" in answer.json()["id"]
    assert arm.send("GET", path, version=_ORDERING).json()["properties"]["accepted"] is True
    sign = "providers/Microsoft.MarketplaceOrdering/agreements/{}/offers/{}/plans/{}".format(*_PLAN)
    assert [a["name"] for a in arm.send("GET", sign.partition("/fort")[0], version=_ORDERING).json()] == [
        _PLAN[2]
    ]
    assert arm.send("POST", f"{sign}/cancel", version=_ORDERING).json()["properties"]["accepted"] is False
    assert arm.send("GET", path, version=_ORDERING).json()["properties"]["accepted"] is False
    assert (
        arm.send("GET", _AGREEMENT.format("Canonical", "UbuntuServer", "x"), version=_ORDERING).status_code
        == 400
    )


def test_skus_and_sizes_agree(arm: Arm) -> None:
    listed = arm.get("providers/Microsoft.Compute/skus", "&$filter=location%20eq%20'westus2'")["value"]
    assert {entry["resourceType"] for entry in listed} == {"virtualMachines", "disks", "snapshots"}
    by_name = {e["name"]: e for e in listed if e["resourceType"] == "virtualMachines"}
    capabilities = {c["name"]: c["value"] for c in by_name["Standard_D2ps_v5"]["capabilities"]}
    assert capabilities["HyperVGenerations"] == "V2"
    assert capabilities["CpuArchitectureType"] == "Arm64"
    assert (capabilities["vCPUs"], capabilities["MemoryGB"]) == ("2", "8")
    assert by_name["Standard_B2s"]["locationInfo"][0]["zones"] == ["1", "2", "3"]
    assert by_name["Standard_M64s"]["restrictions"][0]["reasonCode"] == "NotAvailableForSubscription"
    sizes = arm.get(f"{_COMPUTE}/vmSizes")["value"]
    assert [size["name"] for size in sizes] == [size.name for size in vm_sizes().values()]
    assert set(by_name) == {size["name"] for size in sizes}
    b2s = find_vm_size("standard_b2S")
    assert b2s is not None
    assert b2s.cores == 2


def test_usage_counts_disks_as_they_come_and_go(arm: Arm) -> None:
    def count() -> int:
        usages = arm.get(f"{_COMPUTE}/usages")["value"]
        return int(next(u["currentValue"] for u in usages if u["name"]["value"] == "StandardDiskCount"))

    before, group = count(), arm.group()
    arm.disk(group, "d")
    assert count() == before + 1
    arm.done(arm.send("DELETE", compute(group, "disks", "d")))
    assert count() == before


def set_limit(arm: Arm, **quota: Any) -> int:
    key = (arm.settings.state_dir / "control-key").read_text(encoding="utf-8").strip()
    answer = arm.http.post(
        f"{arm.settings.url}/local-azure/quotas",
        json={"subscription": arm.subscription.rpartition("/")[2], **quota},
        headers={"x-local-azure-control-key": key},
        timeout=30,
    )
    return answer.status_code


def test_quota_that_is_used_up_refuses_the_next_disk(arm: Arm) -> None:
    group = arm.group("japaneast")
    arm.disk(group, "one", "japaneast")
    quota = {"location": "Japan East", "name": "StandardDiskCount", "limit": 1}
    assert set_limit(arm, **quota) == 200
    properties = {"diskSizeGB": 1, "creationData": {"createOption": "Empty"}}
    body = {"location": "japaneast", "properties": properties}
    answer = arm.send("PUT", compute(group, "disks", "two"), body)
    assert error_of(answer) == (409, "OperationNotAllowed")
    message = answer.json()["error"]["message"]
    assert message.startswith(
        "Operation could not be completed as it results in exceeding approved StandardDiskCount quota. "
        "Additional details - Deployment Model: Resource Manager, Location: japaneast, Current Limit: 1, "
        "Current Usage: 1, Additional Required: 1, (Minimum) New Limit Required: 2."
    )
    assert arm.send("GET", compute(group, "disks", "two")).status_code == 404
    assert set_limit(arm, **{**quota, "limit": 2}) == 200
    arm.disk(group, "two", "japaneast")
    for wrong in ({"name": "Luck"}, {"location": "atlantis"}, {"limit": -1}, {"subscription": "x"}):
        assert set_limit(arm, **{**quota, **wrong}) == 400
