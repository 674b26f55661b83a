# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Image definitions of a gallery: what every version in them has to be."""

from __future__ import annotations

import re
from copy import deepcopy

from tests.local_azure.azure import LocalAzure
from tests.local_azure.call import Call, Reply, properties_of
from tests.local_azure.errors import ArmError, invalid_value, missing_parameter, property_change
from tests.local_azure.kinds import check_entity_name, check_tags, json_object
from tests.local_azure.providers.compute.image_sources import named_controllers
from tests.local_azure.providers.disks.disk_content import DiskContent
from tests.local_azure.providers.galleries import gallery_fields as fields
from tests.local_azure.providers.galleries.gallery_kinds import DEFINITION, SOFT_DELETED, VERSION, GalleryKind
from tests.local_azure.store import Json, Resource

_SHORT = 0.2
_PATH = "galleryImage.properties"
_ARCHITECTURE_SINCE, _GENERATION_SINCE, _FEATURES_SINCE = "2021-10-01", "2019-07-01", "2020-09-30"
_UPDATE_FEATURES_SINCE = "2024-03-03"
_ASSET_NAME = re.compile(r"^[A-Za-z0-9._-]*[A-Za-z0-9_-]$")
_LONGEST = {"publisher": 128, "offer": 64, "sku": 64}
_SECURITY_TYPES = (
    "Standard",
    "TrustedLaunch",
    "TrustedLaunchSupported",
    "TrustedLaunchAndConfidentialVmSupported",
    "ConfidentialVM",
    "ConfidentialVmSupported",
)
_FEATURES = {
    "SecurityType": _SECURITY_TYPES,
    "IsAcceleratedNetworkSupported": ("True", "False"),
    "IsHibernateSupported": ("True", "False"),
    "IsMeasuredBootSupported": ("True", "False"),
    "IsSecureBootSupported": ("True", "False"),
    "DiskControllerTypes": ("SCSI", "NVMe", "SCSI, NVMe", "SCSI,NVMe", "NVMe, SCSI", "NVMe,SCSI"),
}
_PLAIN_TEXTS = ("description", "eula", "privacyStatementUri", "releaseNoteUri")
_IMMUTABLE = ("osType", "osState", "hyperVGeneration", "architecture", "identifier", "purchasePlan")


