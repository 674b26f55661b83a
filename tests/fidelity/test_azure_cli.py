# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""A stranger's client, azure-cli from PyPI, cannot tell the local Azure from Azure."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fidelity.azure_cli import CLOUD, AzureCli, register, sign_in
from tests.integration.cloud import LocalAzure

pytestmark = [pytest.mark.foreign_client, pytest.mark.timeout(1800)]


def test_cloud_is_registered_from_its_own_description(registered: AzureCli, azure: LocalAzure) -> None:
    cloud = registered("cloud", "show")
    assert cloud["name"] == CLOUD
    endpoints = cloud["endpoints"]
    assert endpoints["resourceManager"].rstrip("/") == azure.url
    assert endpoints["activeDirectory"].rstrip("/") == azure.url


def test_service_principal_signs_in_and_out(
    registered: AzureCli, azure: LocalAzure, secret_file: Path
) -> None:
    accounts = {account["id"]: account["tenantId"] for account in sign_in(registered, azure, secret_file)}
    both = (azure.subscription_id, azure.env["LOCAL_AZURE_SECOND_SUBSCRIPTION_ID"])
    assert accounts == dict.fromkeys(both, azure.env["AZURE_TENANT"])
    assert {account["id"] for account in registered("account", "list")} == set(both)
    for subscription in both:
        token = registered("account", "get-access-token", "--subscription", subscription)
        assert token["subscription"] == subscription
    registered("logout")
    assert registered("account", "list") == []
    refused = registered.run("group", "list")
    assert refused.status != 0
    assert "az login" in refused.errors


def test_wrong_secret_is_refused_as_entra_refuses_it(azure: LocalAzure, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("wrong-secret", encoding="utf-8")
    arguments = ("--username", azure.env["AZURE_CLIENT_ID"], "--tenant", azure.env["AZURE_TENANT"])
    # A configuration of its own: one that signed in before still has a token and asks for none.
    cli = register(azure, tmp_path / "config")
    answer = cli.run("login", "--service-principal", *arguments, "--password", f"@{wrong}")
    assert answer.status != 0
    assert "AADSTS7000215" in answer.errors
    assert "Traceback" not in answer.errors


def test_resource_groups_are_created_and_listed(cli: AzureCli) -> None:
    created = cli("group", "create", "--name", "rg-cli", "--location", "eastus")
    assert created["properties"]["provisioningState"] == "Succeeded"
    assert "rg-cli" in {group["name"] for group in cli("group", "list")}
    assert cli("group", "exists", "--name", "rg-cli") is True
    assert cli("group", "exists", "--name", "rg-none") is False


def test_machines_and_images_are_listed(cli: AzureCli, azure: LocalAzure) -> None:
    assert cli("vm", "list") == []
    group = azure.group("rg-cli-images")
    disk = azure.disk(group, "source", osType="Linux", hyperVGeneration="V2")
    image_id = azure.id(group, "Microsoft.Compute/images", "golden")
    os_disk = {"osType": "Linux", "osState": "Generalized", "managedDisk": {"id": disk}}
    properties = {"hyperVGeneration": "V2", "storageProfile": {"osDisk": os_disk}}
    azure.put(image_id, {"location": "eastus", "properties": properties})
    (image,) = cli("image", "list", "--resource-group", group)
    assert image["id"].lower() == image_id.lower()
    assert image["hyperVGeneration"] == "V2"
    assert {listed["name"] for listed in cli("image", "list")} == {"golden"}


def test_disk_is_created_listed_and_deleted(cli: AzureCli, azure: LocalAzure) -> None:
    group = azure.group("rg-cli-disks")
    where = ("--resource-group", group, "--name", "data")
    created = cli("disk", "create", *where, "--size-gb", "2", "--sku", "Standard_LRS")
    assert created["provisioningState"] == "Succeeded"
    assert created["diskState"] == "Unattached"
    assert [disk["diskSizeGB"] for disk in cli("disk", "list", "--resource-group", group)] == [2]
    cli("disk", "delete", *where, "--yes")
    assert cli("disk", "list", "--resource-group", group) == []
    missing = cli.run("disk", "show", *where)
    assert missing.status == 3
    assert "ResourceNotFound" in missing.errors
