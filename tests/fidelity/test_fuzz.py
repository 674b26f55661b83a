# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Whatever is sent to the local Azure, it answers: soon, below 500, and without an error of its own.

A plain run tries a part, the same one every time; --hypothesis-profile=fidelity tries all of it.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contract.openapi_files import SpecificationFiles, specification_root
from tests.fidelity.published_requests import PublishedRequests
from tests.fidelity.right_requests import prepare
from tests.fidelity.wrong_values import Request, broken
from tests.local_azure.faults.control import KEY_HEADER, control_key
from tests.local_azure.settings import Pace, load_or_create
from tests.unit.local_azure.arm_server import COMPUTE, Arm, ServerThread

# Of the requests that are wrong in one place, a plain run tries one in so many.
THOROUGH = settings().max_examples >= 1000
ONE_IN = 1 if THOROUGH else 13
PLAIN = settings(
    parent=settings(),
    max_examples=settings().max_examples if THOROUGH else 250,
    derandomize=not THOROUGH,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
PATIENCE_SECONDS = 20
pytestmark = pytest.mark.timeout(3600 if THOROUGH else 600)

METHODS = ["GET", "HEAD", "PUT", "PATCH", "POST", "DELETE", "OPTIONS", "TRACE", "FOO"]
VERSIONS = st.sampled_from(
    [
        COMPUTE,
        "2015-01-01",
        "2024-03-02",
        "2024-11-01",
        "2099-01-01",
        "2024-07-01-preview",
        "latest",
        "",
        "\u0663",
    ]
)
WORDS = st.sampled_from(
    [
        *("subscriptions", "resourceGroups", "resourcegroups", "providers", "locations", "operations"),
        *("Microsoft.Compute", "Microsoft.Network", "Microsoft.Storage", "Microsoft.Authorization"),
        *("Microsoft.Resources", "Microsoft.MarketplaceOrdering", "disks", "images", "virtualMachines"),
        *("galleries", "versions", "subnets", "virtualNetworks", "networkInterfaces", "roleAssignments"),
        *("locks", "deployments", "storageAccounts", "blobServices", "default", "containers", "skus"),
        *("publishers", "artifacttypes", "vmimage", "offers", "usages", "vmSizes", "sharedGalleries"),
        *("communityGalleries", "restorePointCollections", "restorePoints", "register", "resources"),
        *("instanceView", "start", "beginGetAccess", "listKeys", "operationresults", "westus", "golden"),
        *(
            "",
            "..",
            "%2e%2e",
            "%00",
            "%",
            "a b",
            "\u00e9",
            "x" * 300,
            "tenants",
            "metadata",
            "msi",
            "local-azure",
        ),
    ]
)
HEADERS = st.dictionaries(
    st.sampled_from(
        ["Content-Type", "Accept", "If-Match", "If-None-Match", "x-ms-client-request-id", "x-ms-version"]
    ),
    st.sampled_from(["", "*", "application/xml", "text/plain; charset=nonsense", '"1"', "x" * 2000]),
    max_size=2,
)
BODIES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [b"", b"null", b"[]", b"{}", b'{"a":', b'"text"', b"\xff\xfe{}", b"[" * 3000, b"1e999", b"NaN"]
    ),
)
AUTHORIZATIONS = st.sampled_from(
    [None, "", "Bearer", "Bearer x", "Bearer a.b.c", "Basic eDp5", "bearer \u00e9"]
)