class GalleryImages(GalleryKind):
    type = DEFINITION

    def __init__(self, azure: LocalAzure) -> None:
        super().__init__(azure)
        self._content = DiskContent(azure)
        self.define("create", self.finish)
        self.define("update", self.finish)
        self.define("delete", self.finish_delete)

    def check_name(self, name: str) -> None:
        check_entity_name(name, "galleryImageName")

    def render(self, resource: Resource, call: Call) -> Json:
        body = deepcopy(resource.body)
        for key, since in (
            ("architecture", _ARCHITECTURE_SINCE),
            ("hyperVGeneration", _GENERATION_SINCE),
            ("features", _FEATURES_SINCE),
        ):
            if call.api_version < since:
                body["properties"].pop(key, None)
        return body

    async def put(self, call: Call) -> Reply:
        gallery = self.parent(call)
        existing = self.find(call)
        body = self.check_write(call, existing)
        if existing is not None:
            return self._update(call, existing, body)
        properties = _new_properties(properties_of(body))
        self._check_unique(gallery, call.name, properties["identifier"])
        outer: Json = {"location": body["location"]}
        if body.get("tags") is not None:
            outer["tags"] = body["tags"]
        properties["provisioningState"] = "Creating"
        resource = self.new_resource(call, {**outer, "properties": properties})
        self.azure.store.put(resource)
        operation = self.begin_caps(call, resource, "create", azure_seconds=_SHORT)
        return self.written(call, resource, operation, new=True)

    def _check_unique(self, gallery: Resource, name: str, identifier: Json) -> None:
        wanted = _lowered(identifier)
        for other in self.azure.store.below(gallery.id, DEFINITION):
            if _lowered(other.properties["identifier"]) == wanted:
                raise ArmError(
                    409,
                    "Conflict",
                    f"Gallery image: {name} identified by (publisher:{identifier['publisher']}, "
                    f"offer:{identifier['offer']}, sku:{identifier['sku']}) already exists. Choose a "
                    "different publisher, offer, sku combination.",
                )

    async def patch(self, call: Call) -> Reply:
        self.parent(call)
        resource = self.require(call)
        body = json_object(call)
        check_tags(body)
        return self._update(call, resource, body)

    def _update(self, call: Call, resource: Resource, body: Json) -> Reply:
        self.refuse_concurrent(resource)
        self.refuse_marked(resource, "Update Gallery Image")
        given = properties_of(body)
        changed = _optional(given)
        present = resource.properties
        for key in _IMMUTABLE:
            _check_unchanged(key, given, present)
        features = changed.pop("features", None)
        if features is not None and features != present.get("features", []):
            allowed = fields.flag(given, "allowUpdateImage", f"{_PATH}.allowUpdateImage")
            if not allowed or call.api_version < _UPDATE_FEATURES_SINCE:
                raise property_change(f"{_PATH}.features")
            _check_features(features, str(present["hyperVGeneration"]))
            changed["features"] = features
        present.update(changed)
        if body.get("tags") is not None:
            resource.body["tags"] = body["tags"]
        self.updating(resource)
        operation = self.begin_caps(call, resource, "update", azure_seconds=_SHORT)
        return self.written(call, resource, operation, new=False)

    async def remove(self, resource: Resource) -> None:
        """Soft-deleted versions end with their definition; it can go once soft delete has been turned off."""
        for kept in list(self.azure.store.below(_soft_deleted_under(resource), SOFT_DELETED)):
            await self._content.delete(kept)
            self.azure.store.delete(kept.id)
        await super().remove(resource)

    async def delete(self, call: Call) -> Reply:
        gallery = self.parent(call)
        resource = self.find(call)
        if resource is None:
            return Reply(204)
        self.refuse_nested(self.azure.store.below(resource.id, VERSION), resource)
        if (gallery.properties.get("softDeletePolicy") or {}).get("isSoftDeleteEnabled"):
            self.refuse_nested(self.azure.store.below(_soft_deleted_under(resource), SOFT_DELETED), resource)
        resource.properties["provisioningState"] = "Deleting"
        self.azure.store.put(resource)
        return self.accepted(self.begin_caps(call, resource, "delete", azure_seconds=_SHORT))


def _soft_deleted_under(definition: Resource) -> str:
    gallery, _unused, name = definition.id.rpartition("/images/")
    return f"{gallery}/softDeletedArtifactTypes/Images/artifacts/{name}"


def _lowered(identifier: Json) -> tuple[str, ...]:
    return tuple(str(identifier[key]).lower() for key in ("publisher", "offer", "sku"))


def _new_properties(given: Json) -> Json:
    """The properties of a new definition in Azure's order, defaults filled in."""
    os_type = fields.choice(given, "osType", f"{_PATH}.osType", ("Linux", "Windows"))
    os_state = fields.choice(given, "osState", f"{_PATH}.osState", ("Generalized", "Specialized"))
    for key, value in (("osType", os_type), ("osState", os_state)):
        if value is None:
            raise missing_parameter(f"{_PATH}.{key}")
    generation = fields.choice(given, "hyperVGeneration", f"{_PATH}.hyperVGeneration", ("V1", "V2")) or "V1"
    optional = _optional(given)
    features = optional.pop("features", None)
    properties: Json = {
        "hyperVGeneration": generation,
        "architecture": fields.choice(given, "architecture", f"{_PATH}.architecture", ("x64", "Arm64"))
        or "x64",
    }
    if features is not None:
        _check_features(features, generation)
        properties["features"] = features
    properties |= {"osType": os_type, "osState": os_state, "identifier": _identifier(given)}
    plan = fields.section(given, "purchasePlan", f"{_PATH}.purchasePlan")
    if plan:
        path = f"{_PATH}.purchasePlan"
        properties["purchasePlan"] = {
            key: fields.required_text(plan, key, f"{path}.{key}") for key in ("name", "publisher", "product")
        }
    if generation == "V1" and properties["architecture"] == "Arm64":
        raise invalid_value(
            f"{_PATH}.architecture", "Architecture 'Arm64' is not supported with Hyper-V generation 'V1'."
        )
    return {**properties, **optional}


