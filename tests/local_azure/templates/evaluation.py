# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Gives a template's expressions their values."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tests.local_azure.store import Json
from tests.local_azure.templates.errors import TemplateError
from tests.local_azure.templates.expression import (
    Function,
    Literal,
    Member,
    Node,
    is_expression,
    parse,
)
from tests.local_azure.templates.text_functions import TEXT_FUNCTIONS, TemplateFunction
from tests.local_azure.templates.value_functions import VALUE_FUNCTIONS

_COMMON: Mapping[str, TemplateFunction] = {**TEXT_FUNCTIONS, **VALUE_FUNCTIONS}
#: Serves every function whose name begins with list: listKeys, listAccountSas ...
LIST_FUNCTION = "list*"
MAX_COPIES = 800


@dataclass(frozen=True)
class Loop:
    """One round of a copy loop."""

    name: str
    index: int


@dataclass(frozen=True)
class Evaluator:
    """Evaluates within one template: `place` has the functions that depend on where it is deployed.

    `variables` and `functions` are as the template has them, `parameters` are values.
    """

    parameters: Mapping[str, Any]
    variables: Mapping[str, Any]
    functions: Mapping[str, Json]
    place: Mapping[str, TemplateFunction]
    loops: tuple[Loop, ...] = ()
    lambdas: Mapping[str, Any] = field(default_factory=dict)
    known: dict[str, Any] = field(default_factory=dict)

    def within(self, loop: Loop) -> Evaluator:
        """The same inside one round of a copy loop; what variables hold there is not remembered."""
        return replace(self, loops=(*self.loops, loop))

    def value(self, value: Any) -> Any:
        """Any part of a template with its expressions replaced by what they give."""
        if isinstance(value, str):
            if is_expression(value):
                return self.node(parse(value))
            return value[1:] if value.startswith("[[") else value
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if isinstance(value, dict):
            return self._object(value)
        return value

    def _object(self, value: Json) -> Json:
        result: Json = {}
        for key, item in value.items():
            if key.lower() == "copy" and _are_loops(item):
                for loop in item:
                    result[str(loop["name"])] = self.rounds(loop)
            else:
                result[str(self.value(key))] = self.value(item)
        return result

    def rounds(self, loop: Json) -> list[Any]:
        """The values of a copy loop's `input`."""
        name = str(loop["name"])
        return [self.within(Loop(name, i)).value(loop["input"]) for i in range(self.count(loop))]

    def count(self, loop: Json) -> int:
        count = self.value(loop.get("count"))
        if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= MAX_COPIES:
            raise TemplateError(
                f"The 'copy' loop '{loop.get('name')}' has the count '{count}'. The copy count must be an "
                f"integer value from '0' to '{MAX_COPIES}'."
            )
        return count

    def node(self, node: Node) -> Any:
        if isinstance(node, Literal):
            return node.value
        if isinstance(node, Member):
            return self._member(node)
        return self._call(node)

    def _member(self, node: Member) -> Any:
        owner, key = self.node(node.owner), self.node(node.key)
        if isinstance(owner, dict):
            found = next((k for k in owner if k.lower() == str(key).lower()), None)
            if found is not None:
                return owner[found]
        elif isinstance(owner, (list, str)) and isinstance(key, int) and 0 <= key < len(owner):
            return owner[key]
        if node.optional:
            return None
        if isinstance(owner, (list, str)):
            raise TemplateError(f"The language expression property array index '{key}' is out of bounds.")
        available = ", ".join(owner) if isinstance(owner, dict) else ""
        raise TemplateError(
            f"The language expression property '{key}' doesn't exist, available properties are '{available}'."
        )

    def _call(self, node: Function) -> Any:
        name = node.name.lower()
        lazy: Mapping[str, Callable[[tuple[Node, ...]], Any]] = {
            "if": self._if,
            "and": lambda nodes: all(self._truth(n) for n in nodes),
            "or": lambda nodes: any(self._truth(n) for n in nodes),
            "lambda": self._lambda,
        }
        if name in lazy:
            return lazy[name](node.arguments)
        arguments = [self.node(argument) for argument in node.arguments]
        own: Mapping[str, TemplateFunction] = {
            "parameters": self._parameter,
            "variables": self._variable,
            "copyindex": self._copy_index,
            "lambdavariables": lambda key: self.lambdas[key],
            "filter": lambda values, test: [v for v in values if test(v)],
            "map": lambda values, change: [change(v) for v in values],
            "reduce": lambda values, start, step: functools.reduce(step, values, start),
            "sort": _sorted,
            "toobject": _to_object,
        }
        function = own.get(name) or self.place.get(name) or _COMMON.get(name)
        if function is None and "." in name:
            return self._template_function(node.name, arguments)
        if function is None and name.startswith("list") and LIST_FUNCTION in self.place:
            function = functools.partial(self.place[LIST_FUNCTION], node.name)
        if function is None:
            raise TemplateError(
                f"The template function '{node.name}' is not valid. "
                "Please see https://aka.ms/arm-functions for usage details."
            )
        try:
            return function(*arguments)
        except TemplateError:
            raise
        except (TypeError, ValueError, AttributeError, KeyError, OverflowError) as error:
            raise TemplateError(
                f"Unable to evaluate the template language function '{node.name}'. The type or number of "
                f"its arguments does not fit ({error}). Please see https://aka.ms/arm-functions for usage "
                "details."
            ) from None

    def _truth(self, node: Node) -> bool:
        value = self.node(node)
        if not isinstance(value, bool):
            raise TemplateError(f"A condition must be a boolean; '{value}' is none.")
        return value

    def _if(self, nodes: tuple[Node, ...]) -> Any:
        if len(nodes) != 3:
            raise TemplateError("The template function 'if' expects three parameters.")
        return self.node(nodes[1] if self._truth(nodes[0]) else nodes[2])

    def _lambda(self, nodes: tuple[Node, ...]) -> Callable[..., Any]:
        names = [str(self.node(n)) for n in nodes[:-1]]

        def run(*values: Any) -> Any:
            bound = dict(zip(names, values, strict=False))
            return replace(self, lambdas={**self.lambdas, **bound}).node(nodes[-1])

        return run

    def _parameter(self, name: str) -> Any:
        found = find_name(self.parameters, name)
        if found is None:
            raise TemplateError(
                f"The template parameter '{name}' is not found. "
                "Please see https://aka.ms/arm-syntax-parameters for usage details."
            )
        return self.parameters[found]

    def _variable(self, name: str) -> Any:
        key = name.lower()
        if key in self.known:
            return self.known[key]
        for loop in self.variables.get("copy") or []:
            if str(loop.get("name")).lower() == key:
                self.known[key] = self.rounds(loop)
                return self.known[key]
        found = find_name(self.variables, name)
        if found is None:
            raise TemplateError(
                f"The template variable '{name}' is not found. "
                "Please see https://aka.ms/arm-syntax-variables for usage details."
            )
        if Loop(key, -1) in self.loops:
            raise TemplateError(f"The template variable '{name}' depends on itself.")
        self.known[key] = self.within(Loop(key, -1)).value(self.variables[found])
        return self.known[key]

    def _copy_index(self, first: str | int = 0, offset: int = 0) -> int:
        rounds = [loop for loop in self.loops if loop.index >= 0]
        if isinstance(first, str):
            rounds = [loop for loop in rounds if loop.name.lower() == first.lower()]
        else:
            offset = first
        if not rounds:
            raise TemplateError(
                "The template function 'copyIndex' is not expected at this location. The function can only "
                "be used in a resource with copy specified. Please see https://aka.ms/arm-copy for usage "
                "details."
            )
        return rounds[-1].index + offset

    def _template_function(self, name: str, arguments: list[Any]) -> Any:
        """A function that the template itself defines: only its own parameters are known inside."""
        function = next((f for n, f in self.functions.items() if n.lower() == name.lower()), None)
        if function is None:
            raise TemplateError(f"The template function '{name}' is not valid.")
        names = [str(p["name"]) for p in function.get("parameters") or []]
        if len(names) != len(arguments):
            raise TemplateError(f"The template function '{name}' has '{len(names)}' parameter(s).")
        inner = replace(self, parameters=dict(zip(names, arguments, strict=True)), variables={}, known={})
        return inner.value(function["output"].get("value"))


def find_name(names: Mapping[str, Any], wanted: str) -> str | None:
    """The name as written; templates do not tell cases apart."""
    return next((name for name in names if name.lower() == wanted.lower()), None)


def _are_loops(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(loop, dict) and {"name", "count", "input"} <= loop.keys() for loop in value
    )


def _sorted(values: list[Any], before: Callable[[Any, Any], bool]) -> list[Any]:
    return sorted(values, key=functools.cmp_to_key(lambda a, b: -1 if before(a, b) else int(before(b, a))))


def _to_object(
    values: list[Any], key: Callable[[Any], str], value: Callable[[Any], Any] | None = None
) -> Json:
    return {key(v): value(v) if value else v for v in values}
