# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Machines to be backed up, and what is looked at before and after."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure import operations
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession
from ansible_collections.goldenimage.azure.plugins.module_utils._image.backup import Backup
from ansible_collections.goldenimage.azure.plugins.module_utils._image.backup_taking import find_backups
from ansible_collections.goldenimage.azure.plugins.module_utils._image.virtual_machine import ensure_vm
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_backup import (
    Done,
    VmBackupRequest,
    ensure_backup,
    ensure_no_backup,
    ensure_restored,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_request import VmRequest

from tests.integration.cloud import LocalAzure
from tests.integration.machines import wanted

VM = "Microsoft.Compute/virtualMachines"
DISK = "Microsoft.Compute/disks"
SNAPSHOT = "Microsoft.Compute/snapshots"
COLLECTION = "Microsoft.Compute/restorePointCollections"
NIC = "Microsoft.Network/networkInterfaces"
_names = itertools.count(1)
_STATES = {"present": ensure_backup, "restored": ensure_restored, "absent": ensure_no_backup}


@contextmanager
def impatient() -> Iterator[None]:
    """Inside, operations are looked at sooner than the local Azure asks for: there are many of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(operations, "retry_after", lambda _headers, _now=None: 0.05)
        yield


class BackedUp:
    """A machine with data disks at LUNs 3 and 7, and the module's states for it without ansible-playbook."""

    def __init__(self, azure: LocalAzure, session: AzureSession, group: str, **options: Any) -> None:
        self.azure = azure
        self.session = session
        self.group = group
        self.name = f"vm{next(_names)}"
        self.id = azure.id(group, VM, self.name)
        given = wanted(
            group,
            self.name,
            tags={"team": "shop"},
            **{
                "data_disks": [{"lun": 7, "size_gb": 2, "caching": "ReadOnly"}],
                "size": "Standard_B1s",
                **options,
            },
        )
        self.set(given)

    def set(self, options: dict[str, Any]) -> None:
        """By the module vm."""
        with impatient():
            ensure_vm(self.session, VmRequest.from_options(options), check_mode=False, waiter=Waiter())

    def generalize(self) -> None:
        self.set(
            {
                "resource_group": self.group,
                "name": self.name,
                "power_state": "deallocated",
                "generalized": True,
            }
        )

    def power(self, verb: str) -> None:
        self.azure.do("POST", f"{self.id}/{verb}")

    def __call__(self, state: str, *, check: bool = False, wait: bool = True, **options: Any) -> Done:
        request = VmBackupRequest.from_options({"resource_group": self.group, "name": self.name, **options})
        with impatient():
            return _STATES[state](self.session, request, check_mode=check, waiter=Waiter(wait, 60))

    def backups(self) -> list[Backup]:
        return find_backups(self.session, self.id)

    def body(self) -> Any:
        return self.azure.get(self.id, query="&$expand=instanceView")

    def statuses(self) -> list[str]:
        return [status["code"] for status in self.body()["properties"]["instanceView"]["statuses"]]

    def runs(self) -> bool:
        return "PowerState/running" in self.statuses()

    def named_like_it(self, kind: str) -> list[str]:
        """Ids of the group's disks or snapshots whose names begin with the machine's, over all pages."""
        ids: list[str] = []
        page = self.azure.get(f"{self.azure.id(self.group)}/providers/{kind}")
        while True:
            ids += [
                each["id"]
                for each in page["value"]
                if each["name"].startswith((f"{self.name}_", f"{self.name}-"))
            ]
            if not page.get("nextLink"):
                return ids
            page = self.azure.request("GET", page["nextLink"]).body

    def disks(self) -> dict[str, Any]:
        """What is at each place: the managed disks, each with the machine's entry of it as `entry`."""
        storage = self.body()["properties"]["storageProfile"]
        entries = {"os": storage["osDisk"], **{f"lun {d['lun']}": d for d in storage["dataDisks"]}}
        return {
            place: {**self.azure.get(entry["managedDisk"]["id"]), "entry": entry}
            for place, entry in entries.items()
        }

    def contents(self) -> dict[str, str | None]:
        """What each disk was made of."""
        return {
            place: disk["properties"]["creationData"].get("sourceResourceId")
            for place, disk in self.disks().items()
        }

    def settings(self) -> dict[str, Any]:
        """What a restore has to keep."""
        body = self.body()
        properties = body["properties"]
        interfaces = properties["networkProfile"]["networkInterfaces"]
        nics = [self.azure.get(each["id"]) for each in interfaces]
        return {
            "tags": body.get("tags"),
            "zones": body.get("zones"),
            "identity": sorted((body.get("identity") or {}).get("userAssignedIdentities") or {}),
            "size": properties["hardwareProfile"],
            "diagnostics": properties.get("diagnosticsProfile"),
            "interfaces": interfaces,
            "addresses": [
                (
                    inner["properties"]["privateIPAddress"],
                    (inner["properties"].get("publicIPAddress") or {}).get("id"),
                )
                for nic in nics
                for inner in nic["properties"]["ipConfigurations"]
            ],
            "security_groups": [nic["properties"].get("networkSecurityGroup", {}).get("id") for nic in nics],
            "disks": {
                place: {
                    "caching": disk["entry"]["caching"],
                    "option": disk["entry"]["deleteOption"],
                    "sku": disk["sku"]["name"],
                    "size": disk["properties"]["diskSizeGB"],
                }
                for place, disk in self.disks().items()
            },
        }


def saved_contents(backup: Backup) -> dict[str, str | None]:
    """As `BackedUp.contents` is to be after a restore."""
    return {"os" if disk.lun is None else f"lun {disk.lun}": disk.content_id for disk in backup.disks}
