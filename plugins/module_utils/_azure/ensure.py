# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# Private to this collection; it may change without notice.
"""Compare what is with what should be, in Azure's own (wire) shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import (
    is_resource_id,
    normalize_location,
    same_resource,
)

# Members that tell the items of a list apart; Azure does not keep the order of lists.
_IDENTITIES = ("lun", "name", "id")


class Change(NamedTuple):
    """One difference: ``path`` such as ``properties.storageProfile.osDisk.caching`` or
    ``dataDisks[lun=1].caching``."""

    path: str
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{self.path}: {self.before!r} -> {self.after!r}"


def _same_value(key: str, current: Any, desired: Any) -> bool:
    if isinstance(current, str) and isinstance(desired, str):
        if key in ("location", "region"):
            return normalize_location(current) == normalize_location(desired)
        if is_resource_id(current) and is_resource_id(desired):
            return same_resource(current, desired)
    if isinstance(current, bool) or isinstance(desired, bool):
        return current is desired
    return bool(current == desired)


def _identity(items: Sequence[Any]) -> str | None:
    """The member that every item has, each with another value; None when there is none."""
    if not items or not all(isinstance(item, Mapping) for item in items):
        return None
    for member in _IDENTITIES:
        values = [str(item[member]).casefold() for item in items if item.get(member) is not None]
        if len(values) == len(items) == len(set(values)):
            return member
    return None


def _list_changes(path: str, current: Sequence[Any], desired: Sequence[Any]) -> list[Change]:
    if len(current) != len(desired):
        return [Change(path, list(current), list(desired))]
    found: list[Change] = []
    member = _identity(desired)
    if member is not None and _identity(current) is not None and all(member in item for item in current):
        by_value = {str(item[member]).casefold(): item for item in current}
        if set(by_value) != {str(item[member]).casefold() for item in desired}:
            return [Change(path, list(current), list(desired))]
        for item in desired:
            others = {key: value for key, value in item.items() if key != member}
            same = by_value[str(item[member]).casefold()]
            found += _changes(f"{path}[{member}={item[member]}]", same, others)
        return found
    for index, (now, then) in enumerate(zip(current, desired, strict=True)):
        found += _value_changes(f"{path}[{index}]", path.rpartition(".")[2], now, then)
    return found


def _value_changes(path: str, key: str, current: Any, desired: Any) -> list[Change]:
    if isinstance(desired, Mapping) and isinstance(current, Mapping):
        return _changes(path, current, desired)
    if isinstance(desired, (list, tuple)) and isinstance(current, (list, tuple)):
        return _list_changes(path, current, desired)
    return [] if _same_value(key, current, desired) else [Change(path, current, desired)]


def _changes(path: str, current: Mapping[str, Any], desired: Mapping[str, Any]) -> list[Change]:
    found: list[Change] = []
    for key, value in desired.items():
        inner = f"{path}.{key}" if path else key
        if key == "tags" and isinstance(value, Mapping):
            # Tags are one value: a tag that is no longer wanted is a change as well.
            before = dict(current.get(key) or {})
            if before != dict(value):
                found.append(Change(inner, before, dict(value)))
            continue
        found += _value_changes(inner, key, current.get(key), value)
    return found


def changes(current: Mapping[str, Any], desired: Mapping[str, Any]) -> list[Change]:
    """What has to change for ``current`` to be as ``desired``.

    Only keys in ``desired`` count, so that Azure's own additions are no difference. Ids and regions are
    compared normalised; list items are matched by ``lun``, ``name`` or ``id`` where they have one, otherwise
    by position. ``tags`` is compared as a whole: merge with `merged_tags` first.
    """
    return _changes("", current, desired)


def merged_tags(
    current: Mapping[str, str] | None, wanted: Mapping[str, Any] | None, append: bool
) -> dict[str, str]:
    """The tags a resource should have.

    ``wanted`` None leaves the tags alone. With ``append`` the other tags stay, otherwise they go. Azure's tag
    names are case-insensitive: an existing tag keeps its spelling.
    """
    present = dict(current or {})
    if wanted is None:
        return present
    spelling = {name.casefold(): name for name in present}
    asked = {
        spelling.get(name.casefold(), name): "" if value is None else str(value)
        for name, value in wanted.items()
    }
    return {**present, **asked} if append else asked