class Client:
    """Sends, and complains of answers that no Azure gives."""

    def __init__(self, arm: Arm) -> None:
        self.arm = arm

    def send(self, method: str, path: str, version: str, **more: Any) -> requests.Response:
        begun = time.monotonic()
        url = f"{self.arm.settings.url}{path}"
        headers = {"Authorization": f"Bearer {self.arm._token}", **more.pop("headers", {})}
        wire = requests.Request(
            method, url, headers=headers, params={"api-version": version, **more.pop("params", {})}, **more
        )
        answer = self.arm.http.send(
            self.arm.http.prepare_request(wire), timeout=PATIENCE_SECONDS, allow_redirects=False
        )
        said = f"{method} {path} {version} {str(more)[:2000]}: {answer.status_code} {answer.text[:300]}"
        assert answer.status_code < 500, said
        assert time.monotonic() - begun < PATIENCE_SECONDS, said
        return answer

    def send_request(self, request: Request, version: str) -> requests.Response:
        return self.send(
            request.method, f"{self.arm.subscription}/{request.path}", version, json=request.body
        )


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arm]:
    """A local Azure whose traffic is not judged: little of it is meant to keep the contract."""
    thread = ServerThread(load_or_create(tmp_path_factory.mktemp("fuzz"), pace=Pace(speed=100_000)))
    try:
        yield Arm(thread)
    finally:
        thread.stop()


@pytest.fixture(scope="module")
def right_requests(fuzzed: Arm) -> list[Request]:
    return prepare(fuzzed)


