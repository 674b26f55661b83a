# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# Private to this collection; it may change without notice.
"""Azure resource ids and region names: reading, building, comparing.

Ids and region names differ in case and spelling between Azure's own answers, so they are compared normalised.
Source:
https://learn.microsoft.com/azure/azure-resource-manager/templates/template-functions-resource#resourceid
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput


class ResourceId(NamedTuple):
    """``/subscriptions/S/resourceGroups/G/providers/P/T1/N1/T2/N2`` taken apart.

    The id of a resource group has provider ``Microsoft.Resources``, types ``("resourceGroups",)``.
    """

    subscription: str
    resource_group: str
    provider: str
    types: tuple[str, ...]
    names: tuple[str, ...]

    @property
    def name(self) -> str:
        """The resource's own name: the last one."""
        return self.names[-1]

    @property
    def resource_type(self) -> str:
        """``Microsoft.Compute/galleries/images``: as in the ``type`` member of a resource."""
        return "/".join((self.provider, *self.types))

    def __str__(self) -> str:
        group = f"/subscriptions/{self.subscription}/resourceGroups/{self.resource_group}"
        if self.types == ("resourceGroups",):
            return group
        pairs = "/".join(f"{kind}/{name}" for kind, name in zip(self.types, self.names, strict=True))
        return f"{group}/providers/{self.provider}/{pairs}"


_SHAPE = re.compile(
    r"/subscriptions/(?P<subscription>[^/\s?#]+)/resourceGroups/(?P<group>[^/\s?#]+)"
    r"(?:/providers/(?P<provider>[^/\s?#]+)(?P<rest>(?:/[^/\s?#]+/[^/\s?#]+)+))?/?",
    re.IGNORECASE,
)


def parse_resource_id(text: str) -> ResourceId:
    """Take a resource id apart; raises InvalidInput when it is none."""
    found = _SHAPE.fullmatch(text)
    if found is None:
        raise InvalidInput(
            f"'{text}' is no Azure resource id.",
            remedy="It reads /subscriptions/<id>/resourceGroups/<group>/providers/<namespace>/<type>/<name>.",
        )
    subscription, group, provider = found["subscription"], found["group"], found["provider"]
    if provider is None:
        return ResourceId(subscription, group, "Microsoft.Resources", ("resourceGroups",), (group,))
    parts = found["rest"].strip("/").split("/")
    return ResourceId(subscription, group, provider, tuple(parts[0::2]), tuple(parts[1::2]))


def is_resource_id(text: str) -> bool:
    """Whether the text is the id of a resource or of a resource group."""
    return _SHAPE.fullmatch(text) is not None


def resource_id(subscription: str, resource_group: str, provider: str, *types_and_names: str) -> str:
    """Build an id: ``resource_id(s, g, "Microsoft.Compute", "images", "web")``."""
    if not types_and_names or len(types_and_names) % 2:
        raise ValueError("types and names come in pairs")
    return str(
        ResourceId(subscription, resource_group, provider, types_and_names[0::2], types_and_names[1::2])
    )


def resource_group_id(subscription: str, resource_group: str) -> str:
    """The id of a resource group."""
    return f"/subscriptions/{subscription}/resourceGroups/{resource_group}"


def same_resource(first: str | None, second: str | None) -> bool:
    """Whether two ids name the same resource, whatever their case and a trailing slash."""
    if first is None or second is None:
        return first is second
    return first.rstrip("/").casefold() == second.rstrip("/").casefold()


def normalize_location(location: str) -> str:
    """Region name as in requests: "East US 2" becomes "eastus2"."""
    return re.sub(r"[\s_-]", "", location).lower()
