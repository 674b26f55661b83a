# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Microsoft.Authorization: role assignments, role definitions, permissions and locks, at every scope."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping

from tests.local_azure.azure import LocalAzure
from tests.local_azure.call import Call, Reply, properties_of
from tests.local_azure.clock import now, storage_time
from tests.local_azure.errors import ArmError, invalid_content
from tests.local_azure.identity.access import (
    ASSIGNMENT,
    DEFINITION,
    covers,
    definition_id,
    role_assignment,
)
from tests.local_azure.identity.builtin_roles import BUILT_IN_ROLES, Role
from tests.local_azure.identity.locks import LEVELS, LOCK, locks_of, scope_of
from tests.local_azure.kinds import Verb, json_object, method_not_allowed
from tests.local_azure.store import Json, Resource, subscription_in

NAMESPACE = "Microsoft.Authorization"
_ROLES_CREATED = "2015-02-02T21:55:09.8806423Z"
_ROLES_UPDATED = "2021-11-11T20:13:47.8628684Z"
_CONDITIONS_SINCE = "2020-03-01-preview"
_CONDITION_MEMBERS = ("condition", "conditionVersion", "description", "delegatedManagedIdentityResourceId")
_IN_FILTER = re.compile(r"(\w+)(?: eq |\()'([^']*)'\)?")


