# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""disk_upload into managed disks: real ansible-playbook runs against the local Azure.

An upload takes seconds of waiting for Azure's operations, so tests look at the results of shared runs.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.integration.cloud import LocalAzure
from tests.integration.plays import Player, PlayResult
from tests.integration.uploads import (
    DISKS,
    EFI_SYSTEM,
    MIB,
    Tasks,
    converted,
    disk_content,
    raw_disk,
    refused,
    succeeded,
)

WANTED: dict[str, Any] = {"os_type": "Linux", "architecture": "x64", "zone": "1", "tags": {"release": "1"}}
TAGS = {"goldenimage_content_sha256", "goldenimage_virtual_size"}


class Files(NamedTuple):
    folder: Path
    raw: Path
    qcow2: Path
    other: Path


class Run(NamedTuple):
    """A finished playbook, the writes it sent, and the disk "web" after it."""

    play: PlayResult
    writes: list[str]
    disk: dict[str, Any] | None


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("disks")
    raw = raw_disk(folder / "web.raw")
    qcow2 = converted(raw, folder / "web.qcow2", "-O", "qcow2", "-c")
    return Files(folder, raw, qcow2, raw_disk(folder / "other.raw"))


@pytest.fixture(scope="module")
def tasks(play: Player, group: str, files: Files) -> Tasks:
    """Makes :class:`Tasks` that upload web.qcow2 into the disk web."""
    return Tasks(play, path=str(files.qcow2), resource_group=group, disk_name="web")


def new(tasks: Tasks) -> Tasks:
    return Tasks(tasks._play, **tasks._common)


def watched(azure: LocalAzure, group: str, tasks: Tasks, **run_options: Any) -> Run:
    mark = azure.mark()
    play = tasks.run(**run_options)
    return Run(play, azure.writes(mark), azure.get(azure.id(group, DISKS, "web")))


@pytest.fixture(scope="module")
def checked(azure: LocalAzure, group: str, tasks: Tasks) -> Run:
    """The first upload, in check mode."""
    return watched(azure, group, new(tasks).add("upload", **WANTED), check=True, diff=True)


@pytest.fixture(scope="module")
def created(azure: LocalAzure, group: str, tasks: Tasks, checked: Run) -> Run:
    """The first upload, with everything that Ansible can tell about it."""
    del checked
    return watched(azure, group, new(tasks).add("upload", **WANTED), diff=True, verbosity=4)


@pytest.fixture(scope="module")
def repeated(azure: LocalAzure, group: str, tasks: Tasks, files: Files, created: Run) -> Run:
    """What must send nothing once the disk is there."""
    del created
    azure.disk(group, "foreign")
    creation = {"createOption": "Upload", "uploadSizeBytes": 32 * MIB + 512}
    body = {"location": "eastus", "properties": {"creationData": creation}}
    azure.put(azure.id(group, DISKS, "theirs"), body)
    other, raw = str(files.other), str(files.raw)
    wanted = new(tasks)
    wanted.add("again", **WANTED).add("same content", path=raw, os_type="Linux")
    wanted.add("other zone", zone="2").add("other system", os_type="Windows")
    wanted.add("other region", location="West US")
    wanted.add("other content", path=other, **WANTED)
    wanted.add("forced check", path=other, force=True, keywords={"check_mode": True}, **WANTED)
    wanted.add("foreign", disk_name="foreign").add("theirs", disk_name="theirs")
    for name, (options, _words) in BAD_OPTIONS.items():
        wanted.add(name, **{"disk_name": "never", **options})
    return watched(azure, group, wanted)


@pytest.fixture(scope="module")
def followed(azure: LocalAzure, group: str, tasks: Tasks, repeated: Run) -> Run:
    """Tags and SKU that change, and a data disk."""
    del repeated
    wanted = new(tasks).add("more", tags={"b": "2"}, sku="Premium_LRS", keywords={"diff": True})
    wanted.add("only", tags={"c": "3"}, append_tags=False)
    wanted.add("nothing", tags={"c": "3"})
    return watched(azure, group, wanted)


@pytest.fixture(scope="module")
def replaced(azure: LocalAzure, group: str, tasks: Tasks, files: Files, followed: Run) -> Run:
    """Uploads that take the place of others."""
    del followed
    efi = raw_disk(files.folder / "efi.raw", boot=EFI_SYSTEM)
    wanted = new(tasks).add(
        "force", path=str(files.other), os_type="Linux", force=True, keywords={"diff": True}
    )
    wanted.add("force again", path=str(files.other), os_type="Linux", force=True)
    wanted.add("take theirs", disk_name="theirs", path=str(efi), os_type="Windows", force=True)
    wanted.add("data", disk_name="data")
    return watched(azure, group, wanted)


