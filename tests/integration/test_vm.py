# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""vm and vm_info, run by ansible-playbook against the local Azure (power states only, no guests)."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.integration.cloud import LocalAzure
from tests.integration.machines import golden_image, wanted
from tests.integration.plays import Player, TaskResult

COMPUTE = "Microsoft.Compute"
VMS = f"{COMPUTE}/virtualMachines"
NETWORK = "Microsoft.Network"
PASSWORD = "Open-Sesame-42"
CUSTOM_DATA = "#cloud-config\nhostname: kept-secret\n"


def ensure(play: Player, args: dict[str, Any], **options: Any) -> TaskResult:
    return play.module("vm", args, **options).succeeded().last


@pytest.fixture(scope="module")
def image(azure: LocalAzure, group: str) -> str:
    return golden_image(azure, group)


def in_group(azure: LocalAzure, group: str) -> set[str]:
    """Names of everything in a resource group."""
    return {resource["name"] for resource in azure.get(f"{azure.id(group)}/resources")["value"]}


@pytest.mark.usefixtures("image")
def test_a_machine_is_predicted_made_once_changed_and_deleted_with_all_that_came_with_it(
    azure: LocalAzure, play: Player, group: str, image: str
) -> None:
    args = wanted(
        group,
        "web-1",
        public_ip=True,
        open_ports=[22, 443],
        open_ports_from=["127.0.0.0/8"],
        data_disks=[{"lun": 10, "size_gb": 8, "name": "web-1-extra"}],
        tags={"stage": "test"},
    )
    before = in_group(azure, group)
    vm_id = azure.id(group, VMS, "web-1")
    mark = azure.mark()
    predicted, made, again = play.each("vm", [{**args, "check_mode": True}, args, args], diff=True)
    assert [result.changed for result in (predicted, made, again)] == [True, True, False]
    assert again["diff"]["before"] == again["diff"]["after"]
    parts = [f"{NETWORK}/networkSecurityGroups/web-1-nsg", f"{NETWORK}/virtualNetworks/web-1-vnet"]
    written = [f"PUT {azure.id(group)}/providers/{part}" for part in parts]
    assert azure.writes(mark) == [*written, f"PUT {vm_id}"]
    for result in (predicted, made):
        vm = result["vm"]
        assert vm["id"] == vm_id
        assert (vm["computer_name"], vm["admin_username"], vm["os_type"]) == ("web-1", "ops", "Linux")
        assert vm["image"]["id"] == image
        assert [disk["lun"] for disk in vm["data_disks"]] == [3, 10]
        assert (vm["power_state"], vm["generalized"]) == ("running", False)
        assert result["diff"]["before"] == {}
        assert result["diff"]["after"]["size"] == "Standard_D2s_v5"
    vm = made["vm"]
    assert len(vm["public_ip_addresses"]) == len(vm["private_ip_addresses"]) == 1
    assert vm["data_disks"][1]["name"] == "web-1-extra"
    assert vm["data_disks"][1]["size_gb"] == 8
    security_group = azure.get(azure.id(group, f"{NETWORK}/networkSecurityGroups", "web-1-nsg"))
    rules = security_group["properties"]["securityRules"]
    ports = {rule["properties"]["destinationPortRange"] for rule in rules}
    assert ports == {"22", "443"}
    assert {rule["properties"]["sourceAddressPrefix"] for rule in rules} == {"127.0.0.0/8"}

    update = {"resource_group": group, "name": "web-1", "size": "Standard_D4s_v5", "tags": {"owner": "ops"}}
    mark = azure.mark()
    predicted, changed, again = play.each("vm", [{**update, "check_mode": True}, update, update], diff=True)
    assert not again.changed
    assert azure.writes(mark) == [f"PATCH {vm_id}"]
    for result in (predicted, changed):
        assert result.changed
        assert result["vm"]["size"] == "Standard_D4s_v5"
        assert result["vm"]["tags"] == {"stage": "test", "owner": "ops"}
        assert result["diff"]["before"]["size"] == "Standard_D2s_v5"

    absent: dict[str, Any] = {"resource_group": group, "name": "web-1", "state": "absent"}
    mark = azure.mark()
    steps = [{**absent, "check_mode": True}, absent, absent]
    predicted, gone, again = play.each("vm", steps, diff=True)
    assert [result.changed for result in (predicted, gone, again)] == [True, True, False]
    assert azure.writes(mark)[0] == f"DELETE {vm_id}"
    assert len(azure.writes(mark)) == 3, "the machine, its network and its security group"
    assert gone["vm"] is None
    assert gone["diff"]["before"]["name"] == "web-1"
    assert in_group(azure, group) == before


