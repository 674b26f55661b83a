# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Requests that Azure acted on although their answer never came, over real HTTPS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

from tests.unit._azure.scripted_azure import SUBSCRIPTION, Answer, Asked, ScriptedAzure

Connect = Callable[..., AzureSession]
MACHINE = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/vm"
LOST = Answer(0)
BUSY = Answer(409, {"error": {"code": "OperationNotAllowed", "message": "Another operation is in progress."}})


def in_state(state: str) -> Answer:
    return Answer(body={"id": MACHINE, "properties": {"provisioningState": state}})


class Script:
    """Answers each method's requests in order; the last answer stays."""

    def __init__(self, azure: ScriptedAzure, **answers: list[Answer]) -> None:
        self._answers = answers
        azure.respond = self

    def __call__(self, asked: Asked) -> Answer:
        left = self._answers[asked.method]
        return left.pop(0) if len(left) > 1 else left[0]


def methods(azure: ScriptedAzure) -> list[str]:
    return [asked.method for asked in azure.asked]


def quick() -> Waiter:
    return Waiter(timeout=20, sleep=lambda _seconds: None)


def test_a_put_that_was_acted_on_unheard_is_followed_to_its_end(
    azure: ScriptedAzure, connect: Connect
) -> None:
    looks = [in_state("Creating"), in_state("Creating"), in_state("Succeeded")]
    Script(azure, PUT=[LOST, BUSY], GET=looks)
    made = connect().compute.virtual_machines.put("rg", "vm", {"location": "eastus"}, quick())
    assert made["properties"]["provisioningState"] == "Succeeded"
    assert methods(azure) == ["PUT", "PUT", "GET", "GET", "GET"]


def test_a_put_that_fails_unheard_is_reported(azure: ScriptedAzure, connect: Connect) -> None:
    Script(azure, PUT=[LOST, BUSY], GET=[in_state("Creating"), in_state("Failed")])
    with pytest.raises(AzureError, match="Could not create or update virtual machine vm"):
        connect().compute.virtual_machines.put("rg", "vm", {"location": "eastus"}, quick())


def test_a_put_is_repeated_when_the_work_ended_meanwhile(azure: ScriptedAzure, connect: Connect) -> None:
    Script(azure, PUT=[LOST, BUSY, in_state("Succeeded")], GET=[in_state("Succeeded")])
    made = connect().compute.virtual_machines.put("rg", "vm", {"location": "eastus"}, quick())
    assert made["properties"]["provisioningState"] == "Succeeded"
    assert methods(azure) == ["PUT", "PUT", "GET", "PUT"]


@pytest.mark.parametrize("answers", [[BUSY], [LOST, BUSY]])
def test_a_conflict_without_work_of_ours_is_a_refusal(
    azure: ScriptedAzure, connect: Connect, answers: list[Answer]
) -> None:
    Script(azure, PUT=answers, GET=[in_state("Succeeded")])
    with pytest.raises(AzureError, match="Another operation is in progress"):
        connect().compute.virtual_machines.put("rg", "vm", {"location": "eastus"}, quick())


def test_a_delete_that_was_acted_on_unheard_is_repeated_until_it_is_let_in(
    azure: ScriptedAzure, connect: Connect
) -> None:
    Script(azure, DELETE=[LOST, BUSY, Answer(202), Answer(204)])
    assert connect().compute.virtual_machines.delete("rg", "vm", Waiter(wait=False))
    assert methods(azure) == ["DELETE"] * 3


def test_an_answer_that_was_cut_is_read_again(azure: ScriptedAzure, connect: Connect) -> None:
    machine: dict[str, Any] = in_state("Succeeded").body
    half = Answer(body=b'{"id": "/subscr', headers={"Content-Type": "application/json"})
    Script(azure, GET=[half, half, Answer(body=machine)])
    assert connect().compute.virtual_machines.get("rg", "vm") == machine
    assert methods(azure) == ["GET"] * 3


def test_an_answer_that_is_always_cut_is_reported(azure: ScriptedAzure, connect: Connect) -> None:
    Script(azure, GET=[Answer(body=b'{"id": "/subscr', headers={"Content-Type": "application/json"})])
    with pytest.raises(AzureError, match="no JSON of Azure's"):
        connect().compute.virtual_machines.get("rg", "vm")
