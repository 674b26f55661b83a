# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Judges one JSON body by a JSON Schema and says in classes of its own what is wrong.

Both contracts, Azure's published files and the SDK's models, are turned into such schemas, so that a
body is walked by one outside library and findings of both read alike.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from tests.contract.exchange import Finding

Schema = dict[str, Any]
Pointer = tuple["str | int", ...]

# The keyword under which a schema says why a property may not be there at all.
REASON = "x-reason"
READ_ONLY = "read-only"
SECRET = "secret"
# Azure writes up to seven decimals and now and then no offset.
DATE_TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)?$"

_REASONS = {
    READ_ONLY: "is read-only, a client does not send it",
    SECRET: "is a secret, a service does not return it",
}


class BodyProblem(NamedTuple):
    """`pointer` leads to the offending value, for a missing property to where it should be."""

    kind: str
    pointer: Pointer
    message: str

    @property
    def where(self) -> str:
        return "/" + "/".join(str(part) for part in self.pointer)


def forbidden(reason: str) -> Schema:
    """A schema that no value satisfies; `reason` becomes the class of the finding."""
    return {"not": {}, REASON: reason}


class BodySchema:
    """A compiled schema with a memory: polling repeats the same bodies again and again."""

    def __init__(self, top: Schema, definitions: Mapping[str, Schema]) -> None:
        self._definitions = definitions
        self._top = top
        self._validator = Draft202012Validator({"allOf": [top], "$defs": dict(definitions)})
        self._seen: dict[str, tuple[BodyProblem, ...]] = {}

    def problems(self, body: Any) -> tuple[BodyProblem, ...]:
        key = json.dumps(body, sort_keys=True)
        if key not in self._seen:
            errors = self._validator.iter_errors(body)
            self._seen[key] = tuple(problem for error in errors for problem in _problems(error))
        return self._seen[key]

    def findings(self, side: str, body: Any, judge: str) -> list[Finding]:
        return [
            Finding(problem.kind, side, problem.where, problem.message, judge, pointer=problem.pointer)
            for problem in self.problems(body)
        ]

    def declares(self, pointer: Pointer) -> bool:
        """Whether the schema has a place for the value that `pointer` leads to."""
        schema = self._resolve(self._top)
        for part in pointer:
            if not schema:
                return True
            if isinstance(part, int):
                schema = self._resolve(schema.get("items", {}))
                continue
            properties = schema.get("properties", {})
            extra = schema.get("additionalProperties", True)
            if part in properties:
                schema = self._resolve(properties[part])
            elif extra is False:
                return False
            else:
                schema = {} if extra is True else self._resolve(extra)
        return True

    def permits(self, pointer: Pointer, value: Any) -> bool:
        """Whether the place that `pointer` leads to is declared and takes `value` (for enumerations)."""
        schema = self._resolve(self._top)
        for part in pointer:
            is_item = isinstance(part, int)
            branch = schema.get("items", {}) if is_item else schema.get("properties", {}).get(part)
            if branch is None:
                return schema.get("additionalProperties", True) is not False
            schema = self._resolve(branch)
        return value in schema["enum"] if "enum" in schema else True

    def _resolve(self, schema: Schema) -> Schema:
        while "$ref" in schema:
            schema = self._definitions[schema["$ref"].rpartition("/")[2]]
        return schema


def value_at(body: Any, pointer: Pointer) -> Any:
    """The value that `pointer` leads to; None where nothing is."""
    for part in pointer:
        try:
            body = body[part]
        except (KeyError, IndexError, TypeError):
            return None
    return body


def _problems(error: ValidationError) -> Iterator[BodyProblem]:
    """Messages never repeat the value (it may be a secret), except where a list of values is closed."""
    pointer: Pointer = tuple(error.absolute_path)
    schema: Mapping[str, Any] = error.schema if isinstance(error.schema, Mapping) else {}
    instance: Any = error.instance
    limit: Any = error.validator_value
    match error.validator:
        case "required":
            for name in (name for name in limit if name not in instance):
                # The library reports each missing name apart and names it in the message only.
                if error.message.startswith(repr(name)):
                    yield BodyProblem("missing-property", (*pointer, name), "required property is missing")
        case "additionalProperties":
            for name in sorted(set(instance) - set(schema.get("properties", {}))):
                yield BodyProblem("unknown-property", (*pointer, name), "unknown property")
        case "type":
            wanted = limit if isinstance(limit, str) else " or ".join(limit)
            yield BodyProblem("wrong-type", pointer, f"is {_json_type(instance)}, must be {wanted}")
        case "enum":
            allowed = ", ".join(str(value) for value in limit)
            yield BodyProblem("unknown-value", pointer, f"is {instance!r:.60}, must be one of {allowed:.200}")
        case "not":
            reason = schema.get(REASON, "forbidden")
            yield BodyProblem(reason, pointer, _REASONS.get(reason, "must not be there"))
        case "format" | "pattern":
            yield BodyProblem("wrong-format", pointer, f"does not match {limit}")
        case other:
            yield BodyProblem("out-of-range", pointer, f"breaks {other} {limit}")


def _json_type(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    names: dict[type, str] = {
        dict: "object", list: "array", str: "string", int: "integer", float: "number", type(None): "null"
    }  # fmt: skip
    return names.get(type(value), type(value).__name__)
