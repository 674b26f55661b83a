# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What a provider does with a request body before it thinks: no nulls, the right JSON types, known words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from tests.local_azure.errors import ArmError, invalid_value
from tests.local_azure.store import Json

# A type, a list with the shape of its items, or an object with the shapes of its members.
Shape = type | list[Any] | Mapping[str, Any]

RESOURCE: Mapping[str, Shape] = {"location": str, "tags": dict, "zones": [str], "properties": dict}


def without_nulls(value: Any) -> Any:
    """The value with every null member left out, which Azure takes for absent."""
    if isinstance(value, dict):
        return {k: without_nulls(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [without_nulls(v) for v in value if v is not None]
    return value


def checked(body: Json, shape: Mapping[str, Shape]) -> Json:
    """The body without nulls; 400 InvalidRequestContent if a known member has a wrong JSON type.

    Members that `shape` does not name may be anything. Numbers are refused where strings belong, and true and
    false where numbers do.
    """
    clean = cast("Json", without_nulls(body))
    _check(clean, shape, "")
    return clean


def _check(value: Any, shape: Shape, path: str) -> None:
    if isinstance(shape, Mapping):
        if not isinstance(value, dict):
            raise _wrong_type(value, path)
        for key, inner in shape.items():
            if key in value:
                _check(value[key], inner, f"{path}.{key}" if path else key)
    elif isinstance(shape, list):
        if not isinstance(value, list):
            raise _wrong_type(value, path)
        for index, item in enumerate(value):
            _check(item, shape[0], f"{path}[{index}]")
    elif not isinstance(value, shape) or (shape is int and isinstance(value, bool)):
        raise _wrong_type(value, path)


def _wrong_type(value: Any, path: str) -> ArmError:
    return ArmError(
        400,
        "InvalidRequestContent",
        "The request content was invalid and could not be deserialized: 'Error converting value "
        f"{str(value)[:80]!r}. Path '{path}', line 1, position 1.'.",
        gateway=True,
    )


def word(value: str, allowed: Sequence[str], path: str) -> str:
    """The allowed word as Azure spells it; words of a request are compared without case."""
    for known in allowed:
        if known.lower() == value.lower():
            return known
    raise invalid_value(
        path,
        f"The value '{value}' of parameter '{path}' is not allowed. Allowed values are: "
        f"{', '.join(allowed)}.",
    )


def resource_id(value: str, path: str) -> str:
    """The id, which has to be a whole one; Azure lets its first slash be absent."""
    if value.lower().startswith(("subscriptions/", "providers/")):
        value = f"/{value}"
    if value.lower().startswith(("/subscriptions/", "/providers/")):
        return value
    raise ArmError(
        400,
        "LinkedInvalidPropertyId",
        f"Property id '{value}' at path '{path}' is invalid. Expect fully qualified resource Id that start "
        "with '/subscriptions/{subscriptionId}' or '/providers/{resourceProviderNamespace}/'.",
        gateway=True,
    )
