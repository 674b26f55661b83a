# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Changes to a virtual machine that exists: tags, size, data disks, delete options."""

from __future__ import annotations

from typing import Any

from tests.local_azure.azure import LocalAzure
from tests.local_azure.call import properties_of
from tests.local_azure.errors import invalid_value, property_change
from tests.local_azure.providers import vm_rules
from tests.local_azure.providers.vm_disks import MachineDisks, lun_entry
from tests.local_azure.store import Json, Resource

_IMMUTABLE = (
    ("osProfile", "adminUsername"),
    ("osProfile", "computerName"),
    ("osProfile", "customData"),
    ("osProfile", "adminPassword"),
    ("storageProfile", "imageReference", "id"),
    ("priority",),
)


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


class MachineUpdate:
    def __init__(self, azure: LocalAzure, disks: MachineDisks) -> None:
        self._azure = azure
        self._disks = disks

    def apply(self, machine: Resource, body: Json, *, whole: bool) -> Json:
        """Changes the body as it is answered at once; gives what has to be done to disks afterwards."""
        given = properties_of(body)
        self._check_immutable(machine, given)
        if body.get("tags") is not None:
            machine.body["tags"] = body["tags"]
        if given.get("hardwareProfile"):
            machine.properties["hardwareProfile"] = {"vmSize": vm_rules.check_size(given)}
        for key in ("diagnosticsProfile", "licenseType"):
            if given.get(key) is not None:
                machine.properties[key] = given[key]
        storage = given.get("storageProfile") or {}
        os_disk = machine.properties["storageProfile"]["osDisk"]
        for key in ("deleteOption", "caching"):
            if (storage.get("osDisk") or {}).get(key):
                os_disk[key] = storage["osDisk"][key]
        self._interfaces(machine, given)
        if storage.get("dataDisks") is None or (whole and not storage):
            return {"make": [], "detach": []}
        return self._data_disks(machine, storage["dataDisks"])

    def _check_immutable(self, machine: Resource, given: Json) -> None:
        for path in _IMMUTABLE:
            wanted, present = _at(given, path), _at(machine.properties, path)
            same = (
                wanted.lower() == present.lower()
                if isinstance(wanted, str) and isinstance(present, str)
                else wanted == present
            )
            if wanted is not None and not same:
                raise property_change(".".join(path))

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

    def _data_disks(self, machine: Resource, wanted: list[Json]) -> Json:
        present: list[Json] = machine.properties["storageProfile"]["dataDisks"]
        luns = [d.get("lun") for d in wanted]
        if any(not isinstance(lun, int) or luns.count(lun) > 1 for lun in luns):
            raise invalid_value("dataDisk.lun")
        make, detach = [], []
        for entry in present:
            new = lun_entry(wanted, entry["lun"])
            if new is None or new.get("toBeDetached") or not _same_disk(entry, new):
                entry["toBeDetached"] = True
                detach.append(entry["lun"])
            else:
                entry |= {k: new[k] for k in ("caching", "deleteOption") if new.get(k)}
        for number, disk in enumerate(wanted, len(present) + 2):
            entry_at = lun_entry(present, disk["lun"])
            if disk.get("toBeDetached") or (entry_at is not None and not entry_at["toBeDetached"]):
                continue
            if entry_at is not None:
                raise invalid_value("dataDisk.lun", f"A disk at LUN {disk['lun']} already exists.")
            make.append(self._disks.plan_data_disk(machine, disk, number, None, set()))
        return {"make": make, "detach": detach}

    async def finish(self, machine: Resource, plans: Json) -> None:
        profile = machine.properties["storageProfile"]
        for entry, disk in self._disks.attached(machine):
            if entry.get("lun") in plans["detach"] and entry.get("toBeDetached"):
                profile["dataDisks"].remove(entry)
                self._azure.store.put(machine)
                await self._disks.release(entry, disk, may_delete=False)
        await self._disks.make(machine, plans["make"])
        for plan in plans["make"]:
            if lun_entry(profile["dataDisks"], int(plan["key"])) is None:
                profile["dataDisks"].append(self._disks.shown(plan))
        profile["dataDisks"].sort(key=lambda d: int(d["lun"]))
        self._disks.complete(profile, plans["make"])


def _same_disk(entry: Json, new: Json) -> bool:
    wanted = (new.get("managedDisk") or {}).get("id")
    have = (entry.get("managedDisk") or {}).get("id")
    return wanted is None or str(wanted).lower() == str(have).lower()
