# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The compatibility rules against the local Azure: it makes what they let pass, and nothing else."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession
from ansible_collections.goldenimage.azure.plugins.module_utils._image.compatibility import check
from ansible_collections.goldenimage.azure.plugins.module_utils._image.compatibility_rule import (
    AT_ONCE,
    ERROR,
    LATER,
    Verdict,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.machine_sizes import find_size
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_facts import SourceFacts
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_lookup import SourceLookup
from ansible_collections.goldenimage.azure.plugins.module_utils._image.target_facts import (
    MANAGED_IMAGE,
    VIRTUAL_MACHINE,
    TargetFacts,
    definition_target,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.captures import control, definition, interface, machine
from tests.integration.cloud import LocalAzure
from tests.integration.machines import COMPUTE, public_key

REGION = "eastus"
USAGES = "locations/eastus/usages"
LAUNCH: dict[str, Any] = {
    "securityProfile": {
        "securityType": "TrustedLaunch",
        "uefiSettings": {"secureBootEnabled": True, "vTpmEnabled": True},
    }
}
PLAN = {"publisher": "resf", "product": "rockylinux-x86_64", "name": "9-base"}
ARM_SIZE = "Standard_D2ps_v5"
SIZES = ["Standard_DS1_v2", "Standard_A1_v2", ARM_SIZE, "Standard_D2s_v6", "Standard_DC2as_v5"]
_names = itertools.count(1)
# Every example is a few requests; they are the same ones each time.
EXAMPLES = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


class Source(NamedTuple):
    """`wire` is what names it in a version's storageProfile, or in a machine's."""

    facts: SourceFacts
    wire: dict[str, Any]

    def __repr__(self) -> str:
        return f"{self.facts.kind} {self.facts.name}"


class Ground(NamedTuple):
    """What machines are made on: ids and names of images, and what is known of them."""

    azure: LocalAzure
    session: AzureSession
    group: str
    images: list[str]
    described: Callable[[Any], SourceFacts]

    def __repr__(self) -> str:
        return "the ground"


def refusal(azure: LocalAzure, path: str, body: Mapping[str, Any]) -> str:
    """What Azure says against it, at once or when its operation fails; "" when it makes it."""
    first = azure.request("PUT", path, body)
    if first.status >= 300:
        return str(first.body["error"]["message"])
    while True:
        status = azure.request("GET", first.headers["azure-asyncoperation"]).body
        if status["status"] != "InProgress":
            return str((status.get("error") or {}).get("message", ""))


def agree(verdicts: Sequence[Verdict], said: str, what: object) -> None:
    errors = [verdict for verdict in verdicts if verdict.severity == ERROR]
    told = [verdict for verdict in errors if verdict.told in (AT_ONCE, LATER)]
    if said:
        assert errors, f"Azure refuses {what}: {said}"
    else:
        assert not told, f"Azure makes {what}: {told}"


@pytest.fixture(scope="module")
def described(session: AzureSession, group: str) -> Callable[[Any], SourceFacts]:
    """Describes a source; the same one only once."""
    known: dict[str, SourceFacts] = {}
    lookup = SourceLookup(session, resource_group=group, location=REGION)

    def describe(source: Any) -> SourceFacts:
        text = str(source)
        if text not in known:
            known[text] = lookup.describe(lookup.parse(source))
        return known[text]

    return describe


QUOTAS = ("cores", "virtualMachines", "standardDSv2Family", "standardDPSv5Family", "StandardDsv6Family")


@pytest.fixture(scope="module", autouse=True)
def subscription(azure: LocalAzure, group: str) -> Iterator[None]:
    """Quotas that do not count here, the terms of the plan accepted, a network to be in."""

    def set_quotas(limits: Mapping[str, int]) -> None:
        for name, limit in limits.items():
            place = {"subscription": azure.subscription_id, "location": REGION}
            control(azure, "quotas", {**place, "name": name, "limit": limit})

    usages = azure.get(f"/subscriptions/{azure.subscription_id}/providers/Microsoft.Compute/{USAGES}")
    before = {each["name"]["value"]: each["limit"] for each in usages["value"]}
    set_quotas(dict.fromkeys(QUOTAS, 10000))
    offer = f"offers/{PLAN['product']}/plans/{PLAN['name']}"
    agreement = (
        f"/subscriptions/{azure.subscription_id}/providers/Microsoft.MarketplaceOrdering/offerTypes/"
        f"virtualmachine/publishers/{PLAN['publisher']}/{offer}/agreements/current"
    )
    terms = azure.get(agreement)
    azure.put(agreement, {**terms, "properties": {**terms["properties"], "accepted": True}})
    interface(azure, group, "spare")
    yield
    set_quotas({name: before[name] for name in QUOTAS})
    # Other tests of the session go on in this region, and take the plan's terms for not accepted.
    azure.put(agreement, {**terms, "properties": {**terms["properties"], "accepted": False}})
    azure.request("DELETE", azure.id(group))


@pytest.fixture(scope="module")
def images(azure: LocalAzure, group: str) -> dict[str, str]:
    """Ids of managed images, by generation and state."""
    made = {}
    for generation, state in (("V1", "Generalized"), ("V2", "Generalized"), ("V1", "Specialized")):
        name = f"{generation}-{state}"
        disk = azure.disk(group, f"{name}-os", size_gb=4, osType="Linux", hyperVGeneration=generation)
        os_disk = {"osType": "Linux", "osState": state, "managedDisk": {"id": disk}}
        made[name] = azure.id(group, f"{COMPUTE}/images", name)
        properties = {"hyperVGeneration": generation, "storageProfile": {"osDisk": os_disk}}
        azure.put(made[name], {"location": REGION, "properties": properties})
    return made


@pytest.fixture(scope="module")
def versions(azure: LocalAzure, group: str, images: dict[str, str]) -> dict[str, str]:
    """Ids of gallery versions, by what is special about their definitions."""
    made = {}
    wanted: dict[str, tuple[str, dict[str, Any]]] = {
        "plain": ("V1-Generalized", {"hyperVGeneration": "V1"}),
        "choice": (
            "V2-Generalized",
            {
                "hyperVGeneration": "V2",
                "features": [
                    {"name": "SecurityType", "value": "TrustedLaunchSupported"},
                    {"name": "DiskControllerTypes", "value": "SCSI, NVMe"},
                ],
            },
        ),
        "planned": ("V2-Generalized", {"hyperVGeneration": "V2", "purchasePlan": PLAN}),
        "kept": ("V1-Specialized", {"hyperVGeneration": "V1", "osState": "Specialized"}),
    }
    for name, (image, properties) in wanted.items():
        parent = definition(azure, group, f"source-{name}", **properties)
        made[name] = f"{parent}/versions/1.0.0"
        azure.put(made[name], version_body({"source": {"id": images[image]}}))
    return made


def version_body(storage: dict[str, Any]) -> dict[str, Any]:
    profile = {"targetRegions": [{"name": REGION}], "replicationMode": "Shallow"}
    properties = {"publishingProfile": profile, "storageProfile": storage}
    return {"location": REGION, "properties": properties}


@pytest.fixture(scope="module")
def sources(
    azure: LocalAzure,
    group: str,
    images: dict[str, str],
    versions: dict[str, str],
    described: Callable[[Any], SourceFacts],
) -> list[Source]:
    """What versions are made of: every kind, with what they may differ in."""
    of_machines: list[dict[str, Any]] = [
        {"system": {"hyperVGeneration": "V1"}},
        {"system": {"hyperVGeneration": "V2"}, "marked": False},
        {
            "system": {"hyperVGeneration": "V2", "securityProfile": {"securityType": "TrustedLaunch"}},
            **LAUNCH,
        },
        {"system": {"hyperVGeneration": "V2"}, "body": {"plan": PLAN}},
        {
            "system": {"hyperVGeneration": "V2", "supportedCapabilities": {"architecture": "Arm64"}},
            "hardwareProfile": {"vmSize": "Standard_D2ps_v5"},
        },
    ]
    found = []
    for number, properties in enumerate(of_machines):
        generalized = properties.pop("marked", True)
        vm = machine(azure, group, f"of-{number}", luns=(0,), power="deallocated", marked=False, **properties)
        if generalized:
            azure.do("POST", f"{vm}/generalize")
        found.append(Source(described(vm), {"source": {"virtualMachineId": vm}}))
    for image in images.values():
        found.append(Source(described(image), {"source": {"id": image}}))
    for version in versions.values():
        found.append(Source(described(version), {"source": {"id": version}}))
    disk = azure.disk(group, "single", size_gb=4, osType="Linux", hyperVGeneration="V2")
    found.append(Source(described(disk), {"osDiskImage": {"source": {"id": disk}}}))
    return found


@EXAMPLES
@given(data=st.data())
def test_versions_that_the_rules_let_pass_are_made_and_those_they_refuse_are_refused(
    azure: LocalAzure, group: str, sources: list[Source], data: st.DataObject
) -> None:
    source = data.draw(st.sampled_from(sources))
    facts = source.facts
    # As the source is, but for some: of definitions drawn blindly nearly none would fit.
    security = data.draw(
        st.sampled_from(
            [
                "Standard",
                "TrustedLaunchSupported",
                "TrustedLaunch",
                "ConfidentialVmSupported",
                "ConfidentialVM",
            ]
        )
    )
    properties: dict[str, Any] = {
        "osType": data.draw(st.sampled_from(["Linux", "Linux", "Linux", "Windows"])),
        "osState": data.draw(st.sampled_from([facts.os_state or "Generalized"] * 3 + ["Specialized"])),
        "hyperVGeneration": data.draw(st.sampled_from([facts.generation or "V1"] * 3 + ["V1"])),
        "architecture": data.draw(st.sampled_from([facts.architecture or "x64"] * 3 + ["Arm64"])),
        "features": [{"name": "SecurityType", "value": security}] if data.draw(st.booleans()) else [],
    }
    if data.draw(st.sampled_from([bool(facts.plan)] * 3 + [True])):
        properties["purchasePlan"] = PLAN
    name = f"fit-{next(_names)}"
    identifier = {"publisher": "p", "offer": "o", "sku": name}
    parent = azure.id(group, f"{COMPUTE}/galleries", f"golden/images/{name}")
    body = {"location": REGION, "properties": {**properties, "identifier": identifier}}
    verdicts = check(facts, definition_target({**body, "name": name}, location=REGION, regions=[REGION]))
    said = refusal(azure, parent, body)
    if not said:
        said = refusal(azure, f"{parent}/versions/1.0.0", version_body(source.wire))
    agree(verdicts, said, f"a version of {facts.kind} {facts.name} in {properties}")


IMAGES = [
    "Canonical:ubuntu-24_04-lts:server:latest",
    "Debian:debian-12:12:latest",
    "Canonical:ubuntu-24_04-lts:server-arm64:latest",
    "resf:rockylinux-x86_64:9-base:latest",
    "OpenLogic:CentOS:8_5-gen2:latest",
    "SUSE:sles-15-sp5:gen2:latest",
]


@pytest.fixture(scope="module")
def ground(
    azure: LocalAzure,
    session: AzureSession,
    images: dict[str, str],
    versions: dict[str, str],
    described: Callable[[Any], SourceFacts],
) -> Ground:
    group = images["V1-Generalized"].split("/")[4]
    return Ground(azure, session, group, [*IMAGES, *images.values(), *versions.values()], described)


@EXAMPLES
@given(data=st.data())
def test_machines_that_the_rules_let_pass_are_made_and_those_they_refuse_are_refused(
    ground: Ground, data: st.DataObject
) -> None:
    azure, session, group = ground[:3]
    facts = ground.described(data.draw(st.sampled_from(ground.images)))
    fitting = ARM_SIZE if facts.architecture == "Arm64" else "Standard_DS1_v2"
    # Azure does not show for which processors a managed image is.
    sizes = [each for each in SIZES if facts.architecture or each != ARM_SIZE]
    size = data.draw(st.sampled_from([*[fitting] * 3, *sizes]))
    security = data.draw(st.sampled_from(["Standard", "Standard", "TrustedLaunch", "ConfidentialVM"]))
    encryption = data.draw(st.sampled_from(["platform", "DiskWithVMGuestState"]))
    with_plan = data.draw(st.sampled_from([bool(facts.plan)] * 4 + [not facts.plan]))
    with_login = data.draw(st.sampled_from([facts.os_state != "Specialized"] * 4 + [True, False]))
    os_size = data.draw(st.sampled_from([None, None, 2, 128]))
    target = TargetFacts(
        VIRTUAL_MACHINE,
        "it",
        location=REGION,
        security_type=security,
        plan=PLAN if with_plan else {},
        encryption=encryption,
        size=_sizes(session, size),
        with_login=with_login,
        os_disk_size_gb=os_size,
    )
    disk: dict[str, Any] = {"createOption": "FromImage", **({"diskSizeGB": os_size} if os_size else {})}
    if security == "ConfidentialVM" and encryption != "platform":
        disk["managedDisk"] = {"securityProfile": {"securityEncryptionType": encryption}}
    assert facts.pinned
    name = f"vm-{next(_names)}"
    storage = {"imageReference": exact(session, facts.pinned), "osDisk": disk}
    body = machine_body(azure, group, name, storage, size)
    if not with_login:
        body["properties"].pop("osProfile")
    if security != "Standard":
        uefi = {"secureBootEnabled": True, "vTpmEnabled": True}
        body["properties"]["securityProfile"] = {"securityType": security, "uefiSettings": uefi}
    if with_plan:
        body["plan"] = PLAN
    said = refusal(azure, azure.id(group, f"{COMPUTE}/virtualMachines", name), body)
    agree(check(facts, target), said, f"a {size} with {security} of {facts.kind} {facts.name}")


_known_sizes: dict[str, Any] = {}


def _sizes(session: AzureSession, name: str) -> Any:
    if name not in _known_sizes:
        _known_sizes[name] = find_size(session, name, REGION)
    return _known_sizes[name]


def exact(session: AzureSession, pinned: str) -> dict[str, Any]:
    reference = SourceLookup(session).parse(pinned).reference
    assert reference
    return reference


def machine_body(
    azure: LocalAzure, group: str, name: str, storage: Mapping[str, Any], size: str
) -> dict[str, Any]:
    subnet = azure.id(group, "Microsoft.Network/virtualNetworks", "capture-net/subnets/default")
    address = {"name": "one", "properties": {"subnet": {"id": subnet}, "primary": True}}
    nic = {"name": "nic", "properties": {"primary": True, "ipConfigurations": [address]}}
    keys = [{"path": "/home/ops/.ssh/authorized_keys", "keyData": public_key()}]
    return {
        "location": REGION,
        "properties": {
            "hardwareProfile": {"vmSize": size},
            "storageProfile": dict(storage),
            "osProfile": {
                "computerName": name,
                "adminUsername": "ops",
                "linuxConfiguration": {
                    "disablePasswordAuthentication": True,
                    "ssh": {"publicKeys": keys},
                },
            },
            "networkProfile": {"networkApiVersion": "2024-05-01", "networkInterfaceConfigurations": [nic]},
        },
    }


def test_managed_images_of_machines_are_made_or_refused_as_the_rules_say(
    azure: LocalAzure, group: str, sources: list[Source]
) -> None:
    for source, generation, place in itertools.product(sources, ["V1", "V2"], [REGION, "westus"]):
        if "virtualMachineId" not in str(source.wire):
            continue
        name = f"image-{next(_names)}"
        target = TargetFacts(
            MANAGED_IMAGE, name, azure.subscription_id, place, generation=generation, os_state="Generalized"
        )
        body = {
            "location": place,
            "properties": {"sourceVirtualMachine": {"id": source.facts.id}, "hyperVGeneration": generation},
        }
        said = refusal(azure, azure.id(group, f"{COMPUTE}/images", name), body)
        agree(check(source.facts, target), said, f"{generation} image in {place} of {source.facts}")
