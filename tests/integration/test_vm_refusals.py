# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What vm refuses after a look at Azure: each with a clear sentence and before any write."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession
from ansible_collections.goldenimage.azure.plugins.module_utils._image.image_request import ImageRequest
from ansible_collections.goldenimage.azure.plugins.module_utils._image.managed_image import ensure_image
from ansible_collections.goldenimage.azure.plugins.module_utils._image.virtual_machine import ensure_vm
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_request import VmRequest

from tests.integration.cloud import LocalAzure
from tests.integration.machines import golden_image, public_key, wanted

NIC = "Microsoft.Network/networkInterfaces"


@pytest.fixture(scope="module")
def image(azure: LocalAzure, group: str) -> str:
    return golden_image(azure, group)


@pytest.fixture(scope="module")
def running(session: AzureSession, group: str, image: str) -> str:
    """Name of a machine that runs."""
    options = wanted(group, "fixed", image=image)
    ensure_vm(session, VmRequest.from_options(options), check_mode=False, waiter=Waiter())
    return "fixed"


@pytest.fixture(scope="module")
def generalized(session: AzureSession, group: str, image: str) -> str:
    """Name of a machine that was generalized."""
    options = wanted(group, "sealed", image=image, power_state="deallocated", generalized=True)
    ensure_vm(session, VmRequest.from_options(options), check_mode=False, waiter=Waiter())
    return "sealed"


def refusal(azure: LocalAzure, session: AzureSession, options: dict[str, Any]) -> str:
    """The sentence with which the module would fail; nothing was written by then."""
    mark = azure.mark()
    with pytest.raises(AzureError) as refused:
        ensure_vm(session, VmRequest.from_options(options), check_mode=False, waiter=Waiter())
    assert azure.writes(mark) == []
    return str(refused.value)


@pytest.mark.parametrize(
    ("change", "fragments"),
    [
        (
            {"image": {"name": "golden", "resource_group": "elsewhere"}},
            ("no managed image golden", "elsewhere"),
        ),
        ({"image": None}, ("no virtual machine bad", "Give image")),
        ({"name": "bad_name"}, ("computer_name: 'bad_name'", "Set computer_name")),
        ({"os_type": "Windows"}, ("os_type", "holds Linux")),
        ({"admin_username": None}, ("admin_username", "generalized")),
        ({"admin_username": "Ops Team"}, ("admin_username", "lower-case")),
        ({"ssh_public_keys": ["~/.ssh/id_ed25519.pub"]}, ("ssh_public_keys[0]", "lookup")),
        ({"ssh_public_keys": [public_key(), "ssh-rsa AAAA x"]}, ("ssh_public_keys[1]",)),
        ({"admin_password": "simple"}, ("admin_password", "too simple")),
        ({"data_disks": [{"lun": 3, "size_gb": 1}]}, ("LUN 3", "data disk of the image")),
        ({"os_disk": {"size_gb": 1}}, ("os_disk.size_gb", "cannot shrink")),
        ({"virtual_network": "none-such", "subnet": "servers"}, ("virtual_network", "none-such")),
        ({"security_type": "TrustedLaunch"}, ("security_type", "security type Standard")),
        ({"generalized": True}, ("running", "power_state")),
    ],
    ids=lambda value: str(value)[:60] if isinstance(value, dict) else "",
)
def test_a_machine_that_azure_would_not_make_is_refused(
    azure: LocalAzure,
    session: AzureSession,
    group: str,
    *,
    image: str,
    change: dict[str, Any],
    fragments: tuple[str, ...],
) -> None:
    message = refusal(azure, session, {**wanted(group, "bad", image=image), **change})
    for fragment in fragments:
        assert fragment in message
    assert "simple" not in message or "too simple" in message


@pytest.mark.usefixtures("image")
def test_a_missing_interface_and_a_foreign_network_are_refused(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    missing = azure.id(group, NIC, "missing")
    message = refusal(azure, session, wanted(group, "bad", network_interfaces=[missing]))
    assert "network_interfaces[0]" in message
    assert missing in message
    network = azure.id(group, "Microsoft.Network/virtualNetworks", "taken-vnet")
    space = {"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}}
    azure.put(network, {"location": "eastus", "properties": space})
    message = refusal(azure, session, wanted(group, "taken"))
    assert network in message
    assert "Give virtual_network and subnet" in message


@pytest.mark.parametrize(
    ("change", "fragments"),
    [
        ({"admin_username": "other"}, ("admin_username: it is ops, not other",)),
        ({"computer_name": "other"}, ("computer_name: it is fixed, not other",)),
        ({"image": "another"}, ("image: it was made from", "golden", "images/another")),
        ({"ssh_public_keys": [public_key("somebody")]}, ("ssh_public_keys", "other keys")),
        ({"os_disk": {"size_gb": 64}}, ("os_disk.size_gb: it is 4, not 64",)),
        ({"data_disks": [{"lun": 9, "size_gb": 1}]}, ("data_disks[0]", "no disk at LUN 9")),
        ({"location": "westus"}, ("location: it is in eastus, not in westus",)),
        ({"zone": "2"}, ("zone: it is in none, not in 2",)),
        ({"security_type": "TrustedLaunch"}, ("security_type: it is Standard",)),
    ],
    ids=lambda value: str(value)[:60] if isinstance(value, dict) else "",
)
def test_what_azure_cannot_change_of_a_machine_is_named(
    azure: LocalAzure,
    session: AzureSession,
    group: str,
    *,
    running: str,
    change: dict[str, Any],
    fragments: tuple[str, ...],
) -> None:
    message = refusal(azure, session, wanted(group, running, **change))
    for fragment in (*fragments, "state: absent"):
        assert fragment in message


@pytest.mark.parametrize(
    ("change", "fragment"),
    [
        ({"power_state": "running"}, "does not start it"),
        ({"tags": {"a": "b"}}, "tags"),
        ({"generalized": False}, "cannot be undone"),
    ],
    ids=str,
)
def test_what_azure_cannot_do_with_a_generalized_machine_is_refused(
    azure: LocalAzure,
    session: AzureSession,
    group: str,
    *,
    generalized: str,
    change: dict[str, Any],
    fragment: str,
) -> None:
    assert fragment in refusal(azure, session, {"resource_group": group, "name": generalized, **change})


def test_no_image_is_made_of_a_machine_that_is_not_generalized(
    azure: LocalAzure, session: AzureSession, group: str, running: str
) -> None:
    mark = azure.mark()
    request = ImageRequest.from_options({"resource_group": group, "name": "of-running", "source_vm": running})
    with pytest.raises(AzureError, match=r"source_vm: fixed is not generalized.*generalized: true"):
        ensure_image(session, request, check_mode=False, waiter=Waiter())
    assert azure.writes(mark) == []
