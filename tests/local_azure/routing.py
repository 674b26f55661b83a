# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""From a request's path to the provider that answers it, past what forbids it: tenants, roles, locks."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tests.local_azure.azure import LocalAzure
from tests.local_azure.call import Call, Reply
from tests.local_azure.clock import now
from tests.local_azure.errors import ArmError, resource_group_not_found, resource_not_found
from tests.local_azure.identity.access import authorization_failed
from tests.local_azure.identity.actions import Asked, asked
from tests.local_azure.identity.linked import refuse_unreachable_links
from tests.local_azure.identity.locks import LOCK, refuse_locked
from tests.local_azure.identity.tokens import Tokens
from tests.local_azure.kinds import ResourceKind, Verb, method_not_allowed
from tests.local_azure.locations import LOCATIONS
from tests.local_azure.paging import PROVIDER_PAGE
from tests.local_azure.providers.resources.authorization import NAMESPACE, Authorization, scope_in
from tests.local_azure.store import Json
from tests.local_azure.unregistered import no_such_namespace

_FIRST_VERSION = "2015-06-15"
_OPERATION_COLLECTIONS = {
    "operations",
    "diskoperations",
    "capsoperations",
    "operationresults",
    "asyncoperations",
}


class Router:
    """`resources` answers what lies outside provider namespaces: subscriptions, groups, provider lists."""

    def __init__(
        self,
        azure: LocalAzure,
        tokens: Tokens,
        *,
        kinds: Sequence[ResourceKind],
        resources: Mapping[tuple[str, str], Verb],
        subscription_verbs: Mapping[str, Verb],
    ) -> None:
        self._azure = azure
        self._tokens = tokens
        self._access = azure.access
        self._authorization = Authorization(azure)
        self._kinds = {kind.type.lower(): kind for kind in kinds}
        self._namespaces = {kind.namespace.lower(): kind.namespace for kind in kinds}
        self._resources = resources
        self._subscription_verbs = subscription_verbs

    async def dispatch(self, call: Call) -> Reply:
        """Answers a request whose token is valid."""
        parts = call.path.strip("/").split("/")
        if parts[0].lower() == "subscriptions" and len(parts) > 1:
            parts[1] = self._subscription(call, parts[1])
        request = asked(call, self._spelled)
        if request is not None:
            self._authorize(call, request, parts)
            refuse_unreachable_links(
                call, request, self._access, self._azure.settings.identity, self._spelled
            )
            if not request.action.startswith(f"{LOCK}/"):
                refuse_locked(self._azure.store, call.method, request.scope)
        reply = await self._route(call, parts)
        if request is not None and request.lists and reply.status == 200:
            self._show_readable(call, request, reply)
        return reply

    async def _route(self, call: Call, parts: Sequence[str]) -> Reply:
        lowered = [p.lower() for p in parts]
        if f"/providers/{NAMESPACE.lower()}/" in call.path.lower():
            self._check_scope(scope_in(call).strip("/").split("/"), parts)
            return await self._authorization.handle(call)
        if len(parts) > 4 and lowered[2] == "resourcegroups" and lowered[4] == "providers":
            if len(parts) < 7:
                raise _bad_path(call)
            return await self._in_provider(_placed(call, parts[1], parts[3], parts[5], parts[6:]))
        if len(parts) > 4 and lowered[0] == "subscriptions" and lowered[2] == "providers":
            if self._is_operation(lowered):
                return self._azure.operations.report(call, parts[7])
            verb = self._subscription_verb(lowered[3:])
            if verb is not None:
                return await verb(_placed(call, parts[1], "", parts[3], parts[4:]))
            if lowered[4] not in ("register", "unregister"):
                return await self._in_provider(_placed(call, parts[1], "", parts[3], parts[4:]))
        return await self._outside_providers(call, lowered, parts)

    @staticmethod
    def _is_operation(lowered: Sequence[str]) -> bool:
        """Whether a path is that of a long-running operation's status."""
        return len(lowered) == 8 and lowered[4] == "locations" and lowered[6] in _OPERATION_COLLECTIONS

    def _spelled(self, resource_type: str) -> str:
        """A provider's namespace and type as Azure writes them, as far as they are known here."""
        parts = resource_type.split("/")
        for length in range(len(parts), 1, -1):
            kind = self._kinds.get("/".join(parts[:length]).lower())
            if kind is not None:
                return "/".join([kind.type, *parts[length:]])
        return "/".join([self._namespaces.get(parts[0].lower(), parts[0]), *parts[1:]])

    def _authorize(self, call: Call, request: Asked, parts: Sequence[str]) -> None:
        """Raises AuthorizationFailed.

        Who has a right in a part of the subscription may look at the subscription, sees of its lists what it
        may read, and follows its operations.
        """
        place = "/" + "/".join(parts[:2]) if not request.in_group else request.scope
        reads = call.method in ("GET", "HEAD")
        if reads and self._is_operation([p.lower() for p in parts]):
            return
        if reads and (request.lists or not request.in_group):
            place = place.lower().partition("/providers/")[0]
            allowed = self._access.allows_within(call.principal, request.action, place)
        else:
            allowed = self._access.allows(call.principal, request.action, request.scope)
        if not allowed:
            raise authorization_failed(call.principal, request.action, request.scope)

    def _show_readable(self, call: Call, request: Asked, reply: Reply) -> None:
        """Takes out of a list what the caller may not read."""
        if not isinstance(reply.body, dict) or self._access.allows(
            call.principal, request.action, request.scope
        ):
            return
        reply.body["value"] = [
            entry
            for entry in reply.body.get("value", ())
            if not str(entry.get("id", "")).lower().startswith("/subscriptions/")
            or self._access.allows(call.principal, _reading(entry, request), entry["id"])
        ]

    def _check_scope(self, scope: Sequence[str], parts: Sequence[str]) -> None:
        """What rights or locks are asked of has to exist, where its type is one that is offered here."""
        if len(scope) < 4 or scope[2].lower() != "resourcegroups":
            return
        if self._azure.group(parts[1], scope[3]) is None:
            raise resource_group_not_found(scope[3])
        named = "/".join([*scope[5:6], *scope[6::2]])
        known = named.lower() in self._kinds
        if known and self._azure.store.get("/".join(["", "subscriptions", parts[1], *scope[2:]])) is None:
            raise resource_not_found(self._spelled(named), "/".join(scope[7::2]), scope[3])

    def _subscription(self, call: Call, text: str) -> str:
        """The subscription's id in its usual form; it has to be one of the caller's own tenant."""
        tenant = self._azure.settings.identity.tenant_of(text)
        if tenant is None:
            raise _unknown_subscription(text)
        if tenant.id != call.principal.tenant_id:
            raise self._tokens.wrong_tenant(call.principal, tenant)
        return text.lower()

    def _subscription_verb(self, lowered: Sequence[str]) -> Verb | None:
        text = "/".join(lowered)
        return next((v for k, v in self._subscription_verbs.items() if re.fullmatch(k, text)), None)

    async def _outside_providers(self, call: Call, lowered: Sequence[str], parts: Sequence[str]) -> Reply:
        pattern = [p if i % 2 == 0 else "*" for i, p in enumerate(lowered)]
        if lowered[0] in ("tenants", "providers"):
            pattern = [lowered[0]] + ["*"] * (len(parts) - 1)
        handler = self._resources.get((call.method, "/".join(pattern)))
        if handler is None:
            if any(path == "/".join(pattern) for _unused, path in self._resources):
                raise method_not_allowed(call)
            raise _bad_path(call)
        subscription = parts[1] if lowered[0] == "subscriptions" and len(parts) > 1 else ""
        group = parts[3] if len(parts) > 3 else ""
        placed = _placed(call, subscription, group, "", [])
        return await handler(placed)

    async def _in_provider(self, call: Call) -> Reply:
        namespace = self._namespaces.get(call.provider.lower())
        if call.resource_group and self._azure.group(call.subscription, call.resource_group) is None:
            raise resource_group_not_found(call.resource_group)
        if namespace is None:
            raise no_such_namespace(call.provider)
        kind = self._kinds.get("/".join([call.provider, *call.types]).lower())
        if kind is None and len(call.types) > len(call.names):
            owner = self._kinds.get("/".join([call.provider, *call.types[:-1]]).lower())
            if owner is not None and call.names:
                return await self._verb(owner, call)
        if kind is None:
            raise ArmError(
                404,
                "InvalidResourceType",
                f"The resource type '{'/'.join(call.types)}' could not be found in the namespace "
                f"'{namespace}' "
                f"for api version '{call.api_version}'. The supported types are "
                f"'{','.join(sorted(k.type.partition('/')[2] for k in self._kinds.values()))}'.",
                gateway=True,
            )
        check_version_of(kind, call.api_version)
        if len(call.types) > len(call.names):
            if call.method != "GET":
                raise method_not_allowed(call)
            return await self._list(kind, call)
        if not call.resource_group and not kind.at_subscription:
            raise _bad_path(call)
        handlers = {
            "GET": kind.get,
            "HEAD": kind.get,
            "PUT": kind.put,
            "PATCH": kind.patch,
            "DELETE": kind.delete,
        }
        if call.method not in handlers:
            raise method_not_allowed(call)
        return await handlers[call.method](call)

    async def _list(self, kind: ResourceKind, call: Call) -> Reply:
        """In pages, also where the kind makes the whole list."""
        reply = await kind.list(call)
        if not reply.paged and isinstance(reply.body, dict):
            reply.body |= self._azure.paging.slice(call, reply.body["value"], PROVIDER_PAGE)
        return reply

    async def _verb(self, kind: ResourceKind, call: Call) -> Reply:
        name = call.types[-1].lower()
        verb = kind.verbs().get(("get " if call.method == "GET" else "") + name)
        if verb is None or call.method not in ("GET", "POST"):
            raise ArmError(
                404,
                "InvalidResourceType",
                f"The resource type '{'/'.join(call.types)}' could not be found in the namespace "
                f"'{kind.namespace}' for api version '{call.api_version}'.",
                gateway=True,
            )
        return await verb(replace(call, types=call.types[:-1]))


