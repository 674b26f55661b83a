# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""azure-cli makes machines, disks, images, galleries and restore points of the local Azure."""

from __future__ import annotations

import pytest
from azure.storage.blob import BlobClient

from tests.fidelity.azure_cli import AzureCli
from tests.integration.blobs import fixed_vhd_footer
from tests.integration.cloud import LocalAzure

pytestmark = [pytest.mark.foreign_client, pytest.mark.timeout(1800)]

PLATFORM_IMAGE = "Debian:debian-12:12-gen2:latest"
PLANNED_IMAGE = "kinvolk:flatcar-container-linux-free:stable-gen2:latest"
UPLOAD_BYTES = 20 * 1024 * 1024 + 512


@pytest.fixture(scope="module")
def group(azure: LocalAzure) -> str:
    return azure.group("rg-cli")


def make_machine(cli: AzureCli, group: str, name: str, *more: str) -> None:
    cli(
        *("vm", "create", "--resource-group", group, "--name", name, "--image", PLATFORM_IMAGE),
        *("--size", "Standard_D2s_v3", "--security-type", "Standard", "--admin-username", "operator"),
        *("--generate-ssh-keys", "--public-ip-address", "", "--nsg", "", *more),
    )


def power_of(cli: AzureCli, group: str, name: str) -> str:
    shown = cli("vm", "show", "--resource-group", group, "--name", name, "--show-details")
    return str(shown["powerState"])


def test_machine_is_started_deallocated_generalized_and_imaged(
    cli: AzureCli, group: str, azure: LocalAzure
) -> None:
    make_machine(cli, group, "source", "--data-disk-sizes-gb", "2")
    assert "source" in {machine["name"] for machine in cli("vm", "list", "--resource-group", group)}
    where = ("--resource-group", group, "--name", "source")
    assert power_of(cli, group, "source") == "VM running"
    refused = cli.run("vm", "generalize", *where)
    assert refused.status != 0
    assert "OperationNotAllowed" in refused.errors
    cli("vm", "deallocate", *where)
    assert power_of(cli, group, "source") == "VM deallocated"
    cli("vm", "start", *where)
    assert power_of(cli, group, "source") == "VM running"
    cli("vm", "deallocate", *where)
    cli("vm", "generalize", *where)
    image = cli(
        *("image", "create", "--resource-group", group, "--name", "golden", "--source", "source"),
        *("--hyper-v-generation", "V2"),
    )
    assert image["provisioningState"] == "Succeeded"
    assert len(image["storageProfile"]["dataDisks"]) == 1
    born = cli(
        *("vm", "create", "--resource-group", group, "--name", "born", "--image", image["id"]),
        *("--size", "Standard_D2s_v3", "--security-type", "Standard", "--admin-username", "operator"),
        *("--generate-ssh-keys", "--public-ip-address", "", "--nsg", ""),
    )
    assert born["powerState"] == "VM running"
    cli("vm", "delete", "--resource-group", group, "--name", "born", "--yes")
    assert azure.get(azure.id(group, "Microsoft.Compute/virtualMachines", "born")) is None


def test_disk_is_created_for_upload_opened_filled_and_closed(
    cli: AzureCli, group: str, azure: LocalAzure
) -> None:
    where = ("--resource-group", group, "--name", "uploaded")
    created = cli(
        *("disk", "create", *where, "--upload-type", "Upload", "--upload-size-bytes", str(UPLOAD_BYTES)),
        *("--sku", "Standard_LRS", "--os-type", "Linux", "--hyper-v-generation", "V2"),
    )
    assert created["diskState"] == "ReadyToUpload"
    granted = cli("disk", "grant-access", *where, "--access-level", "Write", "--duration-in-seconds", "3600")
    url = granted.get("accessSas") or granted.get("accessSAS")
    assert url.startswith("https://")
    assert cli("disk", "show", *where)["diskState"] == "ActiveUpload"
    size = UPLOAD_BYTES - 512
    with BlobClient.from_blob_url(url, connection_verify=azure.env["REQUESTS_CA_BUNDLE"]) as blob:
        blob.upload_page(fixed_vhd_footer(size), offset=size, length=512)
    cli("disk", "revoke-access", *where)
    assert cli("disk", "show", *where)["diskState"] == "Unattached"


