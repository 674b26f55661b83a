# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Who uses versions: machines and scale sets of several subscriptions, as Azure lists them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.usage import find_usage

GALLERY = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/galleries/golden"
WIRE = {"id": GALLERY, "name": "golden", "location": "eastus", "properties": {}}
MACHINES = "/subscriptions/{}/providers/Microsoft.Compute/virtualMachines"
SETS = "/subscriptions/{}/providers/Microsoft.Compute/virtualMachineScaleSets"


class Lists:
    """Stands for a session that can list these, and nothing else."""

    def __init__(self, answers: Mapping[str, list[dict[str, Any]] | AzureError]) -> None:
        self.arm = self
        self._answers = answers

    def list(self, path: str, _api_version: str) -> list[dict[str, Any]]:
        answer = self._answers[path]
        if isinstance(answer, AzureError):
            raise answer
        return answer


def session(answers: Mapping[str, list[dict[str, Any]] | AzureError]) -> AzureSession:
    return cast("AzureSession", Lists(answers))


def machine(name: str, reference: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": name, "properties": {"storageProfile": {"imageReference": dict(reference)}}}


def image(version: str = "", exact: str = "") -> dict[str, str]:
    named = f"{GALLERY}/images/web" + (f"/versions/{version}" if version else "")
    return {"id": named, **({"exactVersion": exact} if exact else {})}


def test_machines_and_scale_sets_of_all_subscriptions_use_versions() -> None:
    profile = {"storageProfile": {"imageReference": image("1.0.1")}}
    scale_set = {"id": "/sets/uniform", "properties": {"virtualMachineProfile": profile}}
    newest = {"id": "/sets/newest", "properties": {"virtualMachineProfile": {"storageProfile": {}}}}
    usage = find_usage(
        session(
            {
                MACHINES.format("s"): [machine("/vm/a", image("1.0.0")), {"id": "/vm/other"}],
                SETS.format("s"): [scale_set, newest],
                "/sets/uniform/virtualMachines": [machine("/sets/uniform/0", image(exact="1.0.2"))],
                "/sets/newest/virtualMachines": [],
                MACHINES.format("t"): [machine("/vm/b", image("1.0.0"))],
                SETS.format("t"): AzureError("No.", code="InvalidResourceType", status=404),
            }
        ),
        WIRE,
        ["s", "t"],
    )
    assert usage.of("web", "1.0.0") == ["/vm/a", "/vm/b"]
    assert usage.of("WEB", "1.0.1") == ["/sets/uniform"], "it will make machines of what it names"
    assert usage.of("web", "1.0.2") == ["/sets/uniform"], "it has a machine of that"
    assert usage.of("web", "1.0.3") == []


@pytest.mark.parametrize("kind", [MACHINES, SETS])
def test_what_cannot_be_looked_at_is_not_taken_for_unused(kind: str) -> None:
    answers: dict[str, list[dict[str, Any]] | AzureError] = {MACHINES.format("s"): [], SETS.format("s"): []}
    answers[kind.format("s")] = AzureError("You may not.", code="AuthorizationFailed", status=403)
    with pytest.raises(AzureError, match="You may not"):
        find_usage(session(answers), WIRE, ["s"])
