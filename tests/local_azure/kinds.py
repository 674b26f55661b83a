# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The base of all resource types: reading, listing and the checks every write begins with."""

from __future__ import annotations

import re
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, ClassVar

from tests.local_azure.azure import LocalAzure, group_id
from tests.local_azure.call import Call, Reply
from tests.local_azure.errors import ArmError, invalid_content, resource_group_not_found, resource_not_found
from tests.local_azure.locations import LOCATIONS, find_location
from tests.local_azure.operations import TYPICAL_SECONDS, Operation
from tests.local_azure.paging import PROVIDER_PAGE
from tests.local_azure.store import Json, Resource

Verb = Callable[[Call], Awaitable[Reply]]
# As Azure quotes it; what follows it here is the same rule for Python.
_QUOTED_RULE = r"^[^_\W][\w-._]{0,79}(?<![-.])$"
_PLACE = re.compile(r"[\w\s(),]+")
COMPUTE_NAME = r"^[^_\W][\w\-._]{0,79}(?<![-.])$"

# What every tracked resource has beside its properties, and its type in JSON.
_ENVELOPE = {"zones": list, "sku": dict, "plan": dict, "identity": dict, "extendedLocation": dict}


class ResourceKind:
    """One resource type. Subclasses say what a PUT, PATCH, DELETE and the verbs do."""

    type: ClassVar[str]
    #: Names as the provider accepts them, and what it answers otherwise.
    name_rule: ClassVar[str] = COMPUTE_NAME
    #: Whether there are resources of the type outside of resource groups, too.
    at_subscription: ClassVar[bool] = False

    def __init__(self, azure: LocalAzure) -> None:
        self.azure = azure

    @property
    def namespace(self) -> str:
        return self.type.partition("/")[0]

    def verbs(self) -> Mapping[str, Verb]:
        """POST verbs and GET views by lower-case name."""
        return {}

    # Reading.

    def id_of(self, call: Call) -> str:
        """The id as Azure writes it, whatever the case of the request."""
        group = self.azure.group(call.subscription, call.resource_group)
        types = self.type.split("/")[1:]
        parts = [f"{t}/{n}" for t, n in zip(types, call.names, strict=False)]
        place = group.id if group else group_id(call.subscription, call.resource_group)
        return f"{place}/providers/{self.namespace}/" + "/".join(parts)

    def find(self, call: Call) -> Resource | None:
        if self.azure.group(call.subscription, call.resource_group) is None:
            raise resource_group_not_found(call.resource_group)
        return self.azure.store.get(self.id_of(call))

    def require(self, call: Call) -> Resource:
        resource = self.find(call)
        if resource is None:
            raise resource_not_found(self.type, "/".join(call.names), call.resource_group)
        return resource

    def require_parent(self, call: Call) -> Resource:
        """The resource a nested path begins with."""
        if self.azure.group(call.subscription, call.resource_group) is None:
            raise resource_group_not_found(call.resource_group)
        parent_type = "/".join(self.type.split("/")[:2])
        nested = self.id_of(call)
        parent = self.azure.store.get("/".join(nested.split("/")[:9]))
        if parent is not None:
            return parent
        if call.method == "GET":
            raise resource_not_found(parent_type, call.parent_name, call.resource_group)
        raise ArmError(
            404,
            "ParentResourceNotFound",
            "Can not perform requested operation on nested resource. Parent resource "
            f"'{call.parent_name}' not found.",
            gateway=True,
        )

    def render(self, resource: Resource, call: Call) -> Json:
        """The body as served."""
        del call
        return resource.body

    async def get(self, call: Call) -> Reply:
        return Reply(200, self.render(self.require(call), call))

    async def list(self, call: Call) -> Reply:
        if call.resource_group and self.azure.group(call.subscription, call.resource_group) is None:
            raise resource_group_not_found(call.resource_group)

        def fetch(after: int, limit: int) -> Sequence[tuple[int, Resource]]:
            group = call.resource_group or None
            return self.azure.store.page(self.type, group, call.subscription, after, limit)

        body = self.azure.paging.page(call, fetch, lambda r: self.render(r, call), PROVIDER_PAGE)
        return Reply(200, body, paged=True)

    # Writing.

    async def remove(self, resource: Resource) -> None:
        """Takes the resource away with everything only it owns; also how a group's deletion ends it."""
        self.azure.store.delete(resource.id)

    async def put(self, call: Call) -> Reply:
        raise method_not_allowed(call)

    async def patch(self, call: Call) -> Reply:
        raise method_not_allowed(call)

    async def delete(self, call: Call) -> Reply:
        raise method_not_allowed(call)

    def check_name(self, name: str) -> None:
        """What the provider says of the name of a resource that is written."""
        check_entity_name(name, "name", self.name_rule)

    def check_write(self, call: Call, existing: Resource | None) -> Json:
        """What the front door and the provider look at before anything else: body, name, location, tags."""
        body = json_object(call)
        group = self.azure.group(call.subscription, call.resource_group)
        if group is not None and group.state == "Deleting":
            raise being_deleted(group.name)
        self.check_name(call.name)
        check_tags(body)
        location = body.get("location")
        if existing is None:
            if not isinstance(location, str) or not location:
                raise ArmError(
                    400,
                    "LocationRequired",
                    "The location property is required for this definition.",
                    gateway=True,
                )
            body["location"] = check_location(location, self.type)
        else:
            if isinstance(location, str) and check_location(location, self.type) != existing.location:
                raise ArmError(
                    409,
                    "InvalidResourceLocation",
                    f"The resource '{existing.name}' already exists in location '{existing.location}' in "
                    f"resource group '{existing.resource_group}'. A resource with the same name cannot be "
                    f"created in location '{location}'. Please select a new resource name.",
                    gateway=True,
                )
            body["location"] = existing.location
        return body

    def new_resource(self, call: Call, body: Json, hidden: Json | None = None) -> Resource:
        resource_id = self.id_of(call)
        return Resource(
            id=resource_id,
            type=self.type,
            resource_group=call.resource_group,
            name=call.name,
            body={"name": call.name, "id": resource_id, "type": self.type, **body},
            hidden={"incarnation": str(uuid.uuid4()), **(hidden or {})},
        )

    # Long-running operations.

    def collection(self, subscription: str, location: str, name: str) -> str:
        place = find_location(location)
        spelled = location
        if place is not None:
            spelled = place.compute_name if self.namespace == "Microsoft.Compute" else place.name
        return f"/subscriptions/{subscription}/providers/{self.namespace}/locations/{spelled}/{name}"

    def begin(
        self,
        call: Call,
        resource: Resource,
        work: str,
        arguments: Json | None = None,
        *,
        collection: str = "operations",
        azure_seconds: float = TYPICAL_SECONDS,
        retry_after: int | None = None,
        shows_output: bool = False,
    ) -> Operation:
        """Starts the work `work` of this type on the resource; Azure takes `azure_seconds` for it."""
        return self.azure.operations.start(
            f"{self.type}:{work}",
            {"id": resource.id, **(arguments or {})},
            call,
            collection=self.collection(resource.subscription, resource.location, collection),
            resource_id=resource.id,
            azure_seconds=azure_seconds,
            retry_after=retry_after,
            shows_output=shows_output,
        )

    def define(self, work: str, function: Callable[[Resource, Json], Awaitable[Any]]) -> None:
        """`function` gets the resource as it is when its turn comes; one that is gone ends the operation."""

        async def run(arguments: Json) -> Any:
            resource = self.azure.store.get(arguments["id"])
            if resource is None:
                return None
            return await function(resource, arguments)

        self.azure.operations.define(f"{self.type}:{work}", run)

    def keep(self, resource: Resource) -> None:
        """Stores what a work has changed, unless the resource was deleted or made anew meanwhile."""
        present = self.azure.store.get(resource.id)
        if present is not None and present.hidden.get("incarnation") == resource.hidden.get("incarnation"):
            self.azure.store.put(resource)

    def succeed(self, resource: Resource) -> Json:
        resource.properties["provisioningState"] = "Succeeded"
        self.keep(resource)
        return resource.body

    def fail(self, resource: Resource) -> None:
        """A failed create leaves the resource there, to be deleted."""
        resource.properties["provisioningState"] = "Failed"
        self.keep(resource)

    def refuse_concurrent(self, resource: Resource) -> None:
        """Azure lets one change after the other happen to a resource."""
        if self.azure.operations.busy(resource.id):
            raise ArmError(
                409,
                "Conflict",
                "The request failed due to conflict with a concurrent request. To resolve it, please refer "
                "to "
                "https://aka.ms/activitylog to get more details on the conflicting requests.",
            )


