# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Microsoft.Storage: accounts with their keys and shared access signatures."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tests.local_azure.azure import LocalAzure, new_account_key
from tests.local_azure.call import Call, Reply
from tests.local_azure.clock import now, storage_time
from tests.local_azure.errors import ArmError, invalid_value
from tests.local_azure.kinds import ResourceKind, Verb, json_object
from tests.local_azure.providers.storage.storage_sas import account_sas, service_sas
from tests.local_azure.providers.storage.storage_shapes import (
    key_list,
    new_account,
    settings_of,
    shown_account,
    sku_of,
)
from tests.local_azure.store import Json, Resource
from tests.local_azure.threads import in_thread

ACCOUNT = "Microsoft.Storage/storageAccounts"
_NAME = re.compile(r"^[a-z0-9]{3,24}$")
_NAME_TEXT = (
    "{0} is not a valid storage account name. Storage account name must be between 3 and 24 characters in "
    "length and use numbers and lower-case letters only."
)
#: Accounts that a subscription may have in a region.
_LIMIT = 250
_KEYS = ("key1", "key2")


class StorageAccounts(ResourceKind):
    """`hidden.keys` are the two keys."""

    type = ACCOUNT

    def __init__(self, azure: LocalAzure) -> None:
        super().__init__(azure)
        self.define("create", self._finish_create)

    def verbs(self) -> Mapping[str, Verb]:
        return {
            "listkeys": self._list_keys,
            "regeneratekey": self._regenerate_key,
            "listaccountsas": self._account_sas,
            "listservicesas": self._service_sas,
        }

    def subscription_verbs(self) -> Mapping[str, Verb]:
        return {
            r"microsoft\.storage/checknameavailability": self._check_availability,
            r"microsoft\.storage/locations/[^/]+/usages": self._usages,
        }

    def check_name(self, name: str) -> None:
        if not _NAME.match(name):
            raise ArmError(400, "AccountNameInvalid", _NAME_TEXT.format(name))

    def collection(self, subscription: str, location: str, name: str) -> str:
        """Storage writes its locations in small letters."""
        return f"/subscriptions/{subscription}/providers/{self.namespace}/locations/{location}/{name}"

    def render(self, resource: Resource, call: Call) -> Json:
        return shown_account(resource.body, call.api_version)

    async def put(self, call: Call) -> Reply:
        existing = self.find(call)
        body = self.check_write(call, existing)
        if existing is not None:
            return Reply(200, self.render(self._update(existing, body), call))
        sku = sku_of(body, required=True) or {}
        if self.azure.store.named(ACCOUNT, call.name) is not None:
            raise ArmError(
                409, "StorageAccountAlreadyTaken", f"The storage account named {call.name} is already taken."
            )
        kept = new_account(call.name, body, sku, self.azure.blobs.endpoint, call.api_version)
        resource = self.new_resource(call, kept, {"keys": [new_account_key(), new_account_key()]})
        self.azure.store.put(resource)
        operation = self.begin(
            call,
            resource,
            "create",
            {"version": call.api_version},
            collection="asyncoperations",
            azure_seconds=17,
            retry_after=17,
        )
        return Reply(202, None, self.azure.operations.headers(operation, aao=False, location=True))

    async def _finish_create(self, resource: Resource, arguments: Json) -> Json:
        first, second = resource.hidden["keys"]
        await in_thread(self.azure.blobs.ensure_account, resource.name, first, second)
        return shown_account(self.succeed(resource), str(arguments.get("version")))

    def _update(self, resource: Resource, body: Json) -> Resource:
        if isinstance(body.get("tags"), dict):
            resource.body["tags"] = body["tags"]
        sku = sku_of(body, required=False)
        if sku is not None:
            resource.body["sku"] = sku
        resource.properties.update(settings_of(body, first=False))
        self.azure.store.put(resource)
        return resource

    async def patch(self, call: Call) -> Reply:
        return Reply(200, self.render(self._update(self.require(call), json_object(call)), call))

    async def delete(self, call: Call) -> Reply:
        resource = self.find(call)
        if resource is None:
            return Reply(204)
        await self.remove(resource)
        return Reply(200)

    async def remove(self, resource: Resource) -> None:
        await in_thread(self.azure.blobs.remove_account, resource.name)
        await super().remove(resource)

    # Keys and signatures.

    async def _list_keys(self, call: Call) -> Reply:
        resource = self.require(call)
        return Reply(200, key_list(resource.hidden["keys"], resource.properties, call.api_version))

    async def _regenerate_key(self, call: Call) -> Reply:
        resource = self.require(call)
        wanted = json_object(call).get("keyName")
        if wanted not in _KEYS:
            raise invalid_value("keyName", "Values for request parameters are invalid: keyName.")
        resource.hidden["keys"][_KEYS.index(wanted)] = new_account_key()
        resource.properties["keyCreationTime"][wanted] = storage_time(now())
        first, second = resource.hidden["keys"]
        await in_thread(self.azure.blobs.ensure_account, resource.name, first, second)
        self.azure.store.put(resource)
        return Reply(200, key_list(resource.hidden["keys"], resource.properties, call.api_version))

    async def _account_sas(self, call: Call) -> Reply:
        resource = self.require(call)
        keys = dict(zip(_KEYS, resource.hidden["keys"], strict=True))
        return Reply(200, {"accountSasToken": account_sas(resource.name, keys, json_object(call))})

    async def _service_sas(self, call: Call) -> Reply:
        resource = self.require(call)
        keys = dict(zip(_KEYS, resource.hidden["keys"], strict=True))
        return Reply(200, {"serviceSasToken": service_sas(resource.name, keys, json_object(call))})

    # Of the subscription.

    async def _check_availability(self, call: Call) -> Reply:
        name = json_object(call).get("name")
        if not isinstance(name, str) or not _NAME.match(name):
            answer: Json = {
                "nameAvailable": False,
                "reason": "AccountNameInvalid",
                "message": _NAME_TEXT.format(name),
            }
        elif self.azure.store.named(ACCOUNT, name) is not None:
            answer = {
                "nameAvailable": False,
                "reason": "AlreadyExists",
                "message": f"The storage account named {name} is already taken.",
            }
        else:
            answer = {"nameAvailable": True}
        return Reply(200, answer)

    async def _usages(self, call: Call) -> Reply:
        location = call.path.rstrip("/").split("/")[-2].lower()
        accounts = self.azure.store.of_type(ACCOUNT, subscription=call.subscription)
        count = sum(account.location == location for account in accounts)
        name = {"value": "StorageAccounts", "localizedValue": "Storage Accounts"}
        return Reply(
            200, {"value": [{"unit": "Count", "currentValue": count, "limit": _LIMIT, "name": name}]}
        )
