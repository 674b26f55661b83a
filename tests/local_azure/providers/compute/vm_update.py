# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Changes to a virtual machine that exists: tags, size, disks, identity, what may not be changed."""

from __future__ import annotations

from typing import Any

from tests.local_azure.azure import LocalAzure
from tests.local_azure.call import properties_of
from tests.local_azure.errors import ArmError, invalid_value, not_allowed, property_change
from tests.local_azure.providers.compute import vm_rules
from tests.local_azure.providers.compute.machine_sizes import size_of
from tests.local_azure.providers.compute.proximity_groups import require_proximity_group
from tests.local_azure.providers.compute.usage import check_quota
from tests.local_azure.providers.compute.vm_creation import checked_user_data
from tests.local_azure.providers.compute.vm_disk_plans import Wish, check_luns, check_one_kind, shown_disk
from tests.local_azure.providers.compute.vm_disks import MachineDisks, lun_entry
from tests.local_azure.providers.compute.vm_identity import shown_identity
from tests.local_azure.providers.compute.vm_security import (
    check_architecture,
    check_generation,
    security_type,
)
from tests.local_azure.store import Json, Resource

_LINUX = ("osProfile", "linuxConfiguration")
# Where it is, and what Azure calls it.
_IMMUTABLE = (
    (("osProfile", "adminUsername"), "osProfile.adminUsername"),
    (("osProfile", "computerName"), "osProfile.computerName"),
    (("osProfile", "customData"), "customData"),
    (("osProfile", "adminPassword"), "adminPassword"),
    ((*_LINUX, "disablePasswordAuthentication"), "linuxConfiguration.disablePasswordAuthentication"),
    (("storageProfile", "imageReference", "id"), "imageReference"),
    (("storageProfile", "imageReference", "publisher"), "imageReference"),
    (("storageProfile", "imageReference", "offer"), "imageReference"),
    (("storageProfile", "imageReference", "sku"), "imageReference"),
    (("storageProfile", "imageReference", "version"), "imageReference"),
    (("storageProfile", "osDisk", "osType"), "osDisk.osType"),
    (("priority",), "priority"),
    (("evictionPolicy",), "evictionPolicy"),
    (("availabilitySet", "id"), "availabilitySet.id"),
)
_CHANGED_FREELY = ("diagnosticsProfile", "licenseType", "extensionsTimeBudget", "scheduledEventsProfile")
_SPOT_HELP = "For more information, see http://aka.ms/AzureSpot/errormessages"


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _same(wanted: Any, present: Any) -> bool:
    if isinstance(wanted, str) and isinstance(present, str):
        return wanted.lower() == present.lower()
    return bool(wanted == present)


