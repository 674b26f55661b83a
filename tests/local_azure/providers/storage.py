# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Microsoft.Storage: accounts, their keys, and blob containers through Resource Manager."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Any

from tests.local_azure.azure import LocalAzure, new_account_key
from tests.local_azure.call import Call, Reply, properties_of
from tests.local_azure.clock import now, storage_time
from tests.local_azure.errors import ArmError, invalid_value
from tests.local_azure.kinds import ResourceKind, Verb, json_object
from tests.local_azure.store import Json, Resource
from tests.local_azure.threads import in_thread

ACCOUNT = "Microsoft.Storage/storageAccounts"
_NAME = re.compile(r"^[a-z0-9]{3,24}$")
_NAME_TEXT = (
    "{0} is not a valid storage account name. Storage account name must be between 3 and 24 characters in "
    "length and use numbers and lower-case letters only."
)
_SKUS = {
    "Standard_LRS",
    "Standard_GRS",
    "Standard_RAGRS",
    "Standard_ZRS",
    "Premium_LRS",
    "Premium_ZRS",
    "Standard_GZRS",
    "Standard_RAGZRS",
}


class StorageAccounts(ResourceKind):
    type = ACCOUNT
    name_rule = r"^[^/]*$"

    def __init__(self, azure: LocalAzure) -> None:
        super().__init__(azure)
        self.define("create", self._finish_create)

    def verbs(self) -> Mapping[str, Verb]:
        return {"listkeys": self._list_keys, "regeneratekey": self._regenerate_key}

    def subscription_verbs(self) -> Mapping[str, Verb]:
        return {"microsoft.storage/checknameavailability": self._check_name}

    def _endpoints(self, name: str) -> Json:
        return {"blob": f"{self.azure.blobs.endpoint}/{name}/"}

    async def put(self, call: Call) -> Reply:
        existing = self.find(call)
        if not _NAME.match(call.name):
            raise ArmError(400, "AccountNameInvalid", _NAME_TEXT.format(call.name))
        body = self.check_write(call, existing)
        if properties_of(body).get("accountType"):
            # What the SKU was called in 2015-06-15, which azure-cli still asks for.
            body.setdefault("sku", {"name": properties_of(body)["accountType"]})
        sku = body.get("sku")
        if existing is None and not (isinstance(sku, dict) and sku.get("name") in _SKUS):
            raise invalid_value("sku.name", "Values for request parameters are invalid: sku.")
        if existing is not None:
            return Reply(200, self._update(existing, body).body)
        if any(r.name == call.name for r in self.azure.store.of_type(ACCOUNT)):
            raise ArmError(
                409, "StorageAccountAlreadyTaken", f"The storage account named {call.name} is already taken."
            )
        resource = self.new_resource(call, self._new_body(call.name, body), {"keys": self._new_keys()})
        resource.properties["provisioningState"] = "Creating"
        self.azure.store.put(resource)
        operation = self.begin(
            call, resource, "create", collection="asyncoperations", azure_seconds=17, retry_after=17
        )
        return Reply(202, None, self.azure.operations.headers(operation, aao=False, location=True))

    def _new_body(self, name: str, body: Json) -> Json:
        created = storage_time(now())
        sku = str(body["sku"]["name"])
        given = properties_of(body)
        services = {
            service: {"keyType": "Account", "enabled": True, "lastEnabledTime": created}
            for service in ("file", "blob")
        }
        properties: Json = {
            "keyCreationTime": {"key1": created, "key2": created},
            "allowBlobPublicAccess": given.get("allowBlobPublicAccess", False),
            "minimumTlsVersion": given.get("minimumTlsVersion", "TLS1_2"),
            "supportsHttpsTrafficOnly": given.get("supportsHttpsTrafficOnly", True),
            "networkAcls": {
                "bypass": "AzureServices",
                "virtualNetworkRules": [],
                "ipRules": [],
                "defaultAction": "Allow",
            },
            "encryption": {"services": services, "keySource": "Microsoft.Storage"},
            "accessTier": given.get("accessTier", "Hot"),
            "creationTime": created,
            "primaryEndpoints": self._endpoints(name),
            "primaryLocation": body["location"],
            "statusOfPrimary": "available",
        }
        for key in ("allowSharedKeyAccess", "publicNetworkAccess", "isHnsEnabled"):
            if key in given:
                properties[key] = given[key]
        return {
            "sku": {"name": sku, "tier": sku.partition("_")[0]},
            "kind": body.get("kind") or "StorageV2",
            "location": body["location"],
            "tags": body.get("tags") or {},
            "properties": properties,
        }

    @staticmethod
    def _new_keys() -> list[str]:
        return [new_account_key(), new_account_key()]

    def _update(self, resource: Resource, body: Json) -> Resource:
        if isinstance(body.get("tags"), dict):
            resource.body["tags"] = body["tags"]
        if isinstance(body.get("sku"), dict) and body["sku"].get("name") in _SKUS:
            name = str(body["sku"]["name"])
            resource.body["sku"] = {"name": name, "tier": name.partition("_")[0]}
        for key in (
            "allowBlobPublicAccess",
            "minimumTlsVersion",
            "accessTier",
            "allowSharedKeyAccess",
            "publicNetworkAccess",
            "supportsHttpsTrafficOnly",
        ):
            if key in properties_of(body):
                resource.properties[key] = properties_of(body)[key]
        self.azure.store.put(resource)
        return resource

    async def _finish_create(self, resource: Resource, _arguments: Json) -> Json:
        first, second = resource.hidden["keys"]
        await in_thread(self.azure.blobs.ensure_account, resource.name, first, second)
        return self.succeed(resource)

    async def patch(self, call: Call) -> Reply:
        return Reply(200, self._update(self.require(call), json_object(call)).body)

    async def delete(self, call: Call) -> Reply:
        resource = self.find(call)
        if resource is None:
            return Reply(204)
        await self.remove(resource)
        return Reply(200)

    async def remove(self, resource: Resource) -> None:
        await in_thread(self.azure.blobs.remove_account, resource.name)
        await super().remove(resource)

    async def _list_keys(self, call: Call) -> Reply:
        return Reply(200, _key_list(self.require(call)))

    async def _regenerate_key(self, call: Call) -> Reply:
        resource = self.require(call)
        names = ["key1", "key2"]
        wanted = json_object(call).get("keyName")
        if wanted not in names:
            raise invalid_value("keyName", "Values for request parameters are invalid: keyName.")
        resource.hidden["keys"][names.index(wanted)] = new_account_key()
        first, second = resource.hidden["keys"]
        await in_thread(self.azure.blobs.ensure_account, resource.name, first, second)
        self.azure.store.put(resource)
        return Reply(200, _key_list(resource))

    async def _check_name(self, call: Call) -> Reply:
        name = json_object(call).get("name")
        if not isinstance(name, str) or not _NAME.match(name):
            answer: Json = {
                "nameAvailable": False,
                "reason": "AccountNameInvalid",
                "message": _NAME_TEXT.format(name),
            }
        elif any(r.name == name for r in self.azure.store.of_type(ACCOUNT)):
            answer = {
                "nameAvailable": False,
                "reason": "AlreadyExists",
                "message": f"The storage account named {name} is already taken.",
            }
        else:
            answer = {"nameAvailable": True}
        return Reply(200, answer)


