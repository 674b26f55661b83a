# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""A deployment that a stop of the server interrupted goes on when the server is back."""

from __future__ import annotations

import time
from pathlib import Path

from tests.local_azure.settings import Pace
from tests.unit.local_azure.arm_server import Arm, Json, serve

_DISKS = 6


def _template() -> Json:
    disk = {
        "type": "Microsoft.Compute/disks",
        "name": "[format('disk-{0}', copyIndex())]",
        "apiVersion": "2024-03-02",
        "location": "westus",
        "copy": {"name": "disks", "count": _DISKS, "mode": "serial"},
        "properties": {"diskSizeGB": 1, "creationData": {"createOption": "Empty"}},
    }
    return {"resources": [disk], "outputs": {"done": {"type": "bool", "value": "[true()]"}}}


def test_deployment_goes_on_after_a_restart(tmp_path: Path) -> None:
    # Slow enough to be interrupted, quick enough to wait for.
    pace = Pace(speed=10)
    first = serve(tmp_path, pace)
    try:
        arm = Arm(first)
        group = arm.group()
        path = f"{group}/providers/Microsoft.Resources/deployments/long"
        body = {"properties": {"mode": "Incremental", "template": _template()}}
        assert arm.send("PUT", path, body).status_code == 201
        assert arm.get(path)["properties"]["provisioningState"] in ("Accepted", "Running")
    finally:
        first.stop()
    second = serve(tmp_path, pace)
    try:
        arm = Arm(second)
        while (properties := arm.get(path)["properties"])["provisioningState"] == "Running":
            time.sleep(0.05)
        assert properties["provisioningState"] == "Succeeded", properties.get("error")
        assert properties["outputs"]["done"] == {"type": "Bool", "value": True}
        assert len(arm.get(f"{group}/providers/Microsoft.Compute/disks")["value"]) == _DISKS
    finally:
        second.stop()
