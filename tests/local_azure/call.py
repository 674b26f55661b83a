# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""One request to Azure Resource Manager, taken apart, and the answer to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.local_azure.identity.directory import NOBODY, Principal
from tests.local_azure.store import Json


@dataclass(frozen=True)
class Call:
    """`types` and `names` are the parts behind the provider: ("disks",), ("os",) for .../disks/os.

    A collection has one type more than names.
    """

    method: str
    path: str
    query: Mapping[str, str]
    body: Any
    subscription: str = ""
    resource_group: str = ""
    provider: str = ""
    types: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    #: Whose token came with it.
    principal: Principal = NOBODY

    @property
    def api_version(self) -> str:
        return self.query.get("api-version", "")

    @property
    def name(self) -> str:
        return self.names[-1]

    @property
    def parent_name(self) -> str:
        return self.names[0]


@dataclass
class Reply:
    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    #: The front door answers compactly, providers with line breaks.
    compact: bool = False
    #: A list that is one page already.
    paged: bool = False


def properties_of(body: Json) -> Json:
    """The `properties` of a request body; an absent or null one is empty."""
    properties = body.get("properties")
    return properties if isinstance(properties, dict) else {}
