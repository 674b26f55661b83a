# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What galleries, image definitions and image versions have in common."""

from __future__ import annotations

import time
from collections.abc import Iterator

from tests.local_azure.call import Call, Reply
from tests.local_azure.errors import ArmError
from tests.local_azure.kinds import ResourceKind
from tests.local_azure.operations import Operation
from tests.local_azure.store import Json, Resource

GALLERY = "Microsoft.Compute/galleries"
DEFINITION = "Microsoft.Compute/galleries/images"
VERSION = "Microsoft.Compute/galleries/images/versions"
SOFT_DELETED = "Microsoft.Compute/galleries/softDeletedArtifactTypes/artifacts/versions"

#: How long a deleted version still stands in the way of its definition's deletion.
LINGERING_SECONDS = 20.0


class GalleryKind(ResourceKind):
    """Their operations are in a collection of their own, and a PUT has Azure-AsyncOperation alone."""

    def begin_caps(
        self,
        call: Call,
        resource: Resource,
        work: str,
        arguments: Json | None = None,
        *,
        azure_seconds: float,
        retry_after: int | None = None,
    ) -> Operation:
        return self.begin(
            call,
            resource,
            work,
            arguments,
            collection="capsOperations",
            azure_seconds=azure_seconds,
            retry_after=retry_after,
        )

    def written(self, call: Call, resource: Resource, operation: Operation, *, new: bool) -> Reply:
        """The answer to a PUT or PATCH."""
        headers = self.azure.operations.headers(operation, aao=True, location=False)
        return Reply(201 if new else 200, self.render(resource, call), headers)

    def accepted(self, operation: Operation) -> Reply:
        """The answer to a DELETE or POST."""
        return Reply(202, None, self.azure.operations.headers(operation, aao=True, location=True))

    def parent(self, call: Call) -> Resource:
        """The resource right above the one of the call; every resource on the way to it has to exist."""
        self.require_parent(call)
        parts = self.type.split("/")[1:]
        above = self.id_of(call).split("/")
        parent_id = "/".join(above[: 9 + 2 * (len(parts) - 2)])
        parent = self.azure.store.get(parent_id)
        if parent is None:
            raise ArmError(
                404,
                "ParentResourceNotFound",
                "Can not perform requested operation on nested resource. Parent resource "
                f"'{'/'.join(call.names[: len(parts) - 1])}' not found.",
                gateway=True,
            )
        return parent

    async def list(self, call: Call) -> Reply:
        if len(self.type.split("/")) == 2:
            return await super().list(call)
        parent = self.parent(call)
        found = self.azure.store.below(parent.id, self.type)
        return Reply(200, {"value": [self.render(r, call) for r in found]})

    def refuse_nested(self, nested: Iterator[Resource], resource: Resource) -> None:
        """A resource is only deleted when nothing is in it, and a little while after the last was."""
        ids = [r.id for r in nested]
        gone = resource.hidden.get("nested_gone")
        if gone and time.time() < gone["until"]:
            ids.append(gone["id"])
        if ids:
            raise ArmError(
                409,
                "CannotDeleteResource",
                "Cannot delete resource while nested resources exist. Some existing nested resource IDs "
                f"include: '{','.join(ids[:3])}'. Please delete all nested resources before deleting this "
                "resource.",
                gateway=True,
            )

    def refuse_marked(self, resource: Resource, words: str) -> None:
        """`words` name the operation: Update Gallery Image Version."""
        if resource.state == "Deleting":
            raise ArmError(
                409,
                "OperationNotAllowed",
                f"Operation '{words}' is not allowed on {resource.name} since it is marked for deletion. You "
                "can only retry the Delete operation (or wait for an ongoing one to complete).",
            )

    def updating(self, resource: Resource) -> None:
        resource.properties["provisioningState"] = "Updating"
        self.azure.store.put(resource)

    async def finish(self, resource: Resource, _arguments: Json) -> None:
        """The end of a work that had nothing more to do."""
        if resource.state != "Deleting":
            self.succeed(resource)

    async def finish_delete(self, resource: Resource, _arguments: Json) -> None:
        await self.remove(resource)


def deepest_name(resource_id: str) -> str:
    return resource_id.rpartition("/")[2]
