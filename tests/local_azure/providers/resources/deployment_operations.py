# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What is told of a deployment's run: its status, and one operation for each resource."""

from __future__ import annotations

from dataclasses import replace

from tests.local_azure.azure import LocalAzure
from tests.local_azure.call import Call, Reply
from tests.local_azure.kinds import ResourceKind
from tests.local_azure.providers.resources.deployment_errors import DeploymentError
from tests.local_azure.providers.resources.deployments import Deployments
from tests.local_azure.store import Json, Resource
from tests.local_azure.templates.plan import DEPLOYMENT_TYPE


class _OfDeployment(ResourceKind):
    at_subscription = True

    def __init__(self, azure: LocalAzure, deployments: Deployments) -> None:
        super().__init__(azure)
        self.deployments = deployments

    def deployment(self, call: Call) -> Resource:
        return self.deployments.require(replace(call, types=call.types[:1], names=call.names[:1]))


class DeploymentStatuses(_OfDeployment):
    """`name` is the ticket that the PUT was answered with."""

    type = f"{DEPLOYMENT_TYPE}/operationStatuses"

    async def get(self, call: Call) -> Reply:
        deployment = self.deployment(call)
        if call.name != deployment.hidden["ticket"]:
            raise DeploymentError(
                404,
                "DeploymentOperationNotFound",
                f"The deployment operation status '{call.name}' of deployment '{deployment.name}' could not "
                "be found.",
            )
        body: Json = {"status": deployment.state}
        error = deployment.properties.get("error")
        if error is not None:
            body["error"] = error
        running = deployment.state in ("Accepted", "Running")
        return Reply(200, body, self.deployments.patience() if running else {}, compact=True)


class DeploymentOperations(_OfDeployment):
    type = f"{DEPLOYMENT_TYPE}/operations"

    def _entries(self, call: Call) -> list[Json]:
        deployment = self.deployment(call)
        return [
            {"id": f"{deployment.id}/operations/{entry['operationId']}", **entry}
            for entry in deployment.hidden["operations"]
        ]

    async def list(self, call: Call) -> Reply:
        entries = self._entries(call)
        top = call.query.get("$top", "")
        return Reply(200, {"value": entries[: int(top)] if top.isdigit() else entries}, compact=True)

    async def get(self, call: Call) -> Reply:
        for entry in self._entries(call):
            if entry["operationId"].lower() == call.name.lower():
                return Reply(200, entry, compact=True)
        raise DeploymentError(
            404, "DeploymentOperationNotFound", f"The deployment operation '{call.name}' could not be found."
        )
