# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Rights at the resources that a request's body refers to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tests.local_azure.call import Call
from tests.local_azure.errors import ArmError
from tests.local_azure.identity.access import Access
from tests.local_azure.identity.actions import Asked
from tests.local_azure.identity.directory import NOBODY, Identity

# What is needed at a linked resource; at any other it is to read it.
_JOINED = (
    "microsoft.network/virtualnetworks/subnets",
    "microsoft.network/networkinterfaces",
    "microsoft.network/networksecuritygroups",
    "microsoft.network/publicipaddresses",
)
_COPIED = ("microsoft.compute/disks", "microsoft.compute/snapshots")


def refuse_unreachable_links(
    call: Call, request: Asked, access: Access, identity: Identity, spelled: Callable[[str], str]
) -> None:
    """Raises LinkedAuthorizationFailed where the caller lacks a right at what the body of a write names."""
    principal = call.principal
    if call.method not in ("PUT", "PATCH") or principal is NOBODY:
        return
    own = request.scope.lower()
    for link, copies in _links(call.body, ()):
        parts = link.strip("/").split("/")
        if len(parts) < 8 or link.lower().startswith(own):
            continue
        action = _needed(spelled("/".join([parts[5], *parts[6::2]])), copies=copies)
        tenant = identity.tenant_of(parts[1])
        if tenant is None:
            reason = f"the linked subscription '{parts[1]}' was not found. "
        elif tenant.id != principal.tenant_id:
            reason = (
                f"the current tenant '{principal.tenant_id}' is not authorized to access linked subscription "
                f"'{parts[1]}'."
            )
        elif access.allows(principal, action, link):
            continue
        else:
            raise _refused(
                f"The client '{principal.client_id}' with object id '{principal.object_id}' has permission "
                f"to perform action '{request.action}' on scope '{request.scope}'; however, it does not have "
                f"permission to perform action '{action}' on the linked scope(s) '{link}' or the linked "
                "scope(s) are invalid."
            )
        raise _refused(
            f"The client has permission to perform action '{action}' on scope '{request.scope}', however "
            f"{reason}"
        )


def _refused(message: str) -> ArmError:
    return ArmError(403, "LinkedAuthorizationFailed", message, gateway=True)


def _links(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, bool]]:
    """Every resource id in a body that is one by its name, and whether content is to be copied from it."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name.lower() == "userassignedidentities" and isinstance(inner, dict):
                yield from ((k, False) for k in inner if _is_link(k))
            elif isinstance(inner, str) and name.lower().endswith("id") and _is_link(inner):
                yield inner, "creationdata" in path
            else:
                yield from _links(inner, (*path, name.lower()))
    elif isinstance(value, list):
        for inner in value:
            yield from _links(inner, path)


def _is_link(text: str) -> bool:
    parts = text.lower().split("/")
    return (
        parts[1:2] == ["subscriptions"] and parts[3:4] == ["resourcegroups"] and parts[5:6] == ["providers"]
    )


def _needed(resource_type: str, *, copies: bool) -> str:
    lowered = resource_type.lower()
    if lowered in _JOINED:
        return f"{resource_type}/join/action"
    if lowered == "microsoft.managedidentity/userassignedidentities":
        return f"{resource_type}/assign/action"
    if copies and lowered in _COPIED:
        return f"{resource_type}/beginGetAccess/action"
    return f"{resource_type}/read"
