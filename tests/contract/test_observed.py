# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What Azure answers against its own files is counted apart, in exactly those places."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.examples import GROUP, SUBSCRIPTION, exchange
from tests.contract.exchange import Severity
from tests.contract.judge import Judge

ACCOUNT = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/account"
NIC = f"{GROUP}/providers/Microsoft.Network/networkInterfaces/nic"


def severities(judge: Judge, method: str, path: str, version: str, body: Any) -> set[Severity]:
    verdict = judge.judge(exchange(method, path, version=version, body=body))
    return {finding.severity for finding in verdict.findings}


def test_storage_account_key_in_capitals(full_judge: Judge) -> None:
    key = {"keyName": "key1", "value": "x", "permissions": "FULL"}
    path = f"{ACCOUNT}/listKeys"
    assert severities(full_judge, "POST", path, "2023-05-01", {"keys": [key]}) == {Severity.OBSERVED}
    renamed = {"keys": [{"keyName": "key1", "value": "x", "permission": "FULL"}]}
    assert severities(full_judge, "POST", path, "2023-05-01", renamed) == {Severity.VIOLATION}


@pytest.mark.parametrize("as_list", [False, True], ids=["one", "list"])
def test_undeclared_member_of_a_network_interface(as_list: bool, full_judge: Judge) -> None:
    def severity(**members: Any) -> set[Severity]:
        nic = {"id": NIC, "name": "nic", "location": "eastus", **members}
        path, body = (NIC.rpartition("/")[0], {"value": [nic]}) if as_list else (NIC, nic)
        return severities(full_judge, "GET", path, "2024-05-01", body)

    assert severity() == set()
    assert severity(kind="Regular") == {Severity.OBSERVED}
    assert severity(kinds="Regular") == {Severity.VIOLATION}


def test_count_beside_the_subscriptions(full_judge: Judge) -> None:
    subscription = {"id": SUBSCRIPTION, "displayName": "one", "state": "Enabled"}
    body = {"value": [subscription], "count": {"type": "Total", "value": 1}}
    assert severities(full_judge, "GET", "/subscriptions", "2022-12-01", body) == {Severity.OBSERVED}


def test_request_that_only_documentation_tells_of_is_known(sdk_judge: Judge) -> None:
    gallery = f"{GROUP}/providers/Microsoft.Compute/galleries/g"
    kept = f"{gallery}/softDeletedArtifactTypes/Images/artifacts/d/versions/1.0.0"
    assert not sdk_judge.judge(exchange("DELETE", kept, version="2024-03-03", status=204)).is_unmatched
    assert sdk_judge.judge(exchange("POST", kept, version="2024-03-03", status=204)).is_unmatched


def sent(judge: Judge, path: str, version: str, body: Any) -> set[Severity]:
    request = exchange("PUT", f"{GROUP}/providers/{path}", version=version, request=body, status=201)
    return {f.severity for f in judge.judge(request).findings if f.side == "request"}


@pytest.mark.parametrize(
    ("mode", "severity"), [("incremental", Severity.CLIENT), ("INCREMENTAL", Severity.VIOLATION)]
)
def test_deployment_mode_is_taken_in_the_spelling_of_azure_cli_alone(
    mode: str, severity: Severity, full_judge: Judge
) -> None:
    body = {"properties": {"mode": mode, "template": {}}}
    assert sent(full_judge, "Microsoft.Resources/deployments/d", "2024-11-01", body) == {severity}


def test_source_address_is_null_where_azcollection_sends_it_so_and_no_other_value_may_be(
    full_judge: Judge,
) -> None:
    def severity(**more: Any) -> set[Severity]:
        source = {"createOption": "Copy", **more}
        body = {"location": "eastus", "properties": {"creationData": source}}
        return sent(full_judge, "Microsoft.Compute/snapshots/s", "2022-03-02", body)

    assert severity(sourceUri=None) == {Severity.CLIENT}
    assert severity(sourceUri=1) == {Severity.VIOLATION}
    assert severity(sourceResourceId=None) == {Severity.VIOLATION}