def _identifier(given: Json) -> Json:
    path = f"{_PATH}.identifier"
    identifier = fields.section(given, "identifier", path)
    if not identifier:
        raise missing_parameter(path)
    for key, longest in _LONGEST.items():
        value = fields.text(identifier, key, f"{path}.{key}")
        if value is None or len(value) > longest or not _ASSET_NAME.match(value):
            raise invalid_value(
                f"{path}.{key}",
                f"Asset name {path}.{key} is not valid. It cannot be empty. Allowed characters are uppercase "
                "or lowercase letters, digits, hyphen(-), period (.), underscore (_). Names are not allowed "
                f"to end with period(.). The length of the name cannot exceed {longest} characters.",
            )
    return {key: identifier[key] for key in _LONGEST}


def _optional(given: Json) -> Json:
    """What may be there or not, and may change later; empty collections are dropped as Azure does."""
    optional: Json = {}
    for key in _PLAIN_TEXTS:
        value = fields.text(given, key, f"{_PATH}.{key}")
        if value is not None:
            optional[key] = value
    end = fields.future_date(given, "endOfLifeDate", f"{_PATH}.endOfLifeDate")
    if end is not None:
        optional["endOfLifeDate"] = end
    recommended = fields.section(given, "recommended", f"{_PATH}.recommended")
    for key in ("vCPUs", "memory"):
        _check_range(fields.section(recommended, key, f"{_PATH}.recommended.{key}"), key)
    if recommended:
        optional["recommended"] = recommended
    disallowed = fields.section(given, "disallowed", f"{_PATH}.disallowed")
    types = disallowed.get("diskTypes")
    if types is not None and (not isinstance(types, list) or not all(isinstance(t, str) for t in types)):
        raise invalid_value(f"{_PATH}.disallowed.diskTypes")
    if types:
        optional["disallowed"] = {"diskTypes": types}
    if given.get("features") is not None:
        optional["features"] = fields.entries(given, "features", f"{_PATH}.features")
    return optional


def _check_range(bounds: Json, key: str) -> None:
    path = f"{_PATH}.recommended.{key}"
    low = fields.number(bounds, "min", f"{path}.min", 1, 2**31 - 1)
    high = fields.number(bounds, "max", f"{path}.max", 1, 2**31 - 1)
    if low is not None and high is not None and low > high:
        raise invalid_value(
            path, f"The minimum value of {path}.min must not be greater than the maximum value of {path}.max."
        )


def _check_features(features: list[Json], generation: str) -> None:
    for index, feature in enumerate(features):
        path = f"{_PATH}.features[{index}]"
        name = fields.required_text(feature, "name", f"{path}.name")
        allowed = _FEATURES.get(name)
        if allowed is None:
            raise invalid_value(f"{path}.name")
        value = fields.choice(feature, "value", f"{path}.value", allowed)
        if value is None:
            raise missing_parameter(f"{path}.value")
        if name == "SecurityType" and value != "Standard" and generation != "V2":
            raise invalid_value(
                f"{path}.value",
                f"The security type '{value}' is only supported with Hyper-V generation 'V2'.",
            )


def _check_unchanged(key: str, given: Json, present: Json) -> None:
    value = given.get(key)
    if value is None:
        return
    before = present.get(key)
    if isinstance(value, dict) and isinstance(before, dict):
        for inner, text in value.items():
            if text is not None and str(text).lower() != str(before.get(inner, "")).lower():
                raise property_change(f"{_PATH}.{key}.{inner}")
    elif str(value).lower() != str(before).lower():
        raise property_change(f"{_PATH}.{key}")


def controllers_of(definition: Resource) -> tuple[str, ...]:
    """The disk controllers that the feature DiskControllerTypes of a definition names."""
    features = definition.properties.get("features") or []
    return named_controllers({str(each.get("name")): str(each.get("value")) for each in features})


def security_type_of(definition: Resource) -> str | None:
    """The feature SecurityType of a definition."""
    for feature in definition.properties.get("features") or []:
        if feature.get("name") == "SecurityType":
            return str(feature.get("value"))
    return None