@pytest.mark.usefixtures("image")
def test_a_machine_is_stopped_started_and_generalized(azure: LocalAzure, play: Player, group: str) -> None:
    base = {"resource_group": group, "name": "power"}
    steps: list[tuple[dict[str, Any], bool, str, bool]] = [
        (wanted(group, "power"), True, "running", False),
        ({"power_state": "stopped", "check_mode": True}, True, "stopped", False),
        ({"power_state": "stopped"}, True, "stopped", False),
        ({"power_state": "stopped"}, False, "stopped", False),
        ({"power_state": "running"}, True, "running", False),
        ({"power_state": "deallocated", "generalized": True}, True, "deallocated", True),
        ({"power_state": "deallocated", "generalized": True}, False, "deallocated", True),
    ]
    results = play.each("vm", [{**base, **step} for step, *_unused in steps], diff=True)
    for result, (step, changed, power, generalized) in zip(results, steps, strict=True):
        assert (result.changed, result["vm"]["power_state"], result["vm"]["generalized"]) == (
            changed,
            power,
            generalized,
        ), step
    assert results[5]["actions"] == ["Deallocated virtual machine power", "Generalized virtual machine power"]
    assert results[5]["diff"]["before"]["generalized"] is False
    image = {"resource_group": group, "name": "of-power", "source_vm": "power"}
    first, second = play.each("managed_image", [image, image])
    assert [first.changed, second.changed] == [True, False]
    made = first["image"]
    assert made["source_virtual_machine"] == azure.id(group, VMS, "power")
    assert [disk["lun"] for disk in made["data_disks"]] == [3]
    assert made["hyper_v_generation"] == "V1"


@pytest.mark.usefixtures("image")
def test_existing_networks_and_kept_disks_survive_the_machine(
    azure: LocalAzure, play: Player, group: str
) -> None:
    network = azure.id(group, f"{NETWORK}/virtualNetworks", "corporate")
    subnets = [{"name": "servers", "properties": {"addressPrefix": "10.9.0.0/24"}}]
    space = {"addressSpace": {"addressPrefixes": ["10.9.0.0/16"]}, "subnets": subnets}
    azure.put(network, {"location": "eastus", "properties": space})
    interface = azure.id(group, f"{NETWORK}/networkInterfaces", "spare")
    address = {"name": "one", "properties": {"subnet": {"id": f"{network}/subnets/servers"}}}
    azure.put(interface, {"location": "eastus", "properties": {"ipConfigurations": [address]}})

    by_name = wanted(group, "by-name", virtual_network="corporate", subnet="servers")
    by_interface = wanted(group, "by-interface", network_interfaces=[interface])
    made, again, attached = play.each("vm", [by_name, by_name, by_interface])
    assert [made.changed, again.changed] == [True, False]
    assert made["vm"]["private_ip_addresses"][0].startswith("10.9.0.")
    assert attached["vm"]["network_interfaces"] == [interface]

    absent = {"resource_group": group, "state": "absent"}
    keep = {**absent, "name": "by-name", "keep": ["os_disk", "data_disks"]}
    assert all(result.changed for result in play.each("vm", [keep, {**absent, "name": "by-interface"}]))
    left = in_group(azure, group)
    assert {"corporate", "spare", made["vm"]["os_disk"]["name"]} <= left
    assert len([name for name in left if name.startswith("by-name")]) == 2, "both disks stay, nothing else"
    assert not [name for name in left if name.startswith("by-interface")]