BAD_OPTIONS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "missing group": ({"resource_group": "rg-missing"}, ("rg-missing", "Create the resource group")),
    "bad name": ({"disk_name": "-bad"}, ("disk_name", "80")),
    "no such region": ({"location": "marsnorth"}, ("no region 'marsnorth'",)),
    "wrong generation": ({"os_type": "Linux", "hyper_v_generation": "V2"}, ("boots as V1",)),
    "two targets": ({"storage_account": "acc"}, ("mutually exclusive",)),
}


def test_check_mode_says_what_would_be_sent_and_creates_nothing(checked: Run) -> None:
    result = succeeded(checked.play, "upload")
    assert result.changed
    assert result["bytes_planned"] >= 3 * MIB and result["puts_planned"] >= 2
    assert (result["bytes_sent"], result["puts"]) == (0, 0)
    assert result["diff"]["before"] == {} and result["diff"]["after"]["hyper_v_generation"] == "V1"
    assert checked.writes == []
    assert checked.disk is None


def test_check_mode_predicts_what_comes(checked: Run, created: Run) -> None:
    predicted, real = succeeded(checked.play, "upload"), succeeded(created.play, "upload")
    for key in ("disk", "actions", "content_sha256", "bytes_planned", "puts_planned", "diff"):
        assert predicted[key] == real[key], key


def test_the_disk_arrives(created: Run, azure: LocalAzure, group: str, files: Files) -> None:
    result = succeeded(created.play, "upload")
    assert result.changed
    assert result["bytes_sent"] == result["bytes_planned"] < 5 * MIB
    assert result["format"] == "qcow2" and result["puts"] == result["puts_planned"]
    disk = created.disk
    assert disk is not None
    properties = disk["properties"]
    assert properties["diskState"] == "Unattached"
    assert (properties["hyperVGeneration"], properties["osType"]) == ("V1", "Linux")
    assert disk["zones"] == ["1"] and properties["supportedCapabilities"]["architecture"] == "x64"
    assert disk["tags"] == result["disk"]["tags"] and set(disk["tags"]) == {"release", *TAGS}
    assert disk["tags"]["goldenimage_content_sha256"] == result["content_sha256"]
    assert disk_content(azure, group, "web") == files.raw.read_bytes()


def test_secrets_are_never_shown(created: Run, azure: LocalAzure) -> None:
    assert azure.secret not in created.play.output
    assert "sig=" not in created.play.output
    assert created.play.warnings == []


def test_a_second_run_sends_nothing(repeated: Run) -> None:
    result = succeeded(repeated.play, "again")
    assert not result.changed
    assert (result["bytes_sent"], result["puts"], result["actions"]) == (0, 0, [])
    assert repeated.writes == [], "something was written although nothing was to be done"


def test_the_same_content_in_another_format_is_the_same_disk(repeated: Run) -> None:
    result = succeeded(repeated.play, "same content")
    assert not result.changed and result["format"] == "raw"


def test_other_content_is_refused(repeated: Run) -> None:
    refused(repeated.play, "other content", "its content is another", "force")
    assert succeeded(repeated.play, "forced check").changed


def test_what_cannot_be_changed_is_refused(repeated: Run) -> None:
    refused(repeated.play, "other zone", "its zone is 1, not 2", "force")
    refused(repeated.play, "other system", "its os_type is Linux, not Windows")
    refused(repeated.play, "other region", "it is in eastus, not in westus")


def test_disks_of_somebody_else_are_left_alone(repeated: Run) -> None:
    refused(repeated.play, "foreign", "nobody knows what it holds", "force")
    refused(repeated.play, "theirs", "somebody else", "force")


@pytest.mark.parametrize("name", BAD_OPTIONS)
def test_bad_options_are_refused_before_any_write(repeated: Run, name: str) -> None:
    refused(repeated.play, name, *BAD_OPTIONS[name][1])
    assert repeated.writes == []


def test_tags_and_sku_follow_without_sending(followed: Run) -> None:
    more, only = succeeded(followed.play, "more"), succeeded(followed.play, "only")
    assert more.changed and (more["bytes_sent"], only["bytes_sent"]) == (0, 0)
    assert {"release": "1", "b": "2"}.items() <= more["disk"]["tags"].items()
    assert (more["diff"]["before"]["sku"], more["diff"]["after"]["sku"]) == ("Standard_LRS", "Premium_LRS")
    assert followed.disk is not None
    assert followed.disk["sku"]["name"] == "Premium_LRS"
    assert set(followed.disk["tags"]) == {"c", *TAGS}
    assert not succeeded(followed.play, "nothing").changed


