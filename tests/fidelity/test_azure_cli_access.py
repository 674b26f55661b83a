# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""azure-cli with the printed lines, as a weaker principal, in another tenant, and before locks."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.fidelity.azure_cli import AzureCli, azure_cli_program
from tests.integration.cloud import LocalAzure
from tests.local_azure.instructions import SNIPPETS

pytestmark = [pytest.mark.foreign_client, pytest.mark.timeout(1800)]


def test_printed_lines_work_as_they_stand(azure: LocalAzure, tmp_path: Path) -> None:
    program = azure_cli_program()
    environ = {
        "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "AZURE_CONFIG_DIR": str(tmp_path / "azure"),
        "AZURE_CORE_COLLECT_TELEMETRY": "no",
    }
    done = subprocess.run(
        ["bash", "-euc", f". {azure.state_dir / 'env'}\n{SNIPPETS['Azure CLI']}"],
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert azure.env["LOCAL_AZURE_SECOND_SUBSCRIPTION_ID"] in done.stdout


def test_lock_is_made_met_and_taken_away(cli: AzureCli, azure: LocalAzure) -> None:
    group = azure.group("rg-cli-locks")
    azure.disk(group, "inside")
    cli("lock", "create", "--name", "keep", "--lock-type", "CanNotDelete", "--resource-group", group)
    refused = cli.run("group", "delete", "--name", group, "--yes")
    assert refused.status != 0
    assert "(ScopeLocked)" in refused.errors
    cli("lock", "delete", "--name", "keep", "--resource-group", group)
    cli("group", "delete", "--name", group, "--yes")
    assert azure.get(azure.id(group)) is None


def test_role_is_given_and_taken(cli: AzureCli, azure: LocalAzure) -> None:
    scope = azure.id(azure.group("rg-cli-roles"))
    someone = "11111111-2222-3333-4444-555555555555"
    made = cli(
        *("role", "assignment", "create", "--assignee-object-id", someone, "--role", "Reader"),
        *("--assignee-principal-type", "ServicePrincipal", "--scope", scope),
    )
    assert made["scope"] == scope
    (reader,) = cli("role", "definition", "list", "--name", "Reader")
    assert made["roleDefinitionId"] == reader["id"]
    cli("role", "assignment", "delete", "--ids", made["id"])
    assert azure.request("GET", made["id"]).status == 404


def test_weaker_principal_reads_and_is_told_what_it_lacks(registered: AzureCli, azure: LocalAzure) -> None:
    group = azure.group("rg-cli-reader")
    credential = (azure.env["LOCAL_AZURE_READER_CLIENT_ID"], azure.env["LOCAL_AZURE_READER_SECRET"])
    login = registered.run(
        *("login", "--service-principal", "--username", credential[0], "--password", credential[1]),
        *("--tenant", azure.env["AZURE_TENANT"]),
    )
    assert login.status == 0, "az login as the reader failed"
    assert [s["id"] for s in registered("account", "list")] == [azure.subscription_id]
    assert registered("group", "show", "--name", group)["name"] == group
    refused = registered.run("group", "delete", "--name", group, "--yes")
    assert "(AuthorizationFailed)" in refused.errors
    assert "'Microsoft.Resources/subscriptions/resourceGroups/delete'" in refused.errors
    registered("logout")
