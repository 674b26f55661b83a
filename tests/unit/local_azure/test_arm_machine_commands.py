# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What is done inside virtual machines: run commands in both forms, extensions, boot diagnostics."""

from __future__ import annotations

import pytest
import requests

from tests.local_azure.faults.control import KEY_HEADER, control_key
from tests.unit.local_azure.arm_server import Arm, Json, error_of
from tests.unit.local_azure.machines import DEBIAN, Place, message_of, slowly

_SCRIPT = {"commandId": "RunShellScript", "script": ["echo hello"], "parameters": []}
_AGENT = {
    "publisher": "Microsoft.Azure.Monitor",
    "type": "AzureMonitorLinuxAgent",
    "typeHandlerVersion": "1.0",
}


@pytest.fixture(scope="module")
def place(arm: Arm) -> Place:
    found = Place(arm, "francecentral")
    found.machine("vm", diagnosticsProfile={"bootDiagnostics": {"enabled": True}})
    found.machine("off")
    arm.done(found.post("off", "powerOff"))
    return found


def say(arm: Arm, answer: Json) -> requests.Response:
    headers = {KEY_HEADER: control_key(arm.settings.state_dir)}
    url = f"{arm.settings.url}/local-azure/run-command-answers"
    return arm.http.post(url, json=answer, headers=headers, timeout=30)


def test_action_answers_at_both_places_of_the_operation(place: Place, arm: Arm) -> None:
    with slowly(arm, 30):
        answer = place.post("vm", "runCommand", _SCRIPT)
    assert (answer.status_code, answer.content) == (202, b"")
    assert error_of(place.post("vm", "runCommand", _SCRIPT)) == (409, "Conflict")
    result = arm.done(answer)["properties"]["output"]
    assert result == {
        "value": [
            {
                "code": "ProvisioningState/succeeded",
                "level": "Info",
                "displayStatus": "Provisioning succeeded",
                "message": "Enable succeeded: \n[stdout]\n\n[stderr]\n",
            }
        ]
    }
    assert arm.send("GET", answer.headers["Location"]).json() == result


def test_action_is_refused_where_nothing_can_run(place: Place, arm: Arm) -> None:
    stopped = place.post("off", "runCommand", _SCRIPT)
    assert error_of(stopped) == (409, "OperationNotAllowed")
    assert message_of(stopped) == "The operation requires the VM to be running (or set to run)."
    wrong = place.post("vm", "runCommand", {"commandId": "RunPowerShellScript"})
    assert error_of(wrong) == (400, "BadRequest")
    assert error_of(place.post("vm", "runCommand", {})) == (400, "InvalidParameter")
    body = place.body("closed", DEBIAN)
    body["properties"]["osProfile"]["allowExtensionOperations"] = False
    arm.make(place.path("closed"), body)
    closed = place.post("closed", "runCommand", _SCRIPT)
    assert "when extension operations are disallowed" in message_of(closed)


def test_scripts_answer_what_was_said_they_would(place: Place, arm: Arm) -> None:
    assert say(arm, {"machine": "vm", "contains": "uname", "output": "Linux\n"}).status_code == 200
    done = arm.done(place.post("vm", "runCommand", {**_SCRIPT, "script": ["uname"]}))
    assert "[stdout]\nLinux\n" in done["properties"]["output"]["value"][0]["message"]
    assert say(arm, {"machine": 5}).status_code == 400
    stranger = f"{arm.settings.url}/local-azure/run-command-answers"
    assert arm.http.post(stranger, json={}, timeout=30).status_code == 403


def test_command_resource_lives_below_its_machine(place: Place, arm: Arm) -> None:
    say(arm, {"machine": "vm", "contains": "false", "error": "no\n", "exitCode": 3})
    path = place.path("vm") + "/runCommands/first"
    body: Json = {
        "location": place.region,
        "properties": {
            "source": {"script": "false"},
            "protectedParameters": [{"name": "password", "value": "secret"}],
        },
    }
    answer = arm.send("PUT", path, body)
    assert (answer.status_code, "Location" in answer.headers) == (201, False)
    assert "protectedParameters" not in answer.json()["properties"]
    arm.done(answer)
    assert "instanceView" not in arm.get(path)["properties"]
    view = arm.get(path, "&$expand=instanceView")["properties"]["instanceView"]
    assert (view["executionState"], view["exitCode"], view["error"]) == ("Failed", 3, "no\n")
    assert [r["name"] for r in arm.get(place.path("vm") + "/runCommands")["value"]] == ["first"]
    changed = arm.send("PATCH", path, {"properties": {"source": {"script": "true"}}})
    assert changed.status_code == 200
    arm.done(changed)
    view = arm.get(path, "&$expand=instanceView")["properties"]["instanceView"]
    assert view["executionState"] == "Succeeded"
    strict = {**body, "properties": {**body["properties"], "treatFailureAsDeploymentFailure": True}}
    failed = arm.send("PUT", path + "2", strict)
    assert arm.finish(failed)["error"]["code"] == "VMExtensionProvisioningError"
    gone = arm.send("DELETE", path)
    assert gone.status_code == 202
    arm.done(gone)
    assert error_of(arm.send("GET", path)) == (404, "ResourceNotFound")
    refused = arm.send("PUT", place.path("off") + "/runCommands/x", body)
    assert message_of(refused) == "Cannot modify extensions in the VM when the VM is not running."
    orphan = arm.send("PUT", place.path("none") + "/runCommands/x", body)
    assert error_of(orphan) == (404, "ParentResourceNotFound")