def test_force_replaces_the_disk(replaced: Run, azure: LocalAzure, group: str, files: Files) -> None:
    result = succeeded(replaced.play, "force")
    assert result["actions"][0] == "Deleted the disk web."
    diff = result["diff"]
    assert diff["before"]["content_sha256"] != diff["after"]["content_sha256"] == result["content_sha256"]
    assert disk_content(azure, group, "web") == files.other.read_bytes()
    assert not succeeded(replaced.play, "force again").changed


def test_force_takes_over_an_upload_of_somebody_else(replaced: Run) -> None:
    result = succeeded(replaced.play, "take theirs")
    assert result["actions"][0] == "Deleted the half-uploaded disk theirs."
    assert result["disk"]["disk_state"] == "Unattached"
    assert result["disk"]["hyper_v_generation"] == "V2", "the generation was not read from the disk"


def test_a_data_disk_has_neither_system_nor_generation(replaced: Run, azure: LocalAzure, group: str) -> None:
    disk = succeeded(replaced.play, "data")["disk"]
    assert disk["os_type"] is None and disk["hyper_v_generation"] is None
    assert "osType" not in azure.get(azure.id(group, DISKS, "data"))["properties"]


def test_an_attached_disk_is_never_replaced(
    azure: LocalAzure, group: str, tasks: Tasks, files: Files, replaced: Run
) -> None:
    attach(azure, group, succeeded(replaced.play, "force")["disk"]["id"])
    wanted = new(tasks).add("again", path=str(files.other), os_type="Linux")
    wanted.add("force", path=str(files.raw), os_type="Linux", force=True)
    run = watched(azure, group, wanted)
    assert not succeeded(run.play, "again").changed
    refused(run.play, "force", "is attached to", "Detach")
    assert run.writes == []


def attach(azure: LocalAzure, group: str, disk: str) -> None:
    """Make a machine that boots from the disk."""
    network = azure.id(group, "Microsoft.Network/virtualNetworks", "net")
    subnets = [{"name": "s", "properties": {"addressPrefix": "10.0.0.0/24"}}]
    spaces = {"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}, "subnets": subnets}
    azure.put(network, {"location": "eastus", "properties": spaces})
    nic = azure.id(group, "Microsoft.Network/networkInterfaces", "nic")
    addresses = [{"name": "a", "properties": {"subnet": {"id": f"{network}/subnets/s"}}}]
    azure.put(nic, {"location": "eastus", "properties": {"ipConfigurations": addresses}})
    machine = {
        "hardwareProfile": {"vmSize": "Standard_D2s_v5"},
        "storageProfile": {
            "osDisk": {"createOption": "Attach", "osType": "Linux", "managedDisk": {"id": disk}}
        },
        "networkProfile": {"networkInterfaces": [{"id": nic}]},
    }
    azure.put(
        azure.id(group, "Microsoft.Compute/virtualMachines", "vm"),
        {"location": "eastus", "properties": machine},
    )


def bad_files(files: Files) -> dict[str, tuple[Path, str]]:
    """Files that cannot be uploaded, each with a word of the message."""

    def made(name: str, content: bytes) -> Path:
        (files.folder / name).write_bytes(content)
        return files.folder / name

    huge = files.folder / "huge.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", huge, "33T"], check=True)
    return {
        "no disk": (made("notes.txt", b"just text\n" * 200), "text file"),
        "zero bytes": (made("empty.raw", b""), "0 bytes"),
        "truncated qcow2": (made("cut.qcow2", files.qcow2.read_bytes()[: 2 * MIB]), "truncated"),
        "too large": (huge, "at most"),
        "missing": (files.folder / "missing.raw", "no such file"),
    }


def test_files_that_cannot_be_uploaded_are_refused_before_any_request(
    azure: LocalAzure, tasks: Tasks, files: Files
) -> None:
    cases = bad_files(files)
    mark = azure.mark()
    wanted = new(tasks)
    for name, (path, _word) in cases.items():
        wanted.add(name, path=str(path), disk_name="never")
    run = wanted.run()
    for name, (path, word) in cases.items():
        assert refused(run, name, word, str(path))["failure"]["message"]
    assert azure.exchanges(mark) == []
