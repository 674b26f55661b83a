# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Restore point collections: where the restore points of one virtual machine are kept."""

from __future__ import annotations

import uuid

from tests.local_azure.azure import LocalAzure
from tests.local_azure.call import Call, Reply, properties_of
from tests.local_azure.errors import ArmError, invalid_value, missing_parameter, property_change
from tests.local_azure.kinds import ResourceKind, check_tags, json_object
from tests.local_azure.locations import find_location
from tests.local_azure.providers.compute.usage import VIRTUAL_MACHINE
from tests.local_azure.providers.disks.disk_content import DiskContent
from tests.local_azure.providers.disks.disk_sources import DISK_RESTORE_POINT
from tests.local_azure.store import Json, Resource

COLLECTION = "Microsoft.Compute/restorePointCollections"
RESTORE_POINT = f"{COLLECTION}/restorePoints"
_SECONDS = 5.0


class RestorePointCollections(ResourceKind):
    type = COLLECTION

    def __init__(self, azure: LocalAzure) -> None:
        super().__init__(azure)
        self._content = DiskContent(azure)
        self.define("delete", self._finish_delete)

    async def put(self, call: Call) -> Reply:
        existing = self.find(call)
        body = self.check_write(call, existing)
        source = properties_of(body).get("source")
        if existing is not None:
            return self._changed(existing, body, source, call)
        if not isinstance(source, dict) or not isinstance(source.get("id"), str):
            raise missing_parameter("properties.source.id")
        found = self.azure.store.get(source["id"])
        if found is None or found.type not in (VIRTUAL_MACHINE, COLLECTION):
            raise ArmError(404, "NotFound", f"Resource {source['id'].rpartition('/')[2]} is not found.")
        if found.type == VIRTUAL_MACHINE and found.location != body["location"]:
            raise invalid_value(
                "location",
                f"The restore point collection and its source '{found.name}' are not in the same location.",
            )
        place = find_location(found.location)
        resource = self.new_resource(
            call,
            {
                "location": body["location"],
                **({"tags": body["tags"]} if body.get("tags") is not None else {}),
                "properties": {
                    "source": {"location": place.compute_name if place else found.location, "id": found.id},
                    "restorePointCollectionId": str(uuid.uuid4()),
                    "provisioningState": "Succeeded",
                },
            },
        )
        self.azure.store.put(resource)
        return Reply(201, self.render(resource, call))

    def _changed(self, resource: Resource, body: Json, source: object, call: Call) -> Reply:
        """Only tags can be changed."""
        given = source.get("id") if isinstance(source, dict) else None
        if given is not None and str(given).lower() != resource.properties["source"]["id"].lower():
            raise property_change("source.id")
        if body.get("tags") is not None:
            resource.body["tags"] = body["tags"]
            self.azure.store.put(resource)
        return Reply(200, self.render(resource, call))

    async def patch(self, call: Call) -> Reply:
        resource = self.require(call)
        body = json_object(call)
        check_tags(body)
        return self._changed(resource, body, properties_of(body).get("source"), call)

    def render(self, resource: Resource, call: Call) -> Json:
        """With `$expand=restorePoints`, the points, too."""
        if "restorepoints" not in call.query.get("$expand", "").lower():
            return resource.body
        points = [shown_point(point) for point in self.azure.store.below(resource.id, RESTORE_POINT)]
        properties = {**resource.properties, "restorePoints": points}
        return {**resource.body, "properties": properties}

    async def delete(self, call: Call) -> Reply:
        resource = self.find(call)
        if resource is None:
            return Reply(204)
        self.refuse_concurrent(resource)
        operation = self.begin(call, resource, "delete", azure_seconds=_SECONDS)
        return Reply(202, None, self.azure.operations.headers(operation, aao=True, location=True))

    async def _finish_delete(self, resource: Resource, _arguments: Json) -> None:
        await self.remove(resource)

    async def remove(self, resource: Resource) -> None:
        for disk in list(self.azure.store.below(resource.id, DISK_RESTORE_POINT)):
            await self._content.delete(disk)
        await super().remove(resource)


def shown_point(point: Resource) -> Json:
    """A restore point as served: it has a region, but does not say so."""
    return {k: v for k, v in point.body.items() if k != "location"}
