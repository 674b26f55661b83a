# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Microsoft.Resources: tenants, subscriptions, locations, provider registrations, resource groups."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence

from tests.local_azure.azure import LocalAzure, group_id
from tests.local_azure.call import Call, Reply
from tests.local_azure.errors import ArmError, resource_group_not_found
from tests.local_azure.identity.directory import Subscription, Tenant
from tests.local_azure.kinds import ResourceKind, Verb, being_deleted, check_location, check_tags, json_object
from tests.local_azure.locations import LOCATIONS, geographies
from tests.local_azure.operation_urls import job_id
from tests.local_azure.providers.resources.provider_registry import ProviderRegistry
from tests.local_azure.providers.resources.resource_lists import GROUP, ResourceLists
from tests.local_azure.store import Json, Resource

_GROUP_NAME = re.compile(r"^[-\w._()]{0,89}[-\w_()]$")


class Resources:
    def __init__(self, azure: LocalAzure, kinds: Sequence[ResourceKind]) -> None:
        self._azure = azure
        self._kinds = {kind.type.lower(): kind for kind in kinds}
        self._lists = ResourceLists(azure)
        self._registry = ProviderRegistry(kinds)
        azure.operations.define("group:delete", self._finish_delete)

    def handlers(self) -> Mapping[tuple[str, str], Verb]:
        group = "subscriptions/*/resourcegroups/*"
        return {
            ("GET", "tenants"): self._tenants,
            ("GET", "providers"): self._providers,
            ("GET", "subscriptions"): self._subscriptions,
            ("GET", "subscriptions/*"): self._subscription,
            ("GET", "subscriptions/*/locations"): self._locations,
            ("GET", "subscriptions/*/providers"): self._providers,
            ("GET", "subscriptions/*/providers/*"): self._provider,
            ("GET", "subscriptions/*/resources"): self._lists.resources,
            ("GET", "subscriptions/*/operationresults/*"): self._operation_result,
            ("POST", "subscriptions/*/providers/*/register"): self._register,
            ("GET", "subscriptions/*/resourcegroups"): self._lists.groups,
            ("GET", group): self._group,
            ("HEAD", group): self._group_exists,
            ("PUT", group): self._put_group,
            ("PATCH", group): self._patch_group,
            ("DELETE", group): self._delete_group,
            ("GET", f"{group}/resources"): self._lists.resources,
        }

    def _tenant(self, call: Call) -> Tenant:
        """The caller's."""
        identity = self._azure.settings.identity
        return identity.tenant(call.principal.tenant_id) or identity.home

    async def _tenants(self, call: Call) -> Reply:
        tenant = self._tenant(call)
        entry = {
            "id": f"/tenants/{tenant.id}",
            "tenantId": tenant.id,
            "displayName": tenant.name,
            "defaultDomain": tenant.domain,
            "tenantCategory": "Home",
        }
        return Reply(200, {"value": [entry]}, compact=True)

    def _subscription_body(self, tenant: Tenant, subscription: Subscription) -> Json:
        return {
            "id": f"/subscriptions/{subscription.id}",
            "authorizationSource": "RoleBased",
            "managedByTenants": [],
            "subscriptionId": subscription.id,
            "tenantId": tenant.id,
            "displayName": subscription.name,
            "state": "Enabled",
            "subscriptionPolicies": {
                "locationPlacementId": "Public_2014-09-01",
                "quotaId": "PayAsYouGo_2014-09-01",
                "spendingLimit": "Off",
            },
        }

    async def _subscriptions(self, call: Call) -> Reply:
        tenant = self._tenant(call)
        seen = (s for s in tenant.subscriptions if self._sees(call, s))
        value = [self._subscription_body(tenant, s) for s in seen]
        body = {"value": value, "count": {"type": "Total", "value": len(value)}}
        return Reply(200, body, compact=True)

    def _sees(self, call: Call, subscription: Subscription) -> bool:
        """Who has a right anywhere in a subscription sees that there is one."""
        action = "Microsoft.Resources/subscriptions/read"
        return self._azure.access.allows_within(call.principal, action, f"/subscriptions/{subscription.id}")

    async def _subscription(self, call: Call) -> Reply:
        tenant = self._tenant(call)
        found = next(s for s in tenant.subscriptions if s.id == call.subscription)
        return Reply(200, self._subscription_body(tenant, found), compact=True)

    async def _locations(self, call: Call) -> Reply:
        path = f"/subscriptions/{call.subscription}"
        value = [*(place.body(path) for place in LOCATIONS), *geographies(path)]
        return Reply(200, {"value": value}, compact=True)

    # Providers.

    async def _providers(self, call: Call) -> Reply:
        value = [self._registry.body(n, call.subscription) for n in self._registry.namespaces()]
        return Reply(200, {"value": value}, compact=True)

    async def _provider(self, call: Call) -> Reply:
        wanted = call.path.rstrip("/").rpartition("/")[2].lower()
        return self._provider_reply(call, wanted)

    async def _register(self, call: Call) -> Reply:
        return self._provider_reply(call, call.path.split("/")[4].lower())

    def _provider_reply(self, call: Call, wanted: str) -> Reply:
        for namespace in self._registry.namespaces():
            if namespace.lower() == wanted:
                return Reply(200, self._registry.body(namespace, call.subscription), compact=True)
        raise ArmError(
            404, "InvalidResourceNamespace", f"The resource namespace '{wanted}' is invalid.", gateway=True
        )

    # Resource groups.

    def _require_group(self, call: Call) -> Resource:
        group = self._azure.group(call.subscription, call.resource_group)
        if group is None:
            raise resource_group_not_found(call.resource_group)
        return group

    async def _group(self, call: Call) -> Reply:
        return Reply(200, self._require_group(call).body, compact=True)

    async def _group_exists(self, call: Call) -> Reply:
        if self._azure.group(call.subscription, call.resource_group) is None:
            return Reply(404)
        return Reply(204)

    async def _put_group(self, call: Call) -> Reply:
        name = call.resource_group
        if not _GROUP_NAME.match(name):
            raise ArmError(
                400,
                "InvalidResourceGroup",
                f"The provided resource group name '{name}' has these invalid characters or its length is "
                "not "
                "1 to 90: it must only contain characters which are alphanumeric, '-', '_', '.', '(' or ')', "
                "and cannot end in a period.",
                gateway=True,
            )
        body = json_object(call)
        check_tags(body)
        existing = self._azure.group(call.subscription, name)
        location = body.get("location")
        if not isinstance(location, str) or not location:
            raise ArmError(
                400,
                "LocationRequired",
                "The location property is required for this definition.",
                gateway=True,
            )
        normal = check_location(location, GROUP)
        if existing is not None and existing.location != normal:
            raise ArmError(
                409,
                "InvalidResourceGroupLocation",
                f"Invalid resource group location '{normal}'. The Resource group already exists in location "
                f"'{existing.location}'.",
                gateway=True,
            )
        resource_id = existing.id if existing else group_id(call.subscription, name)
        if existing is not None and existing.state == "Deleting":
            raise being_deleted(name)
        group_body: Json = {
            "id": resource_id,
            "name": existing.name if existing else name,
            "type": GROUP,
            "location": normal,
        }
        if body.get("tags") is not None:
            group_body["tags"] = body["tags"]
        group_body["properties"] = {"provisioningState": "Succeeded"}
        self._azure.store.put(Resource(resource_id, GROUP, name, name, group_body))
        return Reply(200 if existing else 201, group_body, compact=True)

    async def _patch_group(self, call: Call) -> Reply:
        group = self._require_group(call)
        body = json_object(call)
        check_tags(body)
        if "tags" in body:
            group.body["tags"] = body["tags"]
            self._azure.store.put(group)
        return Reply(200, group.body, compact=True)

    async def _delete_group(self, call: Call) -> Reply:
        group = self._require_group(call)
        group.properties["provisioningState"] = "Deleting"
        self._azure.store.put(group)
        operation = self._azure.operations.start(
            "group:delete",
            {"id": group.id},
            call,
            collection=f"/subscriptions/{call.subscription}/operationresults",
            resource_id=group.id,
            azure_seconds=30,
            retry_after=15,
            operation_id=job_id("RESOURCEGROUPDELETIONJOB", group.name, group.location),
        )
        return Reply(202, None, self._azure.operations.headers(operation, aao=False, location=True))

    async def _finish_delete(self, arguments: Json) -> None:
        group = self._azure.store.get(arguments["id"])
        if group is None:
            return
        # Machines first: they hold on to everything else.
        resources = sorted(
            self._azure.store.in_group(group.subscription, group.name),
            key=lambda r: not r.type.endswith("/virtualMachines"),
        )
        for resource in resources:
            if self._azure.store.get(resource.id) is not None:
                await self._remove(resource)
                await asyncio.sleep(0)
        self._azure.store.delete(group.id)

    async def _remove(self, resource: Resource) -> None:
        """Role assignments have no kind of their own."""
        kind = self._kinds.get(resource.type.lower())
        if kind is None:
            self._azure.store.delete(resource.id)
        else:
            await kind.remove(resource)

    async def _operation_result(self, call: Call) -> Reply:
        return self._azure.operations.report(call, call.path.rpartition("/")[2])
