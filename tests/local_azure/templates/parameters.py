# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""A template's parameters: what a deployment gives, checked against what the template declares."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sized
from typing import Any

from tests.local_azure.store import Json
from tests.local_azure.templates.errors import TemplateError
from tests.local_azure.templates.evaluation import Evaluator, find_name

#: The types as Azure writes them in its answers.
_TYPES = {
    name.lower(): name
    for name in ("String", "SecureString", "Int", "Bool", "Object", "SecureObject", "Array")
}
_JSON_TYPES: Mapping[str, tuple[type, str]] = {
    "String": (str, "String, Uri"),
    "SecureString": (str, "String, Uri"),
    "Int": (int, "Integer"),
    "Bool": (bool, "Boolean"),
    "Object": (dict, "Object"),
    "SecureObject": (dict, "Object"),
    "Array": (list, "Array"),
}
_HELP = "Please see https://aka.ms/arm-create-parameter-file for usage details."
_PATH = "properties.template.parameters"


def type_name(declaration: Json, path: str) -> str:
    """`securestring` as "SecureString". Raises TemplateError for what is no type."""
    text = declaration.get("type")
    known = _TYPES.get(str(text).lower())
    if known is None:
        raise TemplateError(
            f"The template type '{text}' at '{path}' is not valid. The supported types are "
            f"'{','.join(_TYPES.values())}'.",
            path,
        )
    return known


def is_secret(kind: str) -> bool:
    return kind.startswith("Secure")


def parameter_values(declared: Mapping[str, Json], given: Mapping[str, Any], evaluator: Evaluator) -> Json:
    """The values by the names of the template; defaults may use the parameters before them.

    `evaluator` has no parameters yet and knows the place of the deployment only.
    Raises TemplateError for a parameter that is missing, unknown, of another type or not allowed.
    """
    unknown = [name for name in given if find_name(declared, name) is None]
    if unknown:
        raise TemplateError(
            f"The template parameters '{', '.join(unknown)}' in the parameters file are not valid; they are "
            "not present in the original template and can therefore not be provided at deployment time. The "
            f"only supported parameters for this template are '{', '.join(declared)}'. Please see "
            "https://aka.ms/arm-pass-parameter-values for usage details."
        )
    values: Json = {}
    for name, declaration in declared.items():
        path = f"{_PATH}.{name}"
        kind = type_name(declaration, path)
        key = find_name(given, name)
        if key is not None:
            values[name] = _given_value(name, given[key], path)
        elif "defaultValue" in declaration:
            known = _with_parameters(evaluator, values)
            values[name] = known.value(declaration["defaultValue"])
        elif declaration.get("nullable") is True:
            values[name] = None
        else:
            raise TemplateError(
                f"The value for the template parameter '{name}' at line '1' and column '1' is not provided. "
                + _HELP,
                path,
            )
        if values[name] is not None or declaration.get("nullable") is not True:
            _check(name, kind, declaration, values[name], path)
    return values


def _given_value(name: str, given: Any, path: str) -> Any:
    if isinstance(given, dict) and "reference" in given:
        raise TemplateError(
            f"The parameter '{name}' refers to a key vault's secret; there are no key vaults here.", path
        )
    if not isinstance(given, dict) or "value" not in given:
        raise TemplateError(f"The value of deployment parameter '{name}' is null. " + _HELP, path)
    return given["value"]


def _with_parameters(evaluator: Evaluator, values: Json) -> Evaluator:
    return Evaluator(values, evaluator.variables, evaluator.functions, evaluator.place)


def _check(name: str, kind: str, declaration: Json, value: Any, path: str) -> None:
    expected, label = _JSON_TYPES[kind]
    if not isinstance(value, expected) or (kind == "Int" and isinstance(value, bool)):
        raise TemplateError(
            f"Template parameter JToken type is not valid. Expected '{label}'. Actual "
            f"'{_json_type(value)}'. {_HELP}",
            path,
        )
    allowed = declaration.get("allowedValues")
    if isinstance(allowed, list):
        chosen = value if isinstance(value, list) else [value]
        if value not in allowed and not (isinstance(value, list) and all(v in allowed for v in chosen)):
            shown = "" if is_secret(kind) else f" '{value}'"
            raise TemplateError(
                f"The provided value{shown} for the template parameter '{name}' at line '1' and column '1' "
                "is not valid. The parameter value is not part of the allowed value(s): "
                f"'{','.join(str(v) for v in allowed)}'.",
                path,
            )
    limits: tuple[tuple[str, bool, str, Callable[[Any, Any], bool]], ...] = (
        ("minLength", True, "greater than or equal to", lambda a, b: a >= b),
        ("maxLength", True, "less than or equal to", lambda a, b: a <= b),
        ("minValue", False, "greater than or equal to", lambda a, b: a >= b),
        ("maxValue", False, "less than or equal to", lambda a, b: a <= b),
    )
    for key, by_length, words, holds in limits:
        limit = declaration.get(key)
        if limit is None or not isinstance(value, Sized if by_length else int):
            continue
        if not isinstance(limit, int):
            raise TemplateError(
                "Template parameter JToken type is not valid. Expected 'Integer'. Actual "
                f"'{_json_type(limit)}'. {_HELP}",
                path,
            )
        measured = len(value) if isinstance(value, Sized) and by_length else value
        if not holds(measured, limit):
            what = "Length of the value" if by_length else "The value"
            raise TemplateError(
                f"The provided value for the template parameter '{name}' at line '1' and column '1' is not "
                f"valid. {what} should be {words} '{limit}'. {_HELP}",
                path,
            )


def _json_type(value: Any) -> str:
    if isinstance(value, bool):
        return "Boolean"
    names = {int: "Integer", float: "Float", str: "String", dict: "Object", list: "Array"}
    return names.get(type(value), "Null")


def shown_parameters(declared: Mapping[str, Json], values: Json) -> Json:
    """As a deployment's answers have them: what is secure is never shown."""
    shown: Json = {}
    for name, declaration in declared.items():
        kind = type_name(declaration, f"{_PATH}.{name}")
        shown[name] = {"type": kind} if is_secret(kind) else {"type": kind, "value": values[name]}
    return shown
