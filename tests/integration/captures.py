# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Machines to capture, galleries to capture to, and captures without a playbook."""

from __future__ import annotations

import itertools
import json
import ssl
import urllib.request
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.evidence import MARK_TAG, mark
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.job import Captured, capture
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.request import CaptureRequest
from ansible_collections.goldenimage.azure.plugins.module_utils._image.findings import Refused

from tests.integration.cloud import LocalAzure
from tests.integration.machines import COMPUTE

GALLERIES = "Microsoft.Compute/galleries"
_numbers = itertools.count(1)


def interface(azure: LocalAzure, group: str, name: str) -> str:
    """Id of a new network interface in the group's network, which is made when it is not there."""
    network = azure.id(group, "Microsoft.Network/virtualNetworks", "capture-net")
    if azure.get(network) is None:
        subnet = {"name": "default", "properties": {"addressPrefix": "10.7.0.0/20"}}
        space = {"addressSpace": {"addressPrefixes": ["10.7.0.0/16"]}, "subnets": [subnet]}
        azure.put(network, {"location": "eastus", "properties": space})
    made = azure.id(group, "Microsoft.Network/networkInterfaces", name)
    address = {"name": "one", "properties": {"subnet": {"id": f"{network}/subnets/default"}}}
    azure.put(made, {"location": "eastus", "properties": {"ipConfigurations": [address]}})
    return made


def machine(
    azure: LocalAzure,
    group: str,
    name: str,
    *,
    luns: tuple[int, ...] = (0, 5),
    power: str = "stopped",
    marked: bool = True,
    system: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None,
    body: Mapping[str, Any] | None = None,
    **properties: Any,
) -> str:
    """Id of a machine of attached disks, Linux of generation V1, with the tag of a generalized guest.

    `system` and `data` are more properties of its disks, `body` and `properties` of the machine.
    """
    disk = azure.disk(
        group, f"{name}-os", size_gb=4, **{"osType": "Linux", "hyperVGeneration": "V1", **(system or {})}
    )
    storage = {
        "osDisk": {
            "createOption": "Attach",
            "osType": "Linux",
            "caching": "ReadWrite",
            "managedDisk": {"id": disk},
        },
        "dataDisks": [
            {
                "lun": lun,
                "createOption": "Attach",
                "caching": "ReadOnly" if lun else "None",
                "managedDisk": {"id": azure.disk(group, f"{name}-{lun}", size_gb=1 + lun, **(data or {}))},
            }
            for lun in luns
        ],
    }
    wanted = {
        "location": "eastus",
        **(body or {}),
        "properties": {
            "hardwareProfile": {"vmSize": "Standard_DS1_v2"},
            "storageProfile": storage,
            "networkProfile": {"networkInterfaces": [{"id": interface(azure, group, f"{name}-nic")}]},
            **properties,
        },
    }
    made = azure.id(group, f"{COMPUTE}/virtualMachines", name)
    azure.put(made, wanted)
    if power != "running":
        azure.do("POST", f"{made}/{'powerOff' if power == 'stopped' else 'deallocate'}")
    if marked:
        mark_generalized(azure, made)
    return made


def mark_generalized(azure: LocalAzure, vm: str, vm_id: str | None = None) -> None:
    """What the role leaves on a machine whose guest it has generalized."""
    own = str(azure.get(vm)["properties"]["vmId"])
    value = mark(vm_id or own, datetime.now(timezone.utc))
    azure.do("PATCH", vm, {"tags": {MARK_TAG: value}})


def answer_commands(azure: LocalAzure, answer: Mapping[str, Any]) -> None:
    """What scripts that run commands send to a machine answer from now on."""
    control(azure, "run-command-answers", answer)


def control(azure: LocalAzure, endpoint: str, body: Mapping[str, Any]) -> None:
    """Tell the local Azure itself something."""
    request = urllib.request.Request(  # noqa: S310 - https, loopback
        f"{azure.url}/local-azure/{endpoint}",
        method="POST",
        data=json.dumps(body).encode(),
        headers={"x-local-azure-control-key": azure.env["LOCAL_AZURE_CONTROL_KEY"]},
    )
    context = ssl.create_default_context(cafile=azure.env["SSL_CERT_FILE"])
    with urllib.request.urlopen(request, context=context, timeout=30) as reply:  # noqa: S310
        assert reply.status < 300


def power_and_flag(azure: LocalAzure, vm: str) -> tuple[str, bool]:
    """The machine's power state, and whether it is marked generalized."""
    codes = [status["code"] for status in azure.get(f"{vm}/instanceView")["statuses"]]
    power = next(code.partition("/")[2] for code in codes if code.startswith("PowerState"))
    return power, "OSState/generalized" in codes


def definition(
    azure: LocalAzure,
    group: str,
    name: str,
    *,
    gallery: str = "golden",
    location: str = "eastus",
    **properties: Any,
) -> str:
    """Id of an image definition, and of its gallery when that is not there; generation V1, generalized."""
    parent = azure.id(group, GALLERIES, gallery)
    if azure.get(parent) is None:
        azure.put(parent, {"location": "eastus", "properties": {}})
    made = f"{parent}/images/{name}"
    wanted = {
        "osType": "Linux",
        "osState": "Generalized",
        "hyperVGeneration": "V1",
        "identifier": {"publisher": "p", "offer": "o", "sku": f"s{next(_numbers)}"},
        **properties,
    }
    azure.put(made, {"location": location, "properties": wanted})
    return made


def image(name: str, **more: Any) -> dict[str, Any]:
    return {"type": "managed_image", "name": name, **more}


def version(name: str, number: str = "1.0.0", **more: Any) -> dict[str, Any]:
    """A version of definition `name` in gallery golden, replicated in the shortest way."""
    given = {
        "gallery": "golden",
        "definition": name,
        "version": number,
        "replication_mode": "Shallow",
        **more,
    }
    return {"type": "gallery_version", **given}


def captured(
    session: AzureSession,
    group: str,
    name: str,
    *targets: Mapping[str, Any],
    check: bool = False,
    **options: Any,
) -> Captured:
    given = {"source_vm": name, "resource_group": group, "targets": list(targets), **options}
    request = CaptureRequest.from_options(given, session.subscription_id)
    return capture(session, request, check_mode=check, waiter=Waiter())


def refused(
    azure: LocalAzure, session: AzureSession, group: str, name: str, *targets: Any, **options: Any
) -> list[tuple[str, str, str]]:
    """Id, what and remedy of each finding; no request was sent that could have changed something."""
    mark = azure.mark()
    with pytest.raises(Refused) as refusal:
        captured(session, group, name, *targets, **options)
    assert azure.writes(mark) == []
    for finding in refusal.value.findings:
        assert finding.what in str(refusal.value)
    return [(finding.id, finding.what, finding.remedy) for finding in refusal.value.findings]


def ids(found: list[tuple[str, str, str]]) -> list[str]:
    return [finding[0] for finding in found]