@pytest.fixture(autouse=True)
def no_traces(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Also what breaks behind an answer, in an operation, counts."""
    yield
    broken_ones = [
        f"{record.getMessage()}\n{record.exc_text or record.exc_info}"
        for record in caplog.get_records("call")
        if record.levelno >= logging.ERROR
    ]
    assert not broken_ones, "\n".join(broken_ones[:20])


def version_of(request: Request) -> str:
    lowered = request.path.lower()
    for part, version in (
        ("microsoft.authorization/locks", "2020-05-01"),
        ("microsoft.authorization", "2022-04-01"),
        ("/disks", "2024-03-02"),
        ("/snapshots", "2024-03-02"),
        ("/diskencryptionsets", "2024-03-02"),
        ("/galleries", "2024-03-03"),
        ("microsoft.compute", COMPUTE),
        ("microsoft.network", "2024-05-01"),
        ("microsoft.storage", "2023-05-01"),
    ):
        if part in lowered:
            return version
    return "2022-09-01"


def test_body_wrong_in_one_place_gets_an_answer(fuzzed: Arm, right_requests: list[Request]) -> None:
    client = Client(fuzzed)
    failures: list[str] = []
    count = 0
    for right in right_requests:
        for number, request in enumerate(broken(right)):
            if (number + count) % ONE_IN:
                continue
            count += 1
            try:
                client.send_request(request, version_of(request))
            except (AssertionError, requests.RequestException) as failure:
                failures.append(str(failure))
    assert count > len(right_requests)
    assert not failures, f"{len(failures)} of {count}:\n" + "\n".join(failures[:40])


class Sent(NamedTuple):
    method: str
    words: list[str]
    below: bool
    version: str
    headers: dict[str, str]
    body: bytes
    query: dict[str, str]


ANYTHING = st.builds(
    Sent,
    method=st.sampled_from(METHODS),
    words=st.lists(st.one_of(WORDS, st.text(max_size=5)), max_size=11),
    below=st.booleans(),
    version=VERSIONS,
    headers=HEADERS,
    body=BODIES,
    query=st.dictionaries(
        st.sampled_from(["$filter", "$top", "$skiptoken", "$expand", "$orderby", "monitor", "a"]),
        st.one_of(
            st.text(max_size=8), st.sampled_from(["1", "-1", "instanceView", "tagName eq 'a'", "MA=="])
        ),
        max_size=2,
    ),
)


RULE = {
    "match": {"service": "arm", "method": "GET", "path": "/nowhere/*", "nth": 1, "times": 1},
    "effect": {"status": 429, "retry_after": 3},
}


@pytest.mark.parametrize(
    ("control", "right"),
    [
        ("faults", {"seed": 1, "rules": [RULE]}),
        ("quotas", {"subscription": "", "location": "westus", "name": "cores", "limit": 100}),
    ],
)
def test_wrong_control_gets_an_answer(fuzzed: Arm, control: str, right: dict[str, Any]) -> None:
    if "subscription" in right:
        right = {**right, "subscription": fuzzed.settings.identity.subscription_id}
    url = f"{fuzzed.settings.url}/local-azure/{control}"
    key = {KEY_HEADER: control_key(fuzzed.settings.state_dir)}
    bodies = [json.dumps(request.body).encode() for request in broken(Request("POST", "", right))]
    for body in (*bodies, b"", b"[", b"\xff", b"[" * 3000):
        answer = fuzzed.http.post(url, data=body, headers=key, timeout=PATIENCE_SECONDS)
        assert answer.status_code in (200, 400), f"{body[:300]!r}: {answer.status_code}"
    fuzzed.http.delete(f"{fuzzed.settings.url}/local-azure/faults", headers=key, timeout=PATIENCE_SECONDS)


@PLAIN
@given(sent=ANYTHING)
def test_any_path_gets_an_answer(fuzzed: Arm, sent: Sent) -> None:
    path = "/" + "/".join(sent.words)
    if sent.below:
        path = fuzzed.subscription + path
    client = Client(fuzzed)
    client.send(sent.method, path, sent.version, headers=sent.headers, data=sent.body, params=sent.query)


@PLAIN
@given(authorization=AUTHORIZATIONS, words=st.lists(WORDS, max_size=5), version=VERSIONS)
def test_nobody_gets_in_with_a_broken_token(
    fuzzed: Arm, authorization: str | None, words: list[str], version: str
) -> None:
    header = None if authorization is None else authorization.encode()
    path = f"{fuzzed.subscription}/resourcegroups/" + "/".join(w for w in words if w.isalnum())
    answer = Client(fuzzed).send("GET", path, version, headers={"Authorization": header})
    assert answer.status_code == 401


@PLAIN
@given(
    tenant=st.sampled_from(["common", "organizations", "x", "home"]),
    form=st.dictionaries(
        st.sampled_from(
            ["grant_type", "client_id", "client_secret", "scope", "client_assertion", "client_assertion_type"]
        ),
        st.one_of(
            st.text(max_size=6),
            st.sampled_from(
                [
                    "client_credentials",
                    "owner",
                    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                    "a.b.c",
                ]
            ),
        ),
    ),
)
def test_any_sign_in_gets_an_answer(fuzzed: Arm, tenant: str, form: dict[str, str]) -> None:
    identity = fuzzed.settings.identity
    named = identity.tenant_id if tenant == "home" else tenant
    filled = {k: identity.client_id if v == "owner" else v for k, v in form.items()}
    answer = fuzzed.http.post(
        f"{fuzzed.settings.url}/{named}/oauth2/v2.0/token", data=filled, timeout=PATIENCE_SECONDS
    )
    assert answer.status_code in (400, 401)


@PLAIN
@given(data=st.data())
def test_any_request_of_the_published_api_gets_an_answer(
    fuzzed: Arm, right_requests: list[Request], published: PublishedRequests, data: st.DataObject
) -> None:
    del right_requests
    request, version = data.draw(published.requests())
    Client(fuzzed).send_request(request, version)


@pytest.fixture(scope="module")
def published(right_requests: list[Request]) -> PublishedRequests:
    root = specification_root()
    if root is None:
        pytest.skip("Azure's published API files are absent")
    group = right_requests[0].path.split("/")[1]
    names = {
        "resourcegroupname": [group, group.upper(), "missing"],
        "diskname": ["base", "system"],
        "imagename": ["golden"],
        "vmname": ["machine"],
        "galleryname": ["shelf"],
        "galleryimagename": ["golden"],
        "galleryimageversionname": ["1.0.0"],
        "restorepointcollectionname": ["points"],
        "accountname": ["fuzzed1"],
        "virtualnetworkname": ["net", "net2"],
        "networkinterfacename": ["nic2"],
        "networksecuritygroupname": ["wall"],
        "publicipaddressname": ["ip2"],
    }
    return PublishedRequests(SpecificationFiles(root), names)