@pytest.mark.usefixtures("image")
def test_a_machine_that_was_not_waited_for_is_waited_for_by_the_next_run(play: Player, group: str) -> None:
    args = [wanted(group, name, wait=wait) for wait in (False, True) for name in ("async-1", "async-2")]
    contradiction = wanted(group, "async-3", wait=False, power_state="stopped")
    *results, refused = play.each("vm", [*args, contradiction])
    assert [result.changed for result in results] == [True, True, False, False]
    assert results[2]["vm"]["provisioning_state"] == "Succeeded"
    assert results[3]["vm"]["power_state"] == "running"
    assert results[3]["vm"]["private_ip_addresses"]
    assert refused.failed
    assert "wait: power_state" in refused.msg


def test_bad_input_fails_the_task_before_any_write(
    azure: LocalAzure, play: Player, group: str, image: str
) -> None:
    west = azure.group(f"{group}-west", "westus")
    cases: list[tuple[dict[str, Any], tuple[str, ...]]] = [
        ({"image": "missing"}, ("image", "no managed image missing", group)),
        ({"resource_group": "nowhere", "image": image}, ("nowhere", "resource group")),
        ({"resource_group": west, "image": image, "location": "westus"}, ("eastus", "westus")),
        ({"name": "bad/name"}, ("name: 'bad/name'", "1 to 64")),
        ({"admin_username": "root"}, ("admin_username: 'root'", "does not allow")),
        ({"ssh_public_keys": []}, ("neither a key nor admin_password",)),
    ]
    mark = azure.mark()
    results = play.each("vm", [{**wanted(group, "bad"), **case} for case, _unused in cases])
    for result, (case, fragments) in zip(results, cases, strict=True):
        assert result.failed, f"{case} was not refused: {result.result}"
        for fragment in fragments:
            assert fragment in result.msg
    assert azure.writes(mark) == []


@pytest.mark.usefixtures("image")
def test_a_machine_that_azure_refuses_leaves_no_network_behind(
    azure: LocalAzure, play: Player, group: str
) -> None:
    before = in_group(azure, group)
    refused = play.module("vm", wanted(group, "refused", size="enormous")).failed_with("enormous")
    assert refused["failure"]["code"]
    assert in_group(azure, group) == before


@pytest.mark.usefixtures("image")
def test_password_and_custom_data_are_shown_nowhere(azure: LocalAzure, play: Player, group: str) -> None:
    args = wanted(group, "secret", admin_password=PASSWORD, custom_data=CUSTOM_DATA)
    shown = play.module("vm", args, verbosity=3, diff=True).succeeded()
    encoded = base64.b64encode(CUSTOM_DATA.encode()).decode()
    for secret in (PASSWORD, "kept-secret", encoded, azure.secret):
        assert secret not in shown.output
    assert PASSWORD not in str(shown.last.result)
    # Azure does not return them: a second run has nothing to compare, and changes nothing.
    assert not ensure(play, {**args, "admin_password": "Another-Secret-7"}).changed
    sent = [
        exchange["liveRequest"] for exchange in azure.exchanges() if "virtualMachines/secret" in str(exchange)
    ]
    assert any("customData" in str(request["body"]) for request in sent if request["method"] == "PUT")


@pytest.mark.usefixtures("image")
def test_info_lists_machines_with_their_state_and_addresses(
    play: Player, group: str, azure: LocalAzure
) -> None:
    ensure(play, wanted(group, "listed", tags={"role": "listed"}, public_ip=True))
    queries: list[tuple[dict[str, Any], list[str]]] = [
        ({"resource_group": group, "name": "listed"}, ["listed"]),
        ({"resource_group": group, "name": "missing"}, []),
        ({"tags": ["role:listed"]}, ["listed"]),
        ({"name": "LISTED"}, ["listed"]),
    ]
    mark = azure.mark()
    results = play.each("vm_info", [query for query, _unused in queries], check=True)
    for result, (query, names) in zip(results, queries, strict=True):
        assert not result.changed
        assert [vm["name"] for vm in result["vms"]] == names, query
    assert azure.writes(mark) == []
    listed = results[2]["vms"][0]
    assert (listed["power_state"], listed["image"]["id"].rpartition("/")[2]) == ("running", "golden")
    assert listed["public_ip_addresses"]
    assert listed["os_disk"]["size_gb"] == 4
