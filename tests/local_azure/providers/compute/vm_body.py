# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The request body of a virtual machine: its JSON types, its words, and what is made of both."""

from __future__ import annotations

from collections.abc import Mapping

from tests.local_azure.body_types import RESOURCE, Shape, checked, resource_id, word
from tests.local_azure.call import properties_of
from tests.local_azure.errors import invalid_value
from tests.local_azure.providers.disks import disk_shapes
from tests.local_azure.store import Json

_REFERENCE: Mapping[str, Shape] = {"id": str}
_URI: Mapping[str, Shape] = {"uri": str}
_DISK: Mapping[str, Shape] = {
    "name": str,
    "createOption": str,
    "caching": str,
    "deleteOption": str,
    "diskSizeGB": int,
    "osType": str,
    "vhd": _URI,
    "image": _URI,
    "managedDisk": {
        "id": str,
        "storageAccountType": str,
        "diskEncryptionSet": _REFERENCE,
        "securityProfile": {"securityEncryptionType": str, "diskEncryptionSet": _REFERENCE},
    },
    "diffDiskSettings": {"option": str, "placement": str},
    "writeAcceleratorEnabled": bool,
}
_IP_CONFIGURATION: Mapping[str, Shape] = {
    "name": str,
    "properties": {
        "subnet": _REFERENCE,
        "primary": bool,
        "publicIPAddressConfiguration": {"name": str, "sku": {"name": str}, "properties": dict},
    },
}
_NEW_INTERFACE: Mapping[str, Shape] = {
    "name": str,
    "properties": {
        "primary": bool,
        "deleteOption": str,
        "ipConfigurations": [_IP_CONFIGURATION],
        "networkSecurityGroup": _REFERENCE,
    },
}
_IMAGE_FIELDS = (
    "id",
    "publisher",
    "offer",
    "sku",
    "version",
    "sharedGalleryImageId",
    "communityGalleryImageId",
)
_SHAPE: Mapping[str, Shape] = {
    **RESOURCE,
    "plan": {"name": str, "publisher": str, "product": str, "promotionCode": str},
    "identity": {"type": str, "userAssignedIdentities": dict},
    "properties": {
        "hardwareProfile": {"vmSize": str},
        "storageProfile": {
            "imageReference": dict.fromkeys(_IMAGE_FIELDS, str),
            "osDisk": _DISK,
            "dataDisks": [{**_DISK, "lun": int, "toBeDetached": bool}],
            "diskControllerType": str,
        },
        "osProfile": {
            "computerName": str,
            "adminUsername": str,
            "adminPassword": str,
            "customData": str,
            "allowExtensionOperations": bool,
            "linuxConfiguration": {
                "disablePasswordAuthentication": bool,
                "provisionVMAgent": bool,
                "ssh": {"publicKeys": [{"path": str, "keyData": str}]},
                "patchSettings": {"patchMode": str, "assessmentMode": str},
            },
            "windowsConfiguration": {
                "provisionVMAgent": bool,
                "enableAutomaticUpdates": bool,
                "patchSettings": {"patchMode": str, "assessmentMode": str},
            },
            "secrets": [{"sourceVault": _REFERENCE, "vaultCertificates": [dict]}],
        },
        "networkProfile": {
            "networkApiVersion": str,
            "networkInterfaces": [{"id": str, "properties": {"primary": bool, "deleteOption": str}}],
            "networkInterfaceConfigurations": [_NEW_INTERFACE],
        },
        "securityProfile": {
            "securityType": str,
            "encryptionAtHost": bool,
            "uefiSettings": {"secureBootEnabled": bool, "vTpmEnabled": bool},
        },
        "additionalCapabilities": {"ultraSSDEnabled": bool, "hibernationEnabled": bool},
        "diagnosticsProfile": {"bootDiagnostics": {"enabled": bool, "storageUri": str}},
        "billingProfile": dict,
        "priority": str,
        "evictionPolicy": str,
        "licenseType": str,
        "userData": str,
        "extensionsTimeBudget": str,
        "availabilitySet": _REFERENCE,
        "proximityPlacementGroup": _REFERENCE,
        "host": _REFERENCE,
    },
}
_CACHING = ("None", "ReadOnly", "ReadWrite")
_OS_TYPES = ("Linux", "Windows")
_DELETE = ("Delete", "Detach")
_LARGEST_OS_DISK = 4095


def read(body: Json) -> Json:
    """The body with its types checked, nulls left out and words as Azure spells them."""
    clean = checked(body, _SHAPE)
    given = properties_of(clean)
    storage = given.get("storageProfile") or {}
    reference = storage.get("imageReference") or {}
    if reference.get("id"):
        resource_id(reference["id"], "properties.storageProfile.imageReference.id")
    for index, secret in enumerate((given.get("osProfile") or {}).get("secrets") or []):
        vault = secret.get("sourceVault") or {}
        if vault.get("id"):
            resource_id(vault["id"], f"properties.osProfile.secrets[{index}].sourceVault.id")
    if storage.get("osDisk"):
        _spell_disk(storage["osDisk"], "osDisk", ("FromImage", "Attach"))
    for disk in storage.get("dataDisks") or []:
        _spell_disk(disk, "dataDisk", ("FromImage", "Attach", "Empty", "Copy", "Restore"))
    for holder, key, words in (
        (given, "priority", ("Regular", "Low", "Spot")),
        (given, "evictionPolicy", ("Deallocate", "Delete")),
        (given.get("securityProfile"), "securityType", ("Standard", "TrustedLaunch", "ConfidentialVM")),
        (storage, "diskControllerType", ("SCSI", "NVMe")),
    ):
        if holder and key in holder:
            holder[key] = word(holder[key], words, key)
    for entry in (given.get("networkProfile") or {}).get("networkInterfaces") or []:
        _spell(entry.get("properties"), "deleteOption", _DELETE, "networkProfile.networkInterfaces")
    return clean


def _spell(holder: Json | None, key: str, words: tuple[str, ...], path: str) -> None:
    if holder and key in holder:
        holder[key] = word(holder[key], words, f"{path}.{key}")


def _spell_disk(disk: Json, path: str, options: tuple[str, ...]) -> None:
    _spell(disk, "createOption", options, path)
    _spell(disk, "caching", _CACHING, path)
    _spell(disk, "deleteOption", _DELETE, path)
    _spell(disk, "osType", _OS_TYPES, path)
    largest = _LARGEST_OS_DISK if path == "osDisk" else disk_shapes.MAX_SIZE_GB
    size = disk.get("diskSizeGB")
    if size is not None and not 1 <= size <= largest:
        raise invalid_value(
            f"{path}.diskSizeGB",
            f"The value '{size}' of parameter '{path}.diskSizeGB' is out of range. Value '{size}' must be "
            f"between '1' and '{largest}' inclusive.",
        )
    _spell(disk.get("managedDisk"), "storageAccountType", disk_shapes.SKUS, f"{path}.managedDisk")
    managed = disk.get("managedDisk") or {}
    if managed.get("id"):
        resource_id(managed["id"], f"properties.storageProfile.{path}.managedDisk.id")
