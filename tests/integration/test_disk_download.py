# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""disk_download: real ansible-playbook runs against the local Azure, shared by several tests."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.download_job import DownloadJob
from azure.storage.blob import BlobClient

from tests.integration.cloud import LocalAzure
from tests.integration.plays import Player, PlayResult
from tests.integration.test_disk_upload_blob import Account
from tests.integration.uploads import (
    DISKS,
    EFI_SYSTEM,
    MIB,
    converted,
    raw_disk,
    succeeded,
)
from tests.integration.wrong_downloads import WRONG
from tests.unit._transfer.downloads import module_options

MODULE = "goldenimage.azure.disk_download"
SNAPSHOTS = "Microsoft.Compute/snapshots"


class Downloads:
    """Several tasks in one run, none of which ends it."""

    def __init__(self, play: Player, **common: Any) -> None:
        self._play = play
        self._common = common
        self._tasks: list[dict[str, Any]] = []

    def add(self, name: str, *, keywords: dict[str, Any] | None = None, **options: Any) -> Downloads:
        given = {key: value for key, value in {**self._common, **options}.items() if value is not None}
        self._tasks.append({"name": name, MODULE: given, "ignore_errors": True, **(keywords or {})})
        return self

    def upload(self, name: str, **options: Any) -> Downloads:
        self._tasks.append({"name": name, "goldenimage.azure.disk_upload": options})
        return self

    def run(self, **options: Any) -> PlayResult:
        done = self._play(self._tasks, **options)
        assert "Traceback" not in done.output, done.output
        assert len(done.results) == len(self._tasks), done.output
        return done


def as_raw(path: Path, disk_format: str) -> bytes:
    """What qemu-img reads from a downloaded file."""
    if disk_format == "raw":
        return path.read_bytes()
    target = path.with_name(f"{path.name}.judged")
    subprocess.run(["qemu-img", "convert", "-f", disk_format, "-O", "raw", path, target], check=True)
    return target.read_bytes()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def raw(folder: Path) -> Path:
    return raw_disk(folder / "source.raw", boot=EFI_SYSTEM, size=40 * MIB, filled=9 * MIB)


@pytest.fixture(scope="module")
def account(azure: LocalAzure, group: str) -> Account:
    return Account(azure, group)


@pytest.fixture(scope="module")
def sources(azure: LocalAzure, play: Player, group: str, account: Account, raw: Path) -> str:
    """The same disk as managed disk, snapshot, image, gallery version and blob; the group's name."""
    run = Downloads(play)
    blob = {"storage_account": account.name, "container": "vhds", "blob": "web.vhd"}
    qcow2 = converted(raw, raw.parent / "source.qcow2", "-c", "-O", "qcow2")
    run.upload("disk", path=str(qcow2), resource_group=group, disk_name="web", os_type="Linux")
    run.upload("data", path=str(raw), resource_group=group, disk_name="data")
    run.upload("blob", path=str(raw), resource_group=group, **blob)
    run.run().succeeded()
    qcow2.unlink()
    disk = azure.id(group, DISKS, "web")
    creation = {"creationData": {"createOption": "Copy", "sourceResourceId": disk}}
    azure.put(azure.id(group, SNAPSHOTS, "snap"), {"location": "eastus", "properties": creation})
    os_disk = {"osType": "Linux", "osState": "Generalized", "managedDisk": {"id": disk}}
    data_disk = {"lun": 3, "managedDisk": {"id": azure.id(group, DISKS, "data")}}
    storage = {"osDisk": os_disk, "dataDisks": [data_disk]}
    image = azure.id(group, "Microsoft.Compute/images", "web")
    azure.put(
        image, {"location": "eastus", "properties": {"hyperVGeneration": "V2", "storageProfile": storage}}
    )
    gallery = azure.id(group, "Microsoft.Compute/galleries", "golden")
    azure.put(gallery, {"location": "eastus", "properties": {}})
    azure.put(
        f"{gallery}/images/web",
        {
            "location": "eastus",
            "properties": {
                "osType": "Linux",
                "osState": "Generalized",
                "hyperVGeneration": "V2",
                "identifier": {"publisher": "p", "offer": "o", "sku": "s"},
            },
        },
    )
    for version in ("1.9.0", "1.10.0"):
        azure.put(
            f"{gallery}/images/web/versions/{version}",
            {
                "location": "eastus",
                "properties": {
                    "publishingProfile": {"targetRegions": [{"name": "eastus"}]},
                    "storageProfile": {"source": {"id": image}},
                },
            },
        )
    return group


