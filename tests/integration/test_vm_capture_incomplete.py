# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Captures to several targets that fail at one of them, after which the machine is another one."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import OperationFailed
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

from tests.integration.captures import captured, definition, ids, image, machine, refused, version
from tests.integration.cloud import LocalAzure
from tests.integration.faults import Rule, faults, rule
from tests.integration.machines import COMPUTE

WITH_A_WAY_BACK = {"stop": True, "assume_generalized": True, "backup": True, "rescue": True}
INCOMPLETE = "goldenimage_incomplete"


def failing(path: str) -> Rule:
    put = {"method": "PUT", "path": path}
    return rule("fails", put, "fail_operation", code="InternalExecutionError", message="No.")


@pytest.fixture(scope="module")
def blobs(azure: LocalAzure, group: str) -> dict[str, Any]:
    account = azure.id(group, "Microsoft.Storage/storageAccounts", "incomplete")
    azure.put(account, {"location": "eastus", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}})
    azure.put(f"{account}/blobServices/default/containers/vhds", {})
    return {"type": "vhd_blobs", "storage_account": "incomplete", "container": "vhds"}


@pytest.mark.parametrize("last", ["version", "image"])
def test_what_was_made_of_a_machine_that_was_then_restored_is_replaced_by_the_next_run(
    azure: LocalAzure, session: AzureSession, group: str, blobs: dict[str, Any], last: str
) -> None:
    name = f"before-{last}"
    machine(azure, group, name, luns=(5,), power="running", marked=False)
    definition(azure, group, name)
    targets = [version(name), blobs, image(name)]
    if last == "version":
        targets.reverse()
    broken = failing(f"**/images/{name}" if last == "image" else f"**/images/{name}/versions/*")
    with faults(azure, broken), pytest.raises(OperationFailed, match=r"kept: .*The machine was restored"):
        captured(session, group, name, *targets, **WITH_A_WAY_BACK)
    # Another build has no business with it.
    theirs = refused(azure, session, group, name, targets[0], **WITH_A_WAY_BACK, build_id="another")
    assert ids(theirs) == ["name-taken"]
    done = captured(session, group, name, *targets, **WITH_A_WAY_BACK)
    assert [target["made"] for target in done.targets] == [True, True, True]
    tags = [target["tags"] for target in done.targets]
    assert len({each["goldenimage_sources"] for each in tags}) == 1, "all are made of one machine"
    assert not [each for each in tags if INCOMPLETE in each]
    assert not captured(session, group, name, *targets, **WITH_A_WAY_BACK).changed


def test_what_was_made_in_vain_is_gone_on_with_while_the_machine_is_the_same(
    azure: LocalAzure, session: AzureSession, group: str, blobs: dict[str, Any]
) -> None:
    machine(azure, group, "same", luns=(5,))
    definition(azure, group, "same")
    targets = (blobs, version("same"), image("same"))
    with faults(azure, failing("**/images/same")), pytest.raises(OperationFailed, match="No"):
        captured(session, group, "same", *targets)
    assert (
        INCOMPLETE
        in azure.get(f"{azure.id(group, f'{COMPUTE}/galleries', 'golden')}/images/same/versions/1.0.0")[
            "tags"
        ]
    )
    foreseen = captured(session, group, "same", *targets, check=True)
    done = captured(session, group, "same", *targets)
    for each in (foreseen, done):
        assert [target["made"] for target in each.targets] == [False, False, True]
        assert [action.partition(" ")[0] for action in each.actions] == ["Captured", "Changed", "Changed"]
    assert not [target["tags"] for target in done.targets if INCOMPLETE in target["tags"]]
    assert not captured(session, group, "same", *targets).changed


def test_a_mark_that_cannot_be_made_is_told(azure: LocalAzure, session: AzureSession, group: str) -> None:
    machine(azure, group, "unmarked", luns=(), power="deallocated")
    definition(azure, group, "unmarked")
    closed = rule(
        "closed", {"method": "PATCH", "path": "**/images/unmarked"}, "error", status=409, code="Nope"
    )
    targets = (image("unmarked"), version("unmarked"))
    with (
        faults(azure, failing("**/images/unmarked/versions/*"), closed),
        pytest.raises(OperationFailed, match=r"No\..*could not be noted .*Nope.*; delete managed image"),
    ):
        captured(session, group, "unmarked", *targets)
