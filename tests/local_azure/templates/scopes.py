# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Where a template is deployed, and the template functions that depend on it.

Reference: https://learn.microsoft.com/azure/azure-resource-manager/templates/template-functions-resource
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tests.local_azure.store import Json
from tests.local_azure.templates.errors import NotYetKnownError, TemplateError
from tests.local_azure.templates.evaluation import LIST_FUNCTION
from tests.local_azure.templates.text_functions import TemplateFunction


@dataclass(frozen=True)
class Scope:
    """A subscription, or a resource group in it. `group_body` and `location` are as Azure shows them."""

    subscription: str
    tenant: str
    group: str = ""
    group_body: Json | None = None
    location: str = ""
    deployment: str = ""
    subscription_name: str = ""
    environment: Json | None = None

    @property
    def path(self) -> str:
        place = f"/subscriptions/{self.subscription}"
        return f"{place}/resourceGroups/{self.group}" if self.group else place

    def named(self, deployment: str) -> Scope:
        return replace(self, deployment=deployment)

    def id_of(self, resource_type: str, name: str) -> str:
        return f"{self.path}/providers/{type_and_names(resource_type, name.split('/'))}"


def type_and_names(resource_type: str, names: list[str]) -> str:
    """("Microsoft.Network/virtualNetworks/subnets", ["a", "b"]) as in an id."""
    namespace, *types = resource_type.split("/")
    if not types or len(types) != len(names):
        raise TemplateError(
            f"Unable to evaluate template language function 'resourceId': the type '{resource_type}' "
            f"requires '{len(types)}' resource name argument(s). Please see "
            "https://aka.ms/arm-functions#resourceid for usage details."
        )
    return "/".join([namespace, *(f"{t}/{n}" for t, n in zip(types, names, strict=True))])


def place_functions(
    scope: Scope, content: Json, providers: Mapping[str, Json]
) -> dict[str, TemplateFunction]:
    """What is known before anything is deployed: `content` is the template, `providers` are by name."""
    functions: dict[str, TemplateFunction] = {
        "subscription": lambda: {
            "id": f"/subscriptions/{scope.subscription}",
            "subscriptionId": scope.subscription,
            "tenantId": scope.tenant,
            "displayName": scope.subscription_name,
        },
        "tenant": lambda: {"tenantId": scope.tenant},
        "environment": lambda: dict(scope.environment or {}),
        "deployment": lambda: _deployment(scope, content),
        "resourcegroup": lambda: _group(scope),
        "resourceid": lambda *parts: _resource_id(scope, [str(p) for p in parts]),
        "subscriptionresourceid": lambda *parts: _subscription_resource_id(scope, [str(p) for p in parts]),
        "tenantresourceid": lambda kind, *names: f"/providers/{type_and_names(kind, list(names))}",
        "extensionresourceid": lambda base, kind, *names: (
            f"{base}/providers/{type_and_names(kind, list(names))}"
        ),
        "providers": lambda namespace, kind=None: _provider(providers, namespace, kind),
        "pickzones": lambda _namespace, _kind, _location, count=1, offset=0: [
            str(zone) for zone in (1, 2, 3)[offset : offset + count]
        ],
        "reference": _not_yet("reference"),
        "references": _not_yet("references"),
        LIST_FUNCTION: lambda name, *_arguments: _not_yet(name)(),
    }
    return functions


def _not_yet(name: str) -> TemplateFunction:
    def refuse(*_arguments: Any) -> Any:
        raise NotYetKnownError(
            f"The template function '{name}' is not expected at this location. "
            "Please see https://aka.ms/arm-functions for usage details."
        )

    return refuse


def _deployment(scope: Scope, content: Json) -> Json:
    body: Json = {
        "name": scope.deployment,
        "properties": {"template": content, "mode": "Incremental", "provisioningState": "Accepted"},
    }
    if not scope.group:
        body["location"] = scope.location
    return body


def _group(scope: Scope) -> Json:
    if scope.group_body is None:
        raise TemplateError(
            "The template function 'resourceGroup' is not expected at this location. "
            "Please see https://aka.ms/arm-functions for usage details."
        )
    return scope.group_body


def _resource_id(scope: Scope, parts: list[str]) -> str:
    index = next((i for i, part in enumerate(parts) if "/" in part), None)
    if index is None or index > 2:
        raise TemplateError(
            "Unable to evaluate template language function 'resourceId': function requires exactly one "
            "multi-segmented argument which must be resource id or resource type including resource provider "
            "namespace. Please see https://aka.ms/arm-functions#resourceid for usage details."
        )
    place = scope
    if index == 2 or (index == 1 and _is_uuid(parts[0])):
        place = replace(place, subscription=parts[0])
    if index and not (index == 1 and _is_uuid(parts[0])):
        place = replace(place, group=parts[index - 1])
    return f"{place.path}/providers/{type_and_names(parts[index], parts[index + 1 :])}"


def _subscription_resource_id(scope: Scope, parts: list[str]) -> str:
    subscription = scope.subscription
    if parts and "/" not in parts[0]:
        subscription, *parts = parts
    return f"/subscriptions/{subscription}/providers/{type_and_names(parts[0], parts[1:])}"


def _provider(providers: Mapping[str, Json], namespace: str, kind: str | None) -> Json:
    body = providers.get(namespace.lower())
    if body is None:
        raise TemplateError(f"The resource namespace '{namespace}' is invalid.")
    if kind is None:
        return body
    for entry in body["resourceTypes"]:
        if entry["resourceType"].lower() == kind.lower():
            found: Json = entry
            return found
    raise TemplateError(f"The resource type '{kind}' could not be found in the namespace '{namespace}'.")


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
