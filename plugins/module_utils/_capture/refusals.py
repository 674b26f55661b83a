# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Why a machine cannot be captured as asked, whatever the target. Nothing here changes anything."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ansible_collections.goldenimage.azure.plugins.module_utils._capture.request import CaptureRequest
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.source import SourceDisk, SourceVm
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.target import Target
from ansible_collections.goldenimage.azure.plugins.module_utils._image.findings import Finding
from ansible_collections.goldenimage.azure.plugins.module_utils._image.settled import in_transition

_OWN_RULES = {
    # No copies of these by image or by snapshot that could be read ("Azure managed disk types").
    "UltraSSD_LRS": "an Ultra disk",
    "PremiumV2_LRS": "a Premium SSD v2 disk",
}
_WRITTEN_TO = {
    "ReadyToUpload": "it waits for its upload",
    "ActiveUpload": "an upload into it has not been completed",
    "ActiveSAS": "access to it is granted by a shared access signature",
    "ActiveSASFrozen": "access to it is granted by a shared access signature",
}


def vm_missing(request: CaptureRequest) -> Finding:
    return Finding(
        "vm-missing",
        f"there is no virtual machine {request.vm_name} in resource group {request.vm_group}.",
        "source_vm",
        "Check its name, and give the id when it is in another resource group.",
    )


def machine_findings(request: CaptureRequest, source: SourceVm, targets: Iterable[Target]) -> list[Finding]:
    """What speaks against the machine, its disks, and its being on or off."""
    found = _power(request, source, targets)
    if in_transition(dict(source.machine)):
        found.append(
            Finding(
                "vm-busy",
                f"another operation is changing {source.name} (provisioning state"
                f" {source.state.provisioning}, {source.state.power}).",
                "source_vm",
                "Run the task again when it is over, or with wait.",
            )
        )
    if source.state.generalized and not request.generalized:
        found.append(
            Finding(
                "vm-generalized",
                f"{source.name} is marked generalized in Azure, a specialized image of it is of no use.",
                "os_state",
                "Set os_state to generalized.",
            )
        )
    if source.os_disk.attached.get("diffDiskSettings"):
        found.append(
            Finding(
                "ephemeral-os-disk",
                f"{source.name} has an ephemeral operating system disk, which lives on its host alone.",
                "source_vm",
                "Capture a machine whose operating system disk is a managed disk.",
            )
        )
    present = {disk.lun for disk in source.disks}
    for lun in request.data_disks or ():
        if lun not in present:
            found.append(
                Finding(
                    "lun-missing",
                    f"{source.name} has no data disk at LUN {lun}.",
                    "data_disks",
                    f"It has {_luns(source.disks)}.",
                )
            )
    for disk in source.captured(request):
        found += _disk(disk)
    return found


def _power(request: CaptureRequest, source: SourceVm, targets: Iterable[Target]) -> list[Finding]:
    if not source.running or request.stop:
        return []
    state = source.state.power or "in an unknown state"
    if not request.allow_running:
        return [
            Finding(
                "vm-running",
                f"{source.name} is {state}, and nothing allows to stop it.",
                "source_vm",
                "Set stop to true to have it deallocated, or stop it first."
                + (
                    ""
                    if request.generalized
                    else " With allow_running it is captured as if its power had failed."
                ),
            )
        ]
    return [
        Finding(
            "vm-running",
            f"{source.name} is {state}, and Azure makes no consistent {target.wanted.type.replace('_', ' ')}"
            " of its disks then.",
            target.wanted.option,
            "Set stop to true, and leave allow_running out.",
        )
        for target in targets
        if not target.can_run(source)
    ]


def _luns(disks: Sequence[SourceDisk]) -> str:
    luns = [str(disk.lun) for disk in disks if disk.lun is not None]
    return f"LUN {', '.join(luns)}" if luns else "no data disks"


def _disk(disk: SourceDisk) -> list[Finding]:
    where = f"disk {disk.attached.get('name', '')}".rstrip()
    remedy = "Leave it out with data_disks, or detach it." if disk.lun is not None else ""
    if disk.attached.get("diffDiskSettings"):
        return []
    if disk.id is None:
        return [
            Finding(
                "unmanaged-disk",
                f"the {disk.label} is a blob of one's own, not a managed disk.",
                where,
                "Convert the machine to managed disks first (az vm convert).",
            )
        ]
    if disk.resource is None:
        return [Finding("disk-missing", f"the {disk.label} is not there any more.", where, remedy)]
    found = []
    properties = disk.properties
    if int(properties.get("maxShares") or 1) > 1:
        found.append(
            Finding("shared-disk", f"the {disk.label} may be shared with other machines.", where, remedy)
        )
    if disk.sku in _OWN_RULES:
        kind = _OWN_RULES[disk.sku or ""]
        found.append(
            Finding(
                "unsupported-disk",
                f"the {disk.label} is {kind}, of which Azure makes no images.",
                where,
                remedy,
            )
        )
    if (properties.get("encryptionSettingsCollection") or {}).get("enabled"):
        found.append(
            Finding(
                "encrypted-disk",
                f"the {disk.label} is encrypted in the guest (Azure Disk Encryption).",
                where,
                "Disable Azure Disk Encryption first; encryption at host and disk encryption sets may stay.",
            )
        )
    state = str(properties.get("diskState", ""))
    if state in _WRITTEN_TO:
        found.append(
            Finding(
                "disk-busy",
                f"the {disk.label} cannot be captured now, {_WRITTEN_TO[state]} (state {state}).",
                where,
                "Complete the upload or revoke the access first (az disk revoke-access).",
            )
        )
    done = properties.get("completionPercent", 100)
    if done < 100:
        found.append(
            Finding(
                "disk-busy",
                f"the {disk.label} is still being filled, {done:g} percent are done.",
                where,
                "Run the task again when that is complete.",
            )
        )
    return found


def not_generalized(source: SourceVm, why: str) -> Finding:
    if source.state.generalized:
        return Finding(
            "not-generalized",
            f"{source.name} is marked generalized in Azure, but nothing proves that its operating system was:"
            f" {why}",
            "source_vm",
            "Set assume_generalized to true if you know that it was.",
        )
    return Finding(
        "not-generalized",
        f"nothing proves that the operating system of {source.name} was generalized: {why}",
        "source_vm",
        "Run the role goldenimage.azure.linux_generalize with linux_generalize_vm_id on it; or set"
        " assume_generalized to true if you know that it was generalized and not started since.",
    )
