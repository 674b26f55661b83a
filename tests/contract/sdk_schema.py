# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Turns the model classes of azure-mgmt-compute into strict JSON Schemas.

The SDK has had two kinds of models: classes with `_attribute_map` and `_validation` (33.1.0), whose
attribute keys may be paths such as `properties.storageProfile`, and classes with `rest_field`s (38 and
newer), whose types are in their annotations. Both are read as what they say about the wire.
"""

from __future__ import annotations

import collections.abc
import datetime
import enum
import re
import types
import typing
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

from tests.contract.body_schema import DATE_TIME, READ_ONLY, BodySchema, Schema, forbidden
from tests.contract.exchange import REQUEST

# Enumerations that the service extends all the time and the SDK follows late or never.
OPEN_ENUMERATIONS = frozenset({"VirtualMachineSizeTypes", "NetworkApiVersion"})

_TEXT: Schema = {"type": "string"}
_MSREST_SCALARS: dict[str, Schema] = {
    "str": _TEXT,
    "bool": {"type": "boolean"},
    "int": {"type": "integer"},
    "long": {"type": "integer"},
    "float": {"type": "number"},
    "iso-8601": {"type": "string", "pattern": DATE_TIME},
    "duration": _TEXT,
    "object": {},
}
_PYTHON_SCALARS: dict[Any, Schema] = {
    str: _TEXT,
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    datetime.datetime: {"type": "string", "pattern": DATE_TIME},
    datetime.timedelta: _TEXT,
    bytes: _TEXT,
}
_DOCUMENTED_ENUM = re.compile(r":vartype (\w+): str or\s+~[\w.]+\.(\w+)")


class _Member(NamedTuple):
    wire: tuple[str, ...]
    schema: Schema
    required: bool
    read_only: bool


class ModelSchemas:
    """Schemas of the models of one models package, for one side."""

    def __init__(self, models: types.ModuleType, side: str) -> None:
        self._models = models
        self._side = side
        self._definitions: dict[str, Schema] = {}

    def build(self, annotation: Any) -> BodySchema:
        """Compile what an operation's annotation says: a model class, a list of them, or a page of them."""
        return BodySchema(self._from_annotation(annotation), self._definitions)

    def page_of(self, item: Any) -> BodySchema:
        """Compile the body of a list: {"value": [item], "nextLink": url}."""
        schema: Schema = {
            "type": "object",
            "properties": {
                "value": {"type": "array", "items": self._from_annotation(item)},
                "nextLink": {"type": ["string", "null"]},
            },
            "required": ["value"],
            "additionalProperties": False,
        }
        return BodySchema(schema, self._definitions)

    def _reference(self, model: type) -> Schema:
        name = model.__name__
        if name not in self._definitions:
            self._definitions[name] = {}
            members = self._attributes(model) if hasattr(model, "_attribute_map") else self._fields(model)
            self._definitions[name].update(self._object(members, is_open=_has_subtypes(model)))
        return {"$ref": f"#/$defs/{name}"}

    def _object(self, members: list[_Member], is_open: bool) -> Schema:
        """Nest members whose wire name is a path, as `_attribute_map` flattens them."""
        schema = _empty_object(is_open)
        for member in members:
            place = schema
            for part in member.wire[:-1]:
                place = place["properties"].setdefault(part, _empty_object(False))
            hidden = member.read_only and self._side == REQUEST
            place["properties"][member.wire[-1]] = forbidden(READ_ONLY) if hidden else member.schema
            if member.required and not hidden:
                place["required"].append(member.wire[-1])
        return schema

    def _fields(self, model: type) -> list[_Member]:
        hints = typing.get_type_hints(model, localns={"_models": self._models})
        members: dict[str, _Member] = {}
        for base in reversed(model.__mro__):
            for attribute, field in vars(base).items():
                if type(field).__name__ != "_RestField":
                    continue
                annotation = hints[attribute]
                members[attribute] = _Member(
                    wire=(field._rest_name_input or attribute,),
                    schema=self._from_annotation(annotation),
                    required=type(None) not in get_args(annotation),
                    read_only=field._visibility == ["read"],
                )
        return list(members.values())

    def _attributes(self, model: Any) -> list[_Member]:
        # Attribute types are plain "str" for enumerations; only the documentation names them.
        enumerations = dict(_DOCUMENTED_ENUM.findall(model.__doc__ or ""))
        members = []
        for attribute, entry in model._attribute_map.items():
            rules = model._validation.get(attribute, {})
            named = getattr(self._models, enumerations.get(attribute, ""), None)
            documented = named is not None and entry["type"] == "str"
            members.append(
                _Member(
                    # A dot that belongs to the name is written with a backslash before it.
                    wire=tuple(part.replace("\\.", ".") for part in re.split(r"(?<!\\)\.", entry["key"])),
                    schema=_enumeration(named) if documented else self._from_msrest(entry["type"]),
                    required=rules.get("required", False),
                    read_only=rules.get("readonly", False),
                )
            )
        return members

    def _from_msrest(self, name: str) -> Schema:
        if name.startswith("["):
            return {"type": "array", "items": self._from_msrest(name[1:-1])}
        if name.startswith("{"):
            return {"type": "object", "additionalProperties": self._from_msrest(name[1:-1])}
        if name in _MSREST_SCALARS:
            return _MSREST_SCALARS[name]
        found = getattr(self._models, name)
        return _enumeration(found) if issubclass(found, enum.Enum) else self._reference(found)

    def _from_annotation(self, annotation: Any) -> Schema:
        if isinstance(annotation, str | typing.ForwardRef):
            text = annotation if isinstance(annotation, str) else annotation.__forward_arg__
            annotation = getattr(self._models, text.rpartition(".")[2])
        if annotation is Any:
            return {}
        if annotation in _PYTHON_SCALARS:
            return _PYTHON_SCALARS[annotation]
        if get_origin(annotation) is not None or not isinstance(annotation, type):
            return self._from_generic(annotation)
        return _enumeration(annotation) if issubclass(annotation, enum.Enum) else self._reference(annotation)

    def _from_generic(self, annotation: Any) -> Schema:
        origin, arguments = get_origin(annotation), get_args(annotation)
        if origin in {Union, types.UnionType}:
            return self._from_union(arguments)
        if origin is Literal:
            return {"enum": [getattr(value, "value", value) for value in arguments]}
        if origin is list:
            return {"type": "array", "items": self._from_annotation(arguments[0])}
        if origin is dict:
            return {"type": "object", "additionalProperties": self._from_annotation(arguments[1])}
        if origin is collections.abc.Iterator:
            # A stream of bytes: nothing that a schema could say.
            return {}
        raise TypeError(f"the SDK has a kind of annotation this check does not know: {annotation!r}")

    def _from_union(self, arguments: tuple[Any, ...]) -> Schema:
        """Optional[X] is X (Azure leaves out what is not there); Union[str, Enum] is the enumeration."""
        kinds = [kind for kind in arguments if kind is not type(None)]
        if len(kinds) > 1:
            kinds = [kind for kind in kinds if kind is not str]
        if len(kinds) != 1:
            raise TypeError(f"the SDK has a union this check does not know: {arguments!r}")
        return self._from_annotation(kinds[0])


def _empty_object(is_open: bool) -> Schema:
    return {"type": "object", "properties": {}, "required": [], "additionalProperties": is_open}


def _enumeration(kind: Any) -> Schema:
    if kind.__name__ in OPEN_ENUMERATIONS:
        return _TEXT
    return {"type": "string", "enum": [member.value for member in kind]}


def _has_subtypes(model: Any) -> bool:
    """Subtypes chosen by a discriminator bring properties that only their own class has."""
    return bool(getattr(model, "__mapping__", None) or getattr(model, "_subtype_map", None))
