# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What all types of Microsoft.Network have in common."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Any

from tests.local_azure.azure import LocalAzure
from tests.local_azure.call import Call, Reply
from tests.local_azure.errors import ArmError
from tests.local_azure.kinds import ResourceKind, check_tags, json_object
from tests.local_azure.store import Json, Resource

VIRTUAL_NETWORK = "Microsoft.Network/virtualNetworks"
INTERFACE = "Microsoft.Network/networkInterfaces"
PUBLIC_ADDRESS = "Microsoft.Network/publicIPAddresses"
SECURITY_GROUP = "Microsoft.Network/networkSecurityGroups"
_NAME = re.compile(r"^\w([\w.-]{0,78}\w)?$", re.ASCII)
#: Recordings of 2019 show less than those of 2022.
TODAY = "2022-01-01"


class NetworkError(ArmError):
    """The network provider's errors always have a list of details, mostly an empty one."""

    def error(self) -> Json:
        return {**super().error(), "details": []}


def new_etag() -> str:
    return f'W/"{uuid.uuid4()}"'


def same_id(one: object, other: object) -> bool:
    return isinstance(one, str) and isinstance(other, str) and one.lower() == other.lower()


def with_etag(body: Json) -> Reply:
    """The etag stands in the body and in a header."""
    return Reply(200, body, {"ETag": str(body["etag"])})


class NetworkKind(ResourceKind):
    """Network resources are made at once; their operation only reports so a little later."""

    retry_after: int | None = None
    #: Interfaces are answered as if all were done, everything else is Updating until its operation ends.
    first_state = "Updating"

    def __init__(self, azure: LocalAzure) -> None:
        super().__init__(azure)
        self.define("put", self._finish_put)
        self.define("delete", self._finish_delete)

    def collection(self, subscription: str, location: str, name: str) -> str:
        """Network writes its locations in small letters."""
        return f"/subscriptions/{subscription}/providers/{self.namespace}/locations/{location}/{name}"

    def compose(self, call: Call, body: Json, existing: Resource | None) -> Json:
        """The properties to store; raises for what Azure refuses."""
        raise NotImplementedError

    def in_use(self, resource: Resource) -> ArmError | None:
        """Why the resource cannot be deleted now."""
        del resource
        return None

    def check_name(self, name: str) -> None:
        if not _NAME.match(name):
            raise NetworkError(
                400,
                "InvalidResourceName",
                f"Resource name {name} is invalid. The name can be up to 80 characters long. It must begin "
                "with a word character, and it must end with a word character or with '_'. The name may "
                "contain word characters or '.', '-', '_'.",
            )

    async def get(self, call: Call) -> Reply:
        return with_etag(self.render(self.require(call), call))

    async def put(self, call: Call) -> Reply:
        existing = self.find(call)
        body = self.check_write(call, existing)
        properties = self.compose(call, body, existing)
        resource = self.save(call, body, properties, existing)
        operation = self.begin(
            call, resource, "put", azure_seconds=3, retry_after=self.retry_after, shows_output=False
        )
        headers = self.azure.operations.headers(operation, aao=True, location=False)
        return Reply(200 if existing else 201, self.render(resource, call), headers)

    def save(self, call: Call, body: Json, properties: Json, existing: Resource | None) -> Resource:
        """Stores the resource as it is while its operation runs."""
        resource = self.new_resource(call, {})
        if existing is not None:
            resource.id, resource.hidden = existing.id, existing.hidden
        guid = existing.properties.get("resourceGuid") if existing else str(uuid.uuid4())
        etag = new_etag()
        resource.body = {
            "name": resource.name,
            "id": resource.id,
            "etag": etag,
            "type": self.type,
            "location": body["location"],
            **{k: body[k] for k in ("tags", "sku", "zones") if body.get(k) is not None},
            "properties": {"provisioningState": self.first_state, "resourceGuid": guid, **properties},
        }
        self.mark(resource, self.first_state, etag)
        self.azure.store.put(resource)
        return resource

    def parts_of(self, resource: Resource) -> list[Json]:
        """The bodies inside the resource's own that share its etag."""
        del resource
        return []

    def mark(self, resource: Resource, state: str, etag: str) -> None:
        """A state and etag for the resource and its parts."""
        resource.body["etag"] = etag
        resource.properties["provisioningState"] = state
        for part in self.parts_of(resource):
            part["etag"] = etag
            part["properties"]["provisioningState"] = state

    async def _finish_put(self, resource: Resource, _arguments: Json) -> Json:
        if self.first_state != "Succeeded":
            self.mark(resource, "Succeeded", new_etag())
        return self.succeed(resource)

    async def patch(self, call: Call) -> Reply:
        resource = self.require(call)
        body = json_object(call)
        check_tags(body)
        if "tags" in body:
            resource.body["tags"] = body["tags"]
            self.mark(resource, "Succeeded", new_etag())
            self.azure.store.put(resource)
        return Reply(200, self.render(resource, call))

    async def delete(self, call: Call) -> Reply:
        resource = self.find(call)
        if resource is None:
            return Reply(204)
        refusal = self.in_use(resource)
        if refusal is not None:
            raise refusal
        operation = self.begin(call, resource, "delete", azure_seconds=10, retry_after=10)
        return Reply(202, None, self.azure.operations.headers(operation, aao=True, location=True))

    async def _finish_delete(self, resource: Resource, _arguments: Json) -> None:
        refusal = self.in_use(resource)
        if refusal is not None:
            raise refusal
        await self.remove(resource)

    def referenced(self, resource_id: str, by: str) -> Resource:
        found = self.azure.store.get(resource_id)
        if found is None:
            raise bad_reference(resource_id, by)
        return found


