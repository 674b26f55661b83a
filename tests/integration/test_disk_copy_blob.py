# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""disk_copy into page blobs, against the local Azure."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession
from azure.storage.blob import BlobClient

from tests.integration.cloud import LocalAzure
from tests.integration.disk_copies import SNAPSHOTS, copy, state, upload
from tests.integration.plays import Player
from tests.integration.test_disk_upload_blob import Account
from tests.integration.uploads import DISKS, raw_disk


class Place:
    """A disk `web`, a snapshot `web-snap` and a blob `web.vhd` of the same content, and an empty account."""

    def __init__(self, azure: LocalAzure, session: AzureSession, group: str, raw: Path) -> None:
        self.azure = azure
        self.group = group
        self.raw = raw
        self.source, self.target = Account(azure, group), Account(azure, group)
        self.digest = upload(session, raw, resource_group=group, disk_name="web")["content_sha256"]
        disk = azure.id(group, DISKS, "web")
        creation = {"createOption": "Copy", "sourceResourceId": disk}
        body = {"location": "eastus", "properties": {"creationData": creation}}
        azure.put(azure.id(group, SNAPSHOTS, "web-snap"), body)
        upload(session, raw, **self.at(self.source, "web.vhd"))

    def at(self, account: Account, blob: str) -> dict[str, Any]:
        return {
            "resource_group": self.group,
            "storage_account": account.name,
            "container": "vhds",
            "blob": blob,
        }

    def to(self, blob: str) -> dict[str, Any]:
        return self.at(self.target, blob)

    def client(self, account: Account, blob: str) -> BlobClient:
        url = account.sas_url(blob, read=True, write=True, create=True, delete=True)
        return BlobClient.from_blob_url(url, connection_verify=self.azure.env["SSL_CERT_FILE"])

    def metadata(self, blob: str) -> dict[str, str]:
        with self.client(self.target, blob) as client:
            found: dict[str, str] = client.get_blob_properties().metadata
        return found

    def arrived(self, blob: str) -> bool:
        return self.target.content(blob)[:-512] == self.raw.read_bytes()


@pytest.fixture(scope="module")
def place(
    azure: LocalAzure, session: AzureSession, group: str, tmp_path_factory: pytest.TempPathFactory
) -> Place:
    return Place(azure, session, group, raw_disk(tmp_path_factory.mktemp("disks") / "web.raw"))


def test_a_playbook_copies_a_managed_disk_into_a_blob_once_and_shows_no_signature(
    azure: LocalAzure, play: Player, place: Place
) -> None:
    options = {"source": {"disk_name": "web"}, **place.to("play.vhd")}
    mark = azure.mark()
    planned = play.module("disk_copy", options, check=True, diff=True).succeeded().last
    assert planned.changed
    assert [write for write in azure.writes(mark) if not write.endswith("/listKeys")] == []
    run = play.module("disk_copy", options, diff=True, verbosity=4).succeeded()
    assert run.last.changed
    assert run.last["blob"] == planned["blob"]
    assert run.last["actions"] == planned["actions"]
    assert place.arrived("play.vhd")
    assert state(azure, place.group, "web") == "Unattached"
    assert "sig=" not in run.output + json.dumps(run.last.result)
    again = play.module("disk_copy", options, diff=True).succeeded().last
    assert not again.changed
    assert again["blob"] == run.last["blob"]


def test_what_an_upload_knew_of_the_content_is_carried_on(session: AzureSession, place: Place) -> None:
    done = copy(session, {"disk_name": "web"}, **place.to("carried.vhd"))
    assert done["blob"]["content_sha256"] == place.digest
    assert place.metadata("carried.vhd")["goldenimage_state"] == "complete"
    assert not upload(session, place.raw, **place.to("carried.vhd"))["changed"]
    # The same content from elsewhere is nothing to copy.
    assert not copy(session, place.at(place.source, "web.vhd"), **place.to("carried.vhd"))["changed"]


def test_a_snapshot_becomes_a_blob(azure: LocalAzure, session: AzureSession, place: Place) -> None:
    assert copy(session, {"snapshot_name": "web-snap"}, **place.to("snap.vhd"))["changed"]
    assert place.arrived("snap.vhd")
    assert state(azure, place.group, "web-snap", SNAPSHOTS) == "Unattached"


@pytest.mark.parametrize("auth_mode", ["key", "login"])
def test_a_blob_is_copied_to_another_account(session: AzureSession, place: Place, auth_mode: str) -> None:
    source = {**place.at(place.source, "web.vhd"), "auth_mode": auth_mode}
    blob = f"by-{auth_mode}.vhd"
    assert copy(session, source, **{**place.to(blob), "auth_mode": auth_mode})["changed"]
    assert place.arrived(blob)
    assert not copy(session, source, **place.to(blob))["changed"]


