# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The request for a managed image, and how an existing one is compared with it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._image.image_differences import (
    Wanted,
    differences,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.image_facts import image_facts
from ansible_collections.goldenimage.azure.plugins.module_utils._image.image_request import (
    DiskRequest,
    ImageRequest,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.image_tags import SOURCES_TAG
from ansible_collections.goldenimage.azure.plugins.module_utils._image.selection import has_tags
from ansible_collections.goldenimage.azure.plugins.module_utils._image.sources import (
    Reference,
    references,
    vm_id,
)

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg"
DISKS = f"{GROUP}/providers/Microsoft.Compute/disks"
VM = f"{GROUP}/providers/Microsoft.Compute/virtualMachines/build"
BLOB = "https://account.blob.core.windows.net/vhds/web.vhd"


def request(**options: Any) -> ImageRequest:
    return ImageRequest.from_options({"resource_group": "rg", "name": "web", **options})


def image(**properties: Any) -> dict[str, Any]:
    storage = {
        "osDisk": {
            "osType": "Linux",
            "osState": "Generalized",
            "managedDisk": {"id": f"{DISKS}/os"},
            "caching": "ReadWrite",
            "diskSizeGB": 30,
        },
        "dataDisks": [
            {"lun": 5, "blobUri": BLOB},
            {"lun": 1, "managedDisk": {"id": f"{DISKS}/data"}, "caching": "None"},
        ],
    }
    return {
        "id": f"{GROUP}/providers/Microsoft.Compute/images/web",
        "name": "web",
        "location": "westeurope",
        "tags": {SOURCES_TAG: "abc"},
        "properties": {
            "storageProfile": storage,
            "hyperVGeneration": "V2",
            "provisioningState": "Succeeded",
            **properties,
        },
    }


def wanted(asked: ImageRequest, identity: str | None = None) -> Wanted:
    if asked.source_vm:
        return Wanted(vm_id(asked.source_vm, SUBSCRIPTION, "rg"), [], identity)
    return Wanted(None, [references(disk, SUBSCRIPTION, "rg") for disk in asked.disks], identity)


SAME: dict[str, Any] = {
    "os_disk": {"source": "os"},
    "data_disks": [{"lun": 1, "source": "data"}, {"lun": 5, "source": BLOB}],
}


def test_facts_are_in_the_words_of_the_options_and_ordered_by_lun() -> None:
    facts = image_facts(image())
    assert facts["resource_group"] == "rg"
    assert facts["os_disk"]["source"] == f"{DISKS}/os"
    assert facts["os_disk"]["disk_size_gb"] == 30
    assert [(disk["lun"], disk["source"]) for disk in facts["data_disks"]] == [
        (1, f"{DISKS}/data"),
        (5, BLOB),
    ]


@pytest.mark.parametrize(
    "options",
    [
        SAME,
        {**SAME, "os_disk": {"source": f"{DISKS}/OS".replace("resourceGroups", "RESOURCEGROUPS")}},
        {**SAME, "location": "West Europe", "hyper_v_generation": "V2", "zone_resilient": False},
        {
            **SAME,
            "os_disk": {
                "source": "os",
                "caching": "ReadWrite",
                "disk_size_gb": 30,
                "os_state": "Generalized",
            },
        },
        {"tags": {"a": "b"}},
    ],
)
def test_what_is_the_same_or_left_open_is_no_difference(options: dict[str, Any]) -> None:
    asked = request(**options)
    assert differences(image(), asked, wanted(asked, "abc")) == []


@pytest.mark.parametrize(
    ("options", "phrase"),
    [
        ({**SAME, "os_disk": {"source": "other"}}, "os_disk.source"),
        (
            {**SAME, "os_disk": {"source": "os", "caching": "None"}},
            "os_disk.caching: it has ReadWrite, not None",
        ),
        ({**SAME, "os_disk": {"source": "os", "os_state": "Specialized"}}, "os_disk.os_state"),
        ({**SAME, "data_disks": [{"lun": 1, "source": "data"}]}, "data_disks: it has LUN 1, 5, not LUN 1"),
        ({**SAME, "data_disks": []}, "data_disks: it has LUN 1, 5, not none"),
        (
            {
                **SAME,
                "data_disks": [{"lun": 1, "source": "data"}, {"lun": 5, "source": BLOB.replace("web", "db")}],
            },
            "data_disks[1].source",
        ),
        ({**SAME, "location": "eastus"}, "location: it is in westeurope, not in eastus"),
        ({**SAME, "hyper_v_generation": "V1"}, "hyper_v_generation: it has V2, not V1"),
        ({**SAME, "zone_resilient": True}, "zone_resilient"),
        ({"source_vm": "build"}, "source_vm: it was made from disks"),
    ],
)
def test_each_difference_is_named_in_the_words_of_the_options(options: dict[str, Any], phrase: str) -> None:
    asked = request(**options)
    found = differences(image(), asked, wanted(asked))
    assert len(found) == 1
    assert phrase in found[0]


def test_the_machine_an_image_was_made_of_is_compared_by_id() -> None:
    current = image(sourceVirtualMachine={"id": VM.upper()})
    for option in ("build", VM):
        asked = request(source_vm=option)
        assert differences(current, asked, wanted(asked)) == []
    asked = request(source_vm="other")
    assert "not from" in differences(current, asked, wanted(asked))[0]
    asked = request(**SAME)
    assert "made from virtual machine" in differences(current, asked, wanted(asked))[0]


def test_a_source_of_the_same_name_with_another_identity_is_a_difference() -> None:
    asked = request(**SAME)
    assert "replaced" in differences(image(), asked, wanted(asked, "xyz"))[0]
    untagged = {**image(), "tags": {}}
    assert differences(untagged, asked, wanted(asked, "xyz")) == []


def test_an_image_that_was_never_completed_is_a_difference() -> None:
    asked = request(**SAME)
    assert "never completed" in differences(image(provisioningState="Failed"), asked, wanted(asked))[0]


def test_a_name_can_be_a_disk_or_a_snapshot_and_an_id_only_what_it_says() -> None:
    def of(source: str) -> list[Reference]:
        return references(DiskRequest("os_disk", source), SUBSCRIPTION, "rg")

    assert [reference.member for reference in of("os")] == ["managedDisk", "snapshot"]
    assert of(f"{DISKS}/os") == [Reference("managedDisk", f"{DISKS}/os")]
    assert of(BLOB) == [Reference("blobUri", BLOB)]
    assert of("https://127.0.0.1:10000/account/vhds/web.VHD")[0].member == "blobUri"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (VM, "source_vm"),
        (f"{DISKS}/os".replace(SUBSCRIPTION, "other"), "another subscription"),
        (f"{BLOB}?sv=1&sig=s3cr3t", "query"),
        ("https://account.blob.core.windows.net/web.vhd", "does not name a blob"),
        ("https://account.blob.core.windows.net/vhds/a/web.vhd", "slash"),
        ("https://account.blob.core.windows.net/vhds/web.img", r"\.vhd"),
    ],
)
def test_sources_that_azure_refuses_are_refused_by_their_text(source: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason) as refused:
        references(DiskRequest("data_disks[2]", source), SUBSCRIPTION, "rg")
    assert "data_disks[2]" in str(refused.value)
    assert "s3cr3t" not in str(refused.value)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"source_vm": "build", "os_disk": {"source": "os"}}, "either"),
        ({"data_disks": [{"lun": 0, "source": "data"}]}, "operating system disk"),
        (
            {**SAME, "data_disks": [{"lun": 2, "source": "a"}, {"lun": 2, "source": "b"}]},
            "LUN 2 is given more",
        ),
        ({**SAME, "data_disks": [{"lun": 64, "source": "a"}]}, "between 0 and 63"),
        ({"os_disk": {"source": "os", "disk_size_gb": 0}}, "disk_size_gb"),
        ({**SAME, "name": "-web"}, "name"),
        ({**SAME, "tags": {"a%": ""}}, "tags"),
    ],
)
def test_contradictions_are_refused_without_asking_azure(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        request(**options)


def test_tags_are_selected_by_name_or_by_name_and_value() -> None:
    tags = {"Stage": "test", "url": "a:b"}
    assert has_tags(tags, None)
    assert has_tags(tags, ["stage", "url:a:b"])
    assert has_tags(tags, ["STAGE:test"])
    assert not has_tags(tags, ["stage:Test"])
    assert not has_tags(None, ["stage"])
