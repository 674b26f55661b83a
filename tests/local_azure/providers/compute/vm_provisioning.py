# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""How Azure words the end of a provisioning that did not succeed."""

from __future__ import annotations

from tests.local_azure.errors import ArmError
from tests.local_azure.guest_environment.record import ProvisioningReport

_INSTRUCTIONS = (
    " * Instructions for Windows: https://azure.microsoft.com/documentation/articles/"
    "virtual-machines-windows-upload-image/ \r\n"
    " * Instructions for Linux: https://azure.microsoft.com/documentation/articles/"
    "virtual-machines-linux-capture-image/ "
)


def not_provisioned(name: str, report: ProvisioningReport) -> ArmError:
    """The error of the operation that made the machine `name`."""
    late = f"OS Provisioning for VM '{name}' did not finish in the allotted time. "
    if report.outcome == "failed":
        return ArmError(
            409,
            "OSProvisioningInternalError",
            f"OS Provisioning failed for VM '{name}' due to an internal error: {report.description}",
        )
    if report.agent_seen:
        return ArmError(
            409,
            "OSProvisioningClientError",
            f"{late}However, the VM guest agent was detected running. This suggests the guest OS has not "
            "been properly prepared to be used as a VM image (with CreateOption=FromImage). To resolve this "
            "issue, either use the VHD as is with CreateOption=Attach or prepare it properly for use as an "
            f"image:\r\n{_INSTRUCTIONS}",
        )
    return ArmError(
        409,
        "OSProvisioningTimedOut",
        f"{late}The VM may still finish provisioning successfully. Please check provisioning state later. "
        f"Also, make sure the image has been properly prepared (generalized).\r\n{_INSTRUCTIONS}",
    )