def test_snapshot_copies_a_disk(cli: AzureCli, group: str, azure: LocalAzure) -> None:
    disk = azure.disk(group, "to-copy", osType="Linux")
    made = cli("snapshot", "create", "--resource-group", group, "--name", "copy", "--source", disk)
    assert made["provisioningState"] == "Succeeded"
    assert made["creationData"]["sourceResourceId"].lower() == disk.lower()
    assert "copy" in {snapshot["name"] for snapshot in cli("snapshot", "list", "--resource-group", group)}


def test_gallery_holds_definition_and_version(cli: AzureCli, group: str, azure: LocalAzure) -> None:
    snapshot = azure.id(group, "Microsoft.Compute/snapshots", "for-gallery")
    source = {"createOption": "Copy", "sourceResourceId": azure.disk(group, "for-gallery", osType="Linux")}
    azure.put(snapshot, {"location": "eastus", "properties": {"creationData": source, "osType": "Linux"}})
    gallery = ("--resource-group", group, "--gallery-name", "golden")
    definition = (*gallery, "--gallery-image-definition", "debian")
    cli("sig", "create", *gallery)
    cli(
        *(
            "sig",
            "image-definition",
            "create",
            *definition,
            "--publisher",
            "goldenimage",
            "--offer",
            "debian",
        ),
        *(
            "--sku",
            "bookworm",
            "--os-type",
            "Linux",
            "--os-state",
            "Specialized",
            "--hyper-v-generation",
            "V1",
        ),
    )
    version = cli(
        *("sig", "image-version", "create", *definition, "--gallery-image-version", "1.0.0"),
        *("--os-snapshot", snapshot, "--target-regions", "eastus=1", "westeurope=2=Standard_ZRS"),
    )
    assert version["provisioningState"] == "Succeeded"
    shown = cli(
        "sig",
        "image-version",
        "show",
        *definition,
        "--gallery-image-version",
        "1.0.0",
        "--expand",
        "ReplicationStatus",
    )
    assert {part["progress"] for part in shown["replicationStatus"]["summary"]} == {100}
    assert [v["name"] for v in cli("sig", "image-version", "list", *definition)] == ["1.0.0"]
    assert [d["name"] for d in cli("sig", "image-definition", "list", *gallery)] == ["debian"]
    assert "golden" in {g["name"] for g in cli("sig", "list", "--resource-group", group)}
    cli("sig", "image-version", "delete", *definition, "--gallery-image-version", "1.0.0")


def test_marketplace_images_are_listed_and_terms_accepted(cli: AzureCli) -> None:
    images = cli(
        *("vm", "image", "list", "--location", "eastus", "--publisher", "Debian", "--offer", "debian-12"),
        *("--sku", "12-gen2", "--all"),
    )
    assert {image["sku"] for image in images} == {"12-gen2"}
    urn = ("--urn", PLANNED_IMAGE)
    plan = cli("vm", "image", "show", "--location", "eastus", *urn)["plan"]
    terms = cli("vm", "image", "terms", "show", *urn)
    assert (terms["publisher"], terms["plan"]) == (plan["publisher"], plan["name"])
    assert cli("vm", "image", "terms", "accept", *urn)["accepted"] is True
    assert cli("vm", "image", "terms", "show", *urn)["accepted"] is True
    assert cli("vm", "image", "terms", "cancel", *urn)["accepted"] is False


def test_restore_point_is_made_of_a_machine(cli: AzureCli, group: str, azure: LocalAzure) -> None:
    make_machine(cli, group, "kept")
    machine = azure.id(group, "Microsoft.Compute/virtualMachines", "kept")
    collection = ("--resource-group", group, "--collection-name", "kept")
    cli("restore-point", "collection", "create", *collection, "--source-id", machine)
    point = cli("restore-point", "create", *collection, "--name", "before-sysprep")
    assert point["provisioningState"] == "Succeeded"
    listed = cli("restore-point", "collection", "show", *collection, "--restore-points")
    assert [entry["name"] for entry in listed["restorePoints"]] == ["before-sysprep"]
    cli("restore-point", "delete", *collection, "--name", "before-sysprep", "--yes")


def test_command_runs_on_a_machine(cli: AzureCli, group: str) -> None:
    answer = cli(
        *("vm", "run-command", "invoke", "--resource-group", group, "--name", "kept"),
        *("--command-id", "RunShellScript", "--scripts", "true"),
    )
    assert [entry["code"].split("/")[0] for entry in answer["value"]] == ["ProvisioningState"]
