# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What the resources that disks and snapshots refer to have in common: encryption sets, disk accesses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from tests.local_azure.azure import LocalAzure
from tests.local_azure.call import Call, Reply
from tests.local_azure.errors import not_allowed
from tests.local_azure.kinds import ResourceKind, check_tags, json_object
from tests.local_azure.providers.compute.companion_kinds import referring
from tests.local_azure.providers.disks.disk_sources import DISK, SNAPSHOT
from tests.local_azure.store import Json, Resource

_SECONDS = 0.5


class DiskCompanionKind(ResourceKind):
    """Writes and deletions are accepted with 202 and followed among the operations of disks."""

    #: Where disks and snapshots name it in their properties.
    named_at: ClassVar[Sequence[str]]
    #: As a refusal calls it.
    called: ClassVar[str]

    def __init__(self, azure: LocalAzure) -> None:
        super().__init__(azure)
        self.define("write", self.finish_write)
        self.define("delete", self._finish_delete)

    def change(self, call: Call, resource: Resource, body: Json) -> None:
        """Puts what the request changes into the resource; raises for what Azure refuses."""
        raise NotImplementedError

    async def patch(self, call: Call) -> Reply:
        resource = self.require(call)
        body = json_object(call)
        check_tags(body)
        return self.update(call, resource, body)

    def update(self, call: Call, resource: Resource, body: Json) -> Reply:
        self.refuse_concurrent(resource)
        self.change(call, resource, body)
        if body.get("tags") is not None:
            resource.body["tags"] = body["tags"]
        resource.properties["provisioningState"] = "Updating"
        return self.accept(call, resource)

    def accept(self, call: Call, resource: Resource) -> Reply:
        """Stores the resource and begins to write it."""
        self.azure.store.put(resource)
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

    async def finish_write(self, resource: Resource, _arguments: Json) -> Json:
        return self.succeed(resource)

    def users(self, resource: Resource) -> Iterator[str]:
        """Ids of the disks and snapshots that name it."""
        for kind in (DISK, SNAPSHOT):
            yield from (user.id for user in referring(self.azure, kind, self.named_at, resource.id))

    async def delete(self, call: Call) -> Reply:
        resource = self.find(call)
        if resource is None:
            return Reply(204)
        self.refuse_concurrent(resource)
        if any(self.users(resource)):
            raise not_allowed(
                f"{self.called} {resource.name} is used by disks or snapshots and cannot be deleted."
            )
        operation = self.begin(call, resource, "delete", collection="DiskOperations", azure_seconds=_SECONDS)
        return Reply(202, None, self.azure.operations.headers(operation, aao=True, location=True))

    async def _finish_delete(self, resource: Resource, _arguments: Json) -> None:
        await self.remove(resource)
