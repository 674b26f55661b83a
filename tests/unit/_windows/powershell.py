# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Reads PowerShell as a tree. No PowerShell runs here: a script that passes is well-formed and does only
what is allowed, which does not say that it works."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import tree_sitter_powershell
from tree_sitter import Language, Node, Parser

_PARSER = Parser(Language(tree_sitter_powershell.language()))


class Script:
    """A script of the collection."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.content = path.read_bytes()
        self.lines = self.content.decode("ascii").splitlines()
        self._root = _PARSER.parse(self.content).root_node

    def _nodes(self, *kinds: str) -> Iterator[Node]:
        pending = [self._root]
        while pending:
            node = pending.pop()
            pending += node.children
            if not kinds or node.type in kinds:
                yield node

    def texts(self, *kinds: str) -> set[str]:
        """The texts of all nodes of these kinds."""
        return {_text(node) for node in self._nodes(*kinds)}

    def errors(self) -> list[str]:
        """Where the grammar does not know what stands there."""
        return [
            f"line {node.start_point[0] + 1}: {_text(node)}"
            for node in self._nodes()
            if node.type == "ERROR" or node.is_missing
        ]

    def functions(self) -> set[str]:
        """The functions that the script defines."""
        return self.texts("function_name")

    def commands(self) -> set[str]:
        """What it calls by name: cmdlets, functions, programs."""
        return self.texts("command_name", "path_command_name")

    def called_expressions(self) -> set[str]:
        """What it calls by a value, as in `& $Collector`."""
        return self.texts("command_name_expr")

    def methods(self) -> set[str]:
        """The methods of .NET's objects that it calls."""
        return {
            _text(child)
            for node in self._nodes("invokation_expression")
            for child in node.children
            if child.type == "member_name"
        }

    def arguments(self, parameter: str) -> set[str]:
        """What stands after a parameter of a command, such as `-MethodName`."""
        found = set()
        for node in self._nodes("command_parameter"):
            if _text(node).casefold() == parameter.casefold():
                following = node.next_named_sibling
                while following is not None and following.type == "command_argument_sep":
                    following = following.next_named_sibling
                found.add(_text(following) if following is not None else "")
        return found

    def types(self) -> set[str]:
        """The types that it names, which are .NET's."""
        return {text.casefold() for text in self.texts("type_spec")}

    def casts(self) -> set[str]:
        """The types that it turns values into."""
        return {_text(node.children[0]) for node in self._nodes("cast_expression")}

    def keys(self) -> set[str]:
        """The keys of its hash tables."""
        return self.texts("key_expression")


def _text(node: Node) -> str:
    return (node.text or b"").decode("ascii")
