# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Starting and stopping virtual machines, with real guests behind them where they are asked for."""

from __future__ import annotations

import base64
from typing import Literal

from tests.local_azure.azure import LocalAzure
from tests.local_azure.guest_environment.record import Heard
from tests.local_azure.guests_host import GuestSpec, choose_ssh_port
from tests.local_azure.providers.compute.vm_disks import MachineDisks
from tests.local_azure.providers.compute.vm_metadata import instance_document, primary_interface
from tests.local_azure.providers.compute.vm_network import MachineNetwork
from tests.local_azure.providers.compute.vm_provisioning import not_provisioned
from tests.local_azure.store import Json, Resource
from tests.local_azure.threads import in_thread


class MachinePower:
    def __init__(self, azure: LocalAzure, disks: MachineDisks, network: MachineNetwork) -> None:
        self._azure = azure
        self._disks = disks
        self._network = network

    def seen(self, machine: Resource) -> str | None:
        """The power state as the platform sees it: a guest that shut itself down is stopped."""
        power: str | None = machine.hidden.get("power")
        guests = self._azure.guests
        if power == "running" and guests is not None and not guests.is_running(_key(machine)):
            return "stopped"
        return power

    async def start(self, machine: Resource, *, provisioning: bool = False) -> None:
        """Starts the guest. `provisioning`: waits until it has been set up and can be reached."""
        self._network.lease_addresses(machine)
        guests = self._azure.guests
        if guests is None:
            return
        await in_thread(guests.start, self._spec(machine))
        if not provisioning:
            return
        timeout = self._azure.settings.guest_timeout
        report = await in_thread(guests.wait_provisioned, _key(machine), timeout)
        if report.outcome != "ready":
            raise not_provisioned(machine.name, report)

    async def tell(self, machine: Resource) -> None:
        """The machine has changed: the guest's metadata service is to say so."""
        guests = self._azure.guests
        if guests is not None:
            await in_thread(guests.tell, _key(machine), self._instance(machine))

    def heard(self, machine: Resource) -> Heard | None:
        """What the guest has told the platform; None without real guests."""
        guests = self._azure.guests
        return None if guests is None else guests.heard(_key(machine))

    async def stop(self, machine: Resource, *, hard: bool = False) -> None:
        """Ends the guest; what it wrote is in the disks afterwards."""
        guests = self._azure.guests
        if guests is None:
            return
        key = _key(machine)
        await in_thread(guests.stop, key, hard)
        if await self._is_known(key):
            await in_thread(guests.sync_back, key)

    async def _is_known(self, key: str) -> bool:
        """Whether the guest was ever started: a machine may fail before that."""
        guests = self._azure.guests
        return guests is not None and key in await in_thread(guests.keys)

    async def unplug(self, machine: Resource) -> None:
        """Ends the guest at once, so that whoever waits for it stops waiting."""
        guests = self._azure.guests
        if guests is not None:
            await in_thread(guests.stop, _key(machine), True)

    async def forget(self, machine: Resource, *, keep_writes: bool) -> None:
        """The machine is deleted; disks that outlive it keep what the guest wrote."""
        guests = self._azure.guests
        if guests is None:
            return
        key = _key(machine)
        await in_thread(guests.stop, key, True)
        if keep_writes and await self._is_known(key):
            await in_thread(guests.sync_back, key)
        await in_thread(guests.delete, key)

    def release_addresses(self, machine: Resource) -> None:
        self._network.return_addresses(machine)

    def _spec(self, machine: Resource) -> GuestSpec:
        disks = self._disks.contents(machine)
        profile = machine.properties.get("osProfile") or {}
        linux = profile.get("linuxConfiguration") or {}
        keys = (linux.get("ssh") or {}).get("publicKeys") or []
        user = profile.get("adminUsername", "")
        interface = primary_interface(self._azure, machine)
        custom = machine.hidden.get("custom_data")
        generation: Literal["V1", "V2"] = "V2" if machine.hidden.get("generation") == "V2" else "V1"
        return GuestSpec(
            key=_key(machine),
            name=machine.name,
            computer_name=profile.get("computerName", machine.name),
            admin_username=user,
            ssh_public_keys=tuple(
                (k.get("path") or f"/home/{user}/.ssh/authorized_keys", k["keyData"]) for k in keys
            ),
            password_authentication=not linux.get("disablePasswordAuthentication"),
            custom_data=base64.b64decode(custom) if custom else None,
            admin_password=machine.hidden.get("admin_password"),
            os_disk=disks[0][1],
            data_disks=tuple((lun, address) for lun, address in disks[1:] if lun is not None),
            generation=generation,
            address=self._network.guest_address(machine),
            ssh_port=choose_ssh_port(self._azure.settings.state_dir),
            private_address=interface.address,
            subnet=interface.prefix,
            mac=interface.mac,
            location=machine.location,
            instance=self._instance(machine),
            provision=not machine.hidden.get("specialized"),
        )

    def _instance(self, machine: Resource) -> Json:
        return instance_document(self._azure, machine, self._network.public_address(machine))


def _key(machine: Resource) -> str:
    return str(machine.properties["vmId"])
