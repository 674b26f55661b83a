# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Managed identities that are resources of their own. Tokens of theirs are not issued."""

from __future__ import annotations

import uuid

from tests.local_azure.azure import LocalAzure
from tests.local_azure.call import Call
from tests.local_azure.errors import ArmError, invalid_content
from tests.local_azure.providers.compute.companion_kinds import CompanionKind
from tests.local_azure.store import Json, Resource

_TYPE = "Microsoft.ManagedIdentity/userAssignedIdentities"


class UserAssignedIdentities(CompanionKind):
    type = _TYPE
    name_rule = r"^[a-zA-Z0-9][a-zA-Z0-9\-_]{2,127}$"

    def id_of(self, call: Call) -> str:
        """This provider writes resourcegroups in small letters."""
        return super().id_of(call).replace("/resourceGroups/", "/resourcegroups/", 1)

    def compose(self, call: Call, body: Json, existing: Resource | None) -> Json:
        del body
        if existing is not None:
            return existing.properties
        tenant = self.azure.settings.identity.tenant_of(call.subscription)
        return {
            "tenantId": tenant.id if tenant else self.azure.settings.identity.tenant_id,
            "principalId": str(uuid.uuid4()),
            "clientId": str(uuid.uuid4()),
        }


def assigned_identities(azure: LocalAzure, names: object, bearer: str) -> Json:
    """The identities with the ids that are the keys of `names`, as the resource `bearer` shows them.

    Raises 400 FailedIdentityOperation for one that is missing.
    """
    shown: Json = {}
    if not isinstance(names, dict):
        raise invalid_content("Error converting value to an object. Path 'identity.userAssignedIdentities'")
    for name in names:
        found = azure.store.get(name)
        if found is None or found.type != _TYPE:
            raise ArmError(
                400,
                "FailedIdentityOperation",
                f"Identity operation for resource '{bearer}' failed with error 'Failed to perform resource "
                'identity operation. Status: \'BadRequest\'. Response: \'{"error":{"code":"BadRequest",'
                f"\"message\":\"Resource '{name}' was not found.\"}}}}'.'.",
                gateway=True,
            )
        shown[name] = {key: found.properties[key] for key in ("principalId", "clientId")}
    return shown


def carried_identity(azure: LocalAzure, given: Json, bearer: str) -> Json:
    """The `identity` of a request as the resource `bearer` shows it."""
    names = given.get("userAssignedIdentities")
    if not names:
        return given
    return {**given, "userAssignedIdentities": assigned_identities(azure, names, bearer)}