def being_deleted(group: str) -> ArmError:
    return ArmError(
        409,
        "ResourceGroupBeingDeleted",
        f"The resource group '{group}' is in deprovisioning state and cannot perform this operation.",
        gateway=True,
    )


def check_entity_name(name: str, path: str, rule: str = COMPUTE_NAME) -> None:
    """`path` is the parameter Azure complains of; it never repeats the bad name."""
    if not re.match(rule, name, re.ASCII):
        quoted = _QUOTED_RULE if rule == COMPUTE_NAME else rule
        raise ArmError(
            400,
            "InvalidParameter",
            f"The entity name '{path}' is invalid according to its validation rule: {quoted}.",
            target=path,
        )


def json_object(call: Call) -> Json:
    """A fresh copy of the request's body, which has to be an object."""
    if not isinstance(call.body, dict):
        raise invalid_content("Unexpected end when reading JSON. Path '', line 1, position 1.")
    properties = call.body.get("properties")
    if properties is not None and not isinstance(properties, dict):
        raise invalid_content("Error converting value to an object. Path 'properties', line 1, position 1.")
    for name, kind in _ENVELOPE.items():
        if not isinstance(call.body.get(name), kind | None):
            raise invalid_content(f"Error converting value. Path '{name}', line 1, position 1.")
    if not all(isinstance(zone, str) for zone in call.body.get("zones") or ()):
        raise invalid_content("Error converting value to type 'System.String'. Path 'zones[0]', line 1.")
    return dict(call.body)


