# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Run command, both forms: the action on a machine and the resource virtualMachines/runCommands."""

from __future__ import annotations

from collections.abc import Mapping

from tests.local_azure.azure import LocalAzure
from tests.local_azure.body_types import RESOURCE, Shape, checked
from tests.local_azure.call import Call, Reply, properties_of
from tests.local_azure.clock import now, wire_time
from tests.local_azure.errors import ArmError, missing_parameter, not_allowed
from tests.local_azure.kinds import ResourceKind, Verb, check_tags, json_object
from tests.local_azure.providers.compute.run_command_answers import ScriptAnswer, answer_of
from tests.local_azure.providers.compute.run_command_documents import document
from tests.local_azure.providers.compute.vm_power import MachinePower
from tests.local_azure.providers.compute.vm_state import MachineState
from tests.local_azure.providers.compute.vm_view import succeeded
from tests.local_azure.store import Json, Resource

_PARAMETER: Mapping[str, Shape] = {"name": str, "value": str}
_ACTION: Mapping[str, Shape] = {"commandId": str, "script": [str], "parameters": [_PARAMETER]}
_SHAPE: Mapping[str, Shape] = {
    **RESOURCE,
    "properties": {
        "source": {"script": str, "scriptUri": str, "commandId": str},
        "parameters": [_PARAMETER],
        "protectedParameters": [_PARAMETER],
        "asyncExecution": bool,
        "runAsUser": str,
        "runAsPassword": str,
        "timeoutInSeconds": int,
        "outputBlobUri": str,
        "errorBlobUri": str,
        "treatFailureAsDeploymentFailure": bool,
    },
}
_SECRETS = ("protectedParameters", "runAsPassword", "outputBlobManagedIdentity", "errorBlobManagedIdentity")
# Recorded: 30 s for a script that does next to nothing.
_SECONDS = 30


def check_extensible(machine: Resource, power: str | None, message: str) -> None:
    """Whether something may be run in the machine: it has to run, with an agent that may."""
    if power != "running":
        raise not_allowed(message)
    profile = machine.properties.get("osProfile") or {}
    if profile.get("allowExtensionOperations") is False or not machine.hidden.get("agent"):
        raise not_allowed(
            "This operation cannot be performed when extension operations are disallowed. To allow, please "
            "ensure VM Agent is installed on the VM and the osProfile.allowExtensionOperations property is "
            "true."
        )


class RunCommandAction:
    def __init__(self, kind: ResourceKind, power: MachinePower, state: MachineState) -> None:
        self._kind = kind
        self._power = power
        self._state = state
        kind.define("run", self._finish)

    def verbs(self) -> Mapping[str, Verb]:
        return {"runcommand": self._run}

    async def _run(self, call: Call) -> Reply:
        machine = self._kind.require(call)
        body = checked(json_object(call), _ACTION)
        name = body.get("commandId")
        if name is None:
            raise missing_parameter("commandId")
        known = document(name)
        windows = machine.properties["storageProfile"]["osDisk"]["osType"] == "Windows"
        if known is None or (known["osType"] == "Windows") != windows:
            raise ArmError(
                400,
                "BadRequest",
                f"The command '{name}' is not a command for virtual machines with "
                f"{'Windows' if windows else 'Linux'}.",
                target="commandId",
            )
        if self._kind.azure.operations.busy(machine.id):
            raise ArmError(
                409,
                "Conflict",
                "Run command extension execution is in progress. Please wait for completion before invoking "
                "a run command.",
            )
        check_extensible(
            machine,
            self._power.seen(machine),
            "The operation requires the VM to be running (or set to run).",
        )
        script = "\n".join(body.get("script") or known["script"])
        operation = self._kind.begin(
            call,
            machine,
            "run",
            {"script": script, "windows": windows},
            azure_seconds=_SECONDS,
            shows_output=True,
        )
        return Reply(202, None, self._kind.azure.operations.headers(operation, aao=True, location=True))

    async def _finish(self, machine: Resource, arguments: Json) -> Json:
        answer = answer_of(self._kind.azure, machine, arguments["script"])
        self._state.touch(machine)
        if arguments["windows"]:
            return {
                "value": [
                    _component("StdOut", answer.output),
                    _component("StdErr", answer.error),
                ]
            }
        message = f"Enable succeeded: \n[stdout]\n{answer.output}\n[stderr]\n{answer.error}"
        return {"value": [{**succeeded(), "message": message}]}


