# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Reads from the installed azure-mgmt-compute which operations it knows and how each looks on the wire.

The package is generated: every operation has a function `build_<group>_<operation>_request` that says
method, path and query, and a method whose annotations say request and response model. Packages up to
37 have one subpackage per API version; the package's own profile says which one serves which group.
"""

from __future__ import annotations

import importlib
import inspect
import re
import types
from collections.abc import Iterator
from importlib import metadata
from typing import Any, NamedTuple, Union, get_args, get_origin
from urllib.parse import parse_qsl

PACKAGE = "azure.mgmt.compute"
PROVIDER = "microsoft.compute"

_PATH = re.compile(r'"(/(?:subscriptions|providers)/[^"]*)"')
_METHOD = re.compile(r'HttpRequest\(method="(\w+)"')
_QUERY = re.compile(r'_params\["([^"]+)"\] = _SERIALIZER\.query\(\s*"(\w+)"')
_STATUSES = re.compile(r"status_code not in \[([\d, ]+)\]")


class SdkOperation(NamedTuple):
    """One method of the SDK. `body` and `result` are annotations; `query` maps lower-case names to whether
    they are required."""

    name: str
    method: str
    template: tuple[str, ...]
    # A query that tells this operation from another one of the same path.
    preset: tuple[tuple[str, str], ...]
    query: dict[str, bool]
    statuses: frozenset[int]
    body: Any
    body_required: bool
    result: Any
    is_page: bool
    models: types.ModuleType


class _Builder(NamedTuple):
    method: str
    template: tuple[str, ...]
    preset: tuple[tuple[str, str], ...]
    query: dict[str, bool]


def installed_version() -> str:
    return metadata.version("azure-mgmt-compute")


def read_operations() -> Iterator[SdkOperation]:
    """Yield every operation of the installed package in its default API versions."""
    for operations, models, groups in _sources():
        module = importlib.import_module(f"{operations.__name__}._operations")
        source = inspect.getsource(module)
        builders = dict(_builders(source))
        for class_name, group in vars(operations).items():
            if isinstance(group, type) and class_name.endswith("Operations") and class_name in groups:
                yield from _group_operations(class_name, group, builders, models)


def _sources() -> Iterator[tuple[types.ModuleType, types.ModuleType, frozenset[str]]]:
    """Yield (operations package, models package, names of the operation classes to take from it)."""
    package = importlib.import_module(PACKAGE)
    profile = getattr(package.ComputeManagementClient, "LATEST_PROFILE", None)
    if profile is None:
        operations = importlib.import_module(f"{PACKAGE}.operations")
        yield operations, importlib.import_module(f"{PACKAGE}.models"), frozenset(vars(operations))
        return
    (versions,) = profile.get_profile_dict().values()
    for version in sorted(set(versions.values())):
        subpackage = f"{PACKAGE}.v{version.replace('-', '_')}"
        operations = importlib.import_module(f"{subpackage}.operations")
        named = {_plain(f"{group}_operations") for group, own in versions.items() if group and own == version}
        elsewhere = {_plain(f"{group}_operations") for group in versions if group}
        names = {
            name
            for name in vars(operations)
            if _plain(name) in named or (version == versions[None] and _plain(name) not in elsewhere)
        }
        yield operations, importlib.import_module(f"{subpackage}.models"), frozenset(names)


def _builders(source: str) -> Iterator[tuple[str, _Builder]]:
    functions = source.partition("\nclass ")[0]
    for text in re.split(r"^def (?=build_)", functions, flags=re.MULTILINE)[1:]:
        path, method = _PATH.search(text), _METHOD.search(text)
        if path is None or method is None:
            continue
        query = {
            wire.lower(): f"if {argument} is not None" not in text for wire, argument in _QUERY.findall(text)
        }
        template, _unused, preset = path[1].partition("?")
        builder = _Builder(method[1], tuple(template.strip("/").split("/")), tuple(parse_qsl(preset)), query)
        yield _plain(text.partition("(")[0]), builder


def _group_operations(
    class_name: str, group: type, builders: dict[str, _Builder], models: types.ModuleType
) -> Iterator[SdkOperation]:
    group_name = class_name.removesuffix("Operations")
    for name, function in inspect.getmembers(group, inspect.isfunction):
        operation = name.removeprefix("begin_")
        builder = builders.get(_plain(f"build_{group_name}_{operation}_request"))
        if builder is None or name.startswith("_"):
            continue
        annotations = inspect.unwrap(function).__annotations__
        body, required = _body(annotations, models)
        result = annotations.get("return")
        yield SdkOperation(
            name=f"{group_name}.{name}",
            method=builder.method,
            template=builder.template,
            preset=builder.preset,
            query=builder.query,
            statuses=_statuses(getattr(group, f"_{operation}_initial", function)),
            body=body,
            body_required=required,
            result=_unwrapped(result),
            is_page=_is_page(result),
            models=models,
        )


def _body(annotations: dict[str, Any], models: types.ModuleType) -> tuple[Any, bool]:
    """The model a body parameter takes: it is offered as model, typed dictionary or stream, so as a union."""
    for annotation in annotations.values():
        kinds = get_args(annotation) if get_origin(annotation) is Union else ()
        for kind in kinds:
            if getattr(kind, "__module__", "").startswith(models.__name__) and hasattr(kind, "__mro__"):
                if len(kinds) > 1 and str in kinds:
                    continue
                return kind, type(None) not in kinds
    return None, False


def _unwrapped(annotation: Any) -> Any:
    """What a poller or pager finally brings; None for nothing."""
    if annotation is None or annotation is type(None):
        return None
    if getattr(get_origin(annotation), "__name__", "") in {"LROPoller", "ItemPaged", "Iterable"}:
        return _unwrapped(get_args(annotation)[0])
    if get_origin(annotation) is Union:
        kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
        return kinds[0]
    return None if annotation is bool else annotation


def _is_page(annotation: Any) -> bool:
    name = getattr(get_origin(annotation), "__name__", "")
    if name == "LROPoller":
        return _is_page(get_args(annotation)[0])
    return name in {"ItemPaged", "Iterable"}


def _statuses(function: Any) -> frozenset[int]:
    found = _STATUSES.search(inspect.getsource(inspect.unwrap(function)))
    return frozenset(int(status) for status in found[1].split(",")) if found else frozenset()


def _plain(name: str) -> str:
    return name.replace("_", "").lower()
