# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Sources of every kind are looked up and described in the same words, and latest is resolved."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_facts import SourceFacts
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_lookup import (
    SourceLookup,
    described,
)

from tests.integration.blobs import page_blob
from tests.integration.captures import definition, machine
from tests.integration.cloud import LocalAzure
from tests.integration.machines import COMPUTE, golden_image
from tests.integration.plays import Player

UBUNTU = "Canonical:ubuntu-24_04-lts:server"
ROCKY = "resf:rockylinux-x86_64:9-base"
NVME = [{"name": "DiskControllerTypes", "value": "SCSI, NVMe"}]


def look(
    session: AzureSession, group: str, source: Any, location: str | None = None, **options: Any
) -> SourceFacts:
    lookup = SourceLookup(session, resource_group=group, location=location, **options)
    return lookup.describe(lookup.parse(source))


def put_version(
    azure: LocalAzure, parent: str, name: str, source: dict[str, Any], *regions: Any, **publishing: Any
) -> None:
    targets = [{"name": each} if isinstance(each, str) else each for each in (regions or ("eastus",))]
    profile = {"targetRegions": targets, "replicationMode": "Shallow", **publishing}
    properties = {"publishingProfile": profile, "storageProfile": {"source": source}}
    azure.put(f"{parent}/versions/{name}", {"location": "eastus", "properties": properties})


@pytest.fixture(scope="module")
def image(azure: LocalAzure, group: str) -> str:
    return golden_image(azure, group)


@pytest.fixture(scope="module")
def web(azure: LocalAzure, group: str, image: str) -> str:
    """A definition with versions of which another one is the latest in each region."""
    made = definition(
        azure, group, "web", features=NVME, purchasePlan={"publisher": "p", "product": "o", "name": "n"}
    )
    source = {"id": image}
    put_version(azure, made, "1.9.0", source, "eastus", "westus")
    put_version(azure, made, "1.10.0", source, "eastus")
    put_version(azure, made, "2.0.0", source, {"name": "eastus", "excludeFromLatest": True}, "centralus")
    put_version(azure, made, "3.0.0", source, excludeFromLatest=True)
    return made


def test_a_marketplace_image_is_described_and_its_latest_version_pinned(
    session: AzureSession, group: str
) -> None:
    facts = look(session, group, f"{UBUNTU}:latest")
    assert facts.reference == f"{UBUNTU}:latest"
    assert facts.pinned == f"{UBUNTU}:{facts.version}"
    assert (facts.os_type, facts.os_state, facts.generation, facts.architecture) == (
        "Linux",
        "Generalized",
        "V2",
        "x64",
    )
    assert facts.security_type == "TrustedLaunchSupported"
    assert facts.disk_controllers == ("SCSI", "NVMe")
    assert facts.plan == {}
    assert facts.os_disk
    assert facts.os_disk.size_gb == 30
    assert facts.deprecation["state"] == "Active"
    result = described(facts, session.subscription_id)
    assert result["latest"] is True
    assert result["image_reference"]["version"] == facts.version
    assert result["asked_image_reference"]["version"] == "latest"
    assert look(session, group, facts.pinned).pinned == facts.pinned


def test_a_plan_is_shown_with_the_state_of_its_terms(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    plan = {"publisher": "resf", "product": "rockylinux-x86_64", "name": "9-base"}
    facts = look(session, group, f"{ROCKY}:latest")
    assert facts.plan == plan
    assert facts.terms_accepted is False
    mark = azure.mark()
    assert look(session, group, f"{ROCKY}:latest", terms=False).terms_accepted is None
    assert not any("agreements" in each["liveRequest"]["url"] for each in azure.exchanges(mark))


def test_latest_leaves_deprecated_versions_out_and_says_when_all_are(
    session: AzureSession, group: str
) -> None:
    old = look(session, group, "MicrosoftWindowsServer:WindowsServer:2012-R2-Datacenter:latest")
    assert old.version == "9600.21620.231004"
    assert old.deprecation["state"] == "Deprecated"
    assert old.os_type == "Windows"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (f"{UBUNTU}:1.2.3", "no version 1.2.3"),
        ("Nobody:nothing:never:latest", "Nobody"),
        ("none/web", "no definition web"),
        ("golden/web/9.9.9", "no version 9.9.9"),
        ("none", "no managed image none"),
        ({"snapshot": "none"}, "no snapshot none"),
        ({"virtual_machine": "none", "resource_group": "none"}, "resource group none"),
        ("/CommunityGalleries/none/Images/web", "no definition web"),
        ("./none.vhd", "none.vhd"),
    ],
)
def test_what_is_not_there_is_said_by_its_name(
    session: AzureSession, group: str, web: str, source: Any, said: str
) -> None:
    assert web
    with pytest.raises(AzureError, match=said):
        look(session, group, source)


