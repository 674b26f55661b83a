# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The bodies of storage accounts: what is kept of a request, and what each api-version shows of it."""

from __future__ import annotations

from typing import Any

from tests.local_azure.call import properties_of
from tests.local_azure.clock import now, storage_time
from tests.local_azure.errors import ArmError, invalid_value
from tests.local_azure.locations import find_location
from tests.local_azure.store import Json

SKUS = frozenset(
    {
        "Standard_LRS",
        "Standard_GRS",
        "Standard_RAGRS",
        "Standard_ZRS",
        "Premium_LRS",
        "Premium_ZRS",
        "Standard_GZRS",
        "Standard_RAGZRS",
    }
)
_KINDS = ("Storage", "StorageV2", "BlobStorage", "BlockBlobStorage", "FileStorage")
#: What may be changed later, and the values it may have.
_SWITCHES = (
    "allowBlobPublicAccess",
    "allowSharedKeyAccess",
    "supportsHttpsTrafficOnly",
    "defaultToOAuthAuthentication",
    "allowCrossTenantReplication",
    "isHnsEnabled",
)
_CHOICES = {
    "minimumTlsVersion": ("TLS1_0", "TLS1_1", "TLS1_2", "TLS1_3"),
    "accessTier": ("Hot", "Cool", "Cold", "Premium"),
    "publicNetworkAccess": ("Enabled", "Disabled", "SecuredByPerimeter"),
}
_ONLY_AT_FIRST = ("isHnsEnabled",)
# The api-versions from which on something is shown that nobody asked for.
_HTTPS_ONLY_SINCE = "2019-04-01"
_KEY_TYPES_SINCE = "2019-06-01"
_KEY_TIMES_SINCE = "2021-02-01"
_SAFE_DEFAULTS_SINCE = "2021-09-01"


def sku_of(body: Json, *, required: bool) -> Json | None:
    """The request's SKU with its tier. Raises for one that is missing or unknown."""
    given = body.get("sku")
    # What the SKU was called in 2015-06-15, which azure-cli still asks for.
    name = given.get("name") if isinstance(given, dict) else properties_of(body).get("accountType")
    if name is None and not required:
        return None
    known = {sku.lower(): sku for sku in SKUS}.get(str(name).lower())
    if known is None:
        raise _invalid("sku")
    return {"name": known, "tier": known.partition("_")[0]}


def settings_of(body: Json, *, first: bool) -> Json:
    """The properties of a request that are kept as they are. Raises for values that are none."""
    given, settings = properties_of(body), {}
    for key in _SWITCHES:
        if isinstance(given.get(key), bool) and (first or key not in _ONLY_AT_FIRST):
            settings[key] = given[key]
        elif given.get(key) is not None and not isinstance(given[key], bool):
            raise _invalid(f"properties.{key}")
    for key, values in _CHOICES.items():
        if given.get(key) is not None:
            if given[key] not in values:
                raise _invalid(f"properties.{key}")
            settings[key] = given[key]
    rules = given.get("networkAcls")
    if rules is not None:
        if not isinstance(rules, dict):
            raise _invalid("properties.networkAcls")
        settings["networkAcls"] = {**_open_network(), **{k: v for k, v in rules.items() if v is not None}}
    return settings


def new_account(name: str, body: Json, sku: Json, endpoint: str, version: str) -> Json:
    """The body to keep of an account that is made; it has everything that any api-version shows."""
    created, kind = storage_time(now()), body.get("kind") or "StorageV2"
    if kind not in _KINDS:
        raise _invalid("kind")
    services = {
        service: {"keyType": "Account", "enabled": True, "lastEnabledTime": created}
        for service in ("file", "blob")
    }
    properties: Json = {
        "keyCreationTime": {"key1": created, "key2": created},
        "privateEndpointConnections": [],
        "networkAcls": _open_network(),
        "supportsHttpsTrafficOnly": version >= _HTTPS_ONLY_SINCE,
        "encryption": {"services": services, "keySource": "Microsoft.Storage"},
    }
    if version >= _SAFE_DEFAULTS_SINCE:
        properties |= {"allowBlobPublicAccess": False, "minimumTlsVersion": "TLS1_2"}
    if kind in ("StorageV2", "BlobStorage"):
        properties["accessTier"] = "Hot"
    properties |= settings_of(body, first=True)
    properties |= {
        "provisioningState": "Creating",
        "creationTime": created,
        "primaryEndpoints": _endpoints(name, kind, endpoint),
        "primaryLocation": body["location"],
        "statusOfPrimary": "available",
    }
    place = find_location(body["location"])
    if "GRS" in sku["name"] and place is not None and place.pair is not None:
        properties |= {"secondaryLocation": place.pair, "statusOfSecondary": "available"}
    return {
        "sku": sku,
        "kind": kind,
        "location": body["location"],
        "tags": body.get("tags") or {},
        "properties": properties,
    }


def shown_account(body: Json, version: str) -> Json:
    """An account as an api-version shows it."""
    properties = dict(body["properties"])
    if version < _KEY_TIMES_SINCE:
        properties.pop("keyCreationTime", None)
    if version < _KEY_TYPES_SINCE:
        properties.pop("privateEndpointConnections", None)
        services = properties["encryption"]["services"]
        without = {
            name: {k: v for k, v in service.items() if k != "keyType"} for name, service in services.items()
        }
        properties["encryption"] = {**properties["encryption"], "services": without}
    return {**body, "properties": properties}


def _open_network() -> Json:
    return {"bypass": "AzureServices", "virtualNetworkRules": [], "ipRules": [], "defaultAction": "Allow"}


def _endpoints(name: str, kind: str, endpoint: str) -> Json:
    """Only the blob service is there; the others have addresses that nobody answers at."""
    others = ("queue", "table", "file") if kind in ("Storage", "StorageV2") else ()
    first = ("dfs", "web") if kind == "StorageV2" else ()
    return {
        **{service: f"https://{name}.{service}.localhost/" for service in first},
        "blob": f"{endpoint}/{name}/",
        **{service: f"https://{name}.{service}.localhost/" for service in others},
    }


def _invalid(path: str) -> ArmError:
    return invalid_value(path, f"Values for request parameters are invalid: {path}.")


def key_list(keys: list[str], properties: Json, version: str) -> Json:
    """The answer of listKeys; `keys` are key1 and key2."""
    shown: list[dict[str, Any]] = []
    for number, key in enumerate(keys, 1):
        name = f"key{number}"
        entry = {"keyName": name, "value": key, "permissions": "FULL"}
        if version >= _KEY_TIMES_SINCE:
            entry["creationTime"] = properties["keyCreationTime"][name]
        shown.append(entry)
    return {"keys": shown}