def _component(name: str, text: str) -> Json:
    return {**succeeded(), "code": f"ComponentStatus/{name}/succeeded", "message": text}


class RunCommands(ResourceKind):
    """Commands that stay as resources below their machine; their output is in the instance view."""

    type = "Microsoft.Compute/virtualMachines/runCommands"

    def __init__(self, azure: LocalAzure, power: MachinePower) -> None:
        super().__init__(azure)
        self._power = power
        self.define("run", self._finish)
        self.define("delete", self._finish_delete)

    def render(self, resource: Resource, call: Call) -> Json:
        body = {**resource.body, "properties": dict(resource.properties)}
        if call.query.get("$expand", "").lower() == "instanceview":
            body["properties"]["instanceView"] = resource.hidden.get("view", {"executionState": "Pending"})
        return body

    async def list(self, call: Call) -> Reply:
        machine = self.require_parent(call)
        found = self.azure.store.below(machine.id, self.type)
        return Reply(200, {"value": [self.render(resource, call) for resource in found]})

    async def put(self, call: Call) -> Reply:
        machine = self.require_parent(call)
        existing = self.find(call)
        body = checked(self.check_write(call, existing), _SHAPE)
        given = properties_of(body)
        source = given.get("source") or {}
        if not any(source.get(key) for key in ("script", "scriptUri", "commandId")):
            raise missing_parameter("properties.source")
        return self._begin(call, machine, existing, body, given)

    async def patch(self, call: Call) -> Reply:
        machine = self.require_parent(call)
        existing = self.require(call)
        body = json_object(call)
        check_tags(body)
        body = checked(body, _SHAPE)
        kept = {k: v for k, v in existing.properties.items() if k != "provisioningState"}
        return self._begin(call, machine, existing, body, {**kept, **properties_of(body)})

    def _begin(
        self, call: Call, machine: Resource, existing: Resource | None, body: Json, given: Json
    ) -> Reply:
        check_extensible(
            machine,
            self._power.seen(machine),
            "Cannot modify extensions in the VM when the VM is not running.",
        )
        shown = {k: v for k, v in given.items() if k not in _SECRETS}
        defaults: Json = {"asyncExecution": False, "timeoutInSeconds": 5400}
        properties = {**defaults, **shown, "provisioningState": "Updating" if existing else "Creating"}
        if existing is None:
            tags = {"tags": body["tags"]} if body.get("tags") is not None else {}
            resource = self.new_resource(
                call, {"location": body["location"], **tags, "properties": properties}
            )
        else:
            self.refuse_concurrent(existing)
            resource = existing
            resource.body["properties"] = properties
            if body.get("tags") is not None:
                resource.body["tags"] = body["tags"]
        resource.hidden.pop("view", None)
        self.azure.store.put(resource)
        operation = self.begin(call, resource, "run", azure_seconds=_SECONDS)
        headers = self.azure.operations.headers(operation, aao=True, location=False)
        return Reply(200 if existing else 201, self.render(resource, call), headers)

    async def _finish(self, resource: Resource, _arguments: Json) -> None:
        machine = self.azure.store.get(resource.id.rpartition("/runCommands/")[0])
        source = resource.properties["source"]
        script = source.get("script") or source.get("scriptUri") or source.get("commandId") or ""
        answer = answer_of(self.azure, machine, script) if machine else ScriptAnswer()
        moment = wire_time(now())
        failed = answer.exit_code != 0
        resource.hidden["view"] = {
            "executionState": "Failed" if failed else "Succeeded",
            "executionMessage": "RunCommand script execution completed",
            "exitCode": answer.exit_code,
            "output": answer.output,
            "error": answer.error,
            "startTime": moment,
            "endTime": moment,
            "statuses": [],
        }
        if failed and resource.properties.get("treatFailureAsDeploymentFailure"):
            self.fail(resource)
            raise ArmError(
                409,
                "VMExtensionProvisioningError",
                f"VM has reported a failure when processing run command '{resource.name}'. Exit code: "
                f"{answer.exit_code}.",
            )
        self.succeed(resource)

    async def delete(self, call: Call) -> Reply:
        self.require_parent(call)
        resource = self.find(call)
        if resource is None:
            return Reply(204)
        operation = self.begin(call, resource, "delete")
        return Reply(202, None, self.azure.operations.headers(operation, aao=True, location=True))

    async def _finish_delete(self, resource: Resource, _arguments: Json) -> None:
        await self.remove(resource)