@pytest.mark.parametrize(
    ("location", "latest"),
    [(None, "2.0.0"), ("eastus", "1.10.0"), ("westus", "1.9.0"), ("Central US", "2.0.0")],
)
def test_the_latest_version_of_a_gallery_is_the_latest_of_the_region(
    session: AzureSession, group: str, web: str, location: str | None, latest: str
) -> None:
    facts = look(session, group, "golden/web", location)
    assert facts.version == latest
    assert facts.reference == web
    assert facts.pinned == f"{web}/versions/{latest}"


def test_a_version_of_a_gallery_has_what_its_definition_says(
    session: AzureSession, group: str, web: str
) -> None:
    facts = look(session, group, f"{web}/versions/1.9.0")
    assert set(facts.regions or ()) == {"eastus", "westus"}
    assert facts.location == "eastus"
    assert facts.generation == "V1"
    assert facts.disk_controllers == ("SCSI", "NVMe")
    assert facts.security_type == "Standard"
    assert facts.plan == {"publisher": "p", "product": "o", "name": "n"}
    assert [disk.lun for disk in facts.data_disks] == [3]
    assert facts.os_disk
    assert facts.os_disk.size_gb == 4
    assert facts.ended is False


def test_no_latest_in_a_region_is_said(session: AzureSession, group: str, web: str) -> None:
    assert web
    with pytest.raises(AzureError, match="no latest version in northeurope"):
        look(session, group, "golden/web", "northeurope")


def test_a_community_gallery_is_looked_up_by_its_public_name(
    azure: LocalAzure, session: AzureSession, group: str, image: str
) -> None:
    parent = azure.id(group, f"{COMPUTE}/galleries", "open")
    info = {
        "publisherUri": "https://a.example",
        "publisherContact": "a@a.example",
        "eula": "e",
        "publicNamePrefix": "open",
    }
    sharing = {"permissions": "Community", "communityGalleryInfo": info}
    azure.put(parent, {"location": "eastus", "properties": {"sharingProfile": sharing}})
    made = definition(azure, group, "web", gallery="open")
    put_version(azure, made, "1.0.0", {"id": image})
    azure.do("POST", f"{parent}/share", {"operationType": "EnableCommunity"})
    shared = azure.get(parent)["properties"]["sharingProfile"]["communityGalleryInfo"]
    public = shared["publicNames"][0]
    facts = look(session, group, f"/CommunityGalleries/{public}/Images/web")
    assert facts.pinned == f"/CommunityGalleries/{public}/Images/web/Versions/1.0.0"
    assert facts.os_disk
    assert (facts.os_type, facts.os_disk.size_gb, facts.generation) == ("Linux", 4, "V1")
    assert described(facts, session.subscription_id)["image_reference"] == {
        "community_gallery_image_id": facts.pinned
    }


def test_a_managed_image_a_disk_a_snapshot_and_a_machine_are_described_in_the_same_words(
    azure: LocalAzure, session: AzureSession, group: str, image: str
) -> None:
    described_image = look(session, group, "golden")
    assert described_image.id == image
    assert (described_image.os_state, described_image.generation) == ("Generalized", "V1")
    assert [(disk.lun, disk.size_gb) for disk in described_image.data_disks] == [(3, 1)]
    vm = machine(azure, group, "source", power="deallocated", luns=(1, 4))
    azure.do("POST", f"{vm}/generalize")
    facts = look(session, group, {"virtual_machine": "source"})
    assert (facts.os_state, facts.power_state, facts.location) == ("Generalized", "deallocated", "eastus")
    assert [(disk.lun, disk.size_gb, disk.state) for disk in facts.data_disks] == [
        (1, 2, "Reserved"),
        (4, 5, "Reserved"),
    ]
    disk = look(session, group, {"managed_disk": "source-os"})
    assert (disk.os_type, disk.generation, disk.security_type) == ("Linux", "V1", "Standard")
    snapshot = azure.id(group, f"{COMPUTE}/snapshots", "of-source")
    creation = {"createOption": "Copy", "sourceResourceId": disk.id}
    azure.put(snapshot, {"location": "eastus", "properties": {"creationData": creation}})
    taken = look(session, group, snapshot)
    assert (taken.os_type, taken.generation, taken.location) == ("Linux", "V1", "eastus")


