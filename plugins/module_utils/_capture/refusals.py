# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Why a machine cannot be captured as asked, whatever the target. Nothing here changes anything."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ansible_collections.goldenimage.azure.plugins.module_utils._capture.request import CaptureRequest
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.source import SourceDisk, SourceVm
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.target import Target
from ansible_collections.goldenimage.azure.plugins.module_utils._image.compatibility import check, findings
from ansible_collections.goldenimage.azure.plugins.module_utils._image.findings import Finding
from ansible_collections.goldenimage.azure.plugins.module_utils._image.settled import in_transition
from ansible_collections.goldenimage.azure.plugins.module_utils._image.target_facts import (
    GALLERY_VERSION,
    TargetFacts,
)

_DISK_RULES = (
    "unmanaged-disk",
    "disk-missing",
    "shared-disk",
    "unsupported-disk",
    "encrypted-disk",
    "disk-busy",
)


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
    facts = source.captured_facts(request)
    # The rules are the same for whatever its disks are copied to.
    copy = TargetFacts(GALLERY_VERSION)
    found += findings(check(facts, copy, ("ephemeral-os-disk",)), lambda _verdict: "source_vm")
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
    return found + findings(check(facts, copy, _DISK_RULES), lambda verdict: verdict.about)


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
