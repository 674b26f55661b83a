# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What the instance metadata service says of a virtual machine (schema: Microsoft Learn, "Azure Instance
Metadata Service"). Values are strings; what does not apply is empty.
"""

from __future__ import annotations

from typing import NamedTuple

from tests.local_azure.azure import LocalAzure
from tests.local_azure.call import properties_of
from tests.local_azure.locations import find_location
from tests.local_azure.store import Json, Resource


class Interface(NamedTuple):
    """The network interface that the guest has: the primary one. `prefix` as 10.0.0.0/24."""

    mac: str
    address: str
    prefix: str


# An interface whose subnet has gone meanwhile.
_NONE = Interface("00:0d:3a:00:00:01", "10.0.0.4", "10.0.0.0/24")


def primary_interface(azure: LocalAzure, machine: Resource) -> Interface:
    entries = (machine.properties.get("networkProfile") or {}).get("networkInterfaces") or []
    chosen = next((e for e in entries if properties_of(e).get("primary")), entries[0] if entries else {})
    nic = azure.store.get(chosen.get("id") or "")
    if nic is None:
        return _NONE
    configurations = [properties_of(c) for c in nic.properties["ipConfigurations"]]
    configuration = next((c for c in configurations if c.get("primary")), configurations[0])
    return Interface(
        mac=nic.properties["macAddress"].replace("-", ":").lower(),
        address=configuration["privateIPAddress"],
        prefix=_prefix(azure, configuration["subnet"]["id"]),
    )


def _prefix(azure: LocalAzure, subnet_id: str) -> str:
    network = azure.store.get(subnet_id.rpartition("/subnets/")[0])
    for subnet in network.properties["subnets"] if network else []:
        if subnet["name"].lower() == subnet_id.rpartition("/")[2].lower():
            settings = properties_of(subnet)
            prefixes = settings.get("addressPrefixes") or [settings.get("addressPrefix")]
            return str(prefixes[0])
    return _NONE.prefix


def instance_document(azure: LocalAzure, machine: Resource, public_address: str) -> Json:
    """The document in the shape of its newest version."""
    return {
        "compute": _compute(machine),
        "network": _network(primary_interface(azure, machine), public_address),
        "extended": {
            "compute": {"hasCustomData": _text(bool(machine.hidden.get("custom_data"))), "ppsType": "None"}
        },
    }


def _compute(machine: Resource) -> Json:
    properties = machine.properties
    profile = properties.get("osProfile") or {}
    linux = profile.get("linuxConfiguration") or {}
    storage = properties.get("storageProfile") or {}
    security = properties.get("securityProfile") or {}
    firmware = security.get("uefiSettings") or {}
    image = storage.get("imageReference") or {}
    plan = machine.body.get("plan") or {}
    location = find_location(machine.location)
    tags = {str(k): str(v) for k, v in (machine.body.get("tags") or {}).items()}
    return {
        "additionalCapabilities": {
            "hibernationEnabled": _text(
                (properties.get("additionalCapabilities") or {}).get("hibernationEnabled", False)
            )
        },
        "azEnvironment": "AzurePublicCloud",
        # Switched off long ago; userData is what succeeded it.
        "customData": "",
        "evictionPolicy": properties.get("evictionPolicy", ""),
        "extendedLocation": {"type": "", "name": ""},
        "host": {"id": (properties.get("host") or {}).get("id", "")},
        "hostGroup": {"id": ""},
        "isHostCompatibilityLayerVm": "false",
        "isVmInStandbyPool": "",
        "licenseType": properties.get("licenseType", ""),
        "location": location.name if location else machine.location,
        "name": machine.name,
        "offer": image.get("offer", ""),
        "osProfile": {
            "adminUsername": profile.get("adminUsername", ""),
            "computerName": profile.get("computerName", ""),
            "disablePasswordAuthentication": _text(linux.get("disablePasswordAuthentication", False)),
        },
        "osType": storage.get("osDisk", {}).get("osType", "Linux"),
        "physicalZone": "",
        "placementGroupId": "",
        "plan": {key: plan.get(key, "") for key in ("name", "product", "publisher")},
        "platformFaultDomain": "0",
        "platformSubFaultDomain": "",
        "platformUpdateDomain": "0",
        "priority": properties.get("priority", ""),
        "provider": "Microsoft.Compute",
        "publicKeys": [
            {"keyData": key["keyData"], "path": key.get("path", "")}
            for key in (linux.get("ssh") or {}).get("publicKeys") or []
        ],
        "publisher": image.get("publisher", ""),
        "resourceGroupName": machine.resource_group,
        "resourceId": machine.id,
        "securityProfile": {
            "encryptionAtHost": _text(security.get("encryptionAtHost", False)),
            "secureBootEnabled": _text(firmware.get("secureBootEnabled", False)),
            "securityType": security.get("securityType", ""),
            "virtualTpmEnabled": _text(firmware.get("vTpmEnabled", False)),
        },
        "sku": image.get("sku", ""),
        "storageProfile": _storage(storage),
        "subscriptionId": machine.id.split("/")[2],
        "tags": ";".join(f"{name}:{value}" for name, value in tags.items()),
        "tagsList": [{"name": name, "value": value} for name, value in tags.items()],
        "userData": properties.get("userData") or machine.hidden.get("user_data") or "",
        "version": image.get("exactVersion") or image.get("version") or "",
        "virtualMachineScaleSet": {"id": ""},
        "vmId": properties["vmId"],
        "vmScaleSetName": "",
        "vmSize": (properties.get("hardwareProfile") or {}).get("vmSize", ""),
        "zone": str((machine.body.get("zones") or [""])[0]),
    }


def _storage(storage: Json) -> Json:
    image = storage.get("imageReference") or {}
    named = ("id", "offer", "publisher", "sku", "version", "communityGalleryImageId", "sharedGalleryImageId")
    system = storage.get("osDisk") or {}
    return {
        "dataDisks": [
            {
                **_disk(disk),
                "lun": str(disk.get("lun", "")),
                "isSharedDisk": "false",
                "isUltraDisk": "false",
                "bytesPerSecondThrottle": "",
                "opsPerSecondThrottle": "",
                "diskCapacityBytes": str(int(disk.get("diskSizeGB") or 0) << 30),
            }
            for disk in storage.get("dataDisks") or []
        ],
        "imageReference": {**{name: image.get(name, "") for name in named}, "exactVersion": ""},
        "osDisk": {
            **_disk(system),
            "diffDiskSettings": {"option": (system.get("diffDiskSettings") or {}).get("option", "")},
            "encryptionSettings": {
                "enabled": "false",
                "diskEncryptionKey": {"secretUrl": "", "sourceVault": {"id": ""}},
                "keyEncryptionKey": {"keyUrl": "", "sourceVault": {"id": ""}},
            },
            "osType": system.get("osType", "Linux"),
        },
        "resourceDisk": {"size": "0"},
    }


def _disk(disk: Json) -> Json:
    managed = disk.get("managedDisk") or {}
    return {
        "caching": disk.get("caching", "None"),
        "createOption": disk.get("createOption", ""),
        "diskSizeGB": str(disk.get("diskSizeGB") or ""),
        "image": {"uri": (disk.get("image") or {}).get("uri", "")},
        "managedDisk": {
            "id": managed.get("id", ""),
            "storageAccountType": managed.get("storageAccountType", ""),
        },
        "name": disk.get("name", ""),
        "vhd": {"uri": (disk.get("vhd") or {}).get("uri", "")},
        "writeAcceleratorEnabled": _text(disk.get("writeAcceleratorEnabled", False)),
    }


def _network(interface: Interface, public_address: str) -> Json:
    address, _unused, length = interface.prefix.partition("/")
    addresses = {"privateIpAddress": interface.address, "publicIpAddress": public_address}
    return {
        "interface": [
            {
                "ipv4": {"ipAddress": [addresses], "subnet": [{"address": address, "prefix": length}]},
                "ipv6": {"ipAddress": []},
                "macAddress": interface.mac.replace(":", "").upper(),
            }
        ]
    }


def _text(value: object) -> str:
    return str(value).lower()
