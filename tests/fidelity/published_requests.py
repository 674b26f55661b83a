# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Requests drawn from Azure's published API files: any operation, any body that its schema allows."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.contract.openapi_files import Located, Operation, SpecificationFiles
from tests.fidelity.wrong_values import Request

_DEEPEST = 7
_TEXTS = st.sampled_from(["", "x", "westus", "1", "Standard_LRS", "/subscriptions/x", "2030-01-01T00:00:00Z"])


class PublishedRequests:
    """`names` are values for path parameters, by name in small letters; others are drawn."""

    def __init__(self, files: SpecificationFiles, names: dict[str, list[str]]) -> None:
        self._files = files
        self._names = names
        self._operations = [o for o in files.operations() if o.template[:1] == ("subscriptions",)]

    def requests(self) -> st.SearchStrategy[tuple[Request, str]]:
        """A request below the subscription, and its API version."""
        return st.sampled_from(self._operations).flatmap(self._requests_of)

    def _requests_of(self, operation: Operation) -> st.SearchStrategy[tuple[Request, str]]:
        segments = st.tuples(*(self._segment(part) for part in operation.template[2:]))
        body = operation.body_parameter()
        bodies = st.none() if body is None else self._values(_schema(body), 0)
        return st.tuples(segments, bodies).map(
            lambda drawn: (
                Request(operation.method, "/".join(drawn[0]), drawn[1]),
                operation.version,
            )
        )

    def _segment(self, part: str) -> st.SearchStrategy[str]:
        if not part.startswith("{"):
            return st.just(part)
        return st.sampled_from([*self._names.get(part.strip("{}").lower(), ()), "westus", "other"])

    def _values(self, located: Located, depth: int) -> st.SearchStrategy[Any]:
        node, file = self._files.resolve(located)
        if "enum" in node:
            return st.sampled_from(node["enum"])
        members = self._members(Located(node, file))
        if members:
            if depth > _DEEPEST:
                return st.just({})
            drawn = {
                name: st.deferred(lambda found=found: self._values(found, depth + 1))  # type: ignore[misc]
                for name, found in members.items()
            }
            return st.fixed_dictionaries({}, optional=drawn)
        if node.get("type") == "array":
            inner = Located(node.get("items", {}), file)
            return st.lists(st.deferred(lambda: self._values(inner, depth + 1)), max_size=2)
        if "additionalProperties" in node or node.get("type") == "object":
            return st.dictionaries(_TEXTS, _TEXTS, max_size=2)
        scalars = {"integer": st.integers(-1, 5000), "number": st.floats(-1, 5000), "boolean": st.booleans()}
        return scalars.get(str(node.get("type")), _TEXTS)

    def _members(self, located: Located) -> dict[str, Located]:
        """The members of an object, also those it has from others."""
        node, file = located
        members: dict[str, Located] = {}
        for base in node.get("allOf", ()):
            members |= self._members(self._files.resolve(Located(base, file)))
        members |= {name: Located(inner, file) for name, inner in node.get("properties", {}).items()}
        return members


def _schema(parameter: Located) -> Located:
    return Located(parameter.node["schema"], parameter.file)