SOURCES: dict[str, dict[str, Any]] = {
    "disk": {"disk_name": "web", "format": "vhd"},
    "snapshot": {"snapshot_name": "snap", "format": "qcow2"},
    "image": {"image_name": "web", "format": "raw"},
    "data disk of an image": {"image_name": "web", "lun": 3, "format": "qcow2"},
    "version": {"gallery_name": "golden", "gallery_image": "web", "format": "qcow2"},
    "data disk of a version": {
        "gallery_name": "golden", "gallery_image": "web", "gallery_image_version": "1.9.0", "lun": 3,
        "format": "vhd",
    },
    "blob": {"container": "vhds", "blob": "web.vhd", "format": "vhd"},
    "blob by login": {"container": "vhds", "blob": "web.vhd", "auth_mode": "login", "format": "raw"},
}  # fmt: skip


def target(folder: Path, name: str) -> Path:
    return folder / name.replace(" ", "-")


RunAll = Callable[..., PlayResult]


@pytest.fixture(scope="module")
def run_all(play: Player, sources: str, account: Account, folder: Path) -> RunAll:
    """Downloads every source in one run."""

    def run(**options: Any) -> PlayResult:
        wanted = Downloads(play, resource_group=sources)
        for name, given in SOURCES.items():
            storage: dict[str, Any] = {"storage_account": account.name} if "blob" in given else {}
            wanted.add(name, path=str(target(folder, name)), **storage, **given)
        return wanted.run(**options)

    return run


@pytest.fixture(scope="module")
def checked(azure: LocalAzure, run_all: RunAll) -> PlayResult:
    mark = azure.mark()
    run = run_all(check=True, diff=True)
    writes = [write for write in azure.writes(mark) if "listKeys" not in write]
    assert writes == [], "check mode asked Azure for a change"
    return run


@pytest.fixture(scope="module")
def downloaded(checked: PlayResult, run_all: RunAll, folder: Path) -> PlayResult:
    del checked
    assert sorted(path.name for path in folder.iterdir()) == ["source.raw"]
    return run_all(diff=True, verbosity=4)


@pytest.fixture(scope="module")
def repeated(azure: LocalAzure, downloaded: PlayResult, run_all: RunAll) -> PlayResult:
    del downloaded
    mark = azure.mark()
    run = run_all()
    writes = [write for write in azure.writes(mark) if "listKeys" not in write]
    assert writes == [], "access was asked for although nothing was to be done"
    return run


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_arrives(downloaded: PlayResult, raw: Path, folder: Path, name: str) -> None:
    result = succeeded(downloaded, name)
    path = target(folder, name)
    assert result.changed and result["file"]["path"] == str(path)
    disk_format = SOURCES[name]["format"]
    assert as_raw(path, {"vhd": "vpc"}.get(disk_format, disk_format)) == raw.read_bytes()
    assert result["file"]["virtual_size"] == 40 * MIB
    assert 9 * MIB <= result["bytes_received"] < 11 * MIB and result["requests"] >= 3
    assert path.stat().st_blocks * 512 < 12 * MIB, "the file is not sparse"
    assert path.stat().st_mode & 0o777 == 0o600
    if disk_format == "qcow2":
        subprocess.run(["qemu-img", "compare", "-f", "raw", "-F", "qcow2", raw, path], check=True)
        subprocess.run(["qemu-img", "check", path], check=True, stdout=subprocess.DEVNULL)