def test_a_blob_is_copied_with_nothing_but_signatures(session: AzureSession, place: Place) -> None:
    del session  # the CA bundle in the environment is what is needed of it
    source = {"sas_url": place.source.sas_url("web.vhd", read=True)}
    target = place.target.sas_url("sas.vhd", read=True, write=True, create=True, delete=True)
    done = copy(None, source, sas_url=target)
    assert done["changed"]
    assert "sig=" not in json.dumps(done)
    assert place.arrived("sas.vhd")


def test_a_copy_that_is_not_waited_for_is_completed_by_the_next_run(
    session: AzureSession, place: Place
) -> None:
    source = place.at(place.source, "web.vhd")
    begun = copy(session, source, wait=False, **place.to("later.vhd"))
    assert (begun["changed"], begun["blob"]["state"]) == (True, "copying")
    assert begun["actions"][0].startswith("Began to copy")
    done = copy(session, source, **place.to("later.vhd"))
    assert (done["changed"], done["blob"]["state"]) == (True, "complete")
    assert done["actions"][0].startswith("Went on with")
    assert place.arrived("later.vhd")


def refusal(work: Callable[[], object]) -> str:
    with pytest.raises(AzureError) as caught:
        work()
    return str(caught.value)


def test_another_blob_is_replaced_by_force_only(session: AzureSession, place: Place) -> None:
    with place.client(place.target, "other.vhd") as client:
        client.create_page_blob(1024)
    source = {"disk_name": "web"}
    text = refusal(lambda: copy(session, source, **place.to("other.vhd")))
    assert "is not a copy of disk web" in text and "force" in text
    with place.client(place.target, "other.vhd") as client:
        lease = client.acquire_lease()
        text = refusal(lambda: copy(session, source, force=True, **place.to("other.vhd")))
        assert "is leased" in text
        lease.release()
    assert copy(session, source, force=True, **place.to("other.vhd"))["changed"]
    assert place.arrived("other.vhd")


def test_a_source_that_changed_makes_the_copy_another(session: AzureSession, place: Place) -> None:
    with place.client(place.source, "changing.vhd") as client:
        size = place.raw.stat().st_size
        client.create_page_blob(size + 512)
        client.upload_page(place.source.content("web.vhd")[-512:], offset=size, length=512)
        source = place.at(place.source, "changing.vhd")
        copy(session, source, **place.to("changing.vhd"))
        client.upload_page(b"\1" * 512, offset=0, length=512)
    assert "is not a copy" in refusal(lambda: copy(session, source, **place.to("changing.vhd")))


def test_blobs_that_are_no_whole_disk_are_refused_before_anything_is_made(
    azure: LocalAzure, session: AzureSession, place: Place
) -> None:
    with place.client(place.source, "zeros.vhd") as client:
        client.create_page_blob(1 << 20)
    with place.client(place.source, "half.vhd") as client:
        client.create_page_blob(1 << 20, metadata={"goldenimage_state": "uploading"})
    with place.client(place.source, "text.vhd") as client:
        client.upload_blob(b"x" * 4096)
    mark = azure.mark()
    for blob, words in (
        ("zeros.vhd", "holds no VHD"),
        ("half.vhd", "its state is uploading"),
        ("text.vhd", "is no page blob"),
        ("missing.vhd", "there is no blob"),
    ):
        source = place.at(place.source, blob)
        assert words in refusal(lambda s=source: copy(session, s, **place.to("never.vhd")))  # type: ignore[misc]
    assert [write for write in azure.writes(mark) if not write.endswith("/listKeys")] == []


def test_disks_that_cannot_be_read_are_refused_before_anything_is_made(
    azure: LocalAzure, session: AzureSession, place: Place
) -> None:
    disk = azure.disk(place.group, f"granted-{uuid.uuid4().hex[:6]}")
    azure.do("POST", f"{disk}/beginGetAccess", {"access": "Read", "durationInSeconds": 600})
    closed = azure.disk(place.group, f"closed-{uuid.uuid4().hex[:6]}", networkAccessPolicy="DenyAll")
    target = place.to("never.vhd")
    mark = azure.mark()
    assert "read by somebody else" in refusal(lambda: copy(session, {"disk_name": disk}, **target))
    assert "DenyAll" in refusal(lambda: copy(session, {"disk_name": closed}, **target))
    assert "no managed disk none" in refusal(lambda: copy(session, {"disk_name": "none"}, **target))
    text = refusal(lambda: copy(session, {"disk_name": "web"}, wait=False, **target))
    assert text.startswith("wait:")
    gone = {**target, "container": "elsewhere"}
    assert "no container elsewhere" in refusal(lambda: copy(session, {"disk_name": "web"}, **gone))
    assert [write for write in azure.writes(mark) if not write.endswith("/listKeys")] == []
    assert state(azure, place.group, "web") == "Unattached"
