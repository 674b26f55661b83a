# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What a principal may do where: role assignments, and the refusals of Azure Resource Manager."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from tests.local_azure.clock import now, storage_time
from tests.local_azure.errors import ArmError
from tests.local_azure.identity.builtin_roles import BUILT_IN_ROLES, Role
from tests.local_azure.identity.directory import NOBODY, Identity, Principal
from tests.local_azure.store import Json, Resource, Store

ASSIGNMENT = "Microsoft.Authorization/roleAssignments"
DEFINITION = "Microsoft.Authorization/roleDefinitions"
_MARK = "first role assignments"
_BY_ID = {role.id: role for role in BUILT_IN_ROLES}
_BY_NAME = {role.name: role for role in BUILT_IN_ROLES}


class Right(NamedTuple):
    """`scope` is in small letters."""

    scope: str
    role: Role


class Access:
    """Reads the assignments from the store each time: there are few, and they change at any time."""

    def __init__(self, store: Store, identity: Identity) -> None:
        self._store = store
        self._identity = identity
        if store.next_number(_MARK) == 1:
            self._assign_first_roles()

    def _assign_first_roles(self) -> None:
        """Once for a state directory: what an administrator takes away later stays away."""
        for principal in self._identity.principals:
            for scope in principal.scopes:
                self._store.put(
                    role_assignment(
                        scope,
                        str(uuid.uuid4()),
                        {
                            "roleDefinitionId": definition_id(scope, _BY_NAME[principal.role].id),
                            "principalId": principal.object_id,
                            "principalType": "ServicePrincipal",
                        },
                        by="",
                    )
                )

    def role(self, definition: str) -> Role | None:
        """The built-in or custom role of a definition's id."""
        guid = definition.rpartition("/")[2].lower()
        if guid in _BY_ID:
            return _BY_ID[guid]
        custom = self._store.named(DEFINITION, guid)
        return None if custom is None else _custom_role(custom)

    def rights(self, principal: Principal) -> Iterator[Right]:
        for assignment in self._store.of_type(ASSIGNMENT):
            properties = assignment.properties
            if properties["principalId"] != principal.object_id:
                continue
            role = self.role(properties["roleDefinitionId"])
            if role is not None:
                yield Right(str(properties["scope"]).lower(), role)

    def allows(self, principal: Principal, action: str, scope: str) -> bool:
        if principal is NOBODY:
            return True
        place = scope.lower()
        return any(
            covers(right.scope, place) and grants(right.role, action) for right in self.rights(principal)
        )

    def allows_within(self, principal: Principal, action: str, scope: str) -> bool:
        """Whether the action is allowed at the scope or anywhere below it."""
        place = scope.lower()
        return principal is NOBODY or any(
            (covers(right.scope, place) or covers(place, right.scope)) and grants(right.role, action)
            for right in self.rights(principal)
        )

    def require(self, principal: Principal, action: str, scope: str) -> None:
        if not self.allows(principal, action, scope):
            raise authorization_failed(principal, action, scope)


def authorization_failed(principal: Principal, action: str, scope: str) -> ArmError:
    return ArmError(
        403,
        "AuthorizationFailed",
        f"The client '{principal.client_id}' with object id '{principal.object_id}' does not have "
        f"authorization to perform action '{action}' over scope '{scope}' or the scope is invalid. If access "
        "was recently granted, please refresh your credentials.",
        gateway=True,
    )


def covers(scope: str, place: str) -> bool:
    """Whether a right at `scope` holds at `place`; both in small letters."""
    return scope in ("/", place) or place.startswith(scope + "/")


def grants(role: Role, action: str) -> bool:
    return _matches(role.actions, action) and not _matches(role.not_actions, action)


def _matches(patterns: tuple[str, ...], action: str) -> bool:
    return any(_pattern(p).fullmatch(action) for p in patterns)


@lru_cache(maxsize=1024)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in text.split("*")), re.IGNORECASE)


def _custom_role(definition: Resource) -> Role:
    properties = definition.properties
    found: Json = (properties.get("permissions") or [{}])[0]
    lists = (found.get(k) or () for k in ("actions", "notActions", "dataActions", "notDataActions"))
    actions, not_actions, data_actions, not_data_actions = (tuple(values) for values in lists)
    return Role(
        definition.name,
        str(properties.get("roleName", "")),
        str(properties.get("description", "")),
        actions,
        not_actions,
        data_actions,
        not_data_actions,
    )


def definition_id(scope: str, guid: str) -> str:
    """Definitions are shown as those of the subscription that the scope is in."""
    parts = scope.split("/")
    prefix = "/".join(parts[:3]) if len(parts) > 2 and parts[1].lower() == "subscriptions" else ""
    return f"{prefix}/providers/{DEFINITION}/{guid}"


def role_assignment(scope: str, name: str, properties: Json, *, by: str) -> Resource:
    """`properties` are the request's; `by` is the object id of who assigns the role."""
    moment = storage_time(now())
    parts = scope.split("/")
    body: Json = {
        "properties": {
            "roleDefinitionId": properties["roleDefinitionId"],
            "principalId": properties["principalId"],
            "principalType": properties.get("principalType", "ServicePrincipal"),
            "scope": scope,
            "condition": properties.get("condition"),
            "conditionVersion": properties.get("conditionVersion"),
            "createdOn": moment,
            "updatedOn": moment,
            "createdBy": None,
            "updatedBy": by,
            "delegatedManagedIdentityResourceId": properties.get("delegatedManagedIdentityResourceId"),
            "description": properties.get("description"),
        },
        "id": f"{scope}/providers/{ASSIGNMENT}/{name}",
        "type": ASSIGNMENT,
        "name": name,
    }
    return Resource(body["id"], ASSIGNMENT, parts[4] if len(parts) > 4 else "", name, body)