class NestedNetworkKind(NetworkKind):
    """A type whose resources stand in their parent's body: subnets, security rules."""

    #: The member of the parent's properties that lists them.
    member: str

    def __init__(self, azure: LocalAzure, parents: NetworkKind) -> None:
        super().__init__(azure)
        self.parents = parents

    def composed(self, parent: Resource, given: Json) -> Json:
        """The body to store in the parent's; raises for what Azure refuses."""
        raise NotImplementedError

    def refusal_to_remove(self, entry: Json) -> ArmError | None:
        """Why the entry cannot be deleted now."""
        del entry
        return None

    def _entries(self, parent: Resource) -> list[Json]:
        entries: list[Json] = parent.properties[self.member]
        return entries

    def _index(self, parent: Resource, name: str) -> int | None:
        names = [str(entry["name"]).lower() for entry in self._entries(parent)]
        return names.index(name.lower()) if name.lower() in names else None

    async def get(self, call: Call) -> Reply:
        parent = self.require_parent(call)
        index = self._index(parent, call.name)
        if index is None:
            raise nested_not_found(self.id_of(call))
        return with_etag(self.parents.render(parent, call)["properties"][self.member][index])

    async def list(self, call: Call) -> Reply:
        parent = self.parents.render(self.require_parent(call), call)
        return Reply(200, {"value": parent["properties"][self.member]})

    async def put(self, call: Call) -> Reply:
        parent = self.require_parent(call)
        self.check_name(call.name)
        entry = self.composed(parent, {**json_object(call), "name": call.name})
        index = self._index(parent, call.name)
        entries = self._entries(parent)
        if index is None:
            entries.append(entry)
            place = len(entries) - 1
        else:
            entries[index] = entry
            place = index
        self.parents.mark(parent, "Updating", new_etag())
        self.azure.store.put(parent)
        operation = self.parents.begin(call, parent, "put", azure_seconds=3, retry_after=self.retry_after)
        headers = self.azure.operations.headers(operation, aao=True, location=False)
        body = self.parents.render(parent, call)["properties"][self.member][place]
        return Reply(200 if index is not None else 201, body, headers)

    async def delete(self, call: Call) -> Reply:
        parent = self.require_parent(call)
        index = self._index(parent, call.name)
        if index is None:
            return Reply(204)
        entries = self._entries(parent)
        refusal = self.refusal_to_remove(entries[index])
        if refusal is not None:
            raise refusal
        del entries[index]
        self.azure.store.put(parent)
        operation = self.parents.begin(call, parent, "put", azure_seconds=10, retry_after=10)
        return Reply(202, None, self.azure.operations.headers(operation, aao=True, location=True))


def nested_not_found(resource_id: str) -> ArmError:
    return NetworkError(404, "NotFound", f"Resource {resource_id} not found.")


def bad_reference(resource_id: str, by: str) -> ArmError:
    return NetworkError(
        400,
        "InvalidResourceReference",
        f"Resource {resource_id} referenced by resource {by} was not found. Please make sure that the "
        "referenced resource exists, and that both resources are in the same region.",
    )


def object_at(value: Any, path: str) -> Json:
    """A member of a request that has to be an object where it is given."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _wrong_json(path)
    return value


def objects_at(value: Any, path: str) -> list[Json]:
    """A member of a request that has to be a list of objects where it is given."""
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise _wrong_json(path)
    return value


def text_at(body: Mapping[str, Any], key: str, path: str) -> str | None:
    """A member of a request that has to be text where it is given."""
    value = body.get(key)
    if value is not None and not isinstance(value, str):
        raise _wrong_json(f"{path}.{key}")
    return value


def id_at(body: Mapping[str, Any], key: str, path: str) -> str | None:
    """The id of a reference: {"id": ...}."""
    return text_at(object_at(body.get(key), f"{path}.{key}"), "id", f"{path}.{key}")


def _wrong_json(path: str) -> ArmError:
    return NetworkError(
        400, "InvalidRequestFormat", f"Cannot parse the request: the value of {path} is wrong."
    )
