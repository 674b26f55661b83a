# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Whether a VM size, its image or disk and its security type go together."""

from __future__ import annotations

from tests.local_azure.errors import ArmError, invalid_value, missing_parameter
from tests.local_azure.providers.compute.image_sources import ImageSource
from tests.local_azure.providers.compute.machine_sizes import MachineSize
from tests.local_azure.store import Json

_STANDARD = "Standard"
_TRUSTED, _CONFIDENTIAL = "TrustedLaunch", "ConfidentialVM"
# What the definition's feature SecurityType lets machines be; "Supported" leaves the choice to them.
_ALLOWED_BY_FEATURE = {
    None: (_STANDARD,),
    "TrustedLaunchSupported": (_STANDARD, _TRUSTED),
    "TrustedLaunch": (_TRUSTED,),
    "ConfidentialVmSupported": (_STANDARD, _CONFIDENTIAL),
    "ConfidentialVMSupported": (_STANDARD, _CONFIDENTIAL),
    "ConfidentialVM": (_CONFIDENTIAL,),
    "TrustedLaunchAndConfidentialVmSupported": (_STANDARD, _TRUSTED, _CONFIDENTIAL),
}


def _bad_request(message: str) -> ArmError:
    return ArmError(400, "BadRequest", message)


def security_type(properties: Json) -> str:
    """The machine's security type, Standard where nothing is said."""
    return str((properties.get("securityProfile") or {}).get("securityType") or _STANDARD)


def check_generation(size: MachineSize, generation: str) -> None:
    if generation in size.generations:
        return
    number = generation.removeprefix("V")
    raise _bad_request(
        f"The selected VM size '{size.name}' cannot boot Hypervisor Generation '{number}'. If this was a "
        "Create operation please check that the Hypervisor Generation of the Image matches the Hypervisor "
        "Generation of the selected VM Size. If this was an Update operation please select a Hypervisor "
        f"Generation '{number}' VM Size. For more information, see https://aka.ms/azuregen2vm"
    )


def check_architecture(size: MachineSize, architecture: str) -> None:
    if architecture == size.architecture:
        return
    raise _bad_request(
        f"Cannot create a VM of size '{size.name}' because this VM size only supports a CPU Architecture of "
        f"'{size.architecture}', but an image or disk with CPU Architecture '{architecture}' was given. "
        "Please check that the CPU Architecture of the image or disk is compatible with that of the VM size."
    )


def check_controllers(size: MachineSize, image: ImageSource) -> None:
    if set(size.controllers) & set(image.controllers):
        return
    raise ArmError(
        400,
        "InvalidParameter",
        f"The VM size '{size.name}' cannot boot with OS image or disk. Please check that disk controller "
        "types supported by the OS image or disk is one of the supported disk controller types for the VM "
        f"size '{size.name}'. Please query sku api at https://aka.ms/azure-compute-skus  to determine "
        "supported disk controller types for the VM size.",
        target="vmSize",
    )


def check_security(properties: Json, size: MachineSize, image: ImageSource | None, os_plan: Json) -> None:
    """Size, image or attached disk against the security type that the request asks for."""
    wanted = security_type(properties)
    profile = properties.get("securityProfile") or {}
    if profile.get("uefiSettings") and wanted == _STANDARD:
        raise invalid_value(
            "securityProfile.uefiSettings",
            "Property 'securityProfile.uefiSettings' is not allowed without 'securityProfile.securityType'.",
        )
    if os_plan["option"] == "Attach" and not os_plan.get("vhd"):
        if (os_plan.get("security_type") or _STANDARD) != wanted:
            raise _bad_request(
                "Security type of VM is not compatible with the security type of attached OS Disk."
            )
    else:
        _check_image(wanted, image)
    supported = {_STANDARD: True, _TRUSTED: size.trusted_launch, _CONFIDENTIAL: size.confidential}
    if not supported[wanted]:
        raise _bad_request(
            f"The VM size '{size.name}' is not supported for creation of VMs and Virtual Machine Scale Set "
            f"with '{wanted}' security type."
        )
    if wanted == _CONFIDENTIAL and not (os_plan.get("disk_security") or {}).get("securityEncryptionType"):
        raise missing_parameter("osDisk.managedDisk.securityProfile.securityEncryptionType")


def _check_image(wanted: str, image: ImageSource | None) -> None:
    feature = image.security_type if image else None
    allowed = _ALLOWED_BY_FEATURE.get(feature, (_STANDARD,))
    if wanted in allowed and not (wanted != _STANDARD and image is not None and image.generation == "V1"):
        return
    if _STANDARD not in allowed:
        raise _bad_request(
            "The provided gallery image only supports creation of VMs and VM Scale Sets with "
            f"'{allowed[0]}' security type."
        )
    raise _bad_request(
        f"Use of {wanted} setting is not supported for the provided image. Please select Trusted Launch "
        "Supported Gen2 OS Image. For more information, see https://aka.ms/TrustedLaunch-FAQ."
        if wanted == _TRUSTED
        else f"Use of {wanted} setting is not supported for the provided image."
    )
