# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Disk encryption sets: the key that disks are encrypted with, by reference. No key vault is asked."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from tests.local_azure.call import Call, Reply, properties_of
from tests.local_azure.errors import invalid_value, missing_parameter, not_allowed
from tests.local_azure.kinds import Verb
from tests.local_azure.providers.disks.disk_companions import DiskCompanionKind
from tests.local_azure.providers.resources.user_assigned_identities import carried_identity
from tests.local_azure.store import Json, Resource

_TYPES = (
    "EncryptionAtRestWithCustomerKey",
    "EncryptionAtRestWithPlatformAndCustomerKeys",
    "ConfidentialVmEncryptedWithCustomerKey",
)
_KEPT = ("activeKey", "encryptionType", "rotationToLatestKeyVersionEnabled", "federatedClientId")
_IDENTITIES = ("None", "SystemAssigned", "UserAssigned", "SystemAssigned, UserAssigned")
_ROTATION_SINCE = "2020-05-01"


class DiskEncryptionSets(DiskCompanionKind):
    type = "Microsoft.Compute/diskEncryptionSets"
    named_at = ("encryption", "diskEncryptionSetId")
    called = "Disk encryption set"

    def verbs(self) -> Mapping[str, Verb]:
        return {"get associatedresources": self._associated}

    async def put(self, call: Call) -> Reply:
        existing = self.find(call)
        body = self.check_write(call, existing)
        given = properties_of(body)
        if existing is not None:
            return self.update(call, existing, body)
        identity = body.get("identity")
        if identity is not None and (
            not isinstance(identity, dict) or identity.get("type") not in _IDENTITIES
        ):
            raise invalid_value("identity.type")
        if identity:
            identity = carried_identity(self.azure, identity, self.id_of(call))
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
        return self.accept(call, resource)

    def change(self, call: Call, resource: Resource, body: Json) -> None:
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

    async def finish_write(self, resource: Resource, arguments: Json) -> Json:
        identity = resource.body.get("identity")
        if identity and "SystemAssigned" in str(identity["type"]) and "principalId" not in identity:
            tenant = self.azure.settings.identity.tenant_of(resource.subscription)
            identity |= {"principalId": str(uuid.uuid4()), "tenantId": tenant.id if tenant else None}
        resource.properties.setdefault("encryptionType", _TYPES[0])
        return await super().finish_write(resource, arguments)

    async def _associated(self, call: Call) -> Reply:
        return Reply(200, {"value": list(self.users(self.require(call)))})


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
