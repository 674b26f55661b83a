# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""A template taken apart: its resources with their copies, names, and what has to be there before them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.local_azure.store import Json
from tests.local_azure.templates.errors import NotYetKnownError, TemplateError
from tests.local_azure.templates.evaluation import Evaluator, Loop
from tests.local_azure.templates.expression import functions_in, is_expression, parse
from tests.local_azure.templates.scopes import Scope, type_and_names

DEPLOYMENT_TYPE = "Microsoft.Resources/deployments"
_USAGE = "Please see https://aka.ms/arm-syntax-resources for usage details."
#: Members of a template's resource that are not sent to its provider.
_OF_THE_TEMPLATE = frozenset(
    {
        "type",
        "name",
        "apiversion",
        "condition",
        "copy",
        "dependson",
        "comments",
        "metadata",
        "scope",
        "resources",
        "resourcegroup",
        "subscriptionid",
        "existing",
    }
)


@dataclass
class PlannedResource:
    """One resource to deploy. `needs` are ids of others of the same template."""

    id: str
    type: str
    name: str
    api_version: str
    location: str | None
    definition: Json
    evaluator: Evaluator
    symbol: str = ""
    copy: str = ""
    exists: bool = False
    needs: list[str] = field(default_factory=list)

    def body(self, evaluator: Evaluator | None = None) -> Json:
        """The request's body. `evaluator` is one that knows deployed resources."""
        sent = {k: v for k, v in self.definition.items() if k.lower() not in _OF_THE_TEMPLATE}
        if self.type.lower() == DEPLOYMENT_TYPE.lower() and inner_scope(self.definition):
            return _nested_body(sent, evaluator or self.evaluator)
        body: Json = (evaluator or self.evaluator).value(sent)
        return body


def inner_scope(definition: Json) -> bool:
    """Whether a nested deployment's template has its own parameters and variables."""
    properties = definition.get("properties")
    options = properties.get("expressionEvaluationOptions") if isinstance(properties, dict) else None
    return str((options or {}).get("scope")).lower() == "inner"


def _nested_body(sent: Json, evaluator: Evaluator) -> Json:
    properties = sent.get("properties") or {}
    outside = {**sent, "properties": {k: v for k, v in properties.items() if k != "template"}}
    body: Json = evaluator.value(outside)
    body["properties"]["template"] = properties.get("template")
    return body


def plan(content: Json, evaluator: Evaluator, scope: Scope) -> list[PlannedResource]:
    """The enabled resources in the template's order. Raises TemplateError."""
    listed = content.get("resources") or []
    if isinstance(listed, dict):
        definitions = list(listed.items())
    else:
        definitions = [("", definition) for definition in listed]
    enabled: list[PlannedResource] = []
    disabled: list[PlannedResource] = []
    for symbol, definition in definitions:
        for planned, wanted in _planned(symbol, definition, evaluator, scope, None):
            (enabled if wanted else disabled).append(planned)
    _refuse_twins(enabled)
    for resource in enabled:
        resource.needs = _needs(resource, enabled, disabled)
    _order_batches(enabled)
    _refuse_circles(enabled)
    return enabled


def _planned(
    symbol: str, definition: Any, evaluator: Evaluator, scope: Scope, parent: PlannedResource | None
) -> Iterator[tuple[PlannedResource, bool]]:
    if not isinstance(definition, dict):
        raise TemplateError("The template resource is not an object. " + _USAGE)
    for key in ("type", "name") if definition.get("existing") else ("type", "name", "apiVersion"):
        if not isinstance(definition.get(key), str) or not definition[key]:
            raise TemplateError(f"The template resource has no '{key}' property. {_USAGE}")
    loop = definition.get("copy")
    rounds: list[Evaluator] = [evaluator]
    if isinstance(loop, dict):
        name = str(loop.get("name"))
        rounds = [evaluator.within(Loop(name, index)) for index in range(evaluator.count(loop))]
    for inside in rounds:
        planned = _one(symbol, definition, inside, scope, parent)
        if isinstance(loop, dict):
            planned.copy = str(loop.get("name"))
        condition = inside.value(definition.get("condition", True))
        if not isinstance(condition, bool):
            raise TemplateError(f"The condition of the resource '{planned.name}' is not a boolean. {_USAGE}")
        yield planned, condition
        for child in definition.get("resources") or []:
            for nested, wanted in _planned("", child, inside, scope, planned):
                yield nested, wanted and condition


