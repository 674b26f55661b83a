# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Disk restore points: one disk of a restore point, to be read with a URL or copied to a new disk."""

from __future__ import annotations

from collections.abc import Mapping

from tests.local_azure.azure import LocalAzure
from tests.local_azure.blob_storage.blobs import BlobAddress
from tests.local_azure.call import Call, Reply
from tests.local_azure.errors import not_allowed
from tests.local_azure.kinds import ResourceKind, Verb
from tests.local_azure.providers.disks.disk_access import check_grant
from tests.local_azure.providers.disks.disk_content import DiskContent
from tests.local_azure.providers.disks.disk_sources import DISK_RESTORE_POINT
from tests.local_azure.store import Json, Resource

_SECONDS = 0.5


class DiskRestorePoints(ResourceKind):
    type = DISK_RESTORE_POINT

    def __init__(self, azure: LocalAzure) -> None:
        super().__init__(azure)
        self._content = DiskContent(azure)
        self.define("grant", self._finish_grant)
        self.define("revoke", self._finish_revoke)

    def verbs(self) -> Mapping[str, Verb]:
        return {"begingetaccess": self._grant, "endgetaccess": self._revoke}

    def render(self, resource: Resource, call: Call) -> Json:
        del call
        return {k: v for k, v in resource.body.items() if k != "location"}

    async def list(self, call: Call) -> Reply:
        self.require_parent(call)
        point = self.id_of(call)
        found = self.azure.store.below(point, self.type)
        return Reply(200, {"value": [self.render(disk, call) for disk in found]})

    async def _grant(self, call: Call) -> Reply:
        resource = self.require(call)
        self.refuse_concurrent(resource)
        arguments = check_grant(self.azure, call, resource, "disk restore point")
        if arguments["access"] != "Read":
            raise not_allowed(f"Disk restore point {resource.name} can only be read.")
        return self._accepted(call, resource, "grant", arguments)

    async def _revoke(self, call: Call) -> Reply:
        resource = self.require(call)
        self.refuse_concurrent(resource)
        return self._accepted(call, resource, "revoke", {})

    def _accepted(self, call: Call, resource: Resource, work: str, arguments: Json) -> Reply:
        operation = self.begin(
            call,
            resource,
            work,
            arguments,
            collection="DiskOperations",
            azure_seconds=_SECONDS,
            shows_output=True,
        )
        return Reply(202, None, self.azure.operations.headers(operation, aao=True, location=True))

    async def _finish_grant(self, resource: Resource, arguments: Json) -> Json:
        address = BlobAddress(*resource.hidden["blob"])
        url = await self._content.grant(address, arguments["access"], arguments["seconds"])
        resource.hidden["access"] = {"access": arguments["access"]}
        self.keep(resource)
        return {"accessSAS": url}

    async def _finish_revoke(self, resource: Resource, _arguments: Json) -> None:
        await self._content.revoke(BlobAddress(*resource.hidden["blob"]))
        resource.hidden.pop("access", None)
        self.keep(resource)

    async def remove(self, resource: Resource) -> None:
        await self._content.delete(resource)
        await super().remove(resource)
