# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""A real machine to capture, and the machines that are born of what was captured."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from tests.guests.lab.frozen import ThawedGuest
from tests.guests.lab.ssh import SshGuest, make_key, wait_for_ssh
from tests.guests.moving_in import labelled_disk, move_in
from tests.integration.captures import definition, image, version
from tests.integration.cloud import CHECKOUT, LocalAzure
from tests.integration.machines import COMPUTE
from tests.integration.plays import Player, PlayResult

GROUP = "shop"
NAME = "worker"
LABELS = {0: "first", 5: "sixth"}
#: LUN and label of every data disk, as `LOOK` says them.
DATA = [f"{lun} {label}" for lun, label in LABELS.items()]
#: An emulated guest boots in half a minute when nothing else runs.
BOOT_SECONDS = 600
BOOT = "cat /proc/sys/kernel/random/boot_id"
#: What makes a machine this one, line by line.
IDENTITY = (
    "cat /etc/machine-id; hostname; ls /home; getent passwd runner carol; cat /etc/ssh/ssh_host_*_key.pub"
)
#: The task that shows that the guest was really generalized.
GENERALIZED = "goldenimage.azure.linux_generalize : Remove the traces and start the last step"
_VHDS = "captures"
_USED = "".join(
    f"mkdir /{label}; echo 'LABEL={label} /{label} ext4 defaults,nofail 0 2' >> /etc/fstab\n"
    for label in LABELS.values()
)
# The names that the kernel gives to disks say nothing of their LUNs. Nobody waits for mounts that may fail.
LOOK = f"""
for label in {" ".join(LABELS.values())}; do
    for second in $(seq 60); do findmnt /$label > /dev/null && break; sleep 1; done
    disk=$(findmnt -no SOURCE /$label) && echo "$(lsblk -dno HCTL $disk | sed 's/.*://') $(cat /$label/label)"
done
"""


class CapturedMachine:
    """A Debian machine with an account of its own and data disks that are mounted at every boot.

    `identity` is what `IDENTITY` says of it.
    """

    def __init__(self, azure: LocalAzure, directory: Path, guest: ThawedGuest) -> None:
        self.azure = azure
        self.id = azure.id(GROUP, f"{COMPUTE}/virtualMachines", NAME)
        self._player = Player(directory, azure.env)
        guest.ssh.sudo(f"useradd -m -s /bin/bash carol\n{_USED}")
        self.identity = guest.ssh.sudo(IDENTITY)
        disks = {
            lun: labelled_disk(directory / f"{label}.raw", label, directory) for lun, label in LABELS.items()
        }
        address = move_in(azure, self._player, guest, GROUP, disks)
        self.ssh = SshGuest(address, int(azure.env["LOCAL_AZURE_GUEST_SSH_PORT"]), "runner", guest.ssh.key)
        self._inventory = directory / "inventory"
        line = self.ssh.inventory_line(NAME)
        self._inventory.write_text(f"{line} ansible_python_interpreter=/usr/bin/python3\n", encoding="utf-8")

    def wait(self) -> None:
        """Until it can be logged in to."""
        wait_for_ssh(self.ssh, BOOT_SECONDS)

    def assert_born(self, born: Born, name: str) -> None:
        """A machine that was made of this one's image is one of its own, with this one's data."""
        assert born.luns == list(LABELS)
        assert born.data == DATA
        assert born.hostname == name
        assert not set(born.identity.splitlines()) & set(self.identity.splitlines())

    def capture(self, **variables: Any) -> PlayResult:
        """Run capture_vm.yml."""
        return self._player(
            CHECKOUT / "playbooks" / "capture_vm.yml",
            env={
                "ANSIBLE_INVENTORY": str(self._inventory),
                "ANSIBLE_PIPELINING": "1",
                "ANSIBLE_TIMEOUT": "60",
            },
            timeout=2 * BOOT_SECONDS,
            capture_vm_resource_group=GROUP,
            capture_vm_name=NAME,
            capture_vm_host=NAME,
            linux_generalize_confirm="guest",
            linux_generalize_accounts=["carol"],
            **variables,
        )


def make_places(azure: LocalAzure) -> None:
    """The resource group, and where a capture to a gallery and to VHDs goes."""
    azure.group(GROUP)
    definition(azure, GROUP, "debian")
    account = azure.id(GROUP, "Microsoft.Storage/storageAccounts", _VHDS)
    azure.put(account, {"location": "eastus", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}})
    azure.put(f"{account}/blobServices/default/containers/vhds", {})


def everywhere(name: str, number: str) -> list[dict[str, Any]]:
    """A target of every type."""
    blobs = {"type": "vhd_blobs", "storage_account": _VHDS, "container": "vhds", "prefix": f"{name}-"}
    return [image(name), version("debian", number), blobs]


class Born(NamedTuple):
    """What Azure says of a machine (`luns`), and what it says of itself."""

    luns: list[int]
    hostname: str
    data: list[str]
    identity: str


class Births:
    """Machines born of what was captured: made, looked at and deleted, two at a time, beside all else."""

    def __init__(self, azure: LocalAzure, directory: Path) -> None:
        self._azure = azure
        self._directory = directory
        self._public_key = make_key(directory / "key")
        self._pool = ThreadPoolExecutor(2, "birth")
        self._begun: dict[str, Future[Born]] = {}

    def begin(self, name: str, target: dict[str, Any]) -> None:
        """`target` is what a capture returned of one that it made."""
        self._begun[name] = self._pool.submit(self._bear, name, target)

    def __getitem__(self, name: str) -> Born:
        """The machine of that name, once it has been looked at."""
        if name not in self._begun:
            raise LookupError(f"Nothing was captured that {name} could be born of.")
        return self._begun[name].result()

    def end(self) -> None:
        """Begin no more. Those under way end when their Azure does."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _bear(self, name: str, target: dict[str, Any]) -> Born:
        directory = self._directory / name
        directory.mkdir()
        player = Player(directory, self._azure.env)
        source = target["id"]
        if target["type"] == "vhd_blobs":
            source = self._image_of_blobs(player, name, target)
        options = {
            "resource_group": GROUP,
            "name": name,
            "image": source,
            "size": "Standard_B1s",
            "admin_username": "ops",
            "ssh_public_keys": [self._public_key],
            "public_ip": True,
            "open_ports": [22],
        }
        vm = player.module("vm", options, timeout=2 * BOOT_SECONDS).succeeded().last["vm"]
        port = int(self._azure.env["LOCAL_AZURE_GUEST_SSH_PORT"])
        ssh = SshGuest(vm["public_ip_addresses"][0], port, "ops", self._directory / "key")
        try:
            wait_for_ssh(ssh, BOOT_SECONDS)
            said = ssh.run("hostname").strip(), ssh.sudo(LOOK).splitlines(), ssh.sudo(IDENTITY)
        finally:
            ssh.close()
        self._azure.do("DELETE", vm["id"])
        return Born([disk["lun"] for disk in vm["data_disks"]], *said)

    def _image_of_blobs(self, player: Player, name: str, target: dict[str, Any]) -> str:
        data = [{"lun": disk["lun"], "source": disk["url"]} for disk in target["data_disks"]]
        options = {
            "resource_group": GROUP,
            "name": f"of-{name}",
            "os_disk": {"source": target["os_disk"]["url"], "os_type": "Linux"},
            "data_disks": data,
            "hyper_v_generation": "V1",
        }
        return str(player.module("managed_image", options).succeeded().last["image"]["id"])