class Authorization:
    """Where a call's rights or locks are: `scope_in` says it, not the call's group, provider and names."""

    def __init__(self, azure: LocalAzure) -> None:
        self._azure = azure
        self._access = azure.access

    def handlers(self) -> Mapping[str, Mapping[str, Verb]]:
        """By type and "METHOD", or "METHOD name" where a name follows the type; all in small letters."""
        return {
            "roleassignments": {
                "GET": self._assignments,
                "GET name": self._assignment,
                "PUT name": self._assign,
                "DELETE name": self._unassign,
            },
            "roledefinitions": {
                "GET": self._definitions,
                "GET name": self._definition,
                "PUT name": self._define,
                "DELETE name": self._undefine,
            },
            "permissions": {"GET": self._permissions},
            "locks": {
                "GET": self._locks,
                "GET name": self._lock,
                "PUT name": self._put_lock,
                "DELETE name": self._delete_lock,
            },
        }

    async def handle(self, call: Call) -> Reply:
        tail = call.path.lower().rpartition(f"/providers/{NAMESPACE.lower()}/")[2].split("/")
        verbs = self.handlers().get(tail[0])
        if verbs is None or len(tail) > 2:
            raise ArmError(
                404,
                "InvalidResourceType",
                f"The resource type '{'/'.join(tail[::2])}' could not be found in the namespace "
                f"'{NAMESPACE}' for api version '{call.api_version}'. The supported types are "
                f"'{','.join(sorted(self.handlers()))}'.",
                gateway=True,
            )
        method = "GET" if call.method == "HEAD" else call.method
        verb = verbs.get(method + (" name" if len(tail) == 2 else ""))
        if verb is None:
            raise method_not_allowed(call)
        return await verb(call)

    # Role assignments.

    def _stored(self, call: Call, resource_type: str) -> Resource | None:
        return self._azure.store.get(f"{scope_in(call)}/providers/{resource_type}/{_name(call)}")

    async def _assignments(self, call: Call) -> Reply:
        """Those above the scope, at it and, without atScope(), below it."""
        wanted = call.query.get("$filter", "")
        principals = {v.lower() for k, v in _IN_FILTER.findall(wanted) if k in ("principalId", "assignedTo")}
        found = [
            assignment.body
            for assignment in self._azure.store.of_type(ASSIGNMENT)
            if _concerns(scope_in(call), assignment.properties["scope"], above_only="atScope()" in wanted)
            and (not principals or assignment.properties["principalId"].lower() in principals)
        ]
        return Reply(200, {"value": found}, compact=True)

    async def _assignment(self, call: Call) -> Reply:
        assignment = self._stored(call, ASSIGNMENT)
        if assignment is None:
            raise _refused(
                404, "RoleAssignmentNotFound", f"The role assignment '{_name(call)}' is not found."
            )
        return Reply(200, assignment.body, compact=True)

    async def _assign(self, call: Call) -> Reply:
        properties = properties_of(json_object(call))
        definition, principal = (properties.get(k) for k in ("roleDefinitionId", "principalId"))
        if not isinstance(definition, str) or not isinstance(principal, str):
            raise invalid_content("Required property 'roleDefinitionId' or 'principalId' is missing")
        if not is_guid(_name(call)):
            raise _refused(
                400,
                "InvalidRoleAssignmentId",
                f"The role assignment ID '{_name(call)}' is not valid. The role assignment ID must be a "
                "GUID.",
            )
        if self._access.role(definition) is None:
            guid = definition.rpartition("/")[2]
            raise _refused(
                404,
                "RoleDefinitionDoesNotExist",
                f"The specified role definition with ID '{guid}' does not exist.",
            )
        if not is_guid(principal):
            raise _refused(
                400, "InvalidPrincipalId", "A valid principal ID must be provided for role assignment."
            )
        self._check_principal(call, principal.lower(), typed=bool(properties.get("principalType")))
        resource = role_assignment(
            scope_in(call), _name(call), {**properties, "principalId": principal.lower()}, by=_by(call)
        )
        existing = self._stored(call, ASSIGNMENT)
        same = [a for a in self._azure.store.of_type(ASSIGNMENT) if _substance(a) == _substance(resource)]
        if existing is not None and existing not in same:
            raise _refused(
                409,
                "RoleAssignmentUpdateNotPermitted",
                "Tenant ID, application ID, principal ID, and scope are not allowed to be updated.",
            )
        if same and existing is None:
            raise _refused(409, "RoleAssignmentExists", "The role assignment already exists.")
        self._azure.store.put(resource)
        body = _assignment_as_of(resource.body, call.api_version)
        return Reply(200 if existing else 201, body, compact=True)

    def _check_principal(self, call: Call, principal: str, *, typed: bool) -> None:
        """Who names the principal's type spares the look-up, as one does for a principal just made."""
        known = self._azure.settings.identity.principal(principal)
        if typed or (known is not None and known.tenant_id == call.principal.tenant_id):
            return
        raise _refused(
            400,
            "PrincipalNotFound",
            f"Principal {principal.replace('-', '')} does not exist in the directory "
            f"{call.principal.tenant_id}. Check that you have the correct principal ID. If you are creating "
            "this principal and then immediately assigning a role, this error might be related to a "
            "replication delay. In this case, set the role assignment principalType property to a value, "
            "such as ServicePrincipal, User, or Group.  See https://aka.ms/docs-principaltype",
        )

    async def _unassign(self, call: Call) -> Reply:
        return self._delete(self._stored(call, ASSIGNMENT))

    def _delete(self, resource: Resource | None) -> Reply:
        """What is deleted is shown once more."""
        if resource is None:
            return Reply(204)
        self._azure.store.delete(resource.id)
        return Reply(200, resource.body, compact=True)

    # Role definitions.

    def _all_definitions(self, call: Call) -> Iterator[Json]:
        for role in BUILT_IN_ROLES:
            yield _built_in(scope_in(call), role)
        for custom in self._azure.store.of_type(DEFINITION):
            scopes = custom.properties["assignableScopes"]
            if any(_concerns(scope_in(call), scope, above_only=True) for scope in scopes):
                yield custom.body

    async def _definitions(self, call: Call) -> Reply:
        wanted = dict(_IN_FILTER.findall(call.query.get("$filter", "")))
        found = [
            definition
            for definition in self._all_definitions(call)
            if wanted.get("roleName", definition["properties"]["roleName"])
            == definition["properties"]["roleName"]
            and wanted.get("type", definition["properties"]["type"]) == definition["properties"]["type"]
        ]
        return Reply(200, {"value": found}, compact=True)

    async def _definition(self, call: Call) -> Reply:
        guid = _name(call).lower()
        for role in BUILT_IN_ROLES:
            if role.id == guid:
                return Reply(200, _built_in(scope_in(call), role), compact=True)
        custom = self._azure.store.named(DEFINITION, guid)
        if custom is not None:
            return Reply(200, custom.body, compact=True)
        raise _refused(
            404,
            "RoleDefinitionDoesNotExist",
            f"The specified role definition with ID '{_name(call)}' does not exist.",
        )

    async def _define(self, call: Call) -> Reply:
        properties = properties_of(json_object(call))
        permissions, scopes = properties.get("permissions"), properties.get("assignableScopes")
        if not isinstance(properties.get("roleName"), str) or not _is_permissions(permissions):
            raise invalid_content("Required property 'roleName' or 'permissions' is missing or not valid")
        if not isinstance(scopes, list) or not scopes or not all(isinstance(s, str) for s in scopes):
            raise _refused(
                400, "MissingRoleDefinitionAssignableScopes", "The role definition has no assignable scopes."
            )
        if not is_guid(_name(call)) or any(role.id == _name(call).lower() for role in BUILT_IN_ROLES):
            raise _refused(
                400,
                "InvalidRoleDefinitionId",
                f"The role definition ID '{_name(call)}' is not valid. It must be a GUID of a custom role.",
            )
        guid = _name(call).lower()
        resource_id = definition_id(scope_in(call), guid)
        existing = self._azure.store.get(resource_id)
        moment = storage_time(now())
        body = {
            "properties": {
                "roleName": properties["roleName"],
                "type": "CustomRole",
                "description": properties.get("description", ""),
                "assignableScopes": scopes,
                "permissions": permissions,
                "createdOn": existing.properties["createdOn"] if existing else moment,
                "updatedOn": moment,
                "createdBy": _by(call),
                "updatedBy": _by(call),
            },
            "id": resource_id,
            "type": DEFINITION,
            "name": guid,
        }
        self._azure.store.put(Resource(resource_id, DEFINITION, "", guid, body))
        return Reply(201, body, compact=True)

    async def _undefine(self, call: Call) -> Reply:
        definition = self._azure.store.get(definition_id(scope_in(call), _name(call)))
        if definition is not None and any(
            a.properties["roleDefinitionId"].lower().endswith(definition.name)
            for a in self._azure.store.of_type(ASSIGNMENT)
        ):
            raise _refused(
                400,
                "RoleDefinitionHasAssignments",
                "There are existing role assignments referencing role.",
            )
        return self._delete(definition)

    async def _permissions(self, call: Call) -> Reply:
        """What the caller may do at the scope: the permissions of each of its roles there."""
        value = [
            {k: v for k, v in permission.items() if k in ("actions", "notActions")}
            for right in self._access.rights(call.principal)
            if covers(right.scope, scope_in(call).lower())
            for permission in right.role.permissions()
        ]
        return Reply(200, {"value": value}, compact=True)

    # Locks.

    async def _locks(self, call: Call) -> Reply:
        """Those above the scope, at it and, without atScope(), below it."""
        only = "atScope()" in call.query.get("$filter", "")
        found = [
            lock.body
            for lock in locks_of(self._azure.store, subscription_in(scope_in(call)))
            if _concerns(scope_in(call), scope_of(lock), above_only=only)
        ]
        return Reply(200, {"value": found}, compact=True)

    async def _lock(self, call: Call) -> Reply:
        lock = self._stored(call, LOCK)
        if lock is None:
            raise _refused(404, "LockNotFound", f"The lock '{_name(call)}' could not be found.")
        return Reply(200, lock.body, compact=True)

    async def _put_lock(self, call: Call) -> Reply:
        properties = properties_of(json_object(call))
        level, notes = properties.get("level"), properties.get("notes")
        if level not in LEVELS or not isinstance(notes, str | None) or len(notes or "") > 512:
            raise _refused(
                400,
                "InvalidLockProperties",
                f"The lock '{_name(call)}' is invalid: 'level' must be one of {', '.join(LEVELS)} and "
                "'notes' have up to 512 characters.",
            )
        existing = self._stored(call, LOCK)
        resource_id = existing.id if existing else f"{scope_in(call)}/providers/{LOCK}/{_name(call)}"
        parts = resource_id.split("/")
        kept: Json = {"level": level} if notes is None else {"level": level, "notes": notes}
        body = {"properties": kept, "id": resource_id, "type": LOCK, "name": _name(call)}
        group = parts[4] if parts[3].lower() == "resourcegroups" else ""
        self._azure.store.put(Resource(resource_id, LOCK, group, _name(call), body))
        return Reply(200 if existing else 201, body, compact=True)

    async def _delete_lock(self, call: Call) -> Reply:
        lock = self._stored(call, LOCK)
        if lock is not None:
            self._azure.store.delete(lock.id)
        return Reply(200 if lock is not None else 204)


