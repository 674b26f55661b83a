# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Microsoft.Resources/deployments: templates deployed to a resource group or a subscription."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from tests.local_azure.azure import LocalAzure
from tests.local_azure.call import Call, Reply
from tests.local_azure.clock import now, storage_time, ticks
from tests.local_azure.errors import ArmError, resource_group_not_found
from tests.local_azure.identity.directory import NOBODY
from tests.local_azure.kinds import ResourceKind, Verb, being_deleted, check_tags, json_object
from tests.local_azure.operations import Operation
from tests.local_azure.providers.resources.deployment_content import (
    Content,
    check_request,
    deployment_properties,
    prepare,
    template_fault,
)
from tests.local_azure.providers.resources.deployment_errors import (
    DeploymentError,
    deployment_failed,
    deployment_not_found,
    not_valid,
    still_active,
)
from tests.local_azure.providers.resources.deployment_preflight import preflight, refuse_forbidden
from tests.local_azure.providers.resources.deployment_run import (
    DeploymentRun,
    Dispatch,
    Requests,
    iso_duration,
)
from tests.local_azure.providers.resources.provider_registry import ProviderRegistry
from tests.local_azure.store import Json, Resource
from tests.local_azure.templates.errors import TemplateError
from tests.local_azure.templates.parameters import is_secret, type_name
from tests.local_azure.templates.plan import DEPLOYMENT_TYPE
from tests.local_azure.templates.scopes import Scope

_NAME = re.compile(r"^[-\w._()]+$", re.ASCII)
_ACTIVE = ("Accepted", "Running")
# Azure numbers its runs downwards from here, so that the newest comes first.
_LAST_TICK = 0x7FFFFFFFFFFFFFFF


