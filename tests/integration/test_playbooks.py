# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The shipped playbooks, with variables as a survey of AWX gives them: text, lists, and empty strings."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.integration.cloud import CHECKOUT, LocalAzure
from tests.integration.machines import golden_image, public_key
from tests.integration.plays import Player
from tests.integration.test_disk_upload_blob import Account
from tests.integration.uploads import EFI_SYSTEM, converted, raw_disk

UPLOAD = CHECKOUT / "playbooks" / "upload_image.yml"
PROVISION = CHECKOUT / "playbooks" / "provision_vm.yml"
COMPUTE = "Microsoft.Compute"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    directory = tmp_path_factory.mktemp("disks")
    raw = raw_disk(directory / "os.raw", boot=EFI_SYSTEM, filled=1 << 20)
    data = raw_disk(directory / "data.raw", filled=1 << 20)
    return {"os": converted(raw, directory / "os.qcow2", "-O", "qcow2"), "data": data}


@contextmanager
def ssh_banners(addresses: list[str]) -> Iterator[int]:
    """Answer at these addresses of loopback as an SSH server begins to; gives the port."""
    with ExitStack() as stack:
        port = 0
        for address in addresses:
            server = stack.enter_context(socket.create_server((address, port)))
            port = server.getsockname()[1]
            Thread(target=answer, args=(server,), daemon=True).start()
        yield port


def answer(server: socket.socket) -> None:
    with suppress(OSError):
        while True:
            connection, _unused = server.accept()
            with connection:
                connection.sendall(b"SSH-2.0-OpenSSH_9.2p1\r\n")


def test_upload_image_makes_both_kinds_once_and_provision_vm_goes_on_with_its_statistics(
    azure: LocalAzure, play: Player, group: str, files: dict[str, Path]
) -> None:
    survey: dict[str, Any] = {
        "upload_image_resource_group": group,
        "upload_image_name": "web-1.0",
        "upload_image_os_disk": files["os"].name,
        "upload_image_data_disks": f"4={files['data']}",
        "upload_image_kinds": "vm_image, os_image",
        "upload_image_tags": "release=1.0, cost center = web \n",
        "upload_image_location": "",
        "upload_image_generation": "",
        "upload_image_zone_resilient": "",
        "upload_image_replace": "",
        "upload_image_os_image_name": "",
    }
    here = {"PWD": str(files["os"].parent)}
    mark = azure.mark()
    play(UPLOAD, check=True, env=here, **survey).succeeded()
    assert azure.writes(mark) == []
    made = play(UPLOAD, env=here, **survey).succeeded()
    vm_image = azure.get(azure.id(group, f"{COMPUTE}/images", "web-1.0"))
    os_image = azure.get(azure.id(group, f"{COMPUTE}/images", "web-1.0-os"))
    assert [disk["lun"] for disk in vm_image["properties"]["storageProfile"]["dataDisks"]] == [4]
    assert os_image["properties"]["storageProfile"]["dataDisks"] == []
    for image in (vm_image, os_image):
        assert image["properties"]["hyperVGeneration"] == "V2"
        assert image["tags"].items() >= {"release": "1.0", "cost center": "web"}.items()
    assert made.custom_stats["upload_image_ids"] == {"vm_image": vm_image["id"], "os_image": os_image["id"]}
    assert made.custom_stats["provision_vm_image"] == vm_image["id"]

    mark = azure.mark()
    again = play(UPLOAD, env=here, **survey).succeeded()
    assert again.stats["localhost"]["changed"] == 0
    assert azure.writes(mark) == []
    assert again.custom_stats == made.custom_stats

    names = ["born-1", "born-2"]
    survey = {
        "provision_vm_resource_group": group,
        "provision_vm_names": names,
        "provision_vm_ssh_public_keys": [f"{public_key()}\n", public_key("second")],
        "provision_vm_admin_user": "",
        "provision_vm_public_ip": "true",
        "provision_vm_tags": {"stage": "test"},
        **made.custom_stats,
    }
    provisioned = play(PROVISION, **survey).succeeded()
    assert [result["vm"]["name"] for result in provisioned.tasks["Wait for the machines"]["results"]] == names
    started = provisioned.tasks["Start making the machines"]["results"]
    assert [result["changed"] for result in started] == [True, True]
    assert provisioned.stats["localhost"]["changed"] == 1, "waiting changes nothing"
    for machine in provisioned.custom_stats["provision_vm_machines"]:
        assert machine["admin_username"] == "azureuser"
        assert [disk["lun"] for disk in machine["data_disks"]] == [4]
        assert machine["public_ip_addresses"]
        assert machine["tags"] == {"stage": "test"}
        keys = azure.get(machine["id"])["properties"]["osProfile"]["linuxConfiguration"]["ssh"]["publicKeys"]
        assert [key["keyData"] for key in keys] == [public_key(), public_key("second")]
        line = next(text for text in provisioned.last["msg"] if text.startswith(machine["name"]))
        assert machine["public_ip_addresses"][0] in line
    rules = azure.get(azure.id(group, "Microsoft.Network/networkSecurityGroups", "born-1-nsg"))["properties"]
    assert [rule["properties"]["destinationPortRange"] for rule in rules["securityRules"]] == ["22"]

    addresses = [vm["public_ip_addresses"][0] for vm in provisioned.custom_stats["provision_vm_machines"]]
    with ssh_banners(addresses) as port:
        waiting: dict[str, Any] = {"provision_vm_wait_for_ssh": "yes", "provision_vm_ssh_port": str(port)}
        again = play(PROVISION, **survey, **waiting).succeeded()
    assert again.stats["localhost"]["changed"] == 0
    assert len(again.tasks["Wait for SSH"]["results"]) == 2


