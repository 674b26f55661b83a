# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""azure-cli looks through the marketplace's catalogue, and changes and opens disks and snapshots."""

from __future__ import annotations

import pytest

from tests.fidelity.azure_cli import AzureCli
from tests.integration.cloud import LocalAzure

pytestmark = [pytest.mark.foreign_client, pytest.mark.timeout(1800)]


def test_catalogue_is_walked_from_publisher_to_version(cli: AzureCli) -> None:
    def names(listing: str, *more: str) -> set[str]:
        return {entry["name"] for entry in cli("vm", "image", listing, "--location", "eastus", *more)}

    publisher = ("--publisher", "Debian")
    assert "Debian" in names("list-publishers")
    assert "debian-12" in names("list-offers", *publisher)
    assert "12-gen2" in names("list-skus", *publisher, "--offer", "debian-12")


def test_disk_grows_and_its_snapshot_is_opened_and_closed(cli: AzureCli, azure: LocalAzure) -> None:
    group = azure.group("rg-cli-more")
    where = ("--resource-group", group, "--name", "kept")
    disk = azure.disk(group, "kept")
    size = azure.get(disk)["properties"]["diskSizeGB"]
    assert cli("disk", "update", *where, "--size-gb", str(size + 1))["diskSizeGB"] == size + 1
    cli("snapshot", "create", *where, "--source", disk)
    granted = cli("snapshot", "grant-access", *where, "--duration-in-seconds", "600")
    assert (granted.get("accessSas") or granted.get("accessSAS")).startswith("https://")
    cli("snapshot", "revoke-access", *where)
    cli("group", "delete", "--name", group, "--yes")
    assert azure.get(azure.id(group)) is None
