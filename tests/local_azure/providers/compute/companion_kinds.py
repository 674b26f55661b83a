# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Small resources beside machines and disks that are made, changed and deleted within one request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from tests.local_azure.azure import LocalAzure
from tests.local_azure.body_types import RESOURCE, Shape, checked
from tests.local_azure.call import Call, Reply, properties_of
from tests.local_azure.errors import ArmError
from tests.local_azure.kinds import ResourceKind, check_tags, json_object
from tests.local_azure.store import Json, Resource


class CompanionKind(ResourceKind):
    """Written at once: 201 or 200 with the whole resource, deleted with 200, or 204 where there is none."""

    #: What the PUT of a new one is answered with.
    created_status: ClassVar[int] = 201
    #: Members beside the properties that are kept.
    envelope: ClassVar[Sequence[str]] = ()
    #: The JSON types of members of the request.
    shape: ClassVar[Mapping[str, Shape]] = {}

    def compose(self, call: Call, body: Json, existing: Resource | None) -> Json:
        """The properties to store; raises for what Azure refuses. `body` may be changed beside them."""
        raise NotImplementedError

    def in_use(self, resource: Resource) -> ArmError | None:
        """Why the resource cannot be deleted now."""
        del resource
        return None

    async def put(self, call: Call) -> Reply:
        existing = self.find(call)
        return self._write(call, self.check_write(call, existing), existing)

    async def patch(self, call: Call) -> Reply:
        resource = self.require(call)
        body = json_object(call)
        check_tags(body)
        return self._write(call, body, resource)

    def _write(self, call: Call, body: Json, existing: Resource | None) -> Reply:
        body = checked(body, {**RESOURCE, **self.shape})
        properties = self.compose(call, body, existing)
        resource = existing or self.new_resource(call, {"location": body["location"]})
        for key in ("tags", *self.envelope):
            if body.get(key) is not None:
                resource.body[key] = body[key]
        resource.body["properties"] = properties
        self.azure.store.put(resource)
        return Reply(200 if existing else self.created_status, self.render(resource, call))

    async def delete(self, call: Call) -> Reply:
        resource = self.find(call)
        if resource is None:
            return Reply(204)
        refusal = self.in_use(resource)
        if refusal is not None:
            raise refusal
        await self.remove(resource)
        return Reply(200)


def referring(azure: LocalAzure, resource_type: str, path: Sequence[str], target: str) -> Iterator[Resource]:
    """The resources of a type that name `target` at that place of their properties."""
    for resource in azure.store.of_type(resource_type):
        value: object = resource.properties
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        if isinstance(value, str) and value.lower() == target.lower():
            yield resource


def reference_in(given: Json, key: str) -> str | None:
    """The id that a member {"id": ...} of the properties names."""
    member = given.get(key)
    found = member.get("id") if isinstance(member, dict) else None
    return found if isinstance(found, str) else None


def given_properties(body: Json, existing: Resource | None, names: Sequence[str]) -> Json:
    """Those of the properties of the request or, where it does not tell, of the resource."""
    present = existing.properties if existing else {}
    given = properties_of(body)
    merged = {name: given.get(name, present.get(name)) for name in names}
    return {name: value for name, value in merged.items() if value is not None}
