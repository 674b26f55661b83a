# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Disk accesses, by which disks are reached from private endpoints. There are no such endpoints here."""

from __future__ import annotations

from collections.abc import Mapping

from tests.local_azure.call import Call, Reply
from tests.local_azure.clock import now, wire_time
from tests.local_azure.kinds import Verb
from tests.local_azure.providers.disks.disk_companions import DiskCompanionKind
from tests.local_azure.store import Json, Resource


class DiskAccesses(DiskCompanionKind):
    type = "Microsoft.Compute/diskAccesses"
    named_at = ("diskAccessId",)
    called = "Disk access"

    def verbs(self) -> Mapping[str, Verb]:
        return {
            "get privateendpointconnections": self._connections,
            "get privatelinkresources": self._link_resources,
        }

    async def put(self, call: Call) -> Reply:
        existing = self.find(call)
        body = self.check_write(call, existing)
        if existing is not None:
            return self.update(call, existing, body)
        shown = {k: body[k] for k in ("location", "tags", "extendedLocation") if body.get(k) is not None}
        resource = self.new_resource(call, {**shown, "properties": {"provisioningState": "Updating"}})
        return self.accept(call, resource)

    def change(self, call: Call, resource: Resource, body: Json) -> None:
        """Nothing but tags can be changed."""

    async def finish_write(self, resource: Resource, arguments: Json) -> Json:
        resource.properties.setdefault("timeCreated", wire_time(now()))
        return await super().finish_write(resource, arguments)

    async def _connections(self, call: Call) -> Reply:
        self.require(call)
        return Reply(200, {"value": []})

    async def _link_resources(self, call: Call) -> Reply:
        resource = self.require(call)
        disks = {
            "name": "disks",
            "id": f"{resource.id}/privateLinkResources/disks",
            "type": f"{self.type}/privateLinkResources",
            "properties": {
                "groupId": "disks",
                "requiredMembers": ["diskAccess_1"],
                "requiredZoneNames": ["privatelink.blob.core.windows.net"],
            },
        }
        return Reply(200, {"value": [disks]})