def check_tags(body: Json) -> None:
    tags = body.get("tags")
    if tags is None:
        return
    if not isinstance(tags, dict) or not all(isinstance(v, str) for v in tags.values()):
        raise ArmError(400, "InvalidTagValues", "Tag values must be strings.", gateway=True)
    if len(tags) > 50:
        raise ArmError(
            400,
            "TooManyTags",
            "The maximum number of tags on a resource has been exceeded. The maximum is '50' and the "
            f"resource has '{len(tags)}'.",
            gateway=True,
        )
    for key, value in tags.items():
        if len(key) > 512 or len(value) > 256 or re.search(r"[<>%&\\?/]", key):
            raise ArmError(
                400,
                "InvalidTagNameCharacters",
                f"The tag name '{key}' is invalid: up to 512 characters without <, >, %, &, \\, ?, /; "
                "values have up to 256 characters.",
                gateway=True,
            )


def check_location(text: str, resource_type: str) -> str:
    """The location's normal name."""
    location = find_location(text)
    if not _PLACE.fullmatch(text):
        raise ArmError(
            400,
            "InvalidResourceLocation",
            f"The specified location '{text}' is invalid. A location must consist of characters, whitespace, "
            "digit, or following symbols '(,)'.",
            gateway=True,
        )
    if location is None:
        known = ",".join(place.name for place in LOCATIONS)
        raise ArmError(
            400,
            "LocationNotAvailableForResourceType",
            f"The provided location '{text}' is not available for resource type '{resource_type}'. "
            f"List of available regions for the resource type is '{known}'.",
            gateway=True,
        )
    return location.name


def method_not_allowed(call: Call) -> ArmError:
    return ArmError(
        405,
        "HttpMethodNotAllowed",
        f"The requested resource does not support http method '{call.method}'.",
        gateway=True,
    )
