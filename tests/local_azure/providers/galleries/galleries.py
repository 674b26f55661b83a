# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Compute galleries: the resource itself and whom it is shared with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import deepcopy

from tests.local_azure.azure import LocalAzure
from tests.local_azure.call import Call, Reply, properties_of
from tests.local_azure.errors import ArmError, invalid_value
from tests.local_azure.kinds import Verb, check_entity_name, check_tags, json_object
from tests.local_azure.providers.galleries import gallery_fields as fields
from tests.local_azure.providers.galleries.gallery_kinds import DEFINITION, GALLERY, VERSION, GalleryKind
from tests.local_azure.providers.galleries.gallery_sharing import (
    GallerySharing,
    merged_profile,
    sharing_status,
    shown_profile,
)
from tests.local_azure.providers.resources.user_assigned_identities import carried_identity
from tests.local_azure.store import Json, Resource

_SHORT = 0.2
_NAME = re.compile(r"^[A-Za-z0-9]([A-Za-z0-9_.]{0,78}[A-Za-z0-9])?$")
_STATUS_SINCE = "2022-03-03"

# The first version that knew of sharing says in answers to writes that there is none.
_SHOWN_AS_PRIVATE = "2020-09-30"


class Galleries(GalleryKind):
    type = GALLERY

    def __init__(self, azure: LocalAzure) -> None:
        super().__init__(azure)
        self._sharing = GallerySharing(self)
        self.define("create", self.finish)
        self.define("update", self.finish)
        self.define("delete", self.finish_delete)

    def verbs(self) -> Mapping[str, Verb]:
        return {"share": self._sharing.share}

    def check_name(self, name: str) -> None:
        check_entity_name(name, "galleryName")
        if not _NAME.match(name):
            raise invalid_value(
                "galleryName",
                "Gallery name is invalid. Allowed characters are English alphanumeric characters, with "
                "underscores, and periods allowed in the middle, up to 80 characters total. All other "
                "special characters, including dashes, are disallowed.",
            )

    def render(self, resource: Resource, call: Call) -> Json:
        """Groups and their state are shown only to those who ask for them."""
        body = deepcopy(resource.body)
        properties: Json = body["properties"]
        asked = (call.query.get("$select", "") + call.query.get("$expand", "")).lower()
        profile = properties.get("sharingProfile")
        if profile is not None:
            expanded = "permissions" in asked or "sharingprofile/groups" in asked
            properties["sharingProfile"] = shown_profile(profile, with_groups=expanded)
            if "sharingprofile/groups" in asked and call.api_version >= _STATUS_SINCE:
                status = sharing_status(resource, busy=self.azure.operations.busy(resource.id))
                if status is not None:
                    properties["sharingStatus"] = status
        elif call.method != "GET" and call.api_version.startswith(_SHOWN_AS_PRIVATE):
            properties["sharingProfile"] = {"permissions": "Private"}
        return body

    async def list(self, call: Call) -> Reply:
        """In lists, and only there, the resource group of the ids is in capitals."""
        reply = await super().list(call)
        for body in reply.body["value"]:
            parts = body["id"].split("/")
            parts[4] = parts[4].upper()
            body["id"] = "/".join(parts)
        return reply

    async def put(self, call: Call) -> Reply:
        existing = self.find(call)
        body = self.check_write(call, existing)
        if existing is not None:
            return self._update(call, existing, body)
        properties = self._changed_properties({}, properties_of(body), call)
        if body.get("identity"):
            body["identity"] = carried_identity(self.azure, body["identity"], self.id_of(call))
        unique = f"{call.subscription}-{call.name.upper()}"
        shown: Json = {k: properties[k] for k in ("description",) if k in properties}
        shown["identifier"] = {"uniqueName": unique}
        shown |= {k: v for k, v in properties.items() if k not in shown}
        shown["provisioningState"] = "Creating"
        outer: Json = {"location": body["location"]}
        for key in ("tags", "identity"):
            if body.get(key) is not None:
                outer[key] = body[key]
        resource = self.new_resource(call, {**outer, "properties": shown})
        self.azure.store.put(resource)
        operation = self.begin_caps(call, resource, "create", azure_seconds=_SHORT)
        return self.written(call, resource, operation, new=True)

    async def patch(self, call: Call) -> Reply:
        resource = self.require(call)
        body = json_object(call)
        check_tags(body)
        return self._update(call, resource, body, state=resource.state)

    def _update(self, call: Call, resource: Resource, body: Json, state: str = "Updating") -> Reply:
        """`state` is shown in the meantime. Recorded: a PATCH of a gallery leaves it as it was."""
        self.refuse_concurrent(resource)
        self.refuse_marked(resource, "Update Gallery")
        changed = self._changed_properties(resource.properties, properties_of(body), call)
        if body.get("identity"):
            body["identity"] = carried_identity(self.azure, body["identity"], resource.id)
        resource.properties.pop("provisioningState", None)
        resource.properties.update(changed)
        resource.properties["provisioningState"] = state
        for key in ("tags", "identity"):
            if body.get(key) is not None:
                resource.body[key] = body[key]
        self.azure.store.put(resource)
        operation = self.begin_caps(call, resource, "update", azure_seconds=_SHORT)
        return self.written(call, resource, operation, new=False)

    def _changed_properties(self, present: Json, given: Json, call: Call) -> Json:
        """What a request says of the properties that may be written; nothing where it is silent."""
        changed: Json = {}
        description = fields.text(given, "description", "gallery.properties.description")
        if description is not None:
            changed["description"] = description
        path = "gallery.properties.sharingProfile"
        profile = fields.section(given, "sharingProfile", path)
        if profile:
            changed["sharingProfile"] = merged_profile(present.get("sharingProfile"), profile, path)
        path = "gallery.properties.softDeletePolicy"
        policy = fields.section(given, "softDeletePolicy", path)
        enabled = fields.flag(policy, "isSoftDeleteEnabled", path + ".isSoftDeleteEnabled")
        if enabled is not None:
            if enabled:
                self._check_one_location(call)
            changed["softDeletePolicy"] = {"isSoftDeleteEnabled": enabled}
        return changed

    def _check_one_location(self, call: Call) -> None:
        """Soft delete needs a gallery whose definitions and versions are where it is itself."""
        gallery = self.azure.store.get(self.id_of(call))
        if gallery is None:
            return
        for kind in (DEFINITION, VERSION):
            for nested in self.azure.store.below(gallery.id, kind):
                if nested.location != gallery.location:
                    raise ArmError(
                        400,
                        "BadRequest",
                        f"Soft delete cannot be enabled on gallery '{gallery.name}' since '{nested.id}' is "
                        f"in another location ('{nested.location}') than the gallery ('{gallery.location}').",
                    )

    async def delete(self, call: Call) -> Reply:
        resource = self.find(call)
        if resource is None:
            return Reply(204)
        self.refuse_nested(self.azure.store.below(resource.id, DEFINITION), resource)
        resource.properties["provisioningState"] = "Deleting"
        self.azure.store.put(resource)
        return self.accepted(self.begin_caps(call, resource, "delete", azure_seconds=_SHORT))
