# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Virtual machines whose creation ends with what their guests report, or do not.

Their disks are empty. What a guest would say is said in its network by the test.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.guests.environment_inside import run_inside
from tests.guests.lab.processes import identify
from tests.integration.cloud import LocalAzure
from tests.integration.machines import golden_image, public_key

GROUP = "births"
TIMEOUT = 20
REPORT = """
import sys, urllib.request
from xml.etree import ElementTree
head = {"x-ms-version": "2012-11-30", "User-Agent": "WALinuxAgent/2.9.1.1"}
url = "http://168.63.129.16/machine"
goal = urllib.request.urlopen(urllib.request.Request(url + "/?comp=goalstate", headers=head)).read()
container = ElementTree.fromstring(goal).findtext("./Container/ContainerId")
report = '''%s'''
if report:
    body = (
        "<Health><GoalStateIncarnation>1</GoalStateIncarnation><Container><ContainerId>" + container
        + "</ContainerId><RoleInstanceList><Role><InstanceId>x</InstanceId><Health>" + report
        + "</Health></Role></RoleInstanceList></Container></Health>"
    )
    urllib.request.urlopen(urllib.request.Request(url + "?comp=health", body.encode(), head))
"""
READY = "<State>Ready</State>"
FAILED = (
    "<State>NotReady</State><Details><SubStatus>ProvisioningFailed</SubStatus>"
    "<Description>no such user</Description></Details>"
)
ASK = """
import json, urllib.error, urllib.request
def ask(path):
    request = urllib.request.Request("http://169.254.169.254/metadata/" + path, headers={"Metadata": "true"})
    try:
        return json.load(urllib.request.urlopen(request))
    except urllib.error.HTTPError as error:
        return json.load(error)
print(json.dumps([ask(path) for path in %r]))
"""
INSTANCE = "instance?api-version=2021-08-01&extended=true"
TOKEN = "identity/oauth2/token?api-version=2018-02-01&resource=https://management.azure.com/"


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAzure]:
    made = LocalAzure(tmp_path_factory.mktemp("azure"), "--guests", "--guest-timeout", str(TIMEOUT))
    made.start()
    try:
        made.group(GROUP)
        golden_image(made, GROUP)
        network = made.id(GROUP, "Microsoft.Network/virtualNetworks", "net")
        subnet = {"name": "default", "properties": {"addressPrefix": "10.7.0.0/24"}}
        space = {"addressSpace": {"addressPrefixes": ["10.7.0.0/16"]}, "subnets": [subnet]}
        made.put(network, {"location": "eastus", "properties": space})
        yield made
    finally:
        made.stop()


def kill_server(azure: LocalAzure) -> None:
    """A stop would power the guests off."""
    identity = identify(json.loads((azure.state_dir / "server.pid").read_text())["pid"])
    assert identity is not None
    identity.send(signal.SIGKILL)
    assert identity.wait(20)


