# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What Azure says against a request, beside what the compatibility rules say of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.goldenimage.azure.plugins.module_utils._image.compatibility_rule import (
    AT_ONCE,
    ERROR,
    LATER,
    Verdict,
)

from tests.integration.cloud import LocalAzure

#: The rules that say what Azure's sentences say, by words of these.
RULES_FOR: Mapping[str, tuple[str, ...]] = {
    # Sources.
    "does not exist in this Azure location": ("source-region",),
    "Please check source exists, and is in the same region": ("source-region",),
    "cannot be found in": ("source-region",),
    "is not available in": ("source-region",),
    "is not found.": ("source-region", "source-kind"),
    "does not belong to the same region": ("source-region",),
    "is in location": ("source-region",),
    "An internal execution error occurred.": ("source-region", "disk-busy"),
    "requires the Virtual Machine": ("not-generalized",),
    "is deprecated.": ("source-deprecated",),
    # Managed images and versions.
    "Creation of managed images are not supported": ("security-type-managed-image",),
    "The value of parameter hyperVGeneration is invalid.": ("generation-mismatch",),
    "a different OS state": ("os-state-mismatch",),
    "since the OS State in the parent gallery image": ("os-state-mismatch",),
    "a different OS type": ("os-type-mismatch",),
    "a different Hypervisor generation": ("generation-mismatch",),
    "a different architecture": ("architecture-mismatch",),
    "Architecture 'Arm64' is not supported": ("definition-arm64-v1",),
    "is only supported with Hyper-V generation 'V2'": ("definition-security-v1",),
    "a different security type": ("security-type-mismatch",),
    "is not supported for the source id": ("security-type-mismatch",),
    "a different plan": ("plan-lost", "plan-mismatch"),
    # Machines.
    "cannot boot Hypervisor Generation": ("size-generation",),
    "only supports a CPU Architecture": ("size-architecture",),
    "cannot boot with OS image or disk": ("size-controller",),
    "setting is not supported for the provided image": ("machine-security-type",),
    "only supports creation of VMs": ("machine-security-type",),
    "Security type of VM is not compatible": ("machine-security-type",),
    "is not supported for creation of VMs": ("size-security-type",),
    "securityEncryptionType": ("confidential-encryption",),
    "requires Plan information": ("machine-plan-missing",),
    "The part number in the purchase information": ("machine-plan-missing",),
    "You have not accepted the legal terms": ("terms-not-accepted",),
    "'osProfile' is not allowed": ("login-with-specialized",),
    "Required parameter 'osProfile'": ("login-missing",),
    # Disks and blobs.
    "cannot be resized down": ("disk-smaller",),
    "its upload is not finished": ("disk-busy",),
    "is not permitted before its upload": ("disk-busy",),
    "active shared access signature outstanding": ("disk-busy",),
    "currently attached to running VM": ("disk-in-use",),
    "A disk can be attached to only one VM": ("disk-in-use",),
    "contains a slash": ("blob-name",),
    "must end with '.vhd' extension": ("blob-name",),
    "is not a page blob": ("blob-not-page",),
    "Disk is expected to have cookie value": ("blob-no-vhd",),
    "Only blobs formatted as VHDs can be imported": ("blob-not-fixed", "blob-size"),
    "has an unsupported virtual size": ("blob-size",),
    "Disk size must be between": ("blob-size",),
}


def refusal(azure: LocalAzure, path: str, body: Mapping[str, Any], method: str = "PUT") -> str:
    """What Azure says against it, at once or when its operation fails; "" when it makes it."""
    first = azure.request(method, path, body)
    if first.status >= 300:
        return str(first.body["error"]["message"])
    while True:
        status = azure.request("GET", first.headers["azure-asyncoperation"]).body
        if status["status"] != "InProgress":
            return str((status.get("error") or {}).get("message", ""))


def agree(verdicts: Sequence[Verdict], said: str, what: object) -> None:
    """The rules refuse what Azure refuses, one of them for the reason that Azure gives, and nothing that it
    makes."""
    errors = [verdict for verdict in verdicts if verdict.severity == ERROR]
    told = [verdict for verdict in errors if verdict.told in (AT_ONCE, LATER)]
    if not said:
        assert not told, f"Azure makes {what}: {told}"
        return
    assert errors, f"Azure refuses {what}: {said}"
    rules = {rule for words, named in RULES_FOR.items() if words in said for rule in named}
    assert rules & {verdict.id for verdict in errors}, f"Azure refuses {what} for another reason: {said}"