def test_commands_of_a_region_are_told(arm: Arm) -> None:
    base = "providers/Microsoft.Compute/locations/westus/runCommands"
    listed = arm.get(base)["value"]
    assert "script" not in listed[0]
    one = arm.get(f"{base}/RunShellScript")
    assert (one["osType"], len(one["script"])) == ("Linux", 1)
    assert error_of(arm.send("GET", f"{base}/Nothing")) == (404, "NotFound")


def test_extension_shows_in_its_machine(place: Place, arm: Arm) -> None:
    path = place.path("vm") + "/extensions/monitor"
    secret = {"protectedSettings": {"key": "secret"}}
    answer = arm.send("PUT", path, {"location": place.region, "properties": {**_AGENT, **secret}})
    assert answer.status_code == 201
    assert "protectedSettings" not in answer.text
    arm.done(answer)
    machine = arm.get(place.path("vm"), "&$expand=instanceView")
    assert [r["name"] for r in machine["resources"]] == ["monitor"]
    view = machine["properties"]["instanceView"]
    assert view["extensions"][0]["type"] == "Microsoft.Azure.Monitor.AzureMonitorLinuxAgent"
    assert len(view["vmAgent"]["extensionHandlers"]) == 1
    listed = arm.get(place.path("vm").rpartition("/")[0])["value"]
    assert [set(r) for m in listed for r in m.get("resources", [])] == [{"id"}]
    arm.done(arm.send("DELETE", path))
    assert "resources" not in arm.get(place.path("vm"))


def test_machine_is_updated_as_long_as_one_of_its_extensions_is(place: Place, arm: Arm) -> None:
    path, machine = place.path("vm") + "/extensions/slow", place.path("vm")
    with slowly(arm, 60):
        started = arm.send("PUT", path, {"location": place.region, "properties": _AGENT})
        during = arm.get(machine, "&$expand=instanceView")["properties"]
    assert (during["provisioningState"], during["instanceView"]["statuses"][0]["code"]) == (
        "Updating",
        "ProvisioningState/updating",
    )
    assert "time" not in during["instanceView"]["statuses"][0]
    assert during["instanceView"]["extensions"] == [{"name": "slow"}]
    assert during["instanceView"]["vmAgent"]["extensionHandlers"] == []
    arm.done(started)
    after = arm.get(machine, "&$expand=instanceView")["properties"]
    assert after["provisioningState"] == "Succeeded"
    assert "time" in after["instanceView"]["statuses"][0]
    assert after["instanceView"]["extensions"][0]["statuses"]
    arm.done(arm.send("DELETE", path))


def test_boot_diagnostics_are_readable_where_they_are_enabled(place: Place, arm: Arm) -> None:
    assert "bootDiagnostics" in arm.get(place.path("vm") + "/instanceView")
    answer = place.post("vm", "retrieveBootDiagnosticsData")
    assert answer.status_code == 200
    uris = answer.json()
    assert arm.http.get(uris["serialConsoleLogBlobUri"], timeout=30).status_code == 200
    screen = arm.http.get(uris["consoleScreenshotBlobUri"], timeout=30)
    assert screen.content.startswith(b"\x89PNG")
    assert error_of(place.post("off", "retrieveBootDiagnosticsData")) == (409, "OperationNotAllowed")


def test_sizes_that_fit_the_machine_are_listed(place: Place, arm: Arm) -> None:
    sizes = {s["name"] for s in arm.get(place.path("vm") + "/vmSizes")["value"]}
    assert "Standard_DS1_v2" in sizes
    assert not sizes & {"Standard_D2ps_v5", "Standard_D2s_v6"}
