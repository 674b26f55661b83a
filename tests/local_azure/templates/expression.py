# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The expression language of Resource Manager's templates: text in brackets to a syntax tree.

Language: https://learn.microsoft.com/azure/azure-resource-manager/templates/template-expressions
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from tests.local_azure.templates.errors import TemplateError


@dataclass(frozen=True)
class Literal:
    value: str | int


@dataclass(frozen=True)
class Function:
    """`name` as written; functions of the template itself are `namespace.name`."""

    name: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True)
class Member:
    """`owner.name` and `owner[key]`; `optional` for the forms with a question mark."""

    owner: Node
    key: Node
    optional: bool = False


Node: TypeAlias = "Literal | Function | Member"

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>[-+]?\d+)|(?P<name>[A-Za-z_$][\w$]*)|(?P<mark>\.\?|\[\?|[()\[\],.]))"
)


def is_expression(text: str) -> bool:
    return text.startswith("[") and text.endswith("]") and not text.startswith("[[")


@lru_cache(maxsize=4096)
def parse(text: str) -> Node:
    """The tree of a whole expression, brackets included. Raises TemplateError."""
    parser = _Parser(text[1:-1])
    node = parser.expression()
    parser.end()
    return node


def functions_in(node: Node) -> Iterator[Function]:
    """Every function call of the tree, outermost first."""
    if isinstance(node, Function):
        yield node
        for argument in node.arguments:
            yield from functions_in(argument)
    elif isinstance(node, Member):
        yield from functions_in(node.owner)
        yield from functions_in(node.key)


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(self._scan())
        self._next = 0

    def _wrong(self) -> TemplateError:
        return TemplateError(
            f"The language expression '{self._text}' is not valid: the string character is not expected at "
            f"position '{self._position()}'."
        )

    def _position(self) -> int:
        return self._tokens[self._next][2] if self._next < len(self._tokens) else len(self._text)

    def _scan(self) -> Iterator[tuple[str, str, int]]:
        place = 0
        while self._text[place:].strip():
            found = _TOKEN.match(self._text, place)
            if found is None or found.lastgroup is None:
                raise TemplateError(
                    f"The language expression '{self._text}' is not valid: the string character "
                    f"'{self._text[place:].strip()[0]}' at position '{place}' is not expected."
                )
            yield found.lastgroup, found[found.lastgroup], place
            place = found.end()

    def _take(self, *wanted: str) -> str:
        """The next token's text when its kind or text is wanted, else an empty string."""
        if self._next < len(self._tokens):
            kind, text, _place = self._tokens[self._next]
            if kind in wanted or text in wanted:
                self._next += 1
                return text
        return ""

    def _require(self, *wanted: str) -> str:
        text = self._take(*wanted)
        if not text:
            raise self._wrong()
        return text

    def end(self) -> None:
        if self._next < len(self._tokens):
            raise self._wrong()

    def expression(self) -> Node:
        text = self._take("text")
        if text:
            return self._members(Literal(text[1:-1].replace("''", "'")))
        number = self._take("number")
        if number:
            return Literal(int(number))
        name = self._require("name")
        while self._take("."):
            name += "." + self._require("name")
        self._require("(")
        arguments: list[Node] = []
        if not self._take(")"):
            arguments.append(self.expression())
            while self._take(","):
                arguments.append(self.expression())
            self._require(")")
        return self._members(Function(name, tuple(arguments)))

    def _members(self, node: Node) -> Node:
        while True:
            dot = self._take(".", ".?")
            if dot:
                node = Member(node, Literal(self._require("name")), dot == ".?")
                continue
            bracket = self._take("[", "[?")
            if not bracket:
                return node
            node = Member(node, self.expression(), bracket == "[?")
            self._require("]")
