# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What keeps a machine from being backed up or restored, found before anything is done.

Which disks restore points and disk swaps cannot handle: "Support matrix for VM restore points" and "Change
the OS disk used by an Azure VM" of Azure's documentation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.parallel import in_parallel
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.quotas import shortfalls
from ansible_collections.goldenimage.azure.plugins.module_utils._image.allowed import allowed_findings
from ansible_collections.goldenimage.azure.plugins.module_utils._image.backup_machine import (
    AttachedDisk,
    Machine,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.findings import Finding

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession


class Needs(NamedTuple):
    """What a task needs of Azure: `actions` by the scope they are sent to, resources to `change` and to
    `delete` by id, and numbers of what it makes in `location` by quota."""

    location: str
    actions: Mapping[str, Sequence[str]]
    change: Sequence[str]
    delete: Sequence[str]
    quotas: Mapping[str, int]


def machine_findings(machine: Machine) -> list[Finding]:
    """What of the machine itself can be neither backed up nor swapped."""
    found = [finding for disk in machine.disks for finding in _disk_findings(disk)]
    security = (machine.properties.get("securityProfile") or {}).get("securityType")
    if security == "ConfidentialVM":
        found.append(
            Finding(
                "confidential-vm",
                "The machine is a confidential one, whose disks cannot be restored from copies.",
                machine.name,
                "Make a new machine of its source instead.",
            )
        )
    if machine.state.provisioning.casefold() == "failed" and machine.state.power is None:
        found.append(
            Finding(
                "failed-machine",
                "The machine was never provisioned.",
                machine.name,
                "Delete it, or repair it with az vm reapply.",
            )
        )
    return found


def _disk_findings(attached: AttachedDisk) -> list[Finding]:
    place = "the operating system disk" if attached.lun is None else f"the data disk at LUN {attached.lun}"
    if attached.entry.get("diffDiskSettings"):
        return [
            Finding(
                "ephemeral-os-disk",
                "It is ephemeral: it lives on the host alone and cannot be copied.",
                place,
                "Use a machine with a managed operating system disk.",
            )
        ]
    if attached.id is None:
        return [
            Finding(
                "unmanaged-disk",
                "It is a blob in a storage account, not a managed disk.",
                place,
                "Convert the machine with az vm convert.",
            )
        ]
    if attached.disk is None:
        return [Finding("missing-disk", f"The managed disk {attached.id} is not there.", place, "Detach it.")]
    return [*_kind_findings(place, attached), *_encryption_findings(place, attached)]


def _kind_findings(place: str, attached: AttachedDisk) -> list[Finding]:
    properties = (attached.disk or {}).get("properties") or {}
    found = []
    if (properties.get("maxShares") or 1) > 1:
        found.append(
            Finding(
                "shared-disk",
                "It can be attached to several machines at once, so that one machine's backup of it is none.",
                place,
                "Detach it, or set its maxShares to 1.",
            )
        )
    if (attached.storage_account_type or "").casefold() == "ultrassd_lrs":
        found.append(
            Finding(
                "ultra-disk",
                "It is an Ultra Disk, which cannot be swapped.",
                place,
                "Detach it, or change its kind to Premium SSD v2.",
            )
        )
    return found


def _encryption_findings(place: str, attached: AttachedDisk) -> list[Finding]:
    properties = (attached.disk or {}).get("properties") or {}
    found = []
    if (properties.get("encryptionSettingsCollection") or {}).get("enabled"):
        found.append(
            Finding(
                "encrypted-in-guest",
                "Azure Disk Encryption encrypts it in the guest, and Azure does not swap such disks.",
                place,
                "Decrypt it (az vm encryption disable); a disk encryption set is no obstacle.",
            )
        )
    if str((properties.get("securityProfile") or {}).get("securityType", "")).startswith("ConfidentialVM"):
        found.append(
            Finding(
                "confidential-disk",
                "It belongs to a confidential machine, and a copy of it does not boot.",
                place,
                "Make a new machine of its source instead.",
            )
        )
    return found


def needs_findings(session: AzureSession, needs: Needs) -> list[Finding]:
    """Missing rights, locks and quotas; all are asked for at the same time."""

    def short() -> list[Finding]:
        if not needs.quotas:
            return []
        return [
            Finding("quota", f"{each}.", needs.location, "Ask for a higher quota in the Azure portal.")
            for each in shortfalls(session, needs.location, needs.quotas)
        ]

    jobs: list[Callable[[], list[Finding]]] = [
        lambda: allowed_findings(session, needs.actions, needs.change, needs.delete),
        short,
    ]
    return [finding for findings in in_parallel(lambda job: job(), jobs) for finding in findings]
