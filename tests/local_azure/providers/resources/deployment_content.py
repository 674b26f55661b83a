# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What a deployment's request says: the template with its parameters' values and planned resources."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.local_azure.call import properties_of
from tests.local_azure.clock import now, storage_time
from tests.local_azure.errors import ArmError, invalid_content
from tests.local_azure.providers.resources.deployment_errors import DeploymentError, invalid_template
from tests.local_azure.store import Json
from tests.local_azure.templates.errors import TemplateError
from tests.local_azure.templates.evaluation import Evaluator
from tests.local_azure.templates.parameters import parameter_values, shown_parameters
from tests.local_azure.templates.plan import PlannedResource, plan
from tests.local_azure.templates.scopes import Scope, place_functions
from tests.local_azure.templates.structure import check_structure

_MODES = {"incremental": "Incremental", "complete": "Complete"}


@dataclass(frozen=True)
class Content:
    """A request whose template, parameters and resources are in order."""

    scope: Scope
    template: Json
    values: Json
    evaluator: Evaluator
    resources: list[PlannedResource]

    @property
    def deployed(self) -> list[PlannedResource]:
        """Without those that a template only refers to."""
        return [resource for resource in self.resources if not resource.exists]


def check_request(body: Json, name: str) -> tuple[str, Json, Json]:
    """Mode, template and given parameters of a request. Raises ArmError."""
    given = properties_of(body)
    mode = _MODES.get(str(given.get("mode")).lower())
    if mode is None:
        raise DeploymentError(
            400,
            "InvalidDeployment",
            f"The 'mode' property of deployment '{name}' must be 'Incremental' or 'Complete'.",
        )
    for key in ("templateLink", "parametersLink"):
        if given.get(key):
            uri = given[key].get("uri") if isinstance(given[key], dict) else given[key]
            raise DeploymentError(
                400, "InvalidContentLink", f"Unable to download deployment content from '{uri}'."
            )
    template, parameters = given.get("template"), given.get("parameters") or {}
    if not isinstance(template, dict):
        raise DeploymentError(
            400, "InvalidTemplate", "Deployment template content is missing: 'properties.template' is empty."
        )
    if not isinstance(parameters, dict):
        raise invalid_content("Error converting value to an object. Path 'properties.parameters', line 1.")
    try:
        check_structure(template)
    except TemplateError as error:
        raise invalid_template(error) from None
    return mode, template, parameters


def prepare(
    scope: Scope,
    template: Json,
    parameters: Mapping[str, Any],
    providers: Mapping[str, Json],
) -> Content:
    """Checks the parameters and plans the resources. Raises the InvalidTemplate that Azure answers."""
    functions: dict[str, Json] = {}
    for group in template.get("functions") or []:
        for name, function in (group.get("members") or {}).items():
            functions[f"{group.get('namespace')}.{name}"] = function
    place = place_functions(scope, template, providers)
    try:
        bare = Evaluator({}, template.get("variables") or {}, functions, place)
        values = parameter_values(template.get("parameters") or {}, parameters, bare)
        evaluator = Evaluator(values, bare.variables, functions, place)
        resources = plan(template, evaluator, scope)
    except TemplateError as error:
        raise invalid_template(error) from None
    except RecursionError:
        raise invalid_template(TemplateError("The template is nested too deeply.")) from None
    return Content(scope, template, values, evaluator, resources)


def template_hash(template: Json) -> str:
    """Digits that depend on the template only."""
    digest = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).digest()
    return str(int.from_bytes(digest[:8], "little"))


def deployment_properties(content: Content, mode: str, correlation: str) -> Json:
    """The properties of a deployment that was just accepted."""
    return {
        "templateHash": template_hash(content.template),
        "parameters": shown_parameters(content.template.get("parameters") or {}, content.values),
        "mode": mode,
        "provisioningState": "Accepted",
        "timestamp": storage_time(now()),
        "duration": "PT0S",
        "correlationId": correlation,
        "providers": _providers(content.deployed),
        "dependencies": _dependencies(content.deployed),
    }


def _providers(resources: list[PlannedResource]) -> list[Json]:
    """Namespaces and types in the template's order, each with the locations it is used in."""
    found: dict[str, dict[str, list[str | None]]] = {}
    for resource in resources:
        namespace, _slash, kind = resource.type.partition("/")
        places = found.setdefault(namespace, {}).setdefault(kind, [])
        place = resource.location.replace(" ", "").lower() if resource.location else None
        if place not in places:
            places.append(place)
    return [
        {
            "namespace": namespace,
            "resourceTypes": [{"resourceType": kind, "locations": places} for kind, places in kinds.items()],
        }
        for namespace, kinds in found.items()
    ]


def target(resource: PlannedResource) -> Json:
    return {"id": resource.id, "resourceType": resource.type, "resourceName": resource.name}


def _dependencies(resources: list[PlannedResource]) -> list[Json]:
    by_id = {resource.id.lower(): resource for resource in resources}
    entries = []
    for resource in resources:
        needed = [target(by_id[need.lower()]) for need in resource.needs if need.lower() in by_id]
        if needed:
            entries.append({"dependsOn": needed, **target(resource)})
    return entries


def template_fault(error: TemplateError) -> ArmError:
    """What an expression that fails in the middle of a deployment ends it with."""
    return DeploymentError(
        400,
        "InvalidTemplate",
        f"Unable to process template language expressions for resource: '{error.message}'",
    )