def test_a_vhd_is_the_blob_byte_by_byte(downloaded: PlayResult, account: Account, folder: Path) -> None:
    del downloaded
    assert target(folder, "blob").read_bytes() == account.content("web.vhd")


def test_the_digest_is_that_of_the_upload(downloaded: PlayResult, azure: LocalAzure, sources: str) -> None:
    told = azure.get(azure.id(sources, DISKS, "web"))["tags"]["goldenimage_content_sha256"]
    assert {succeeded(downloaded, name)["file"]["content_sha256"] for name in SOURCES} == {told}
    assert succeeded(downloaded, "disk")["matches_upload"] is True
    assert succeeded(downloaded, "blob")["matches_upload"] is True
    assert succeeded(downloaded, "version")["matches_upload"] is None


def test_access_is_revoked_and_the_temporary_disks_are_gone(
    downloaded: PlayResult, azure: LocalAzure, sources: str
) -> None:
    del downloaded
    names = {}
    for kind in (DISKS, SNAPSHOTS):
        listed = azure.get(azure.id(sources, kind, "").rstrip("/"))["value"]
        names.update({item["name"]: item["properties"]["diskState"] for item in listed})
    assert names == {"web": "Unattached", "data": "Unattached", "snap": "Unattached"}


def test_nothing_but_the_file_and_its_origin_is_left(
    downloaded: PlayResult, repeated: PlayResult, folder: Path
) -> None:
    del downloaded, repeated
    left = {path.name for path in folder.iterdir() if not path.name.endswith(".judged")}
    files = {target(folder, name).name for name in SOURCES}
    assert left == {"source.raw", *files, *(f"{name}.origin.json" for name in files)}


def test_secrets_are_never_shown(downloaded: PlayResult, azure: LocalAzure, folder: Path) -> None:
    assert "sig=" not in downloaded.output and azure.secret not in downloaded.output
    for origin in folder.glob("*.origin.json"):
        assert "sig" not in json.loads(origin.read_text())["source"]["id"]


@pytest.mark.parametrize("name", SOURCES)
def test_a_second_run_fetches_nothing(repeated: PlayResult, downloaded: PlayResult, name: str) -> None:
    result, first = succeeded(repeated, name), succeeded(downloaded, name)
    assert not result.changed and result["actions"] == []
    assert (result["bytes_received"], result["requests"]) == (0, 0)
    assert result["file"] == first["file"]


@pytest.mark.parametrize("name", SOURCES)
def test_check_mode_says_what_comes(checked: PlayResult, downloaded: PlayResult, name: str) -> None:
    predicted, real = succeeded(checked, name), succeeded(downloaded, name)
    assert predicted.changed and predicted["actions"] == real["actions"]
    assert predicted["source"] == real["source"]
    known = predicted["file"]
    assert {**real["file"], **{key: known[key] for key in known if known[key] is not None}} == real["file"]
    assert known["virtual_size"] == (None if "version" in name else 40 * MIB)
    assert predicted["diff"]["before"] == real["diff"]["before"] == {}


class Refuser:
    """Runs the module's work in this process, which is quicker, with options that cannot work."""

    def __init__(self, azure: LocalAzure, session: AzureSession, account: Account, folder: Path) -> None:
        self.azure = azure
        self.folder = folder
        self._session = session
        self._account = account

    def refused(self, given: dict[str, Any], *, check_mode: bool) -> str:
        """What is said of them."""
        path = self.folder / given.get("path", "never")
        storage = {"storage_account": self._account.name} if "blob" in given else {}
        options = module_options(path, **storage) | {**given, "path": str(path)}
        with pytest.raises(AzureError) as caught:
            DownloadJob(options, check_mode=check_mode).run(self._session)
        return str(caught.value)


