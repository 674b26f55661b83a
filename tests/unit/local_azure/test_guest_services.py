# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What a guest is told: wire server, host plugin, instance metadata, provisioning media; without a guest."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple
from xml.etree import ElementTree

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from tests.guests.lab.programs import run_program
from tests.local_azure.guest_environment import record
from tests.local_azure.guest_environment.host_plugin import HostPlugin
from tests.local_azure.guest_environment.metadata_service import MetadataService
from tests.local_azure.guest_environment.provisioning_media import LABEL, ovf_environment, write_media
from tests.local_azure.guest_environment.reports import Reports
from tests.local_azure.guest_environment.wire_server import WireServer

ENVIRONMENT = record.Environment(
    vm_id="0b6b4a52-6d3c-4c2c-8f0f-9d0d7f3a1c11",
    vm_name="web-1",
    computer_name="web1",
    location="westeurope",
    mac="00:0d:3a:01:02:03",
    address="10.1.0.4",
    prefix="10.1.0.0/24",
    forwards=(22,),
    identity_socket="../identity",
)
INSTANCE = {
    "compute": {
        "name": "web-1",
        "vmId": ENVIRONMENT.vm_id,
        "tagsList": [{"name": "team", "value": "shop"}],
        "userData": "aGVsbG8=",
    },
    "network": {"interface": [{"macAddress": "000D3A010203"}]},
    "extended": {"compute": {"hasCustomData": "false", "ppsType": "None"}},
}
WIRE = {"x-ms-version": "2012-11-30", "User-Agent": "WALinuxAgent/2.9.1.1"}
METADATA = MappingProxyType({"Metadata": "true"})


def parsed(document: str) -> ElementTree.Element:
    """One of our own documents."""
    return ElementTree.fromstring(document)  # noqa: S314


