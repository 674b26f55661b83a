# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Extensions of a virtual machine: kept and shown as Azure does. Nothing is installed anywhere."""

from __future__ import annotations

from collections.abc import Mapping

from tests.local_azure.azure import LocalAzure
from tests.local_azure.body_types import RESOURCE, Shape, checked
from tests.local_azure.call import Call, Reply, properties_of
from tests.local_azure.errors import missing_parameter
from tests.local_azure.kinds import ResourceKind, check_tags, json_object
from tests.local_azure.providers.compute.vm_power import MachinePower
from tests.local_azure.providers.compute.vm_run_commands import check_extensible
from tests.local_azure.providers.compute.vm_view import succeeded
from tests.local_azure.store import Json, Resource

EXTENSION = "Microsoft.Compute/virtualMachines/extensions"
_REQUIRED = ("publisher", "type", "typeHandlerVersion")
_SHAPE: Mapping[str, Shape] = {
    **RESOURCE,
    "properties": {
        **dict.fromkeys(_REQUIRED, str),
        "autoUpgradeMinorVersion": bool,
        "enableAutomaticUpgrade": bool,
        "forceUpdateTag": str,
        "settings": dict,
        "protectedSettings": dict,
        "suppressFailures": bool,
    },
}
_NOT_RUNNING = "Cannot modify extensions in the VM when the VM is not running."
# Recorded: 97 s, of which the guest needs most.
_SECONDS = 60


class Extensions(ResourceKind):
    type = EXTENSION

    def __init__(self, azure: LocalAzure, power: MachinePower) -> None:
        super().__init__(azure)
        self._power = power
        self.define("change", self._finish)
        self.define("delete", self._finish_delete)

    def render(self, resource: Resource, call: Call) -> Json:
        body = {**resource.body, "properties": dict(resource.properties)}
        if call.query.get("$expand", "").lower() == "instanceview":
            body["properties"]["instanceView"] = _view(resource)
        return body

    async def list(self, call: Call) -> Reply:
        machine = self.require_parent(call)
        found = self.azure.store.below(machine.id, self.type)
        return Reply(200, {"value": [self.render(resource, call) for resource in found]})

    async def put(self, call: Call) -> Reply:
        machine = self.require_parent(call)
        existing = self.find(call)
        body = checked(self.check_write(call, existing), _SHAPE)
        for key in _REQUIRED:
            if properties_of(body).get(key) is None:
                raise missing_parameter(key)
        return self._begin(call, machine, existing, body)

    async def patch(self, call: Call) -> Reply:
        machine = self.require_parent(call)
        existing = self.require(call)
        body = json_object(call)
        check_tags(body)
        return self._begin(call, machine, existing, checked(body, _SHAPE))

    def _begin(self, call: Call, machine: Resource, existing: Resource | None, body: Json) -> Reply:
        check_extensible(machine, self._power.seen(machine), _NOT_RUNNING)
        given = {k: v for k, v in properties_of(body).items() if k != "protectedSettings"}
        if existing is None:
            tags = {"tags": body["tags"]} if body.get("tags") is not None else {}
            properties = {"autoUpgradeMinorVersion": False, "provisioningState": "Creating", **given}
            resource = self.new_resource(
                call, {"location": body["location"], **tags, "properties": properties}
            )
        else:
            self.refuse_concurrent(existing)
            resource = existing
            resource.properties.update({**given, "provisioningState": "Updating"})
            if body.get("tags") is not None:
                resource.body["tags"] = body["tags"]
        self.azure.store.put(resource)
        operation = self.begin(call, resource, "change", azure_seconds=_SECONDS)
        headers = self.azure.operations.headers(operation, aao=True, location=False)
        return Reply(200 if existing else 201, self.render(resource, call), headers)

    async def _finish(self, resource: Resource, _arguments: Json) -> None:
        self.succeed(resource)

    async def delete(self, call: Call) -> Reply:
        machine = self.require_parent(call)
        resource = self.find(call)
        if resource is None:
            return Reply(204)
        check_extensible(machine, self._power.seen(machine), _NOT_RUNNING)
        operation = self.begin(call, resource, "delete", azure_seconds=_SECONDS)
        return Reply(202, None, self.azure.operations.headers(operation, aao=True, location=True))

    async def _finish_delete(self, resource: Resource, _arguments: Json) -> None:
        await self.remove(resource)


def shown_extensions(azure: LocalAzure, machine: Resource) -> list[Json]:
    """The extensions as the machine's own body lists them in `resources`."""
    return [extension.body for extension in azure.store.below(machine.id, EXTENSION)]


def changes_extensions(azure: LocalAzure, machine: Resource) -> bool:
    """Whether an extension is being put in place, changed or taken away."""
    return any(azure.operations.busy(extension.id) for extension in azure.store.below(machine.id, EXTENSION))


def extension_views(azure: LocalAzure, machine: Resource) -> list[Json]:
    """The instance views of the extensions as the machine's own lists them."""
    return [_view(extension) for extension in azure.store.below(machine.id, EXTENSION)]


def _view(extension: Resource) -> Json:
    """What the agent has reported of it: while it is being created only that it is to be there."""
    if extension.state == "Creating":
        return {"name": extension.name}
    properties = extension.properties
    done = [] if extension.state == "Failed" else [{**succeeded(), "message": "Plugin enabled."}]
    return {
        "name": extension.name,
        "type": f"{properties['publisher']}.{properties['type']}",
        "typeHandlerVersion": properties["typeHandlerVersion"],
        "statuses": done,
    }
