# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""When the machine that is to be captured is waited for, and when not."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import WaitTimeout
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.source import read_source


def session_with(state: str, power: str) -> Mock:
    """One whose only machine is as said, without disks."""
    machine: dict[str, Any] = {
        "id": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/m",
        "properties": {
            "provisioningState": state,
            "instanceView": {"statuses": [{"code": f"PowerState/{power}"}]},
        },
    }
    session = Mock()
    session.compute.virtual_machines.get.side_effect = lambda *_names, **_query: machine
    return session


@pytest.mark.parametrize("power", ["starting", "stopping", "deallocating"])
def test_a_machine_that_is_being_switched_is_waited_for_unless_that_has_failed(power: str) -> None:
    request = Mock(vm_group="g", vm_name="m")
    with pytest.raises(WaitTimeout):
        read_source(session_with("Succeeded", power), request, Waiter(True, 0))
    source = read_source(session_with("Failed", power), request, Waiter(True, 0))
    assert source is not None
    assert source.running