@pytest.fixture(scope="module")
def refuser(
    azure: LocalAzure, session: AzureSession, account: Account, sources: str, tmp_path_factory: Any
) -> Iterator[Refuser]:
    """Beside what can be downloaded there is what cannot."""
    for blob in ("text", "zeros.vhd"):
        url = account.sas_url(blob, read=True, create=True, write=True)
        with BlobClient.from_blob_url(url, connection_verify=azure.env["SSL_CERT_FILE"]) as client:
            if blob == "text":
                client.upload_blob(b"text")
            else:
                client.create_page_blob(MIB)
    creation = {"createOption": "Upload", "uploadSizeBytes": 32 * MIB + 512}
    waiting = azure.id(sources, DISKS, "waiting")
    azure.put(waiting, {"location": "eastus", "properties": {"creationData": creation}})
    read = azure.disk(sources, "read")
    azure.do("POST", f"{read}/beginGetAccess", {"access": "Read", "durationInSeconds": 600})
    folder = tmp_path_factory.mktemp("refused")
    (folder / "other").write_bytes(b"something else" * 1000)
    yield Refuser(azure, session, account, folder)
    azure.do("POST", f"{read}/endGetAccess")
    for disk in (read, waiting):
        azure.do("DELETE", disk)


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_downloaded_is_refused_before_any_write(
    refuser: Refuser, sources: str, name: str
) -> None:
    options, words = WRONG[name]
    mark = refuser.azure.mark()
    for check_mode in (True, False):
        said = refuser.refused({"resource_group": sources, **options}, check_mode=check_mode)
        assert all(word in said for word in words), said
    assert [write for write in refuser.azure.writes(mark) if "listKeys" not in write] == []
    assert [path.name for path in refuser.folder.iterdir()] == ["other"]


def test_there_is_one_source_and_what_belongs_to_it(play: Player) -> None:
    given = [{"disk_name": "a", "snapshot_name": "b"}, {}, {"disk_name": "a"}, {"gallery_name": "a"}]
    words = ["mutually exclusive", "one of the following is required", "resource_group", "gallery_image"]
    results = play.each("disk_download", [{"path": "/nowhere", **options} for options in given])
    for result, word in zip(results, words, strict=True):
        assert result.failed and word in result.msg


def test_other_content_is_replaced_by_force_and_a_changed_file_is_noticed(
    play: Player, downloaded: PlayResult, sources: str, folder: Path, raw: Path
) -> None:
    del downloaded
    path = folder / "changed.raw"
    options = {"resource_group": sources, "disk_name": "web", "path": str(path)}
    play.module("disk_download", options).succeeded()
    with path.open("r+b") as file:
        file.seek(20 * MIB)
        file.write(b"changed")
    play.module("disk_download", options).failed_with("not known to be this disk", "force")
    forced = play.module("disk_download", {**options, "force": True}, diff=True).succeeded().last
    assert forced.changed and forced["actions"][0].startswith("Replaced")
    assert forced["diff"]["before"]["content_sha256"] != forced["diff"]["after"]["content_sha256"]
    assert path.read_bytes() == raw.read_bytes()
    path.unlink()
    Path(f"{path}.origin.json").unlink()


def test_the_file_that_was_uploaded_is_known_without_an_origin(play: Player, sources: str, raw: Path) -> None:
    options = {"resource_group": sources, "disk_name": "web", "path": str(raw)}
    assert not play.module("disk_download", options).succeeded().last.changed


def test_a_sas_is_enough_and_needs_no_credential(
    play: Player, sources: str, account: Account, folder: Path, raw: Path
) -> None:
    del sources
    path = folder / "sas.qcow2"
    url = account.sas_url("web.vhd", read=True)
    nobody = {name: None for name in play.azure_env if name.startswith("AZURE_")}
    run = play.module(
        "disk_download", {"sas_url": url, "path": str(path)}, env=nobody, verbosity=4
    ).succeeded()
    assert run.last.changed and run.last["file"]["format"] == "qcow2"
    assert as_raw(path, "qcow2") == raw.read_bytes()
    assert url.partition("sig=")[2] not in run.output
    for left in folder.glob("sas.qcow2*"):
        left.unlink()
