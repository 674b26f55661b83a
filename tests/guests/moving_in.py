# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Moves a lab guest into a local Azure, where it goes on as a machine with its identity and more disks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.guests.lab.frozen import ThawedGuest
from tests.guests.lab.programs import run_program
from tests.integration.cloud import LocalAzure
from tests.integration.plays import Player

NETWORK = "Microsoft.Network"
COMPUTE = "Microsoft.Compute"
# What came from elsewhere has other interfaces, and is not to be set up as a new machine: as long as its name
# is "guest", there is nothing to do for cloud-init, which takes a third of an emulated boot, nor for Azure's
# agent. For what is born of it they do what a login needs.
_MOVE_OUT = """
printf '[Match]\\nName=eth*\\n[Network]\\nDHCP=yes\\n' > /etc/systemd/network/10-any.network
rm -f /etc/netplan/50-cloud-init.yaml
for unit in cloud-init-local cloud-init walinuxagent; do
    mkdir /etc/systemd/system/$unit.service.d
    printf '[Unit]\\nConditionHost=!guest\\n' > /etc/systemd/system/$unit.service.d/guest.conf
done
systemctl mask cloud-config.service cloud-final.service
sync
"""


def labelled_disk(path: Path, label: str, directory: Path) -> Path:
    """A raw disk of 32 MiB with an ext4 file system of that label, which a file "label" says too."""
    content = directory / f"content-{label}"
    content.mkdir()
    (content / "label").write_text(f"{label}\n", encoding="utf-8")
    with path.open("wb") as file:
        file.truncate(32 << 20)
    run_program(["mke2fs", "-q", "-t", "ext4", "-L", label, "-d", str(content), str(path)])
    return path


def move_in(
    azure: LocalAzure, player: Player, guest: ThawedGuest, group: str, data_disks: dict[int, Path]
) -> str:
    """The guest's disk becomes machine "worker", with these disks at their LUNs; its public address."""
    guest.ssh.sudo(_MOVE_OUT)
    guest.ssh.sudo("systemd-run --on-active=1 systemctl poweroff --force")
    guest.ssh.close()
    assert guest.machine.wait_off(60)
    overlay = guest.disks[0].path
    raw = overlay.with_name("moved-out.raw")
    run_program(["qemu-img", "convert", "-O", "raw", str(overlay), str(raw)])
    given: list[dict[str, Any]] = [
        {"path": str(raw), "disk_name": "os", "os_type": "Linux", "hyper_v_generation": "V1"}
    ]
    given += [
        {"path": str(path), "disk_name": f"data-{lun}", "allow_unpartitioned": True}
        for lun, path in data_disks.items()
    ]
    uploads = player.each("disk_upload", [{**each, "resource_group": group} for each in given])
    assert all(upload.changed for upload in uploads), [upload.msg for upload in uploads]
    raw.unlink()
    public, interface = _interface(azure, group)
    disks = {lun: azure.id(group, f"{COMPUTE}/disks", f"data-{lun}") for lun in data_disks}
    storage: dict[str, Any] = {
        "osDisk": {
            "createOption": "Attach",
            "osType": "Linux",
            "managedDisk": {"id": azure.id(group, f"{COMPUTE}/disks", "os")},
        },
        "dataDisks": [
            {"lun": lun, "createOption": "Attach", "managedDisk": {"id": disk}} for lun, disk in disks.items()
        ],
    }
    properties = {
        "hardwareProfile": {"vmSize": "Standard_B1s"},
        "storageProfile": storage,
        "networkProfile": {"networkInterfaces": [{"id": interface}]},
    }
    machine = azure.id(group, f"{COMPUTE}/virtualMachines", "worker")
    azure.put(machine, {"location": "eastus", "properties": properties})
    return str(azure.get(public)["properties"]["ipAddress"])


def _interface(azure: LocalAzure, group: str) -> tuple[str, str]:
    """Ids of a public address and of an interface that has it."""
    network = azure.id(group, f"{NETWORK}/virtualNetworks", "net")
    subnet = {"name": "default", "properties": {"addressPrefix": "10.9.0.0/24"}}
    space = {"addressSpace": {"addressPrefixes": ["10.9.0.0/16"]}, "subnets": [subnet]}
    azure.put(network, {"location": "eastus", "properties": space})
    public = azure.id(group, f"{NETWORK}/publicIPAddresses", "front")
    static = {"publicIPAllocationMethod": "Static"}
    azure.put(public, {"location": "eastus", "sku": {"name": "Standard"}, "properties": static})
    interface = azure.id(group, f"{NETWORK}/networkInterfaces", "nic")
    inner = {"subnet": {"id": f"{network}/subnets/default"}, "publicIPAddress": {"id": public}}
    configuration = {"name": "ip", "properties": inner}
    azure.put(interface, {"location": "eastus", "properties": {"ipConfigurations": [configuration]}})
    return public, interface
