# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Reads the state of a virtual machine out of its instance view."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

# Tag of a machine whose guest was generalized: when, and the machine's vmId.
GENERALIZED_TAG = "goldenimage_generalized"


class VmState(NamedTuple):
    """`power`: running, stopped, deallocated, starting, stopping, deallocating or None while unknown.

    `failure`: Azure's code and message when provisioning failed.
    """

    power: str | None
    generalized: bool
    provisioning: str
    failure: tuple[str, str] | None


def read_state(machine: Mapping[str, Any]) -> VmState:
    """`machine` is a virtual machine in wire shape, read with $expand=instanceView."""
    properties = machine.get("properties") or {}
    statuses = (properties.get("instanceView") or {}).get("statuses") or []
    power = None
    generalized = False
    failure = None
    for status in statuses:
        kind, _unused, value = str(status.get("code", "")).partition("/")
        if kind == "PowerState":
            power = value.lower()
        elif kind == "OSState":
            generalized = value.lower() == "generalized"
        elif kind == "ProvisioningState" and value.lower().startswith("failed"):
            # "ProvisioningState/failed/OSProvisioningTimedOut": the code of the failure is the last part.
            failure = (value.partition("/")[2] or "ProvisioningFailed", str(status.get("message", "")))
    return VmState(power, generalized, str(properties.get("provisioningState", "")), failure)
