# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Turns Swagger 2.0 schemas, with Azure's extensions, into strict JSON Schemas.

Strict: a property that the file does not declare is an error. `allOf` is merged for that, because a
part of an `allOf` cannot know the properties of the others. Extensions honoured
(https://github.com/Azure/autorest/blob/main/docs/extensions/readme.md): x-ms-enum.modelAsString,
x-ms-mutability, x-ms-secret, x-nullable.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from tests.contract.body_schema import DATE_TIME, READ_ONLY, SECRET, BodySchema, Schema, forbidden
from tests.contract.exchange import REQUEST
from tests.contract.openapi_files import Located, SpecificationFiles

_LIMITS = ("pattern", "minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems")


class _Merged(NamedTuple):
    """What a schema and everything in its `allOf` declare together."""

    properties: dict[str, Located]
    required: set[str]
    extra: Located | bool | None
    discriminated: bool


class SchemaBuilder:
    """Compiles one body schema of one side; definitions that refer to each other stay references."""

    def __init__(self, files: SpecificationFiles, side: str) -> None:
        self._files = files
        self._side = side
        self._definitions: dict[str, Schema] = {}
        self._names: dict[tuple[str, str], str] = {}

    def build(self, top: Located) -> BodySchema:
        reference = self._reference(top)
        return BodySchema(reference, self._definitions)

    def _reference(self, located: Located) -> Schema:
        key = (json.dumps(located.node, sort_keys=True), str(located.file))
        name = self._names.get(key)
        if name is None:
            name = self._names[key] = f"d{len(self._names)}"
            self._definitions[name] = self._convert(located)
        return {"$ref": f"#/$defs/{name}"}

    def _convert(self, located: Located) -> Schema:
        target = self._files.resolve(located)
        node = target.node
        kind = node.get("type")
        merged = self._merge(located)
        is_untyped_object = kind is None and ("allOf" in node or merged.extra is not None)
        if merged.properties or kind == "object" or is_untyped_object:
            schema = self._object(merged)
        elif kind == "array":
            schema = {"type": "array", "items": self._reference(Located(node["items"], target.file))}
        elif kind in {"string", "boolean", "integer", "number"}:
            schema = _scalar(node)
        else:
            schema = {}
        return _nullable(schema) if node.get("x-nullable") or located.node.get("x-nullable") else schema

    def _object(self, merged: _Merged) -> Schema:
        properties: dict[str, Schema] = {}
        required = []
        for name, member in merged.properties.items():
            reason = self._forbidden(member)
            properties[name] = forbidden(reason) if reason else self._reference(member)
            if name in merged.required and not reason:
                required.append(name)
        schema: Schema = {"type": "object", "properties": properties, "required": sorted(required)}
        if merged.discriminated:
            # A subtype brings properties that only its own definition has.
            return schema
        extra = merged.extra
        if extra is None:
            # An object that declares nothing is one that may hold anything.
            extra = not merged.properties
        return {
            **schema,
            "additionalProperties": extra if isinstance(extra, bool) else self._reference(extra),
        }

    def _forbidden(self, member: Located) -> str | None:
        target = self._files.resolve(member).node
        traits: dict[str, Any] = {**target, **member.node}
        mutability = traits.get("x-ms-mutability")
        if self._side == REQUEST:
            fixed = mutability is not None and not {"create", "update"} & set(mutability)
            return READ_ONLY if traits.get("readOnly") or fixed else None
        unreadable = mutability is not None and "read" not in mutability
        # A property that can only be read is what the operation is for: keys, a shared access signature.
        return SECRET if (traits.get("x-ms-secret") or unreadable) and not traits.get("readOnly") else None

    def _merge(self, located: Located) -> _Merged:
        node, file = self._files.resolve(located)
        properties: dict[str, Located] = {}
        required = set(node.get("required", []))
        extra: Located | bool | None = None
        discriminated = "discriminator" in node
        for part in node.get("allOf", []):
            base = self._merge(Located(part, file))
            properties |= base.properties
            required |= base.required
            extra = base.extra if extra is None else extra
            discriminated = discriminated or base.discriminated
        own = node.get("additionalProperties")
        if own is not None:
            extra = own if isinstance(own, bool) else Located(own, file)
        for name, member in node.get("properties", {}).items():
            properties[name] = Located(member, file)
        return _Merged(properties, required, extra, discriminated)


def _scalar(node: dict[str, Any]) -> Schema:
    schema: Schema = {"type": node["type"], **{key: node[key] for key in _LIMITS if key in node}}
    if "enum" in node and not node.get("x-ms-enum", {}).get("modelAsString"):
        schema["enum"] = node["enum"]
    if node.get("format") == "date-time":
        schema["pattern"] = DATE_TIME
    return schema


def _nullable(schema: Schema) -> Schema:
    widened = dict(schema)
    if "type" in schema:
        widened["type"] = [schema["type"], "null"]
    if "enum" in schema:
        widened["enum"] = [*schema["enum"], None]
    return widened
