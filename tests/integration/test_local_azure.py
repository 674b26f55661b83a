# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The local Azure as its users meet it: pages, other principals, printed instructions, crashes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cloud import LocalAzure
from tests.integration.plays import Player
from tests.integration.watched_cloud import watched_cloud
from tests.local_azure.control import process_start_time
from tests.local_azure.instructions import SNIPPETS

COMPUTE = "Microsoft.Compute"
CONTRIBUTOR = "b24988ac-6180-42a0-ab88-20f7382dd24c"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAzure]:
    """A local Azure with two resources on a page, slow enough to be interrupted."""
    with watched_cloud(tmp_path_factory.mktemp("small-pages"), "--page-size", "2", "--speed", "10") as cloud:
        yield cloud


@pytest.fixture(scope="module")
def player(small: LocalAzure, tmp_path_factory: pytest.TempPathFactory) -> Player:
    return Player(tmp_path_factory.mktemp("small-plays"), small.env)


@pytest.fixture(scope="module")
def images(small: LocalAzure) -> list[str]:
    """Names of five images in the group `many`: three pages."""
    disk = small.disk(small.group("many"), "source", osType="Linux")
    names = [f"image-{number}" for number in range(5)]
    answers = [small.request("PUT", small.id("many", f"{COMPUTE}/images", n), image_of(disk)) for n in names]
    for answer in answers:
        wait(small, answer.headers["azure-asyncoperation"])
    return names


def image_of(disk: str) -> dict[str, Any]:
    os_disk = {"osType": "Linux", "osState": "Generalized", "managedDisk": {"id": disk}}
    properties = {"hyperVGeneration": "V2", "storageProfile": {"osDisk": os_disk}}
    return {"location": "eastus", "properties": properties}


