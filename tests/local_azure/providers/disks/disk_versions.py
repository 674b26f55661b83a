# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What each API version shows of a disk or snapshot, and how the first answer to a PUT looks."""

from __future__ import annotations

from tests.local_azure.providers.disks.disk_shapes import sku_with_tier
from tests.local_azure.store import Json, Resource

# The first API version that has the property; what is not named here was always there.
_SINCE = {
    "hyperVGeneration": "2018-06-01",
    "diskIOPSReadWrite": "2018-06-01",
    "diskMBpsReadWrite": "2018-06-01",
    "diskSizeBytes": "2019-03-01",
    "uniqueId": "2019-03-01",
    "incremental": "2019-03-01",
    "encryption": "2019-07-01",
    "maxShares": "2019-07-01",
    "networkAccessPolicy": "2020-05-01",
    "diskAccessId": "2020-05-01",
    "tier": "2020-05-01",
    "purchasePlan": "2020-09-30",
    "burstingEnabled": "2020-09-30",
    "securityProfile": "2020-12-01",
    "supportsHibernation": "2020-12-01",
    "publicNetworkAccess": "2021-04-01",
    "supportedCapabilities": "2021-04-01",
    "completionPercent": "2021-04-01",
    "dataAccessAuthMode": "2021-12-01",
    "incrementalSnapshotFamilyId": "2021-12-01",
    "copyCompletionError": "2022-07-02",
    "LastOwnershipUpdateTime": "2023-04-02",
}
# The first version that tells how large a disk or image is that was made of a blob.
SIZES_OF_BLOBS_SINCE = "2018-04-01"
_SOURCE_ID_SINCE = "2019-07-01"
_SECURITY_OPTION_SINCE = "2025-01-02"
# Until some version between 2020-12-01 and 2022-03-02 a first answer had no id and type, but a mark.
_PLAIN_SINCE = "2021-04-01"
# Until some version between 2017-06-30 and 2018-09-30 it had no name, either.
_NAMED_SINCE = "2018-04-01"
_OF_AN_OLD_UPDATE = ("osType", "hyperVGeneration", "creationData", "diskSizeGB", "provisioningState")


def shown(body: Json, api_version: str) -> Json:
    """The body as that version has it."""
    known = _known(body, api_version)
    imported = body["properties"].get("creationData", {}).get("createOption") == "Import"
    if imported and api_version < SIZES_OF_BLOBS_SINCE:
        known["properties"].pop("diskSizeGB", None)
    return known


def _known(body: Json, api_version: str) -> Json:
    properties = {k: v for k, v in body["properties"].items() if api_version >= _SINCE.get(k, "")}
    if api_version < _SOURCE_ID_SINCE and "creationData" in properties:
        creation = properties["creationData"]
        properties["creationData"] = {k: v for k, v in creation.items() if k != "sourceUniqueId"}
    if api_version < _SECURITY_OPTION_SINCE and "supportedCapabilities" in properties:
        capabilities = properties["supportedCapabilities"]
        properties["supportedCapabilities"] = {
            k: v for k, v in capabilities.items() if k != "supportedSecurityOption"
        }
    return {**body, "properties": properties}


def asked_creation(kept: Json, asked: Json, api_version: str) -> Json:
    """The creationData of a first answer: a source is named as the request names it."""
    source = {k: asked[k] for k in ("sourceResourceId", "sourceUri") if asked.get(k) is not None}
    creation = {k: v for k, v in kept.items() if k not in ("sourceResourceId", "sourceUri")}
    unique = creation.pop("sourceUniqueId", None)
    creation |= source
    if unique is not None and api_version < _PLAIN_SINCE:
        creation["sourceUniqueId"] = unique
    return creation


def first_answer(
    resource: Resource, asked: Json, properties: Json, api_version: str, *, update: bool = False
) -> Json:
    """What the 202 to a write of `resource` says: what was asked for, and that it is being done.

    `asked` has the SKU as it is to be shown, `properties` what of the request is repeated.
    """
    body: Json = {k: resource.body[k] for k in ("name", "id", "type", "location")}
    if resource.body.get("tags") is not None:
        body["tags"] = resource.body["tags"]
    if isinstance(asked.get("sku"), dict):
        body["sku"] = asked["sku"]
    if resource.body.get("zones"):
        body["zones"] = resource.body["zones"]
    first = ("osType", "hyperVGeneration", "creationData", "diskSizeGB")
    body["properties"] = {k: properties[k] for k in first if k in properties}
    body["properties"] |= {k: v for k, v in properties.items() if k not in first}
    body["properties"]["provisioningState"] = "Updating"
    source = resource.properties["creationData"].get("sourceUniqueId")
    if source is not None and api_version < _PLAIN_SINCE:
        body["properties"]["creationData"] = {**properties["creationData"], "sourceUniqueId": source}
    body = _known(body, api_version)
    if api_version < _PLAIN_SINCE:
        del body["id"], body["type"]
        if update:
            body["sku"] = sku_with_tier(resource.body["sku"])
            body["properties"] = {k: v for k, v in body["properties"].items() if k in _OF_AN_OLD_UPDATE}
        body["properties"]["isArmResource"] = True
        snapshot = resource.type.endswith("/snapshots")
        if snapshot or api_version < _NAMED_SINCE:
            del body["name"]
        if snapshot:
            if "blob" in resource.hidden:
                # Seen when a snapshot of 2020-12-01 is changed.
                body["properties"]["faultDomain"] = 0
            if update:
                body["properties"]["faultDomain"] = 0
    return body