def _one(
    symbol: str, definition: Json, evaluator: Evaluator, scope: Scope, parent: PlannedResource | None
) -> PlannedResource:
    kind, name = str(definition["type"]), str(evaluator.value(definition["name"]))
    if parent is not None and "." not in kind.partition("/")[0]:
        kind, name = f"{parent.type}/{kind}", f"{parent.name}/{name}"
    place = scope
    if definition.get("subscriptionId"):
        place = Scope(str(evaluator.value(definition["subscriptionId"])), scope.tenant)
    if definition.get("resourceGroup"):
        place = Scope(place.subscription, scope.tenant, str(evaluator.value(definition["resourceGroup"])))
    if kind.count("/") != name.count("/") + 1:
        raise TemplateError(
            f"The template resource '{name}' for type '{kind}' has incorrect segment lengths. A nested "
            "resource type must have identical number of segments as its resource name. A root resource type "
            "must have segment length one greater than its resource name. " + _USAGE
        )
    resource_id = place.id_of(kind, name)
    if definition.get("scope"):
        base = str(evaluator.value(definition["scope"]))
        base = base if base.startswith("/") else f"{scope.path}/providers/{base}"
        resource_id = f"{base}/providers/{type_and_names(kind, name.split('/'))}"
    if kind.lower() == "microsoft.resources/resourcegroups":
        resource_id = f"/subscriptions/{place.subscription}/resourceGroups/{name}"
    location = evaluator.value(definition.get("location"))
    return PlannedResource(
        id=resource_id,
        type=kind,
        name=name,
        api_version=str(evaluator.value(definition.get("apiVersion", ""))),
        location=location if isinstance(location, str) else None,
        definition=definition,
        evaluator=evaluator,
        symbol=symbol,
        exists=bool(definition.get("existing")),
    )


def _needs(
    resource: PlannedResource, enabled: list[PlannedResource], disabled: list[PlannedResource]
) -> list[str]:
    found: list[str] = []
    depends_on = resource.evaluator.value(resource.definition.get("dependsOn")) or []
    if not isinstance(depends_on, list):
        raise TemplateError(
            "The template resource's 'dependsOn' is not valid: an array of strings is expected. "
            "Please see https://aka.ms/arm-syntax for usage details."
        )
    for text in depends_on:
        named = matching(str(text), enabled)
        if not named and not matching(str(text), disabled):
            raise TemplateError(
                f"The resource '{text}' is not defined in the template. "
                "Please see https://aka.ms/arm-syntax for usage details."
            )
        found += [other.id for other in named]
    for text in _referred(resource):
        found += [other.id for other in matching(text, enabled) if other.id != resource.id]
    return list(dict.fromkeys(found))


def matching(text: str, resources: list[PlannedResource]) -> list[PlannedResource]:
    """What a dependsOn entry or a reference() names: by id, by type and name, by name, symbol or loop."""
    key = text.lower()
    by_id = [r for r in resources if r.id.lower() == key]
    if by_id or key.startswith("/subscriptions/"):
        return by_id
    by_type = [
        r
        for r in resources
        if key in (r.id.lower().rpartition("/providers/")[2], f"{r.type}/{r.name}".lower())
    ]
    if by_type:
        return by_type
    return [r for r in resources if key in (r.name.lower(), r.symbol.lower(), r.copy.lower())]


def _referred(resource: PlannedResource) -> Iterator[str]:
    """What the resource's expressions read of others, as far as that is known before deploying."""
    inner = inner_scope(resource.definition)
    for text in _texts(resource.definition, skip_template=inner):
        if not is_expression(text):
            continue
        for function in functions_in(parse(text)):
            name = function.name.lower()
            if function.arguments and (name == "reference" or name.startswith("list")):
                try:
                    yield str(resource.evaluator.node(function.arguments[0]))
                except (NotYetKnownError, TemplateError):
                    continue


def _texts(value: Any, *, skip_template: bool) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, skip_template=skip_template)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key != "resources" and not (skip_template and key == "template"):
                yield from _texts(item, skip_template=skip_template)


def _order_batches(resources: list[PlannedResource]) -> None:
    """A serial loop begins a batch when the one before it is done."""
    loops: dict[str, list[PlannedResource]] = {}
    for resource in resources:
        loop = resource.definition.get("copy")
        if resource.copy and isinstance(loop, dict) and str(loop.get("mode")).lower() == "serial":
            loops.setdefault(resource.copy, []).append(resource)
    for members in loops.values():
        size = members[0].evaluator.value(members[0].definition["copy"].get("batchSize", 1))
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise TemplateError(f"The batch size '{size}' of a copy loop must be an integer from '1' on.")
        for index, resource in enumerate(members):
            first = index // size * size
            resource.needs += [other.id for other in members[max(0, first - size) : first]]


def _refuse_twins(resources: list[PlannedResource]) -> None:
    seen: set[str] = set()
    for resource in resources:
        if resource.id.lower() in seen:
            raise TemplateError(
                f"The resource '{resource.id}' at line '1' and column '1' is defined multiple times in a "
                f"template. {_USAGE}"
            )
        seen.add(resource.id.lower())


def _refuse_circles(resources: list[PlannedResource]) -> None:
    left = {resource.id.lower(): {need.lower() for need in resource.needs} for resource in resources}
    while left:
        free = [key for key, needs in left.items() if not needs & left.keys()]
        if not free:
            circle = next(r for r in resources if r.id.lower() in left)
            raise TemplateError(f"Circular dependency detected on resource: '{circle.id}'. {_USAGE}")
        for key in free:
            del left[key]
