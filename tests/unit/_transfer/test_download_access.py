# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Access to a disk that is downloaded: given back on every way out, unless it is somebody else's."""

from __future__ import annotations

from typing import Any, cast

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.compute import ComputeResources
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import (
    AzureError,
    InvalidInput,
    OperationFailed,
    WaitTimeout,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.blob_target import BlobTarget
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.download_source import (
    BlobSource,
    DiskSource,
    Way,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.connection import (
    Trust,
    parse_blob_url,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.page_blob import (
    BlobFacts,
    no_authorization,
)

SAS = "https://md-1.blob.example.net/c/abcd?sv=1&sig=TOPSECRET"


class Disks:
    """What Azure answers to beginGetAccess, in turn; what was asked for is kept."""

    def __init__(self, *answers: object) -> None:
        self.asked: list[str] = []
        self._answers = list(answers)

    def action(self, _group: str, _name: str, verb: str, _body: object, _waiter: Waiter) -> Any:
        self.asked.append(verb)
        answer = self._answers.pop(0) if verb == "beginGetAccess" else None
        if isinstance(answer, BaseException):
            raise answer
        return answer


def source(disks: Disks, **properties: object) -> DiskSource:
    resource = {
        "id": "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Compute/disks/web",
        "name": "web",
        "properties": {"diskState": "Unattached", "diskSizeBytes": 1 << 30, **properties},
    }
    way = Way(Waiter(wait=True, timeout=5), verify_tls=True, bandwidth_limit=None)
    collection: ComputeResources = cast("Any", disks)
    return DiskSource(collection, "disk", "rg", resource, way)


@pytest.mark.parametrize("error", [RuntimeError("full"), KeyboardInterrupt()])
def test_access_is_given_back_when_the_download_ends_badly(error: BaseException) -> None:
    disks = Disks({"accessSAS": SAS})
    with pytest.raises(type(error)), source(disks).opened():
        raise error
    assert disks.asked == ["beginGetAccess", "endGetAccess"]


@pytest.mark.parametrize(
    "error",
    [
        KeyboardInterrupt(),
        WaitTimeout("It goes on."),
        AzureError("No connection."),
        AzureError("?", status=500),
    ],
)
def test_access_that_may_have_been_granted_is_given_back(error: BaseException) -> None:
    disks = Disks(error)
    with pytest.raises(type(error)), source(disks).opened():
        pytest.fail("there is no access")
    assert disks.asked == ["beginGetAccess", "endGetAccess"]


@pytest.mark.parametrize("error", [AzureError("No.", status=409), OperationFailed("No.", status=200)])
def test_access_that_was_refused_is_not_taken_from_who_has_it(error: AzureError) -> None:
    disks = Disks(error)
    with pytest.raises(AzureError, match=r"No\."), source(disks).opened():
        pytest.fail("there is no access")
    assert disks.asked == ["beginGetAccess"]


def test_access_is_given_back_although_it_could_not_be_renewed() -> None:
    disks = Disks({"accessSAS": SAS}, AzureError("No.", status=403))
    with pytest.raises(AzureError, match=r"No\."), source(disks).opened() as opened:
        blob = opened.open_blob(cast("Any", None))
        assert blob._renew is not None
        blob._renew(blob.url)
    assert disks.asked == ["beginGetAccess", "beginGetAccess", "endGetAccess"]


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"diskState": "ActiveUpload"}, "has not been completed"),
        ({"diskState": "ActiveSAS"}, "somebody else"),
    ],
)
def test_a_disk_that_cannot_be_read_is_refused_by_name(properties: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidInput, match=f"The disk web in resource group rg .*{words}"):
        source(Disks(), **properties).check(resumed=False)


def test_a_blob_that_is_not_complete_is_refused_whatever_it_holds() -> None:
    url = parse_blob_url("https://images.blob.example.net/vhds/half.vhd")
    facts = BlobFacts(1 << 20, "PageBlob", "0x1", {"goldenimage_state": "uploading"})
    with pytest.raises(InvalidInput, match=r"half\.vhd is not complete, its state is uploading"):
        BlobSource(BlobTarget(url, no_authorization), facts, Trust()).check(resumed=False)


def test_the_access_of_a_killed_run_is_taken_over() -> None:
    source(Disks(), diskState="ActiveSAS").check(resumed=True)


@pytest.mark.parametrize("state", ["Unattached", "Reserved"])
def test_a_disk_at_rest_is_read(state: str) -> None:
    source(Disks(), diskState=state, completionPercent=100.0, networkAccessPolicy="AllowAll").check(
        resumed=False
    )
