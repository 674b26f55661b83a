# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""disk_upload into page blobs: real ansible-playbook runs against the local Azure."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from azure.storage.blob import BlobSasPermissions, generate_blob_sas

from tests.integration.cloud import LocalAzure
from tests.integration.plays import Player, PlayResult
from tests.integration.uploads import Tasks, converted, download, raw_disk, refused

Upload = Callable[..., PlayResult]


class Account:
    """A storage account with a container vhds."""

    def __init__(self, azure: LocalAzure, group: str) -> None:
        self.azure = azure
        self.name = f"acc{uuid.uuid4().hex[:12]}"
        self.id = azure.id(group, "Microsoft.Storage/storageAccounts", self.name)
        azure.put(self.id, {"location": "eastus", "sku": {"name": "Standard_LRS"}, "kind": "StorageV2"})
        azure.put(f"{self.id}/blobServices/default/containers/vhds", {})
        endpoints = azure.get(self.id)["properties"]["primaryEndpoints"]
        self.url = f"{endpoints['blob'].rstrip('/')}/vhds"
        self.key = azure.do("POST", f"{self.id}/listKeys")["keys"][0]["value"]

    def sas_url(self, blob: str, **permissions: bool) -> str:
        sas = generate_blob_sas(
            self.name,
            "vhds",
            blob,
            account_key=self.key,
            permission=BlobSasPermissions(**permissions),
            expiry=datetime.now(timezone.utc) + timedelta(hours=1),
        )
        return f"{self.url}/{blob}?{sas}"

    def content(self, blob: str) -> bytes:
        return download(self.azure, self.sas_url(blob, read=True))


@pytest.fixture(scope="module")
def account(azure: LocalAzure, group: str) -> Account:
    return Account(azure, group)


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return raw_disk(tmp_path_factory.mktemp("disks") / "web.raw")


@pytest.fixture
def upload(play: Player, group: str, account: Account, raw: Path) -> Upload:
    def run(blob: str, *, run_options: dict[str, Any] | None = None, **options: Any) -> PlayResult:
        arguments = {
            "path": str(raw),
            "resource_group": group,
            "storage_account": account.name,
            "container": "vhds",
            "blob": blob,
            **options,
        }
        arguments = {name: value for name, value in arguments.items() if value is not None}
        return play.module("disk_upload", arguments, **(run_options or {}))

    return run


def test_the_blob_is_a_fixed_vhd_and_a_second_run_sends_nothing(
    upload: Upload, account: Account, raw: Path, tmp_path: Path
) -> None:
    checked = upload("web.vhd", run_options={"check": True, "diff": True}).succeeded().last
    assert checked.changed and checked["bytes_sent"] == 0
    assert checked["diff"]["before"] == {} and checked["diff"]["after"]["state"] == "complete"
    first = upload("web.vhd").succeeded().last
    assert first.changed and first["bytes_sent"] == first["bytes_planned"]
    assert first["blob"] == checked["blob"]
    assert first["blob"]["url"] == f"{account.url}/web.vhd"
    vhd = tmp_path / "web.vhd"
    vhd.write_bytes(account.content("web.vhd"))
    assert converted_back(vhd, tmp_path) == raw.read_bytes()
    second = upload("web.vhd").succeeded().last
    assert not second.changed and (second["bytes_sent"], second["puts"]) == (0, 0)
    assert second["blob"] == first["blob"]


def converted_back(vhd: Path, folder: Path) -> bytes:
    """What qemu-img reads from a fixed VHD."""
    assert vhd.read_bytes()[-512:-504] == b"conectix"
    target = folder / "back.raw"
    subprocess.run(["qemu-img", "convert", "-f", "vpc", "-O", "raw", vhd, target], check=True)
    return target.read_bytes()


def test_other_content_needs_force(upload: Upload, account: Account, tmp_path: Path) -> None:
    upload("replaced.vhd").succeeded()
    other = raw_disk(tmp_path / "other.raw")
    before = account.content("replaced.vhd")
    upload("replaced.vhd", path=str(other)).failed_with("its content is another", "force")
    assert account.content("replaced.vhd") == before
    forced = upload("replaced.vhd", path=str(other), force=True, run_options={"diff": True}).succeeded().last
    assert forced["diff"]["before"]["content_sha256"] != forced["diff"]["after"]["content_sha256"]
    assert account.content("replaced.vhd")[:-512] == other.read_bytes()


def test_the_signed_in_identity_is_enough(upload: Upload, account: Account, raw: Path) -> None:
    upload("login.vhd", auth_mode="login").succeeded()
    assert account.content("login.vhd")[:-512] == raw.read_bytes()
    assert not upload("login.vhd", auth_mode="login").succeeded().last.changed


def test_a_sas_is_enough_and_needs_no_credential(
    play: Player, account: Account, raw: Path, tmp_path: Path
) -> None:
    qcow2 = converted(raw, tmp_path / "web.qcow2", "-O", "qcow2")
    url = account.sas_url("sas.vhd", read=True, create=True, write=True, delete=True)
    nobody = {name: None for name in play.azure_env if name.startswith("AZURE_")}
    options = {"path": str(qcow2), "sas_url": url}
    run = play.module("disk_upload", options, env=nobody, verbosity=4).succeeded()
    assert run.last.changed
    assert account.content("sas.vhd")[:-512] == raw.read_bytes()
    signature = url.partition("sig=")[2]
    assert signature not in run.output
    assert not play.module("disk_upload", options, env=nobody).succeeded().last.changed


def test_a_sas_without_permission_fails_clearly_and_leaves_nothing(
    play: Player, account: Account, raw: Path
) -> None:
    url = account.sas_url("forbidden.vhd", read=True)
    run = play.module("disk_upload", {"path": str(raw), "sas_url": url})
    failure = run.failed_with("HTTP 403")
    assert url.partition("sig=")[2] not in run.output
    assert failure["failure"]["status"] == 403


BAD_OPTIONS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "missing group": ({"resource_group": "rg-missing"}, ("rg-missing", "Create the resource group")),
    "missing account": ({"storage_account": "nosuchaccount"}, ("no storage account nosuchaccount",)),
    "missing container": ({"container": "nosuch"}, ("no container nosuch", "Create the container")),
    "no group for the key": ({"resource_group": None}, ("resource_group", "auth_mode")),
    "option of a disk": ({"sku": "Premium_LRS"}, ("sku", "managed disk")),
}


def test_bad_options_are_refused_before_any_write(
    azure: LocalAzure, play: Player, group: str, account: Account, raw: Path
) -> None:
    common = {"path": str(raw), "resource_group": group, "storage_account": account.name}
    wanted = Tasks(play, container="vhds", blob="never.vhd", **common)
    for name, (options, _words) in BAD_OPTIONS.items():
        wanted.add(name, **options)
    mark = azure.mark()
    run = wanted.run()
    for name, (_options, words) in BAD_OPTIONS.items():
        refused(run, name, *words)
    assert azure.writes(mark) == []


def test_a_name_that_azure_makes_no_disk_of_is_warned_about(upload: Upload) -> None:
    run = upload("web.img")
    assert run.rc == 0
    assert any(".vhd" in warning for warning in run.warnings)
