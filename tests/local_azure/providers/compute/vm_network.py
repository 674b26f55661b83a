# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The network interfaces of a virtual machine, existing ones and those made with it."""

from __future__ import annotations

import uuid
from typing import Any

from tests.local_azure.azure import LocalAzure
from tests.local_azure.call import Call, properties_of
from tests.local_azure.errors import ArmError, missing_parameter
from tests.local_azure.providers.network.network_interfaces import Interfaces
from tests.local_azure.providers.network.network_kinds import bad_reference
from tests.local_azure.providers.network.public_addresses import PublicAddresses, new_public_address
from tests.local_azure.store import Json, Resource


class MachineNetwork:
    def __init__(self, azure: LocalAzure, interfaces: Interfaces, addresses: PublicAddresses) -> None:
        self._azure = azure
        self._interfaces = interfaces
        self._addresses = addresses

    def plan(self, machine: Resource, profile: Json) -> list[Json]:
        """What to attach or make; raises for interfaces that are missing, elsewhere or taken."""
        plans = []
        for given in profile.get("networkInterfaces") or []:
            plans.append(self._existing(machine, given))
        for index, given in enumerate(profile.get("networkInterfaceConfigurations") or []):
            plans.append(self._inline(machine, given, index))
        if not any(p["primary"] for p in plans):
            plans[0]["primary"] = True
        return plans

    def _existing(self, machine: Resource, given: Json) -> Json:
        nic_id = given.get("id")
        if not isinstance(nic_id, str):
            raise missing_parameter("networkProfile.networkInterfaces.id")
        nic = self._azure.store.get(nic_id)
        if nic is None or nic.location != machine.location:
            raise bad_reference(nic_id, machine.id)
        user = (nic.properties.get("virtualMachine") or {}).get("id")
        if user is not None and user.lower() != machine.id.lower():
            raise ArmError(
                400,
                "NicInUse",
                f"Network Interface {nic.id} is used by existing resource {user}. In order to use it, it "
                "must "
                "be dissociated from the resource. To learn more, see aka.ms/deletenic.",
            )
        settings = properties_of(given)
        return {
            "id": nic.id,
            "primary": bool(settings.get("primary")),
            "said_primary": "primary" in settings,
            "delete": settings.get("deleteOption"),
        }

    def _inline(self, machine: Resource, given: Json, index: int) -> Json:
        path = f"networkProfile.networkInterfaceConfigurations[{index}]"
        name, settings = given.get("name"), properties_of(given)
        if not name:
            raise missing_parameter(f"{path}.name")
        configurations = settings.get("ipConfigurations") or []
        if not configurations:
            raise missing_parameter(f"{path}.properties.ipConfigurations")
        for configuration in configurations:
            subnet = (properties_of(configuration).get("subnet") or {}).get("id")
            if not isinstance(subnet, str):
                raise missing_parameter(f"{path}.properties.ipConfigurations.subnet")
            network = self._azure.store.get(subnet.rpartition("/subnets/")[0])
            names = [s["name"].lower() for s in network.properties["subnets"]] if network else []
            if subnet.rpartition("/")[2].lower() not in names:
                raise bad_reference(subnet, machine.id)
        scope = machine.id.rpartition("/providers/")[0]
        nic_name = f"{name}-{uuid.uuid4().hex[:8]}"
        return {
            "id": f"{scope}/providers/{self._interfaces.type}/{nic_name}",
            "configuration": given,
            "primary": bool(settings.get("primary")),
            "delete": settings.get("deleteOption") or "Detach",
        }

    def make(self, machine: Resource, plans: list[Json]) -> list[Json]:
        """Makes and attaches the planned interfaces; gives the networkInterfaces to show."""
        shown = []
        for plan in plans:
            nic = self._azure.store.get(plan["id"])
            if nic is None:
                nic = self._create(machine, plan)
            nic.properties["virtualMachine"] = {"id": machine.id}
            nic.properties["primary"] = plan["primary"]
            self._azure.store.put(nic)
            entry: Json = {"id": nic.id}
            shows_primary = len(plans) > 1 or plan.get("said_primary")
            settings: Json = {"primary": plan["primary"]} if shows_primary else {}
            if plan["delete"]:
                settings["deleteOption"] = plan["delete"]
            if settings:
                entry["properties"] = settings
            shown.append(entry)
        return shown

    def _create(self, machine: Resource, plan: Json) -> Resource:
        settings = properties_of(plan["configuration"])
        configurations = []
        for given in settings["ipConfigurations"]:
            inner = properties_of(given)
            wanted: Json = {"subnet": {"id": inner["subnet"]["id"]}, "primary": inner.get("primary", True)}
            public = inner.get("publicIPAddressConfiguration")
            if public:
                wanted["publicIPAddress"] = {"id": self._public_address(machine, public).id}
            configurations.append({"name": given.get("name") or "ipconfig1", "properties": wanted})
        body: Json = {
            "location": machine.location,
            "tags": machine.body.get("tags") or {},
            "properties": {
                "ipConfigurations": configurations,
                "networkSecurityGroup": settings.get("networkSecurityGroup"),
                "enableAcceleratedNetworking": settings.get("enableAcceleratedNetworking"),
                "enableIPForwarding": settings.get("enableIPForwarding"),
            },
        }
        call = _inner_call(machine, self._interfaces.type, plan["id"].rpartition("/")[2], body)
        properties = self._interfaces.compose(call, body, None)
        nic = self._interfaces.save(call, body, properties, None)
        self._interfaces.succeed(nic)
        return nic

    def _public_address(self, machine: Resource, given: Json) -> Resource:
        name = f"{given.get('name') or 'publicip'}-{uuid.uuid4().hex[:8]}"
        settings = properties_of(given)
        sku = given.get("sku") or {"name": "Basic"}
        static = "Static" if sku.get("name") == "Standard" else "Dynamic"
        body: Json = {
            "location": machine.location,
            "tags": machine.body.get("tags") or {},
            "sku": sku,
            "properties": {
                "publicIPAllocationMethod": settings.get("publicIPAllocationMethod", static),
                "idleTimeoutInMinutes": settings.get("idleTimeoutInMinutes", 4),
                "deleteOption": settings.get("deleteOption", "Detach"),
            },
        }
        call = _inner_call(machine, self._addresses.type, name, body)
        public = self._addresses.save(call, body, self._addresses.compose(call, body, None), None)
        self._addresses.succeed(public)
        return public

    # Addresses.

    def _public_of(self, machine: Resource) -> list[Resource]:
        found = []
        for entry in machine.properties["networkProfile"].get("networkInterfaces") or []:
            nic = self._azure.store.get(entry["id"])
            for configuration in nic.properties["ipConfigurations"] if nic else []:
                reference = configuration["properties"].get("publicIPAddress") or {}
                public = self._azure.store.get(reference.get("id") or "")
                if public is not None:
                    found.append(public)
        return found

    def lease_addresses(self, machine: Resource) -> None:
        """Dynamic public addresses get an address when the machine starts ..."""
        for public in self._public_of(machine):
            if "ipAddress" not in public.properties:
                public.properties["ipAddress"] = new_public_address(self._azure)
                self._azure.store.put(public)

    def return_addresses(self, machine: Resource) -> None:
        """... and lose it when it is deallocated."""
        for public in self._public_of(machine):
            if public.properties["publicIPAllocationMethod"] == "Dynamic":
                public.properties.pop("ipAddress", None)
                self._azure.store.put(public)

    def public_address(self, machine: Resource) -> str:
        """The machine's public address, "" without one."""
        for public in self._public_of(machine):
            if "ipAddress" in public.properties:
                return str(public.properties["ipAddress"])
        return ""

    def guest_address(self, machine: Resource) -> str:
        """Where the guest listens: its public address, or one that only the local Azure knows."""
        public = self.public_address(machine)
        if public:
            return public
        address = machine.hidden.setdefault("private_address", new_public_address(self._azure))
        self._azure.store.put(machine)
        return str(address)

    async def release(self, machine: Resource) -> None:
        """Detaches the interfaces; those wanted to go with the machine do."""
        for entry in machine.properties.get("networkProfile", {}).get("networkInterfaces") or []:
            nic = self._azure.store.get(entry["id"])
            if nic is None:
                continue
            nic.properties.pop("virtualMachine", None)
            nic.properties.pop("primary", None)
            self._azure.store.put(nic)
            if properties_of(entry).get("deleteOption") == "Delete":
                await self._interfaces.remove_with_addresses(nic)


def _inner_call(machine: Resource, kind: str, name: str, body: Any) -> Call:
    """The request Compute makes of the network provider on the machine's behalf."""
    namespace, _unused, types = kind.partition("/")
    return Call(
        method="PUT",
        path=f"{machine.id.rpartition('/providers/')[0]}/providers/{kind}/{name}",
        query={"api-version": "2024-05-01"},
        body=body,
        subscription=machine.id.split("/")[2],
        resource_group=machine.resource_group,
        provider=namespace,
        types=(types,),
        names=(name,),
    )
