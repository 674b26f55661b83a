# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Whether a template is built like one, before anything in it is evaluated."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.local_azure.store import Json
from tests.local_azure.templates.errors import TemplateError

_TOP = "properties.template"
_SECTIONS = (
    ("parameters", dict),
    ("variables", dict),
    ("outputs", dict),
    ("functions", list),
    ("resources", (list, dict)),
)
#: Members of a resource that have to be of a type where they are given.
_MEMBERS = (("dependsOn", list), ("copy", dict), ("resources", list), ("properties", (dict, str)))


def check_structure(template: Json) -> None:
    """Raises TemplateError for a section, resource or function that is not built like one."""
    for key, types in _SECTIONS:
        _expect(template.get(key), types, f"{_TOP}.{key}", optional=key != "resources")
    for key in ("parameters", "outputs"):
        for name, value in (template.get(key) or {}).items():
            _expect(value, dict, f"{_TOP}.{key}.{name}")
    for index, group in enumerate(template.get("functions") or []):
        _check_functions(group, f"{_TOP}.functions[{index}]")
    for path, resource in _named(template["resources"], f"{_TOP}.resources"):
        _check_resource(resource, path)


def _check_functions(group: Any, path: str) -> None:
    _expect(group, dict, path)
    _expect(group.get("members"), dict, f"{path}.members", optional=True)
    for name, function in (group.get("members") or {}).items():
        place = f"{path}.members.{name}"
        _expect(function, dict, place)
        _expect(function.get("parameters"), list, f"{place}.parameters", optional=True)
        for index, parameter in enumerate(function.get("parameters") or []):
            _expect(parameter, dict, f"{place}.parameters[{index}]")
            _expect(parameter.get("name"), str, f"{place}.parameters[{index}].name")
        _expect(function.get("output"), dict, f"{place}.output")


def _check_resource(resource: Any, path: str) -> None:
    _expect(resource, dict, path)
    for key, types in _MEMBERS:
        _expect(resource.get(key), types, f"{path}.{key}", optional=True)
    properties = resource.get("properties")
    if isinstance(properties, dict):
        options = "expressionEvaluationOptions"
        _expect(properties.get(options), dict, f"{path}.properties.{options}", optional=True)
    for place, child in _named(resource.get("resources") or [], f"{path}.resources"):
        _check_resource(child, place)


def _named(entries: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(entries, dict):
        yield from ((f"{path}.{name}", entry) for name, entry in entries.items())
    else:
        yield from ((f"{path}[{index}]", entry) for index, entry in enumerate(entries))


def _expect(value: Any, types: Any, path: str, *, optional: bool = False) -> None:
    if (value is None and optional) or isinstance(value, types):
        return
    raise TemplateError(f"The template member '{path}' is missing or of the wrong type.", path)