def _key_list(resource: Resource) -> Json:
    created = resource.properties["creationTime"]
    return {
        "keys": [
            {"keyName": f"key{i}", "value": key, "permissions": "FULL", "creationTime": created}
            for i, key in enumerate(resource.hidden["keys"], 1)
        ]
    }


class BlobServices(ResourceKind):
    """Each account has one, named default."""

    type = f"{ACCOUNT}/blobServices"

    async def get(self, call: Call) -> Reply:
        account = self.require_parent(call)
        resource_id = f"{account.id}/blobServices/default"
        properties: Json = {
            "cors": {"corsRules": []},
            "deleteRetentionPolicy": {"enabled": False, "allowPermanentDelete": False},
        }
        return Reply(
            200,
            {
                "sku": account.body["sku"],
                "id": resource_id,
                "name": "default",
                "type": self.type,
                "properties": properties,
            },
        )

    async def list(self, call: Call) -> Reply:
        return Reply(200, {"value": [(await self.get(call)).body]})


class BlobContainers(ResourceKind):
    """Containers are asked of the blob service itself: those made through it show up here too."""

    type = f"{ACCOUNT}/blobServices/containers"
    name_rule = r"^(\$root|[a-z0-9](?!.*--)[a-z0-9-]{1,61}[a-z0-9])$"

    def _body(self, account: Resource, name: str) -> Json:
        etag = uuid.uuid5(uuid.NAMESPACE_URL, f"{account.id}/{name}").hex[:15].upper()
        return {
            "id": f"{account.id}/blobServices/default/containers/{name}",
            "name": name,
            "type": self.type,
            "etag": f'"0x8{etag}"',
            "properties": {
                "deleted": False,
                "remainingRetentionDays": 0,
                "publicAccess": "None",
                "leaseStatus": "Unlocked",
                "leaseState": "Available",
                "hasImmutabilityPolicy": False,
                "hasLegalHold": False,
                "defaultEncryptionScope": "$account-encryption-key",
                "denyEncryptionScopeOverride": False,
            },
        }

    async def _names(self, account: Resource) -> list[str]:
        return await in_thread(self.azure.blobs.list_containers, account.name)

    async def get(self, call: Call) -> Reply:
        account = self.require_parent(call)
        if call.name not in await self._names(account):
            raise ArmError(404, "ContainerNotFound", "The specified container does not exist.")
        return Reply(200, self._body(account, call.name))

    async def list(self, call: Call) -> Reply:
        account = self.require_parent(call)
        value = []
        for name in await self._names(account):
            entry = self._body(account, name)
            value.append(entry)
        return Reply(200, {"value": value})

    async def put(self, call: Call) -> Reply:
        account = self.require_parent(call)
        if not re.match(self.name_rule, call.name):
            raise ArmError(
                400,
                "ContainerNameInvalid",
                f"{call.name} is not a valid container name: 3 to 63 lower-case letters, digits and single "
                "hyphens, a letter or digit first and last.",
            )
        created = await in_thread(self.azure.blobs.create_container, account.name, call.name)
        body: dict[str, Any] = self._body(account, call.name)
        if created:
            body = {k: v for k, v in body.items() if k != "properties"}
            body["properties"] = {"deleted": False, "remainingRetentionDays": 0}
        return Reply(201 if created else 200, body)

    async def delete(self, call: Call) -> Reply:
        account = self.require_parent(call)
        gone = await in_thread(self.azure.blobs.delete_container, account.name, call.name)
        return Reply(200 if gone else 204)