def check_version_of(kind: ResourceKind, version: str) -> None:
    """Providers know versions from their own beginning to today; which ones exactly is not checked."""
    if _FIRST_VERSION <= version[:10] <= f"{now():%Y-%m-%d}":
        return
    raise ArmError(
        400,
        "NoRegisteredProviderFound",
        f"No registered resource provider found for location '{LOCATIONS[0].name}' and API version "
        f"'{version}' "
        f"for type '{kind.type.partition('/')[2]}'. The supported api-versions are the released ones from "
        f"'{_FIRST_VERSION}' on. The supported locations are '{', '.join(p.name for p in LOCATIONS)}'.",
        gateway=True,
    )


def _reading(entry: Json, request: Asked) -> str:
    """The action that it takes to see an entry of a list."""
    listed = entry.get("type")
    if not isinstance(listed, str) or listed == "Microsoft.Resources/resourceGroups":
        return request.action
    return f"{listed}/read"


def _placed(call: Call, subscription: str, group: str, provider: str, tail: Sequence[str]) -> Call:
    return replace(
        call,
        subscription=subscription,
        resource_group=group,
        provider=provider,
        types=tuple(tail[0::2]),
        names=tuple(tail[1::2]),
    )


def _unknown_subscription(text: str) -> ArmError:
    try:
        uuid.UUID(text)
    except ValueError:
        return ArmError(
            400,
            "InvalidSubscriptionId",
            f"The provided subscription identifier '{text}' is malformed or invalid.",
            gateway=True,
        )
    return ArmError(
        404, "SubscriptionNotFound", f"The subscription '{text}' could not be found.", gateway=True
    )


def _bad_path(call: Call) -> ArmError:
    return ArmError(
        404,
        "NotFound",
        f"No route of the local Azure answers {call.method} {call.path}.",
        gateway=True,
    )