class Said(NamedTuple):
    status: int
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class Guest:
    """A program inside the guest: asks one of the services."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.provisioned: list[bool] = []
        self.reports = Reports(directory, lambda: self.provisioned.append(True))
        record.save_instance(directory, INSTANCE)
        metadata = MetadataService(directory, ENVIRONMENT)
        self.metadata_service = metadata.application
        self.wire_server = lambda: WireServer(ENVIRONMENT, self.reports).application(metadata.routes())
        self.host_plugin = HostPlugin(ENVIRONMENT, self.reports).application

    def ask(
        self,
        service: Callable[[], web.Application],
        path: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        data: bytes | None = None,
    ) -> Said:
        async def exchange() -> Said:
            async with TestClient(TestServer(service())) as client:
                answer = await client.request(method, path, headers=headers, data=data)
                return Said(answer.status, await answer.text())

        return asyncio.run(exchange())

    def wire(self, path: str, **how: Any) -> Said:
        return self.ask(self.wire_server, path, headers={**WIRE, **how.pop("headers", {})}, **how)

    def metadata(self, path: str, headers: Mapping[str, str] = METADATA) -> Said:
        return self.ask(self.metadata_service, f"/metadata{path}", headers=headers)

    def heard(self) -> record.Heard:
        return record.load_heard(self.directory)


@pytest.fixture
def guest(tmp_path: Path) -> Guest:
    return Guest(tmp_path)


def run(command: list[str], data: bytes) -> bytes:
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


def health(state: str, details: str = "", container: str = ENVIRONMENT.container_id) -> bytes:
    return (
        '<?xml version="1.0" encoding="utf-8"?><Health><GoalStateIncarnation>1</GoalStateIncarnation>'
        f"<Container><ContainerId>{container}</ContainerId><RoleInstanceList><Role><InstanceId>"
        f"{ENVIRONMENT.instance_id}</InstanceId><Health><State>{state}</State>{details}</Health></Role>"
        "</RoleInstanceList></Container></Health>"
    ).encode()


def failure(substatus: str, description: str) -> str:
    return f"<Details><SubStatus>{substatus}</SubStatus><Description>{description}</Description></Details>"


# The wire server.


def test_goal_state_names_the_machine_and_links_to_its_configuration(guest: Guest) -> None:
    goal = parsed(guest.wire("/machine/?comp=goalstate").text)
    assert goal.findtext("Incarnation") == "1"
    assert goal.findtext("./Container/ContainerId") == ENVIRONMENT.container_id
    role = goal.find("./Container/RoleInstanceList/RoleInstance")
    assert role is not None
    assert role.findtext("InstanceId") == ENVIRONMENT.instance_id
    roots = {}
    for name in ("HostingEnvironmentConfig", "SharedConfig", "ExtensionsConfig"):
        link = role.findtext(f"./Configuration/{name}", "")
        assert link.startswith("http://168.63.129.16:80/machine/")
        document = guest.wire(link.removeprefix("http://168.63.129.16:80"))
        assert document.status == 200
        roots[name] = parsed(document.text).tag
    assert roots == {
        "HostingEnvironmentConfig": "HostingEnvironmentConfig",
        "SharedConfig": "SharedConfig",
        "ExtensionsConfig": "Extensions",
    }


def test_protocol_of_the_agents_is_offered_and_required(guest: Guest) -> None:
    versions = parsed(guest.wire("/?comp=versions").text)
    assert "2012-11-30" in [version.text for version in versions.iter("Version")]
    assert guest.wire("/machine/?comp=goalstate", headers={"x-ms-version": "1999-01-01"}).status == 400
    assert guest.wire("/machine/?comp=nothing").status == 404


def test_ready_report_is_heard(guest: Guest) -> None:
    assert guest.wire("/machine?comp=health", method="POST", data=health("Ready")).status == 200
    assert guest.heard().reported == "ready"
    assert guest.heard().reporter == "WALinuxAgent/2.9.1.1"
    assert guest.provisioned


def test_failure_report_is_heard_with_its_text_and_progress_is_none(guest: Guest) -> None:
    still_at_it = health("NotReady", failure("Provisioning", "Starting"))
    assert guest.wire("/machine?comp=health", method="POST", data=still_at_it).status == 200
    assert guest.heard().reported is None
    assert not guest.provisioned
    failed = health("NotReady", failure("ProvisioningFailed", "no &lt;user&gt;"))
    assert guest.wire("/machine?comp=health", method="POST", data=failed).status == 200
    assert guest.heard()[:2] == ("failed", "no <user>")


@pytest.mark.parametrize("data", [b"", b"no xml", b"<Health/>", b"<!DOCTYPE x []><Health/>"])
def test_health_report_that_is_none_is_refused(guest: Guest, data: bytes) -> None:
    assert guest.wire("/machine?comp=health", method="POST", data=data).status == 400
    assert guest.heard() == record.Heard()


def test_guest_with_another_machines_goal_state_is_told_that_it_is_gone(guest: Guest) -> None:
    data = health("Ready", container="00000000-0000-0000-0000-000000000001")
    assert guest.wire("/machine?comp=health", method="POST", data=data).status == 410
    assert guest.heard().reported is None


def test_telemetry_and_role_properties_are_taken(guest: Guest) -> None:
    telemetry = guest.wire("/machine?comp=telemetrydata", method="POST", data=b"<TelemetryData/>")
    properties = guest.wire("/machine?comp=roleProperties", method="POST", data=b"<RoleProperties/>")
    assert (telemetry.status, properties.status) == (200, 202)


def test_certificates_are_encrypted_for_the_guest_that_asks(guest: Guest, tmp_path: Path) -> None:
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    made = ["-newkey", "rsa:2048", "-nodes", "-subj", "/CN=LinuxTransport"]
    run_program(["openssl", "req", "-x509", *made, "-keyout", str(key), "-out", str(certificate)])
    line = "".join(certificate.read_text().splitlines()[1:-1])
    path = f"/machine/{ENVIRONMENT.container_id}/x?comp=certificates"
    asked = {"x-ms-cipher-name": "DES_EDE3_CBC", "x-ms-guest-agent-public-x509-cert": line}
    data = parsed(guest.wire(path, headers=asked).text).findtext("Data", "")
    # As cloud-init and the agent do it.
    mail = (
        "MIME-Version: 1.0\nContent-Type: application/x-pkcs7-mime; name=C\n"
        f"Content-Transfer-Encoding: base64\n\n{data}"
    )
    opened = run(
        ["openssl", "cms", "-decrypt", "-inkey", str(key), "-recip", str(certificate)], mail.encode()
    )
    assert b"BEGIN CERTIFICATE" in run(["openssl", "pkcs12", "-nodes", "-password", "pass:"], opened)
    assert guest.wire(path).status == 400


# The host's plugin.


def test_agents_status_is_kept(guest: Guest) -> None:
    status = {
        "aggregateStatus": {
            "guestAgentStatus": {
                "version": "2.9.1.1",
                "status": "Ready",
                "formattedMessage": {"lang": "en-US", "message": "Guest Agent is running"},
            }
        },
        "guestOSInfo": {"computerName": "web1", "osName": "debian", "osVersion": "12.1"},
    }
    content = base64.b64encode(json.dumps(status).encode()).decode()
    body = json.dumps({"requestUri": "https://x", "headers": [], "content": content}).encode()
    assert guest.ask(guest.host_plugin, "/status", method="PUT", data=body).status == 200
    agent = guest.heard().agent
    assert agent is not None
    assert agent[:6] == ("2.9.1.1", "Ready", "Guest Agent is running", "web1", "debian", "12.1")
    assert guest.ask(guest.host_plugin, "/status", method="PUT", data=b'{"content": "!"}').status == 400


def test_extensions_goal_state_says_when_it_has_not_changed(guest: Guest) -> None:
    assert guest.ask(guest.host_plugin, "/vmSettings").json["extensionGoalStates"] == []
    unchanged = guest.ask(guest.host_plugin, "/vmSettings", headers={"If-None-Match": "1"})
    assert unchanged.status == 304
    assert "2015-09-01" in guest.ask(guest.host_plugin, "/versions").json


def test_agent_that_only_fetched_its_goal_state_has_been_seen(guest: Guest) -> None:
    guest.wire("/machine/?comp=goalstate", headers={"User-Agent": "Cloud-Init/22.4.2"})
    assert not guest.heard().agent_seen
    guest.wire("/machine/?comp=goalstate")
    assert guest.heard().agent_seen


# The instance metadata service.


@pytest.mark.parametrize(
    ("path", "headers", "error"),
    [
        ("/instance?api-version=2021-08-01", {}, "Required metadata header not specified"),
        ("/instance?api-version=2021-08-01", {**METADATA, "X-Forwarded-For": "1.2.3.4"}, "X-Forwarded-For"),
        ("/instance", METADATA, "api-version was not specified in the request."),
        ("/instance?api-version=2016-01-01", METADATA, "api-version is invalid"),
        ("/instance/compute/name?api-version=2021-08-01", METADATA, "format=text"),
    ],
)
def test_bad_metadata_request_is_refused(
    guest: Guest, path: str, headers: Mapping[str, str], error: str
) -> None:
    said = guest.metadata(path, headers)
    assert said.status == 400
    assert error in said.json["error"]


def test_metadata_is_found_by_its_path(guest: Guest) -> None:
    version = "api-version=2021-08-01"
    assert guest.metadata(f"/instance?{version}").json["compute"]["vmId"] == ENVIRONMENT.vm_id
    assert guest.metadata(f"/instance/compute/name?{version}&format=text").text == "web-1"
    assert guest.metadata(f"/instance/network/interface/0/macAddress?{version}&format=text").text == (
        "000D3A010203"
    )
    assert guest.metadata(f"/instance/compute?{version}&format=text").text.splitlines() == [
        *("name", "tagsList/", "userData", "vmId")
    ]
    assert guest.metadata(f"/instance/compute/nothing?{version}").status == 404
    assert guest.metadata(f"/nothing?{version}").status == 404
    assert "2021-08-01" in guest.metadata("/versions").json["apiVersions"]
    assert guest.metadata(f"/scheduledevents?{version}").json["Events"] == []


def test_metadata_of_an_older_version_lacks_what_came_later(guest: Guest) -> None:
    older = guest.metadata("/instance?api-version=2019-06-01&extended=true").json
    assert "userData" not in older["compute"]
    assert "extended" not in older
    newer = guest.metadata("/instance?api-version=2021-08-01&extended=true").json
    assert newer["compute"]["userData"] == "aGVsbG8="
    assert newer["extended"]["compute"]["ppsType"] == "None"


def test_metadata_follows_what_the_host_says(guest: Guest) -> None:
    record.save_instance(guest.directory, {"compute": {"name": "changed"}})
    assert guest.metadata("/instance/compute/name?api-version=2021-08-01&format=text").text == "changed"


def test_attested_document_is_signed_and_has_the_nonce(guest: Guest) -> None:
    said = guest.metadata("/attested/document?api-version=2020-09-01&nonce=1234567890").json
    assert said["encoding"] == "pkcs7"
    command = ["openssl", "cms", "-verify", "-noverify", "-inform", "DER"]
    content = json.loads(run(command, base64.b64decode(said["signature"])))
    assert (content["nonce"], content["vmId"]) == ("1234567890", ENVIRONMENT.vm_id)


def test_token_without_a_server_to_give_it_is_unavailable(
    guest: Guest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "vm").mkdir()
    monkeypatch.chdir(tmp_path / "vm")
    token = "/identity/oauth2/token?api-version=2018-02-01"
    assert guest.metadata(token).json["error"] == "invalid_request"
    assert guest.metadata(f"{token}&resource=https://management.azure.com/").status == 503


# Provisioning media.


def test_media_tells_the_account_and_is_private(tmp_path: Path) -> None:
    document = ovf_environment(
        hostname="web1",
        user="azureuser",
        password="a<b>&c",
        disable_password_authentication=False,
        ssh_public_keys=[("/home/azureuser/.ssh/authorized_keys", "ssh-ed25519 AAAA")],
        custom_data=b"#!/bin/sh\n",
    )
    media = tmp_path / "media.iso"
    write_media(media, document)
    assert media.stat().st_mode & 0o777 == 0o600
    assert LABEL.encode() in media.read_bytes()
    assert document.encode() in media.read_bytes()
    wa = "{http://schemas.microsoft.com/windowsazure}"
    root = parsed(document)
    found = root.find(f"./{wa}ProvisioningSection/{wa}LinuxProvisioningConfigurationSet")
    assert found is not None
    told = {child.tag.removeprefix(wa): child.text for child in found}
    assert told["HostName"] == "web1"
    assert told["UserPassword"] == "a<b>&c"
    assert told["DisableSshPasswordAuthentication"] == "false"
    assert base64.b64decode(told["CustomData"] or "") == b"#!/bin/sh\n"
    assert found.findtext(f".//{wa}PublicKey/{wa}Value") == "ssh-ed25519 AAAA"