class Deployments(ResourceKind):
    """`hidden` has the template, the parameters as given, the ticket of the run and its operations."""

    type = DEPLOYMENT_TYPE
    at_subscription = True

    def __init__(self, azure: LocalAzure, registry: ProviderRegistry) -> None:
        super().__init__(azure)
        self._registry = registry
        self._dispatch: Dispatch | None = None
        self._runs: dict[str, DeploymentRun] = {}
        self.define("run", self._run)
        self.define("delete", self._finish_delete)

    def connect(self, dispatch: Dispatch) -> None:
        """`dispatch` takes the requests for the templates' resources; it is made after its kinds."""
        self._dispatch = dispatch

    def verbs(self) -> Mapping[str, Verb]:
        return {
            "validate": self._validate,
            "cancel": self._cancel,
            "exporttemplate": self._export_template,
        }

    # Where.

    def id_of(self, call: Call) -> str:
        if call.resource_group:
            return super().id_of(call)
        return f"/subscriptions/{call.subscription}/providers/{self.type}/{call.names[0]}"

    def _check_group(self, call: Call) -> None:
        if call.resource_group and self.azure.group(call.subscription, call.resource_group) is None:
            raise resource_group_not_found(call.resource_group)

    def find(self, call: Call) -> Resource | None:
        self._check_group(call)
        return self.azure.store.get(self.id_of(call))

    def require(self, call: Call) -> Resource:
        resource = self.find(call)
        if resource is None:
            raise deployment_not_found(call.names[0])
        return resource

    def _scope(self, subscription: str, group: str, deployment: str, location: str) -> Scope:
        identity = self.azure.settings.identity
        tenant = identity.tenant_of(subscription) or identity.home
        found = self.azure.group(subscription, group) if group else None
        return Scope(
            subscription=subscription,
            tenant=tenant.id,
            group=found.name if found else group,
            group_body=found.body if found else None,
            location=location,
            deployment=deployment,
            subscription_name=next((s.name for s in tenant.subscriptions if s.id == subscription), ""),
            environment={
                "name": "LocalAzure",
                "resourceManager": f"{self.azure.settings.url}/",
                "suffixes": {"storage": self.azure.blobs.endpoint.partition("://")[2]},
            },
        )

    # Requests.

    def _read(self, call: Call) -> tuple[str, Content, Json]:
        """Mode and content of a request that can be deployed, and its body. Raises ArmError."""
        self._check_group(call)
        group = self.azure.group(call.subscription, call.resource_group) if call.resource_group else None
        if group is not None and group.state == "Deleting":
            raise being_deleted(group.name)
        name = call.names[0]
        if len(name) > 64:
            raise DeploymentError(
                400,
                "DeploymentNameLengthLimitExceeded",
                f"The provided deployment name '{name}' has a length of '{len(name)}' which exceeds the "
                "maximum length of '64'. Please see https://aka.ms/arm-deploy for usage details.",
            )
        if not _NAME.match(name):
            raise DeploymentError(
                400, "InvalidDeploymentName", f"The provided deployment name '{name}' is not valid."
            )
        body = json_object(call)
        check_tags(body)
        location = body.get("location")
        if not call.resource_group and not (isinstance(location, str) and location):
            raise DeploymentError(
                400,
                "LocationRequired",
                f"The 'location' property must be specified for '{name}'. "
                "Please see https://aka.ms/deploy-to-subscription for usage details.",
            )
        mode, template, parameters = check_request(body, name)
        scope = self._scope(call.subscription, call.resource_group, name, str(location or ""))
        content = prepare(scope, template, parameters, self._registry.by_namespace(call.subscription))
        refuse_forbidden(content, self.azure.access, call.principal)
        details = preflight(content, self._registry)
        if details:
            raise not_valid(name, details)
        return mode, content, body

    async def put(self, call: Call) -> Reply:
        existing = self.find(call)
        if existing is not None and existing.state in _ACTIVE:
            raise still_active(existing.name, str(existing.properties["timestamp"]))
        mode, content, body = self._read(call)
        started = now()
        ticket = f"{_LAST_TICK - ticks(started):020d}"
        resource = self.new_resource(
            call,
            {
                **({"location": body["location"]} if not call.resource_group else {}),
                **({"tags": body["tags"]} if body.get("tags") else {}),
                "properties": deployment_properties(content, mode, str(uuid.uuid4())),
            },
            {
                "template": content.template,
                "parameters": (body["properties"].get("parameters")) or {},
                "ticket": ticket,
                "started": started.timestamp(),
                "operations": [],
                "principal": call.principal.object_id,
            },
        )
        if existing is not None:
            resource.id = resource.body["id"] = existing.id
        self.azure.store.put(resource)
        self._start(call, resource, "run", f"{resource.id}/operationStatuses")
        # As in the request, whose path Azure repeats here.
        url = (
            f"{self.azure.settings.url}{call.path}/operationStatuses/{ticket}?api-version={call.api_version}"
        )
        headers = {"Azure-AsyncOperation": url, **self.patience()}
        return Reply(200 if existing else 201, resource.body, headers, compact=True)

    def patience(self) -> dict[str, str]:
        """How soon to ask again, for clients that would wait 30 s otherwise."""
        if self.azure.settings.pace.azure_retry_after:
            return {}
        return {"x-ms-retry-after-ms": "100"}

    def _start(self, call: Call, resource: Resource, work: str, collection: str) -> Operation:
        return self.azure.operations.start(
            f"{self.type}:{work}",
            {"id": resource.id},
            call,
            collection=collection,
            resource_id=resource.id,
            azure_seconds=0,
        )

    async def get(self, call: Call) -> Reply:
        if call.method == "HEAD":
            return Reply(204 if self.find(call) else 404)
        return Reply(200, self.require(call).body, compact=True)

    async def list(self, call: Call) -> Reply:
        self._check_group(call)
        found = [
            resource.body
            for resource in self.azure.store.of_type(self.type, call.resource_group, call.subscription)
        ]
        wanted = re.fullmatch(r"provisioningState eq '(.*)'", call.query.get("$filter", ""))
        if wanted:
            found = [body for body in found if body["properties"]["provisioningState"] == wanted[1]]
        top = call.query.get("$top", "")
        return Reply(200, {"value": found[: int(top)] if top.isdigit() else found}, compact=True)

    async def _validate(self, call: Call) -> Reply:
        mode, content, _body = self._read(call)
        properties = deployment_properties(content, mode, str(uuid.uuid4()))
        properties["provisioningState"] = "Succeeded"
        properties["validatedResources"] = [{"id": resource.id} for resource in content.deployed]
        resource_id = self.id_of(call)
        body = {"id": resource_id, "name": call.names[0], "type": self.type, "properties": properties}
        return Reply(200, body, compact=True)

    async def _export_template(self, call: Call) -> Reply:
        return Reply(200, {"template": self.require(call).hidden["template"]}, compact=True)

    async def _cancel(self, call: Call) -> Reply:
        resource = self.require(call)
        run = self._runs.get(resource.id.lower())
        if resource.state not in _ACTIVE or run is None:
            raise DeploymentError(
                409,
                "DeploymentCannotBeCancelled",
                f"The deployment '{resource.name}' cannot be cancelled because it is not active: its "
                f"provisioning state is '{resource.state}'.",
            )
        run.cancelled = True
        return Reply(204)

    async def delete(self, call: Call) -> Reply:
        resource = self.find(call)
        if resource is None:
            return Reply(204)
        if resource.state in _ACTIVE:
            raise still_active(resource.name, str(resource.properties["timestamp"]))
        results = f"/subscriptions/{call.subscription}/operationresults"
        operation = self._start(call, resource, "delete", results)
        return Reply(202, None, self.azure.operations.headers(operation, aao=False, location=True))

    async def _finish_delete(self, resource: Resource, _arguments: Json) -> None:
        await self.remove(resource)

    # The run.

    async def _run(self, resource: Resource, _arguments: Json) -> None:
        scope_path = resource.id.lower().partition("/providers/")[0].split("/")
        scope = self._scope(
            resource.subscription,
            resource.resource_group if "resourcegroups" in scope_path else "",
            resource.name,
            resource.location,
        )
        principal = self.azure.settings.identity.principal(resource.hidden["principal"]) or NOBODY
        if self._dispatch is None:
            raise RuntimeError("deployments were not connected to the router")
        requests = Requests(self._dispatch, principal)
        content = prepare(
            scope,
            resource.hidden["template"],
            resource.hidden["parameters"],
            self._registry.by_namespace(resource.subscription),
        )
        taken_up = resource.state == "Running"
        resource.properties["provisioningState"] = "Running"

        def changed(operations: list[Json]) -> None:
            resource.hidden["operations"] = operations
            self.keep(resource)

        run = DeploymentRun(
            content, requests, changed, self.azure.operations.busy if taken_up else lambda _resource_id: False
        )
        self._runs[resource.id.lower()] = run
        try:
            await run.deploy()
            if resource.properties["mode"] == "Complete" and not run.errors and not run.cancelled:
                await self._remove_others(content, requests, run)
            await self._finish(resource, content, run)
        finally:
            del self._runs[resource.id.lower()]

    async def _finish(self, resource: Resource, content: Content, run: DeploymentRun) -> None:
        properties = resource.properties
        outputs: Json = {}
        if not run.errors and not run.cancelled:
            try:
                outputs = await asyncio.to_thread(_outputs, content, run.runtime(content.evaluator))
            except TemplateError as error:
                run.errors.append(template_fault(error).error())
        moment = now()
        started = datetime.fromtimestamp(resource.hidden["started"], timezone.utc)
        properties["timestamp"] = storage_time(moment)
        properties["duration"] = iso_duration((moment - started).total_seconds())
        resource.hidden["operations"] = [*run.operations, _final_operation(resource, run)]
        if run.cancelled:
            properties["provisioningState"] = "Canceled"
        elif run.errors:
            properties["provisioningState"] = "Failed"
            properties["error"] = deployment_failed(resource.id, run.errors)
        else:
            properties["provisioningState"] = "Succeeded"
            properties["outputs"] = outputs
            ids = sorted((r.id for r in content.deployed), key=str.lower)
            properties["outputResources"] = [{"id": resource_id} for resource_id in ids]
        self.keep(resource)

    async def _remove_others(self, content: Content, requests: Requests, run: DeploymentRun) -> None:
        """What a complete deployment does to the resources of the group that the template does not name."""
        named = {resource.id.lower() for resource in content.resources}
        for other in self.azure.store.in_group(content.scope.subscription, content.scope.group):
            if other.type == self.type or other.type.count("/") != 1 or other.id.lower() in named:
                continue
            version = self._registry.newest_version(other.type)
            try:
                reply = await requests.send("DELETE", other.id, version)
                error = await requests.finish(reply)
            except ArmError as fault:
                error = fault.error()
            if error is not None:
                run.errors.append(error)


def _outputs(content: Content, evaluator: Any) -> Json:
    shown: Json = {}
    for name, declared in (content.template.get("outputs") or {}).items():
        if evaluator.value(declared.get("condition", True)) is not True:
            continue
        kind = type_name(declared, f"properties.template.outputs.{name}")
        loop = declared.get("copy")
        if isinstance(loop, dict):
            value = evaluator.rounds({**loop, "name": name})
        else:
            value = evaluator.value(declared.get("value"))
        shown[name] = {"type": kind} if is_secret(kind) else {"type": kind, "value": value}
    return shown


def _final_operation(resource: Resource, run: DeploymentRun) -> Json:
    failed = bool(run.errors)
    return {
        "operationId": resource.hidden["ticket"],
        "properties": {
            "provisioningOperation": "EvaluateDeploymentOutput",
            "provisioningState": "Failed" if failed else "Succeeded",
            "timestamp": resource.properties["timestamp"],
            "duration": "PT0.01S",
            "trackingId": str(uuid.uuid4()),
            "statusCode": "BadRequest" if failed else "OK",
        },
    }
