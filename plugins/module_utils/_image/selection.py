# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Selects resources for the modules that list them: by name, resource group and tags."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol


class _Collection(Protocol):
    def get(self, resource_group: str, name: str) -> dict[str, Any] | None: ...

    def list(self, resource_group: str | None = None) -> list[dict[str, Any]]: ...


def select(
    collection: _Collection,
    resource_group: str | None,
    name: str | None,
    tags: Sequence[str] | None,
    facts_of: Callable[[dict[str, Any]], dict[str, Any] | None],
) -> list[dict[str, Any]]:
    """Facts of the resources that match, by id. `facts_of` may say None of one that has gone meanwhile.

    Raises NotFound when the resource group is missing.
    """
    if resource_group and name:
        one = collection.get(resource_group, name)
        found = [one] if one else []
    else:
        found = collection.list(resource_group or None)
        if name:
            found = [resource for resource in found if resource["name"].lower() == name.lower()]
    matching = [resource for resource in found if has_tags(resource.get("tags"), tags)]
    matching.sort(key=lambda resource: str(resource["id"]).lower())
    facts = [facts_of(resource) for resource in matching]
    return [each for each in facts if each is not None]


def has_tags(present: Mapping[str, str] | None, wanted: Sequence[str] | None) -> bool:
    """Whether all of `wanted`, each "name" or "name:value", are there. Names are compared without case."""
    values = {name.lower(): value for name, value in (present or {}).items()}
    for each in wanted or ():
        name, separator, value = each.partition(":")
        if name.lower() not in values or (separator and values[name.lower()] != value):
            return False
    return True