class Birth:
    """A machine that is being made."""

    def __init__(self, azure: LocalAzure, name: str, **body: Any) -> None:
        self.azure = azure
        self.id = azure.id(GROUP, "Microsoft.Compute/virtualMachines", name)
        self.name = name
        nic = azure.id(GROUP, "Microsoft.Network/networkInterfaces", name)
        subnet = azure.id(GROUP, "Microsoft.Network/virtualNetworks", "net") + "/subnets/default"
        address = {"name": "ipconfig1", "properties": {"subnet": {"id": subnet}}}
        azure.put(nic, {"location": "eastus", "properties": {"ipConfigurations": [address]}})
        image = azure.id(GROUP, "Microsoft.Compute/images", "golden")
        keys = [{"path": "/home/ops/.ssh/authorized_keys", "keyData": public_key()}]
        linux = {"disablePasswordAuthentication": True, "ssh": {"publicKeys": keys}}
        wanted = {
            "location": "eastus",
            "properties": {
                "hardwareProfile": {"vmSize": "Standard_B1s"},
                "storageProfile": {"imageReference": {"id": image}},
                "osProfile": {"computerName": name, "adminUsername": "ops", "linuxConfiguration": linux},
                "networkProfile": {"networkInterfaces": [{"id": nic}]},
            },
            **body,
        }
        answer = azure.request("PUT", self.id, wanted)
        assert answer.status == 201, answer
        self.operation = answer.headers["azure-asyncoperation"]

    @property
    def directory(self) -> Path:
        """The guest's, once its environment runs."""
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline:
            for pid in self.azure.state_dir.glob("guests/*/environment.pid"):
                record = json.loads((pid.parent / "environment.json").read_text())
                if record["vm_name"] == self.name:
                    return pid.parent
            time.sleep(0.1)
        raise AssertionError(f"{self.name} has no environment")

    def report(self, report: str) -> None:
        run_inside(self.directory, REPORT % report)

    def ask(self, *paths: str) -> Any:
        """What the metadata service answers."""
        return json.loads(run_inside(self.directory, ASK % (list(paths),))[0])

    def ended(self) -> Any:
        """The operation's last status."""
        deadline = time.monotonic() + 3 * TIMEOUT
        while time.monotonic() < deadline:
            status = self.azure.request("GET", self.operation).body
            if status["status"] != "InProgress":
                return status
            time.sleep(0.2)
        raise AssertionError(f"{self.name} is still being made")

    def view(self) -> Any:
        return self.azure.get(f"{self.id}/instanceView")


def test_creation_ends_as_the_guests_report(azure: LocalAzure) -> None:
    silent, seen = Birth(azure, "silent"), Birth(azure, "seen")
    failing, born = Birth(azure, "failing"), Birth(azure, "born", identity={"type": "SystemAssigned"})
    seen.report("")
    failing.report(FAILED)

    media = born.directory / "provisioning.iso"
    assert media.exists()
    born.report(READY)
    assert born.ended()["status"] == "Succeeded"
    deadline = time.monotonic() + 10
    while media.exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert born.view()["vmAgent"]["statuses"][0]["displayStatus"] == "Not Ready"

    error = failing.ended()["error"]
    assert error["code"] == "OSProvisioningInternalError"
    assert "no such user" in error["message"]
    error = silent.ended()["error"]
    assert error["code"] == "OSProvisioningTimedOut"
    assert "'silent' did not finish in the allotted time" in error["message"]
    assert azure.get(silent.id)["properties"]["provisioningState"] == "Failed"
    error = seen.ended()["error"]
    assert error["code"] == "OSProvisioningClientError"
    assert "the VM guest agent was detected running" in error["message"]

    instance, token = born.ask(INSTANCE, TOKEN)
    compute = instance["compute"]
    assert compute["resourceId"].lower() == born.id.lower()
    assert compute["osProfile"]["adminUsername"] == "ops"
    assert compute["publicKeys"][0]["keyData"] == public_key()
    assert len(compute["storageProfile"]["dataDisks"]) == 1
    assert instance["network"]["interface"][0]["ipv4"]["ipAddress"][0]["privateIpAddress"] == "10.7.0.7"
    assert token["token_type"] == "Bearer"
    assert seen.ask(TOKEN)[0] == {"error": "invalid_request", "error_description": "Identity not found"}
    azure.do("PATCH", born.id, {"tags": {"team": "shop"}})
    assert born.ask(INSTANCE)[0]["compute"]["tagsList"] == [{"name": "team", "value": "shop"}]

    # Neither the environment nor the guest ends with the server.
    kill_server(azure)
    assert born.ask(TOKEN)[0]["error"] == "server_error"
    azure.start()
    assert born.ask(TOKEN)[0]["token_type"] == "Bearer"

    directory = born.directory
    for birth in (born, seen, silent, failing):
        azure.do("DELETE", birth.id)
    assert not directory.exists()
