# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The managed identities of a virtual machine."""

from __future__ import annotations

import uuid

from tests.local_azure.azure import LocalAzure
from tests.local_azure.body_types import word
from tests.local_azure.errors import ArmError
from tests.local_azure.store import Json, Resource

_TYPES = ("SystemAssigned", "UserAssigned", "SystemAssigned, UserAssigned", "None")


def shown_identity(azure: LocalAzure, machine: Resource, given: Json | None) -> None:
    """Puts the identity that a request asks for into the body; no request leaves it as it is.

    The principal of a system-assigned identity stays the same until it is taken away. User-assigned ones
    get ids derived from their resource id: their own resource type is not part of the local Azure.
    """
    if given is None:
        return
    kind = word(
        str(given.get("type") or "None").replace(",", ", ").replace("  ", " "), _TYPES, "identity.type"
    )
    old = machine.body.pop("identity", {})
    if kind == "None":
        return
    assigned = given.get("userAssignedIdentities") or {}
    if ("UserAssigned" in kind) != bool(assigned):
        raise ArmError(
            400,
            "InvalidRequestContent",
            "The identity type and the list of user-assigned identities do not agree.",
            gateway=True,
        )
    shown: Json = {"type": kind}
    if "SystemAssigned" in kind:
        tenant = azure.settings.identity.tenant_of(machine.subscription)
        shown["principalId"] = old.get("principalId") or str(uuid.uuid4())
        shown["tenantId"] = tenant.id if tenant else azure.settings.identity.tenant_id
    if assigned:
        shown["userAssignedIdentities"] = {
            name: {
                "principalId": str(uuid.uuid5(uuid.NAMESPACE_URL, f"principal:{name.lower()}")),
                "clientId": str(uuid.uuid5(uuid.NAMESPACE_URL, f"client:{name.lower()}")),
            }
            for name in assigned
        }
    machine.body["identity"] = shown