class MachineUpdate:
    def __init__(self, azure: LocalAzure, disks: MachineDisks) -> None:
        self._azure = azure
        self._disks = disks

    def apply(self, machine: Resource, body: Json, *, whole: bool) -> Json:
        """Changes the body as it is answered at once; gives what has to be done to disks afterwards.

        `whole`: the body is that of a PUT. What it leaves out stays all the same, data disks excepted.
        """
        given = properties_of(body)
        self._check_immutable(machine, body, given)
        self._check_while_allocated(machine, given)
        require_proximity_group(self._azure, given, machine.location)
        self._resize(machine, given)
        storage = given.get("storageProfile") or {}
        plans = self._disk_changes(machine, given, storage, whole=whole)
        if body.get("tags") is not None:
            machine.body["tags"] = body["tags"]
        shown_identity(self._azure, machine, body.get("identity"))
        for key in (*_CHANGED_FREELY, "billingProfile", "proximityPlacementGroup", "additionalCapabilities"):
            if given.get(key) is not None:
                machine.properties[key] = given[key]
        if given.get("securityProfile"):
            machine.properties.setdefault("securityProfile", {}).update(given["securityProfile"])
        if given.get("userData") is not None:
            machine.hidden["user_data"] = checked_user_data(given)
        allowed = _at(given, ("osProfile", "allowExtensionOperations"))
        if allowed is not None and "osProfile" in machine.properties:
            machine.properties["osProfile"]["allowExtensionOperations"] = allowed
        os_disk = machine.properties["storageProfile"]["osDisk"]
        for key in ("deleteOption", "caching"):
            if (storage.get("osDisk") or {}).get(key):
                os_disk[key] = storage["osDisk"][key]
        self._interfaces(machine, given)
        return plans

    # What may not be changed, or not now.

    def _check_immutable(self, machine: Resource, body: Json, given: Json) -> None:
        for path, name in _IMMUTABLE:
            wanted = _at(given, path)
            if wanted is not None and not _same(wanted, _at(machine.properties, path)):
                raise property_change(name)
        wanted, present = (
            [key.get("keyData") for key in _at(properties, (*_LINUX, "ssh", "publicKeys")) or []]
            for properties in (given, machine.properties)
        )
        if wanted and wanted != present:
            raise property_change("linuxConfiguration.ssh.publicKeys")
        for key in ("plan", "zones"):
            if body.get(key) is not None and body[key] != machine.body.get(key):
                raise property_change(key)
        if given.get("securityProfile") and "securityType" in given["securityProfile"]:
            old, new = security_type(machine.properties), security_type(given)
            upgrade = (old, new) == ("Standard", "TrustedLaunch") and machine.hidden["generation"] == "V2"
            if old != new and not upgrade:
                raise property_change("securityProfile.securityType")
            if old != new:
                _require_deallocated(machine, "Update VM")

    def _check_while_allocated(self, machine: Resource, given: Json) -> None:
        if machine.hidden.get("power") == "deallocated":
            return
        price = (given.get("billingProfile") or {}).get("maxPrice")
        if price is not None and price != _at(machine.properties, ("billingProfile", "maxPrice")):
            raise ArmError(
                409,
                "OperationNotAllowed",
                f"Max price change is not allowed. {_SPOT_HELP}",
                details=[
                    {
                        "code": "OperationNotAllowed",
                        "message": f"Max price change is not allowed when the VM '{machine.name}' is "
                        f"currently allocated. Please deallocate and try again. {_SPOT_HELP}",
                        "target": machine.name,
                    }
                ],
            )
        group = given.get("proximityPlacementGroup")
        if group is not None and group != machine.properties.get("proximityPlacementGroup"):
            raise not_allowed(
                f"Updating proximity placement group of VM {machine.name} is not allowed while the VM is "
                "running. Please stop/deallocate the VM and retry the operation."
            )
        ultra = _at(given, ("additionalCapabilities", "ultraSSDEnabled"))
        if ultra is not None and ultra != bool(
            _at(machine.properties, ("additionalCapabilities", "ultraSSDEnabled"))
        ):
            _require_deallocated(machine, "Update VM")

    def _resize(self, machine: Resource, given: Json) -> None:
        if not given.get("hardwareProfile"):
            return
        old = machine.properties["hardwareProfile"]["vmSize"]
        size = vm_rules.check_size(given, machine.location)
        if size.name == old:
            return
        check_generation(size, machine.hidden.get("generation", "V1"))
        check_architecture(size, machine.hidden.get("architecture", "x64"))
        check_quota(self._azure, machine.subscription, machine.location, size.name, instead_of=old)
        machine.properties["hardwareProfile"] = {**given["hardwareProfile"], "vmSize": size.name}

    # Network interfaces: only what happens to them with the machine.

    def _interfaces(self, machine: Resource, given: Json) -> None:
        wanted = _at(given, ("networkProfile", "networkInterfaces"))
        shown = machine.properties["networkProfile"].get("networkInterfaces") or []
        for entry in wanted or []:
            match = next((n for n in shown if n["id"].lower() == str(entry.get("id")).lower()), None)
            if match is None:
                raise property_change("networkProfile.networkInterfaces")
            option = properties_of(entry).get("deleteOption")
            if option:
                match.setdefault("properties", {})["deleteOption"] = option

    # Disks.

    def _disk_changes(self, machine: Resource, given: Json, storage: Json, *, whole: bool) -> Json:
        plans: Json = {"make": [], "detach": [], "swap": None}
        wish = self._wish(machine, given)
        wanted = (storage.get("osDisk") or {}).get("managedDisk", {}).get("id")
        present = _at(machine.properties, ("storageProfile", "osDisk", "managedDisk", "id"))
        if wanted is not None and present is not None and not _same(wanted, present):
            _require_deallocated(machine, "Update VM")
            disk = {**storage["osDisk"], "createOption": "Attach"}
            plans["swap"] = self._disks.planner.plan(wish, {"osDisk": disk})[1][0]
            check_generation(wish.size, plans["swap"]["generation"])
        if storage.get("dataDisks") is not None and not (whole and not storage):
            self._data_disks(wish, storage["dataDisks"], plans)
        return plans

    def _wish(self, machine: Resource, given: Json) -> Wish:
        name = _at(given, ("hardwareProfile", "vmSize")) or machine.properties["hardwareProfile"]["vmSize"]
        size = size_of(name)
        if size is None:
            raise invalid_value("vmSize")
        capabilities = given.get("additionalCapabilities") or machine.properties.get("additionalCapabilities")
        return Wish(machine, size, None, bool((capabilities or {}).get("ultraSSDEnabled")))

    def _data_disks(self, wish: Wish, wanted: list[Json], plans: Json) -> None:
        machine = wish.machine
        profile = machine.properties["storageProfile"]
        present: list[Json] = profile["dataDisks"]
        check_luns(wanted)
        make = []
        for number, disk in enumerate(wanted, len(present) + 2):
            entry = lun_entry(present, disk["lun"])
            if disk.get("toBeDetached") or (entry is not None and _same_disk(entry, disk)):
                continue
            if entry is not None and not disk.get("managedDisk", {}).get("id"):
                raise invalid_value("dataDisk.lun", f"A disk at LUN {disk['lun']} already exists.")
            make.append(self._disks.planner.data_disk(wish, disk, number))
        # What the machine has already is only there to tell managed disks from blobs.
        check_one_kind([{"vhd": profile["osDisk"].get("vhd")}, *make])
        for entry in present:
            new = lun_entry(wanted, entry["lun"])
            if new is None or new.get("toBeDetached") or not _same_disk(entry, new):
                entry["toBeDetached"] = True
                plans["detach"].append(entry["lun"])
            else:
                entry |= {k: new[k] for k in ("caching", "deleteOption") if new.get(k)}
        plans["make"] = make
        for plan in make:
            if lun_entry(present, int(plan["key"])) is None:
                present.append(shown_disk(plan))
        present.sort(key=lambda d: int(d["lun"]))

    async def finish(self, machine: Resource, plans: Json) -> None:
        """Detaches, makes and attaches what `apply` found; may be run again after a stop of the server."""
        profile = machine.properties["storageProfile"]
        attached = {disk.id: (entry, disk) for entry, disk in self._disks.attached(machine)}
        for lun in plans["detach"]:
            entry = next((d for d in profile["dataDisks"] if d["lun"] == lun and d["toBeDetached"]), None)
            if entry is None:
                continue
            profile["dataDisks"].remove(entry)
            machine.hidden.get("vhds", {}).pop(str(lun), None)
            self._azure.store.put(machine)
            pair = attached.get((entry.get("managedDisk") or {}).get("id", ""))
            if pair is not None:
                await self._disks.release(machine, *pair, may_delete=False)
        if plans["swap"] is not None:
            await self._swap(machine, plans["swap"])
        await self._disks.make(machine, plans["make"])
        for plan in plans["make"]:
            if lun_entry(profile["dataDisks"], int(plan["key"])) is None:
                profile["dataDisks"].append(shown_disk(plan))
        profile["dataDisks"].sort(key=lambda d: int(d["lun"]))
        self._disks.complete(machine, plans["make"])

    async def _swap(self, machine: Resource, plan: Json) -> None:
        """The machine gets another disk of the operating system; the old one is let go."""
        profile = machine.properties["storageProfile"]
        old = self._disks.attached(machine)[0]
        os_type = profile["osDisk"]["osType"]
        kept = {k: v for k, v in profile["osDisk"].items() if k in ("deleteOption",)}
        profile["osDisk"] = {"osType": os_type, **shown_disk(plan), **kept}
        self._azure.store.put(machine)
        if old[1].id != plan["id"]:
            await self._disks.release(machine, *old, may_delete=False)
        await self._disks.make(machine, [plan])
        self._disks.complete(machine, [plan])


def _require_deallocated(machine: Resource, operation: str) -> None:
    if machine.hidden.get("power") != "deallocated":
        raise not_allowed(
            f"Operation '{operation}' is not allowed on VM '{machine.name}' since the VM is not deallocated."
        )


def _same_disk(entry: Json, new: Json) -> bool:
    """Whether a disk of the request is the one at that LUN; one that names none is."""
    for key, inner in (("managedDisk", "id"), ("vhd", "uri")):
        wanted, have = (new.get(key) or {}).get(inner), (entry.get(key) or {}).get(inner)
        if wanted is not None and not _same(wanted, have):
            return False
    return not (new.get("name") and entry.get("name") and not _same(new["name"], entry["name"]))
