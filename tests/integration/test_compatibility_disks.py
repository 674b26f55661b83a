# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The compatibility rules about blobs, disks and snapshots against the local Azure, both ways."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession
from ansible_collections.goldenimage.azure.plugins.module_utils._image.compatibility import check
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_facts import (
    BlobFacts,
    SourceFacts,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_lookup import SourceLookup
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_names import SNAPSHOT
from ansible_collections.goldenimage.azure.plugins.module_utils._image.target_facts import (
    GALLERY_VERSION,
    MANAGED_DISK,
    MANAGED_IMAGE,
    TARGETS,
    VHD_BLOB,
    VIRTUAL_MACHINE,
    TargetFacts,
    definition_target,
)
from azure.storage.blob import BlobServiceClient

from tests.integration.blobs import MEBIBYTE, fixed_vhd_footer
from tests.integration.captures import definition, interface, machine
from tests.integration.cloud import LocalAzure
from tests.integration.machines import COMPUTE
from tests.integration.verdicts import agree, refusal

REGION, FAR = "eastus", "westus"
SIZE = 24 * MEBIBYTE
_names = itertools.count(1)
Describe = Callable[[str], SourceFacts]


class Maker(NamedTuple):
    """Asks Azure for targets of one kind; each time it is another one."""

    azure: LocalAzure
    group: str
    definition: str

    def _named(self, kind: str) -> str:
        return self.azure.id(self.group, f"{COMPUTE}/{kind}", f"made-{next(_names)}")

    def image(self, disk: dict[str, Any]) -> str:
        """What Azure says of a managed image of the disk, given as part of a storageProfile."""
        os_disk = {"osType": "Linux", "osState": "Generalized", **disk}
        properties = {"hyperVGeneration": "V1", "storageProfile": {"osDisk": os_disk}}
        return refusal(self.azure, self._named("images"), {"location": REGION, "properties": properties})

    def version(self, source: dict[str, Any]) -> str:
        """What Azure says of a version of it."""
        profile = {"targetRegions": [{"name": REGION}], "replicationMode": "Shallow"}
        properties = {"publishingProfile": profile, "storageProfile": {"osDiskImage": {"source": source}}}
        path = f"{self.definition}/versions/1.0.{next(_names)}"
        return refusal(self.azure, path, {"location": REGION, "properties": properties})

    def disk(self, creation: dict[str, Any]) -> str:
        """What Azure says of a managed disk of it."""
        properties = {"creationData": creation, "osType": "Linux"}
        return refusal(self.azure, self._named("disks"), {"location": REGION, "properties": properties})

    def machine(self, disk: str) -> str:
        """What Azure says of a machine that starts from the disk itself."""
        nic = interface(self.azure, self.group, f"nic-{next(_names)}")
        os_disk = {"createOption": "Attach", "osType": "Linux", "managedDisk": {"id": disk}}
        properties = {
            "hardwareProfile": {"vmSize": "Standard_DS1_v2"},
            "storageProfile": {"osDisk": os_disk},
            "networkProfile": {"networkInterfaces": [{"id": nic}]},
        }
        path = self._named("virtualMachines")
        return refusal(self.azure, path, {"location": REGION, "properties": properties})

    def export(self, source: str) -> str:
        """What Azure says of giving access to it."""
        read = self.azure.get(source)["properties"]["diskState"] == "ActiveSAS"
        body = {"access": "Read", "durationInSeconds": 600}
        said = refusal(self.azure, f"{source}/beginGetAccess", body, "POST")
        if not said and not read:
            self.azure.do("POST", f"{source}/endGetAccess")
        return said


@pytest.fixture(scope="module")
def make(azure: LocalAzure, group: str) -> Maker:
    return Maker(azure, group, definition(azure, group, "disks"))


@pytest.fixture(scope="module")
def target(azure: LocalAzure, make: Maker) -> Callable[[str], TargetFacts]:
    found = azure.get(make.definition)

    def of(kind: str) -> TargetFacts:
        if kind == GALLERY_VERSION:
            return definition_target(found, location=REGION, regions=[REGION], replication_mode="Shallow")
        generation = "V1" if kind == MANAGED_IMAGE else None
        wanted: dict[str, Any] = {}
        if kind == VIRTUAL_MACHINE:
            wanted = {"with_login": False, "security_type": "Standard"}
        return TargetFacts(kind, "it", location=REGION, generation=generation, **wanted)

    return of


@pytest.fixture(scope="module")
def described(session: AzureSession, group: str) -> Describe:
    lookup = SourceLookup(session, resource_group=group, location=REGION)
    return lambda source: lookup.describe(lookup.parse(source))


class Account(NamedTuple):
    """`url` is that of the container."""

    id: str
    url: str
    service: BlobServiceClient

    def put(self, name: str, footer: bytes, size: int = SIZE) -> str:
        blob = self.service.get_blob_client("vhds", name)
        blob.create_page_blob(size + 512)
        blob.upload_page(footer, offset=size, length=512)
        return f"{self.url}/{name}"


def account(azure: LocalAzure, group: str, location: str) -> Account:
    made = azure.id(group, "Microsoft.Storage/storageAccounts", f"fit{location}{group[-6:]}")
    azure.put(made, {"location": location, "kind": "StorageV2", "sku": {"name": "Standard_LRS"}})
    endpoint = azure.get(made)["properties"]["primaryEndpoints"]["blob"].rstrip("/")
    key = azure.do("POST", f"{made}/listKeys")["keys"][0]["value"]
    verify = azure.env["SSL_CERT_FILE"]
    service = BlobServiceClient(endpoint, credential=key, connection_verify=verify)
    service.create_container("vhds")
    return Account(made, f"{endpoint}/vhds", service)


def test_what_is_made_of_blobs_is_made_or_refused_as_the_rules_say(
    azure: LocalAzure,
    group: str,
    make: Maker,
    target: Callable[[str], TargetFacts],
    described: Describe,
) -> None:
    near, far = account(azure, group, REGION), account(azure, group, FAR)
    dynamic = bytearray(fixed_vhd_footer(SIZE))
    dynamic[60:64] = b"\0\0\0\3"
    dynamic[64:68] = (int.from_bytes(dynamic[64:68], "big") - 1).to_bytes(4, "big")
    odd, tiny = SIZE + 512, MEBIBYTE
    good = near.put("good.vhd", fixed_vhd_footer(SIZE))
    urls = [
        good,
        near.put("none.vhd", bytes(512)),
        near.put("dynamic.vhd", bytes(dynamic)),
        near.put("odd.vhd", fixed_vhd_footer(odd), odd),
        near.put("other.vhd", fixed_vhd_footer(SIZE + MEBIBYTE)),
        near.put("tiny.vhd", fixed_vhd_footer(tiny), tiny),
        near.put("leased.vhd", fixed_vhd_footer(SIZE)),
        far.put("far.vhd", fixed_vhd_footer(SIZE)),
    ]
    near.service.get_blob_client("vhds", "leased.vhd").acquire_lease()
    near.service.get_blob_client("vhds", "block.vhd").upload_blob(b"x" * 1024)
    sources = {url: described(url) for url in (*urls, f"{near.url}/block.vhd")}
    for name in ("folder/good.vhd", "good.img"):
        near.put(name, fixed_vhd_footer(SIZE))
        # No URL of this form gets through, so that none is looked up.
        blob = replace(sources[good].blob or BlobFacts(), name=name)
        sources[f"{near.url}/{name}"] = replace(sources[good], name=name, blob=blob)
    for url, facts in sources.items():
        owner = (far if url.startswith(far.url) else near).id
        said = {
            MANAGED_IMAGE: make.image({"blobUri": url}),
            GALLERY_VERSION: make.version({"id": owner, "uri": url}),
            MANAGED_DISK: make.disk({"createOption": "Import", "sourceUri": url, "storageAccountId": owner}),
        }
        for kind, answer in said.items():
            agree(check(facts, target(kind)), answer, f"a {kind} of blob {facts.name}")
    near.service.close()
    far.service.close()


def test_what_is_made_of_disks_and_snapshots_is_made_or_refused_as_the_rules_say(
    azure: LocalAzure,
    group: str,
    make: Maker,
    target: Callable[[str], TargetFacts],
    described: Describe,
) -> None:
    system: dict[str, Any] = {"osType": "Linux", "hyperVGeneration": "V1", "size_gb": 4}
    locked = {"securityProfile": {"securityType": "TrustedLaunch"}, "hyperVGeneration": "V2"}
    disks = [
        azure.disk(group, "free", **system),
        azure.disk(group, "far", location=FAR, **system),
        azure.disk(group, "read", **system),
        azure.disk(group, "trusted", **{**system, **locked}),
    ]
    azure.do("POST", f"{disks[2]}/beginGetAccess", {"access": "Read", "durationInSeconds": 3600})
    for name, power in (("running", "running"), ("resting", "deallocated")):
        machine(azure, group, name, luns=(), power=power)
        disks.append(azure.id(group, f"{COMPUTE}/disks", f"{name}-os"))
    for name in ("waiting", "filling"):
        disks.append(azure.id(group, f"{COMPUTE}/disks", name))
        creation = {"createOption": "Upload", "uploadSizeBytes": SIZE + 512}
        properties = {"creationData": creation, "osType": "Linux", "hyperVGeneration": "V1"}
        azure.put(disks[-1], {"location": REGION, "properties": properties})
    azure.do("POST", f"{disks[-1]}/beginGetAccess", {"access": "Write", "durationInSeconds": 3600})
    for source in (disks[0], disks[1]):
        taken = azure.id(group, f"{COMPUTE}/snapshots", f"of-{source.rpartition('/')[2]}")
        creation = {"createOption": "Copy", "sourceResourceId": source}
        where = azure.get(source)["location"]
        azure.put(taken, {"location": where, "properties": {"creationData": creation}})
        disks.append(taken)
    for source in disks:
        facts = described(source)
        member = "snapshot" if facts.kind == SNAPSHOT else "managedDisk"
        asked: dict[str, Callable[[], str]] = {
            MANAGED_IMAGE: lambda s=source, m=member: make.image({m: {"id": s}}),  # type: ignore[misc]
            GALLERY_VERSION: lambda s=source: make.version({"id": s}),  # type: ignore[misc]
            MANAGED_DISK: lambda s=source: make.disk({"createOption": "Copy", "sourceResourceId": s}),  # type: ignore[misc]
            VHD_BLOB: lambda s=source: make.export(s),  # type: ignore[misc]
            # Last: the disk is the machine's from then on.
            VIRTUAL_MACHINE: lambda s=source: make.machine(s),  # type: ignore[misc]
        }
        assert set(asked) == set(TARGETS)
        for kind, ask in asked.items():
            agree(check(facts, target(kind)), ask(), f"a {kind} of {facts.kind} {facts.name}")
