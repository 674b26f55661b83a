# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The blob service of a storage account and its containers, through Resource Manager."""

from __future__ import annotations

import re
import uuid
from typing import Any

from tests.local_azure.call import Call, Reply
from tests.local_azure.errors import ArmError
from tests.local_azure.kinds import ResourceKind
from tests.local_azure.providers.storage.storage_accounts import ACCOUNT
from tests.local_azure.store import Json, Resource
from tests.local_azure.threads import in_thread


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
