# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""One right request for each kind of resource and verb, for the fuzzer to break."""

from __future__ import annotations

from typing import Any

from tests.fidelity.wrong_values import Request
from tests.unit.local_azure.arm_server import KEY, Arm, compute, network_path, storage_path

WHERE = "westus"


def resource(path: str, properties: dict[str, Any], method: str = "PUT", **more: Any) -> Request:
    body = {"location": WHERE, "tags": {"use": "fuzz"}, **more, "properties": properties}
    return Request(method, path, body)


def prepare(arm: Arm) -> list[Request]:
    """Makes what the requests refer to, and gives them; each succeeds as it stands, or nearly."""
    group = arm.group(WHERE)
    disk, system = arm.disk(group, "base"), arm.disk(group, "system", osType="Linux", hyperVGeneration="V2")
    image = arm.image(group, "golden", system, disk)
    subnet = arm.subnet(group)
    gallery = compute(group, "galleries", "shelf")
    definition, version = f"{gallery}/images/golden", f"{gallery}/images/golden/versions/1.0.0"
    collection = compute(group, "restorePointCollections", "points")
    machine = compute(group, "virtualMachines", "machine")
    body = arm.machine_body(image, subnet)
    arm.done(arm.send("PUT", machine, body))
    account = storage_path(group, "fuzzed1")
    rights = f"{group}/providers/Microsoft.Authorization"
    return [
        *_disks(group, disk["id"]),
        Request("PUT", compute(group, "images", "golden"), {k: image[k] for k in ("location", "properties")}),
        Request("PATCH", compute(group, "images", "golden"), {"tags": {"a": "b"}}),
        Request("PUT", machine, body),
        Request(
            "PATCH",
            machine,
            {"tags": {"a": "b"}, "properties": {"hardwareProfile": {"vmSize": "Standard_B2s"}}},
        ),
        resource(machine + "2", {**body["properties"], **_attached(system["id"])}, zones=["1"]),
        Request("POST", f"{machine}/runCommand", {"commandId": "RunShellScript", "script": ["id"]}),
        Request(
            "POST",
            f"{machine}/capture",
            {"vhdPrefix": "a", "destinationContainerName": "b", "overwriteVhds": True},
        ),
        resource(f"{machine}/runCommands/run", {"source": {"script": "id"}, "timeoutInSeconds": 9}),
        resource(f"{machine}/extensions/more", {"publisher": "p", "type": "t", "settings": {"a": 1}}),
        *_network(group, subnet),
        resource(
            gallery, {"description": "d", "identifier": {}, "sharingProfile": {"permissions": "Groups"}}
        ),
        Request(
            "POST",
            f"{gallery}/share",
            {"operationType": "Add", "groups": [{"type": "Subscriptions", "ids": ["x"]}]},
        ),
        resource(definition, _definition()),
        resource(version, _version(image["id"])),
        resource(collection, {"source": {"id": f"{arm.subscription}/{machine}"}}),
        resource(f"{collection}/restorePoints/one", {"excludeDisks": [{"id": disk["id"]}]}),
        resource(
            compute(group, "diskEncryptionSets", "keys"),
            {"activeKey": {"sourceVault": {"id": "/x"}, "keyUrl": "https://vault.example/keys/k/1"}},
            identity={"type": "SystemAssigned"},
        ),
        resource(account, {"accessTier": "Hot"}, sku={"name": "Standard_LRS"}, kind="StorageV2"),
        Request(
            "POST",
            "providers/Microsoft.Storage/checkNameAvailability",
            {"name": "fuzzed1", "type": "Microsoft.Storage/storageAccounts"},
        ),
        Request("POST", f"{account}/regenerateKey", {"keyName": "key1"}),
        Request("PUT", f"{account}/blobServices/default/containers/vhds", {"properties": {"metadata": {}}}),
        Request("PUT", group, {"location": WHERE, "tags": {"a": "b"}}),
        Request("PATCH", group, {"tags": {"a": "b"}}),
        Request("PUT", f"{rights}/locks/x", {"properties": {"level": "CanNotDelete", "notes": "n"}}),
        Request("PUT", f"{rights}/roleAssignments/11111111-0000-0000-0000-000000000000", _assignment(arm)),
        Request("PUT", f"{rights}/roleDefinitions/11111111-0000-0000-0000-000000000001", _role(arm, group)),
        *_deployments(group, disk["id"]),
    ]


def _disks(group: str, source: str) -> list[Request]:
    creations: dict[str, dict[str, Any]] = {
        "empty": {"createOption": "Empty"},
        "upload": {"createOption": "Upload", "uploadSizeBytes": 20972032},
        "copy": {"createOption": "Copy", "sourceResourceId": source},
        "import": {
            "createOption": "Import",
            "sourceUri": "https://fuzzed1.blob.core.windows.net/vhds/a.vhd",
            "storageAccountId": "/subscriptions/x/resourceGroups/y/providers/z/storageAccounts/fuzzed1",
        },
        "image": {"createOption": "FromImage", "imageReference": {"id": "/x", "lun": 0}},
    }
    made = [
        resource(
            compute(group, kind, f"{name}-{kind}"),
            {"creationData": creation, "diskSizeGB": 4, "osType": "Linux", "hyperVGeneration": "V2"},
            sku={"name": "Premium_LRS"},
            zones=["1"],
        )
        for kind in ("disks", "snapshots")
        for name, creation in creations.items()
    ]
    base = compute(group, "disks", "base")
    return [
        *made,
        Request(
            "PATCH", base, {"sku": {"name": "Premium_LRS"}, "properties": {"diskSizeGB": 8, "tier": "P10"}}
        ),
        Request("POST", f"{base}/beginGetAccess", {"access": "Read", "durationInSeconds": 60}),
        Request("POST", f"{base}/endGetAccess", None),
    ]


