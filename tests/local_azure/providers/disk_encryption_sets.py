# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Disk encryption sets: the key that disks are encrypted with, by reference. No key vault is asked."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from tests.local_azure.azure import LocalAzure
from tests.local_azure.call import Call, Reply, properties_of
from tests.local_azure.errors import invalid_value, missing_parameter, not_allowed
from tests.local_azure.kinds import ResourceKind, Verb, check_tags, json_object
from tests.local_azure.providers.disk_sources import DISK, SNAPSHOT
from tests.local_azure.store import Json, Resource

_TYPES = (
    "EncryptionAtRestWithCustomerKey",
    "EncryptionAtRestWithPlatformAndCustomerKeys",
    "ConfidentialVmEncryptedWithCustomerKey",
)
_KEPT = ("activeKey", "encryptionType", "rotationToLatestKeyVersionEnabled", "federatedClientId")
_IDENTITIES = ("None", "SystemAssigned", "UserAssigned", "SystemAssigned, UserAssigned")
_ROTATION_SINCE = "2020-05-01"
_SECONDS = 0.5


class DiskEncryptionSets(ResourceKind):
    type = "Microsoft.Compute/diskEncryptionSets"

    def __init__(self, azure: LocalAzure) -> None:
        super().__init__(azure)
        self.define("write", self._finish_write)
        self.define("delete", self._finish_delete)

    def verbs(self) -> Mapping[str, Verb]:
        return {"get associatedresources": self._associated}

    async def put(self, call: Call) -> Reply:
        existing = self.find(call)
        body = self.check_write(call, existing)
        given = properties_of(body)
        if existing is not None:
            return self._change(call, existing, body)
        identity = body.get("identity")
        if identity is not None and (
            not isinstance(identity, dict) or identity.get("type") not in _IDENTITIES
        ):
            raise invalid_value("identity.type")
        if given.get("encryptionType") not in (None, *_TYPES):
            raise invalid_value("encryptionType")
        _check_key(given.get("activeKey"))
        properties = {
            k: given[k]
            for k in ("activeKey", "encryptionType", "rotationToLatestKeyVersionEnabled", "federatedClientId")
            if given.get(k) is not None
        }
        resource = self.new_resource(
            call,
            {
                "location": body["location"],
                **({"tags": body["tags"]} if body.get("tags") is not None else {}),
                **({"identity": identity} if identity else {}),
                "properties": {**properties, "provisioningState": "Updating"},
            },
        )
        self.azure.store.put(resource)
        return self._accepted(call, resource)

    async def patch(self, call: Call) -> Reply:
        resource = self.require(call)
        body = json_object(call)
        check_tags(body)
        return self._change(call, resource, body)

    def _change(self, call: Call, resource: Resource, body: Json) -> Reply:
        self.refuse_concurrent(resource)
        given = properties_of(body)
        key, old = given.get("activeKey"), resource.properties.get("activeKey")
        if key is not None:
            _check_key(key)
            if key != old and call.api_version < _ROTATION_SINCE:
                raise not_allowed(
                    "Key rotation in disk encryption set is not supported in this version. Cannot change "
                    f"active key with {_named(old)} to a new key with {_named(key)}"
                )
            resource.properties["activeKey"] = key
        if body.get("tags") is not None:
            resource.body["tags"] = body["tags"]
        resource.properties["provisioningState"] = "Updating"
        self.azure.store.put(resource)
        return self._accepted(call, resource)

    def _accepted(self, call: Call, resource: Resource) -> Reply:
        operation = self.begin(
            call,
            resource,
            "write",
            collection="DiskOperations",
            azure_seconds=_SECONDS,
            shows_output=True,
        )
        shown = {k: v for k, v in resource.body.items() if k not in ("name", "id", "type")}
        return Reply(202, shown, self.azure.operations.headers(operation, aao=True, location=True))

    async def _finish_write(self, resource: Resource, _arguments: Json) -> Json:
        identity = resource.body.get("identity")
        if identity and "SystemAssigned" in str(identity["type"]) and "principalId" not in identity:
            tenant = self.azure.settings.identity.tenant_of(resource.subscription)
            identity |= {"principalId": str(uuid.uuid4()), "tenantId": tenant.id if tenant else None}
        resource.properties.setdefault("encryptionType", _TYPES[0])
        return self.succeed(resource)

    def _users(self, resource: Resource) -> list[str]:
        """Ids of the disks and snapshots that are encrypted with it."""
        return [
            disk.id
            for kind in (DISK, SNAPSHOT)
            for disk in self.azure.store.of_type(kind)
            if str((disk.properties.get("encryption") or {}).get("diskEncryptionSetId", "")).lower()
            == resource.id.lower()
        ]

    async def _associated(self, call: Call) -> Reply:
        return Reply(200, {"value": self._users(self.require(call))})

    async def delete(self, call: Call) -> Reply:
        resource = self.find(call)
        if resource is None:
            return Reply(204)
        self.refuse_concurrent(resource)
        if self._users(resource):
            raise not_allowed(
                f"Disk encryption set {resource.name} is used by disks or snapshots and cannot be deleted."
            )
        operation = self.begin(call, resource, "delete", collection="DiskOperations", azure_seconds=_SECONDS)
        return Reply(202, None, self.azure.operations.headers(operation, aao=True, location=True))

    async def _finish_delete(self, resource: Resource, _arguments: Json) -> None:
        await self.remove(resource)


def _check_key(key: object) -> None:
    if key is None:
        raise missing_parameter("activeKey")
    if not isinstance(key, dict):
        raise invalid_value("activeKey")
    if not isinstance(key.get("keyUrl"), str):
        raise missing_parameter("activeKey.keyUrl")
    vault = key.get("sourceVault")
    if vault is not None and (not isinstance(vault, dict) or not isinstance(vault.get("id"), str)):
        raise invalid_value("activeKey.sourceVault")


def _named(key: Json | None) -> str:
    known = key or {}
    vault = (known.get("sourceVault") or {}).get("id", "")
    return f"key '{known.get('keyUrl', '')}' and vault id '{vault}'"
