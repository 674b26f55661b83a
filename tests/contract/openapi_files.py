# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Finds operations in a tree of Azure's published Swagger 2.0 files.

The tree is laid out as in the repository azure-rest-api-specs: `specification/*/resource-manager/...`.
Nothing of it is part of this project; `specification_root` finds a copy beside the checkout.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

METHODS = frozenset({"get", "put", "post", "patch", "delete", "head"})
ENVIRONMENT = "AZURE_OPENAPI_SPECS"


def specification_root(environ: Mapping[str, str] | None = None) -> Path | None:
    """The folder that holds `specification/`: from AZURE_OPENAPI_SPECS, else ../shared/openapi, else None."""
    named = (os.environ if environ is None else environ).get(ENVIRONMENT)
    root = Path(named) if named else Path(__file__).resolve().parents[2].parent / "shared" / "openapi"
    return root if (root / "specification").is_dir() else None


class Located(NamedTuple):
    """A node of a Swagger file and the file that its references start from."""

    node: dict[str, Any]
    file: Path


class Operation(NamedTuple):
    """One operation of one published file."""

    name: str
    method: str
    template: tuple[str, ...]
    version: str
    definition: Located
    parameters: tuple[Located, ...]

    @property
    def is_item(self) -> bool:
        """Whether the path names one resource, not a collection or an action."""
        return self.template[-1].startswith("{")

    def body_parameter(self) -> Located | None:
        return next((found for found in self.parameters if found.node["in"] == "body"), None)

    def query_parameters(self) -> dict[str, bool]:
        """Names in lower case and whether each is required."""
        return {
            found.node["name"].lower(): bool(found.node.get("required"))
            for found in self.parameters
            if found.node["in"] == "query"
        }


class SpecificationFiles:
    """All operations below a root. Raises FileNotFoundError when there is none."""

    def __init__(self, root: Path) -> None:
        self._operations: dict[tuple[str, int], list[Operation]] = {}
        files = sorted((root / "specification").glob("**/resource-manager/**/*.json"))
        for file in files:
            if "examples" not in file.parts:
                self._index(file)
        if not self._operations:
            raise FileNotFoundError(f"no Swagger file with an operation below {root}/specification")

    def find(self, method: str, segments: tuple[str, ...], api_version: str) -> Operation | None:
        """The operation that judges a request: the most literal path, in the newest published version
        not newer than the request's, else in the oldest one there is."""
        matching = [
            operation
            for operation in self._operations.get((method, len(segments)), ())
            if matches(operation.template, segments)
        ]
        if not matching:
            return None
        literal = max(_literals(operation.template) for operation in matching)
        best = [operation for operation in matching if _literals(operation.template) == literal]
        return newest_not_newer(best, api_version)

    def operations(self) -> list[Operation]:
        """All of them, in the order of the files."""
        return [operation for found in self._operations.values() for operation in found]

    def resolve(self, located: Located) -> Located:
        """Follow `$ref` until there is none."""
        node, file = located
        while "$ref" in node:
            target, _unused, pointer = node["$ref"].partition("#")
            if target:
                file = Path(os.path.normpath(file.parent / unquote(target)))
            node = _load(file)
            for part in pointer.strip("/").split("/"):
                node = node[unquote(part).replace("~1", "/").replace("~0", "~")] if part else node
        return Located(node, file)

    def _index(self, file: Path) -> None:
        document = _load(file)
        version = document.get("info", {}).get("version", "")
        for path, item in {**document.get("paths", {}), **document.get("x-ms-paths", {})}.items():
            template = tuple(part for part in path.partition("?")[0].strip("/").split("/") if part)
            shared = item.get("parameters", [])
            for method in METHODS & item.keys():
                definition = item[method]
                entries = [*definition.get("parameters", []), *shared]
                operation = Operation(
                    name=definition["operationId"],
                    method=method.upper(),
                    template=template,
                    version=version,
                    definition=Located(definition, file),
                    parameters=tuple(self.resolve(Located(entry, file)) for entry in entries),
                )
                self._operations.setdefault((operation.method, len(template)), []).append(operation)


def newest_not_newer(operations: list[Operation], api_version: str) -> Operation:
    """API versions are dates, so text order is time order; a suffix like -preview follows the plain date."""
    ordered = sorted(operations, key=lambda operation: operation.version)
    published = [operation for operation in ordered if operation.version <= api_version]
    return published[-1] if published else ordered[0]


def matches(template: tuple[str, ...], segments: tuple[str, ...]) -> bool:
    """Whether a path has the template's form; Resource Manager ignores case."""
    return len(template) == len(segments) and all(
        part.startswith("{") or part.lower() == segment.lower()
        for part, segment in zip(template, segments, strict=True)
    )


def _literals(template: tuple[str, ...]) -> int:
    return sum(not part.startswith("{") for part in template)


@cache
def _load(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8-sig"))