def test_a_blob_is_judged_by_its_footer_and_a_file_by_its_content(
    azure: LocalAzure, session: AzureSession, group: str, tmp_path: Path
) -> None:
    url = page_blob(azure, group, "vhds", "web.vhd", mebibytes=32)
    facts = look(session, group, url)
    assert facts.blob
    assert (facts.blob.blob_type, facts.blob.disk_type, facts.blob.disk_size_bytes) == (
        "PageBlob",
        "fixed",
        32 << 20,
    )
    assert (facts.location, facts.blob.leased) == ("eastus", False)
    with pytest.raises(AzureError, match="no blob"):
        look(session, group, url.replace("web.vhd", "none.vhd"))
    file = tmp_path / "web.raw"
    subprocess.run(["truncate", "--size=8M", str(file)], check=True)
    assert look(session, group, str(file)).os_disk == facts.os_disk


def test_a_region_is_asked_for_where_one_is_needed(session: AzureSession) -> None:
    lookup = SourceLookup(session)
    with pytest.raises(AzureError, match="Set location"):
        lookup.describe(lookup.parse(f"{UBUNTU}:latest"))


def test_module_lookup_and_filter_name_the_same_image(azure: LocalAzure, play: Player) -> None:
    source = f"{UBUNTU}:latest"
    terms = f"'{source}', location='eastus'"
    plugin = "goldenimage.azure.image_source"
    mark = azure.mark()
    done = play(
        [
            {
                "name": "module",
                "goldenimage.azure.image_source_info": {"source": source, "location": "eastus"},
                "register": "found",
            },
            {
                "name": "all",
                "ansible.builtin.debug": {
                    "msg": {
                        "lookup": f"{{{{ lookup('{plugin}', {terms}) }}}}",
                        "pinned": f"{{{{ lookup('{plugin}', {terms}, part='pinned') }}}}",
                        "reference": f"{{{{ lookup('{plugin}', {terms}, part='image_reference') }}}}",
                        "filtered": "{{ found.source | goldenimage.azure.image_reference }}",
                        "asked": f"{{{{ '{source}' | goldenimage.azure.image_reference }}}}",
                        "gallery": "{{ 'golden/web/1.9.0' | goldenimage.azure.image_reference('s', 'rg') }}",
                    }
                },
            },
        ]
    ).succeeded()
    found, said = done.tasks["module"]["source"], done.tasks["all"]["msg"]
    assert said["lookup"] == found
    assert said["pinned"] == found["pinned"]
    assert said["reference"] == said["filtered"] == found["image_reference"]
    assert said["asked"] == {**found["image_reference"], "version": "latest"}
    assert said["gallery"]["id"].endswith(
        "/rg/providers/Microsoft.Compute/galleries/golden/images/web/versions/1.9.0"
    )
    assert azure.writes(mark) == []


def test_filter_and_lookup_say_what_is_wrong(play: Player) -> None:
    wrong = {
        "'https://a.blob.core.windows.net/c/x.vhd' | goldenimage.azure.image_reference": "no image",
        "'web' | goldenimage.azure.image_reference": "resource group",
        "'web' | goldenimage.azure.image_reference(resource_group='rg')": "subscription_id",
        "{} | goldenimage.azure.image_reference": "names no source",
        "lookup('goldenimage.azure.image_source', 'a:b', subscription_id='s')": "publisher:offer:sku:version",
    }
    tasks = [
        {"name": text, "ansible.builtin.debug": {"msg": f"{{{{ {text} }}}}"}, "ignore_errors": True}
        for text in wrong
    ]
    done = play(tasks, env={"AZURE_SUBSCRIPTION_ID": None})
    assert "Traceback" not in done.output
    for text, said in wrong.items():
        assert done.tasks[text].failed
        assert said in done.tasks[text].msg