@pytest.mark.thorough
def test_upload_image_takes_disks_from_another_host_and_makes_images_of_blobs(
    azure: LocalAzure, play: Player, group: str, files: dict[str, Path], tmp_path: Path
) -> None:
    account = Account(azure, group)
    inventory = tmp_path / "inventory"
    inventory.write_text(f"hypervisor ansible_connection=local ansible_python_interpreter={sys.executable}\n")
    survey: dict[str, Any] = {
        "upload_image_resource_group": group,
        "upload_image_name": "blobs-1.0",
        "upload_image_host": "hypervisor",
        "upload_image_os_disk": str(files["os"]),
        "upload_image_data_disks": f"2={files['data']}",
        "upload_image_storage_account": account.name,
        "upload_image_bandwidth_limit": "100M",
        "upload_image_verify": "full",
    }
    here = {"ANSIBLE_INVENTORY": str(inventory)}
    mark = azure.mark()
    play(UPLOAD, check=True, env=here, **survey).succeeded()
    assert not [write for write in azure.writes(mark) if not write.endswith("/listKeys")]
    made = play(UPLOAD, env=here, **survey).succeeded()
    image = azure.get(made.custom_stats["upload_image_id"])
    profile = image["properties"]["storageProfile"]
    assert image["properties"]["hyperVGeneration"] == "V2"
    assert profile["osDisk"]["blobUri"].endswith("/vhds/blobs-1.0-os-disk.vhd")
    assert [(disk["lun"], disk["blobUri"].rpartition("/")[2]) for disk in profile["dataDisks"]] == [
        (2, "blobs-1.0-data-disk-2.vhd")
    ]
    again = play(UPLOAD, env=here, **survey).succeeded()
    assert again.stats["localhost"]["changed"] == 0
    assert again.custom_stats == made.custom_stats


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"upload_image_name": ""}, "Set upload_image_resource_group, upload_image_name"),
        ({"upload_image_kinds": "vm_image,disk_image"}, "takes vm_image and os_image"),
        ({"upload_image_data_disks": "1=DATA,1=DATA"}, "gives a LUN twice"),
        ({"upload_image_data_disks": "/nowhere/data.raw"}, "/nowhere/data.raw"),
        ({"upload_image_resource_group": "nowhere"}, "nowhere"),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_upload_image_says_what_is_wrong_before_it_sends_anything(
    azure: LocalAzure,
    play: Player,
    group: str,
    *,
    files: dict[str, Path],
    change: dict[str, str],
    message: str,
) -> None:
    survey: dict[str, Any] = {
        "upload_image_resource_group": group,
        "upload_image_name": "bad",
        "upload_image_os_disk": str(files["os"]),
        **{name: value.replace("DATA", str(files["data"])) for name, value in change.items()},
    }
    mark = azure.mark()
    run = play(UPLOAD, **survey)
    assert run.rc != 0
    assert message in str([result.result for result in run.results if result.status.endswith("failed")])
    assert azure.writes(mark) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"provision_vm_names": " , "}, "Set provision_vm_resource_group"),
        ({"provision_vm_names": "one,One"}, "holds a name twice"),
        ({"provision_vm_names": "good,bad_name"}, "bad_name"),
        ({"provision_vm_ssh_public_keys": ""}, "neither a key nor admin_password"),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_provision_vm_checks_every_machine_before_it_makes_the_first(
    azure: LocalAzure, play: Player, group: str, change: dict[str, str], message: str
) -> None:
    golden_image(azure, group)
    survey: dict[str, Any] = {
        "provision_vm_resource_group": group,
        "provision_vm_names": "good",
        "provision_vm_image": "golden",
        "provision_vm_ssh_public_keys": f"\n{public_key()}\n",
        **change,
    }
    mark = azure.mark()
    run = play(PROVISION, **survey)
    assert run.rc != 0
    assert message in str([result.result for result in run.results if result.status.endswith("failed")])
    assert azure.writes(mark) == []