def scope_in(call: Call) -> str:
    """What a request about rights or locks is about: the path before the last provider."""
    at = call.path.lower().rfind(f"/providers/{NAMESPACE.lower()}/")
    return call.path[:at]


def is_guid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def _name(call: Call) -> str:
    return call.path.rpartition("/")[2]


def _by(call: Call) -> str:
    return call.principal.object_id


def _refused(status: int, code: str, message: str) -> ArmError:
    return ArmError(status, code, message, gateway=True)


def _concerns(scope: str, other: str, *, above_only: bool) -> bool:
    """Whether what stands at `other` shows in a list at `scope`."""
    here, there = scope.lower(), other.lower()
    return covers(there, here) or (not above_only and covers(here, there))


def _substance(assignment: Resource) -> tuple[str, str, str]:
    properties = assignment.properties
    guid = str(properties["roleDefinitionId"]).rpartition("/")[2]
    return str(properties["scope"]).lower(), guid.lower(), properties["principalId"]


def _is_permissions(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 1
        and isinstance(value[0], dict)
        and all(
            isinstance(actions, list) and all(isinstance(action, str) for action in actions)
            for actions in value[0].values()
        )
    )


def _built_in(scope: str, role: Role) -> Json:
    return {
        "properties": {
            "roleName": role.name,
            "type": "BuiltInRole",
            "description": role.description,
            "assignableScopes": ["/"],
            "permissions": role.permissions(),
            "createdOn": _ROLES_CREATED,
            "updatedOn": _ROLES_UPDATED,
            "createdBy": None,
            "updatedBy": None,
        },
        "id": definition_id(scope, role.id),
        "type": DEFINITION,
        "name": role.id,
    }


def _assignment_as_of(body: Json, api_version: str) -> Json:
    """An assignment as the version has it: conditions and descriptions came later."""
    if api_version >= _CONDITIONS_SINCE:
        return body
    kept = {k: v for k, v in body["properties"].items() if k not in _CONDITION_MEMBERS}
    return {**body, "properties": kept}