def _attached(disk: str) -> dict[str, Any]:
    os_disk = {"createOption": "Attach", "osType": "Linux", "managedDisk": {"id": disk}, "caching": "None"}
    data = {
        "lun": 3,
        "createOption": "Empty",
        "diskSizeGB": 4,
        "managedDisk": {"storageAccountType": "Premium_LRS"},
    }
    return {
        "storageProfile": {"osDisk": os_disk, "dataDisks": [data]},
        "osProfile": {
            "computerName": "host",
            "adminUsername": "ops",
            "customData": "YQ==",
            "linuxConfiguration": {"ssh": {"publicKeys": [{"path": "/home/ops/.ssh/k", "keyData": KEY}]}},
        },
        "securityProfile": {"securityType": "TrustedLaunch", "uefiSettings": {"secureBootEnabled": True}},
        "diagnosticsProfile": {"bootDiagnostics": {"enabled": True}},
    }


def _network(group: str, subnet: str) -> list[Request]:
    rule = {
        "name": "ssh",
        "properties": {
            "protocol": "Tcp",
            "sourcePortRange": "*",
            "destinationPortRange": "22",
            "sourceAddressPrefix": "10.0.0.0/8",
            "destinationAddressPrefix": "*",
            "access": "Allow",
            "priority": 100,
            "direction": "Inbound",
        },
    }
    space = {"addressPrefixes": ["10.1.0.0/16"]}
    inner = {"name": "one", "properties": {"addressPrefix": "10.1.1.0/24"}}
    address = {"name": "ip", "properties": {"subnet": {"id": subnet}, "privateIPAddress": "10.0.0.99"}}
    return [
        resource(network_path(group, "virtualNetworks", "net2"), {"addressSpace": space, "subnets": [inner]}),
        Request("PUT", network_path(group, "virtualNetworks", "net2") + "/subnets/one", inner),
        resource(network_path(group, "networkInterfaces", "nic2"), {"ipConfigurations": [address]}),
        resource(
            network_path(group, "publicIPAddresses", "ip2"),
            {"publicIPAllocationMethod": "Static", "dnsSettings": {"domainNameLabel": "fuzz"}},
            sku={"name": "Standard"},
        ),
        resource(network_path(group, "networkSecurityGroups", "wall"), {"securityRules": [rule]}),
        Request("PUT", network_path(group, "networkSecurityGroups", "wall") + "/securityRules/ssh", rule),
    ]


def _definition() -> dict[str, Any]:
    return {
        "osType": "Linux",
        "osState": "Generalized",
        "hyperVGeneration": "V2",
        "identifier": {"publisher": "p", "offer": "o", "sku": "s"},
        "features": [{"name": "SecurityType", "value": "TrustedLaunchSupported"}],
        "recommended": {"vCPUs": {"min": 1, "max": 4}, "memory": {"min": 1, "max": 8}},
        "purchasePlan": {"name": "n", "publisher": "p", "product": "q"},
        "endOfLifeDate": "2030-01-01T00:00:00Z",
    }


def _version(source: str) -> dict[str, Any]:
    region = {"name": "West US", "regionalReplicaCount": 1, "storageAccountType": "Standard_LRS"}
    return {
        "publishingProfile": {"targetRegions": [region], "replicaCount": 1, "excludeFromLatest": True},
        "storageProfile": {
            "source": {"id": source},
            "osDiskImage": {"hostCaching": "ReadOnly", "source": {"id": source}},
            "dataDiskImages": [{"lun": 0, "source": {"id": source}}],
        },
        "safetyProfile": {"allowDeletionOfReplicatedLocations": True},
    }


def _assignment(arm: Arm) -> dict[str, Any]:
    reader = "/providers/Microsoft.Authorization/roleDefinitions/acdd72a7-3385-48ef-bd42-f606fba81ae7"
    return {
        "properties": {
            "roleDefinitionId": arm.subscription + reader,
            "principalId": arm.settings.identity.reader.object_id,
        }
    }


def _role(arm: Arm, group: str) -> dict[str, Any]:
    return {
        "properties": {
            "roleName": "Fuzzer",
            "assignableScopes": [f"{arm.subscription}/{group}"],
            "permissions": [{"actions": ["Microsoft.Compute/*"], "notActions": []}],
        }
    }


def _deployments(group: str, disk: str) -> list[Request]:
    template = {
        "$schema": "https://schema.management.azure.com/schemas/2015-01-01/deploymentTemplate.json#",
        "contentVersion": "1.0.0.0",
        "parameters": {
            "name": {"type": "string", "defaultValue": "d", "allowedValues": ["d"], "maxLength": 9}
        },
        "variables": {"size": "[add(1, 1)]"},
        "resources": [
            {
                "type": "Microsoft.Compute/disks",
                "apiVersion": "2024-03-02",
                "name": "[concat(parameters('name'), copyIndex())]",
                "location": "[resourceGroup().location]",
                "copy": {"name": "loop", "count": 2},
                "dependsOn": [disk],
                "properties": {
                    "diskSizeGB": "[variables('size')]",
                    "creationData": {"createOption": "Empty"},
                },
            }
        ],
        "outputs": {"out": {"type": "string", "value": "[uniqueString(parameters('name'))]"}},
    }
    properties = {"mode": "Incremental", "template": template, "parameters": {"name": {"value": "d"}}}
    path = f"{group}/providers/Microsoft.Resources/deployments/fuzz"
    return [
        Request("PUT", path, {"properties": properties}),
        Request("POST", f"{path}/validate", {"properties": properties}),
    ]