def wait(cloud: LocalAzure, status_url: str) -> dict[str, Any]:
    """The last answer of an operation's status."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        answer = cloud.request("GET", status_url)
        assert answer.status in (200, 202), answer
        if answer.status == 200 and (answer.body or {}).get("status") != "InProgress":
            return dict(answer.body or {})
        time.sleep(0.1)
    raise AssertionError(f"{status_url} did not end in time")


def requests_for(cloud: LocalAzure, mark: int, path_end: str) -> list[str]:
    """Query strings of the GETs since `mark` whose path ends so."""
    urls = [e["liveRequest"]["url"] for e in cloud.exchanges(mark) if e["liveRequest"]["method"] == "GET"]
    return [url.partition("?")[2] for url in urls if url.partition("?")[0].lower().endswith(path_end)]


@pytest.mark.parametrize("group", ["many", None])
def test_images_on_later_pages_are_found(
    small: LocalAzure, player: Player, images: list[str], group: str | None
) -> None:
    mark = small.mark()
    options = {"resource_group": group} if group else {}
    found = player.module("managed_image_info", options).succeeded().last["images"]
    assert [image["name"] for image in found] == images
    queries = requests_for(small, mark, "/images")
    assert len(queries) == 3
    assert all("skiptoken=" in query for query in queries[1:])


def test_machines_on_later_pages_are_found(small: LocalAzure, player: Player) -> None:
    group = small.group("machines")
    network = small.id(group, "Microsoft.Network/virtualNetworks", "net")
    subnet = {"name": "default", "properties": {"addressPrefix": "10.0.0.0/24"}}
    space = {"addressPrefixes": ["10.0.0.0/16"]}
    small.put(network, {"location": "eastus", "properties": {"addressSpace": space, "subnets": [subnet]}})
    for number in range(3):
        nic = small.id(group, "Microsoft.Network/networkInterfaces", f"nic-{number}")
        ip = {"name": "ip", "properties": {"subnet": {"id": f"{network}/subnets/default"}}}
        small.put(nic, {"location": "eastus", "properties": {"ipConfigurations": [ip]}})
        os_disk = {
            "osType": "Linux",
            "createOption": "Attach",
            "managedDisk": {"id": small.disk(group, f"os-{number}", osType="Linux")},
        }
        properties = {
            "hardwareProfile": {"vmSize": "Standard_B2s"},
            "storageProfile": {"osDisk": os_disk},
            "networkProfile": {"networkInterfaces": [{"id": nic}]},
        }
        path = small.id(group, f"{COMPUTE}/virtualMachines", f"vm-{number}")
        assert small.request("PUT", path, {"location": "eastus", "properties": properties}).status == 201
    mark = small.mark()
    found = player.module("vm_info", {"resource_group": group}).succeeded().last["vms"]
    assert [vm["name"] for vm in found] == ["vm-0", "vm-1", "vm-2"]
    assert len(requests_for(small, mark, "/virtualmachines")) == 2


def test_weaker_principal_is_told_which_right_it_lacks(
    small: LocalAzure, player: Player, images: list[str]
) -> None:
    reader = {
        "AZURE_CLIENT_ID": small.env["LOCAL_AZURE_READER_CLIENT_ID"],
        "AZURE_SECRET": small.env["LOCAL_AZURE_READER_SECRET"],
    }
    found = player.module("managed_image_info", {"resource_group": "many"}, env=reader).succeeded()
    assert len(found.last["images"]) == len(images)
    options = {"resource_group": "many", "name": images[0], "state": "absent"}
    failure = player.module("managed_image", options, env=reader).failed_with(
        "Microsoft.Compute/images/delete"
    )
    assert failure["failure"]["code"] == "AuthorizationFailed"
    second = {**reader, "AZURE_SUBSCRIPTION_ID": small.env["LOCAL_AZURE_SECOND_SUBSCRIPTION_ID"]}
    player.module("managed_image_info", {}, env=second).failed_with("Microsoft.Compute/images/read")


def test_lock_keeps_an_image_from_the_module(small: LocalAzure, player: Player, images: list[str]) -> None:
    image = small.id("many", f"{COMPUTE}/images", images[1])
    lock = f"{image}/providers/Microsoft.Authorization/locks/keep"
    small.put(lock, {"properties": {"level": "CanNotDelete"}})
    options = {"resource_group": "many", "name": images[1], "state": "absent"}
    failure = player.module("managed_image", options).failed_with("locked")
    assert failure["failure"]["code"] == "ScopeLocked"
    small.do("DELETE", lock)


@pytest.mark.parametrize("client", ["Ansible", "Python SDK"])
@pytest.mark.usefixtures("images")
def test_printed_lines_work_as_they_stand(small: LocalAzure, player: Player, client: str) -> None:
    status = subprocess.run(
        ["python3", "-m", "tests.local_azure", "status", "--state-dir", str(small.state_dir)],
        cwd=Path(__file__).parents[2],
        env=player.environment({}),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert SNIPPETS[client] in status.stdout
    source = next(line for line in status.stdout.splitlines() if line.startswith(". "))
    bare = {k: v for k, v in player.environment({}).items() if not k.startswith(("AZURE_", "LOCAL_AZURE_"))}
    for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        bare.pop(name, None)
    done = subprocess.run(
        ["bash", "-euc", f"{source}\n{SNIPPETS[client]}"],
        env=bare,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "image-4" in done.stdout


def shell(small: LocalAzure, player: Player, folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Runs a command of the documentation as a user would who has read the env file."""
    return subprocess.run(
        ["bash", "-euc", f". {small.state_dir / 'env'}\n{command}"],
        cwd=folder,
        env=player.environment({}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


def test_playbook_of_the_documentation_runs_offline(
    small: LocalAzure, player: Player, tmp_path: Path
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "local-azure.md").read_text(encoding="utf-8")
    section = page.partition("\n## Test your own playbooks offline\n")[2].partition("\n## ")[0]
    (playbook,) = re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)
    (tmp_path / "offline.yml").write_text(playbook, encoding="utf-8")
    commands = [
        line
        for block in re.findall(r"```shell\n(.*?)```", section, re.DOTALL)
        for line in block.splitlines()
        if "ansible" in line
    ]
    plain, listing, as_reader = commands
    small.group("offline")
    refused = shell(small, player, tmp_path, as_reader)
    assert refused.returncode != 0
    assert "'Microsoft.Compute/disks/write'" in refused.stdout + refused.stderr, refused.stdout
    made = shell(small, player, tmp_path, plain)
    assert made.returncode == 0, made.stdout
    assert '"name": "template"' in shell(small, player, tmp_path, listing).stdout
    small.put(
        f"{small.id('offline')}/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}",
        {
            "properties": {
                "roleDefinitionId": f"/providers/Microsoft.Authorization/roleDefinitions/{CONTRIBUTOR}",
                "principalId": small.env["LOCAL_AZURE_READER_OBJECT_ID"],
            }
        },
    )
    again = shell(small, player, tmp_path, as_reader)
    assert again.returncode == 0, again.stdout


def test_operations_survive_a_kill_of_the_server(small: LocalAzure) -> None:
    group, doomed = small.group("survivors"), small.group("doomed")
    disk = small.disk(group, "source", osType="Linux")
    old = small.id(group, f"{COMPUTE}/images", "old")
    small.put(old, image_of(disk))
    small.disk(doomed, "gone")
    copied = {"createOption": "Copy", "sourceResourceId": disk}
    begun = [
        small.request("PUT", small.id(group, f"{COMPUTE}/images", "new"), image_of(disk)),
        small.request(
            "PUT",
            small.id(group, f"{COMPUTE}/snapshots", "snapshot"),
            {"location": "eastus", "properties": {"creationData": copied}},
        ),
        small.request("DELETE", old),
        small.request("DELETE", small.id(doomed)),
    ]
    assert [answer.status for answer in begun] == [201, 202, 202, 202]
    kill_server(small)
    small.start()
    for answer in begun:
        url = answer.headers.get("azure-asyncoperation") or answer.headers["location"]
        assert wait(small, url).get("status", "Succeeded") == "Succeeded"
    image = small.get(small.id(group, f"{COMPUTE}/images", "new"))
    assert image["properties"]["provisioningState"] == "Succeeded"
    assert small.get(small.id(group, f"{COMPUTE}/snapshots", "snapshot"))["properties"]["diskSizeGB"] == 1
    assert small.get(old) is None
    assert small.get(small.id(doomed)) is None
    assert small.get(disk)["properties"]["provisioningState"] == "Succeeded"


def kill_server(cloud: LocalAzure) -> None:
    """SIGKILL: nothing of the server gets to write anything any more."""
    record = json.loads((cloud.state_dir / "server.pid").read_text(encoding="utf-8"))
    os.kill(record["pid"], signal.SIGKILL)
    deadline = time.monotonic() + 10
    while process_start_time(record["pid"]) == record["started"]:
        assert time.monotonic() < deadline, "the killed server is still there"
        time.sleep(0.02)
