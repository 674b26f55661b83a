# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The managed identities of a virtual machine."""

from __future__ import annotations

from tests.local_azure.azure import LocalAzure
from tests.local_azure.body_types import word
from tests.local_azure.errors import ArmError
from tests.local_azure.providers.resources.user_assigned_identities import assigned_identities
from tests.local_azure.store import Json, Resource

_TYPES = ("SystemAssigned", "UserAssigned", "SystemAssigned, UserAssigned", "None")


def shown_identity(azure: LocalAzure, machine: Resource, given: Json | None) -> None:
    """Puts the identity that a request asks for into the body; no request leaves it as it is.

    Every machine's own identity is the one managed identity of the local Azure: its tokens are what guests
    get, also those with a user-assigned one, and roles assigned to it take effect.
    """
    if given is None:
        return
    kind = word(
        str(given.get("type") or "None").replace(",", ", ").replace("  ", " "), _TYPES, "identity.type"
    )
    machine.body.pop("identity", None)
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
    managed = azure.settings.identity.managed
    shown: Json = {"type": kind}
    if "SystemAssigned" in kind:
        tenant = azure.settings.identity.tenant_of(machine.subscription)
        shown["principalId"] = managed.object_id
        shown["tenantId"] = tenant.id if tenant else azure.settings.identity.tenant_id
    if assigned:
        shown["userAssignedIdentities"] = assigned_identities(azure, assigned, machine.id)
    machine.body["identity"] = shown
