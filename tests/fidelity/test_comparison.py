# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The comparison finds what is planted: a check that cannot fail would be none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.fidelity.comparison import Answer, Patience, compare
from tests.fidelity.exclusions import Exclusions, changed_since
from tests.fidelity.names import Names
from tests.fidelity.policies import with_own_extensions
from tests.fidelity.recording import (
    Recorded,
    with_own_tags,
    with_true_names,
    with_true_versions,
    with_versions_of_the_time,
)
from tests.fidelity.seeding import presupposed_groups

_DISK = "/subscriptions/{sub}/resourceGroups/{rg1}/providers/Microsoft.Compute/disks/d"
_COLLECTION = "/subscriptions/{sub}/providers/Microsoft.Compute/locations/westus/DiskOperations"
_QUERY = "?p=1&api-version=2023-04-02&t=2&c=3&s=4&h=5"
_BODY = {"name": "d", "zones": ["1"], "properties": {"diskSizeGB": 1, "sizes": [{"a": 1}, {"b": None}]}}
_HEADERS = {
    "azure-asyncoperation": f"https://management.azure.com{_COLLECTION}/one{_QUERY}",
    "location": f"https://management.azure.com{_COLLECTION}/one{_QUERY}&monitor=true",
    "retry-after": "2",
}
_RECORDED = Recorded(1, "PUT", "", _DISK, {"api-version": "2023-04-02"}, None, 202, _HEADERS, _BODY)
_OURS = {
    **_HEADERS,
    **{n: _HEADERS[n].replace("/one?", "/two?") for n in ("azure-asyncoperation", "location")},
}


def found(
    recorded: Recorded = _RECORDED, *, status: int = 202, headers: Any = None, body: Any = None
) -> list[str]:
    answer = Answer(status, _OURS if headers is None else headers, _BODY if body is None else body)
    return [str(difference) for difference in compare(recorded, answer, patience=Patience.SAME)]


def test_the_same_answer_with_another_operation_is_identical() -> None:
    assert found() == []


def test_values_may_differ_where_types_do_not() -> None:
    assert found(body={**_BODY, "name": "other", "zones": ["2", "3"]}) == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({**_BODY, "etag": "1"}, "$.etag: recorded absent, ours string"),
        ({"name": "d", "properties": _BODY["properties"]}, "$.zones: recorded array, ours absent"),
        ({**_BODY, "name": None}, "$.name: recorded string, ours null"),
        ({**_BODY, "name": True}, "$.name: recorded string, ours boolean"),
        ({**_BODY, "zones": []}, "$.zones[]: recorded string, ours absent"),
        ({**_BODY, "zones": {"1": 1}}, "$.zones: recorded array, ours object"),
        (
            {**_BODY, "properties": {"diskSizeGB": "1", "sizes": [{"a": 1, "b": None}]}},
            "$.properties.diskSizeGB: recorded number, ours string",
        ),
        (
            {**_BODY, "properties": {"diskSizeGB": 1, "sizes": [{"a": 1}]}},
            "$.properties.sizes[].b: recorded null, ours absent",
        ),
    ],
)
def test_a_planted_difference_of_shape_is_found(body: Any, expected: str) -> None:
    assert expected in found(body=body)


def test_items_of_a_list_are_compared_together() -> None:
    assert found(body={**_BODY, "properties": {"diskSizeGB": 1, "sizes": [{"b": None, "a": 2}]}}) == []


def test_what_is_below_a_missing_member_is_told_once() -> None:
    assert found(body={"name": "d", "zones": ["1"]}) == ["$.properties: recorded object, ours absent"]


@pytest.mark.parametrize(
    ("recorded", "ours", "expected"),
    [
        ({"status": "Succeeded"}, {"status": "Failed"}, ["$.status: recorded Succeeded, ours Failed"]),
        ({"status": "Running"}, {"status": "Accepted"}, []),
        ({"type": "Microsoft.Compute/disks"}, {"type": "microsoft.compute/disks"}, []),
        (
            {"value": [{"properties": {"diskState": "Attached"}}]},
            {"value": [{"properties": {"diskState": "Unattached"}}]},
            ["$.value[].properties.diskState: recorded Attached, ours Unattached"],
        ),
    ],
)
def test_a_state_told_by_another_word_is_found(recorded: Any, ours: Any, expected: list[str]) -> None:
    assert found(replace(_RECORDED, body=recorded), body=ours) == expected


def test_another_status_is_found_with_the_reason() -> None:
    body = {"error": {"code": "NotFound", "message": "Gone."}}
    assert found(status=404, body=body) == ["status: recorded 202, ours 404 (NotFound: Gone.)"]


@pytest.mark.parametrize(
    ("name", "url", "expected"),
    [
        ("azure-asyncoperation", None, "azure-asyncoperation: recorded"),
        ("location", None, "location: recorded"),
        (
            "location",
            _OURS["location"].replace("DiskOperations", "operations"),
            "location, collection: recorded",
        ),
        ("location", _OURS["location"].replace("&monitor=true", ""), "location, query: recorded"),
        ("location", _OURS["location"].replace("&h=5", ""), "location, query: recorded"),
        (
            "azure-asyncoperation",
            _OURS["azure-asyncoperation"].replace("2023-04-02", "2024-01-01"),
            "azure-asyncoperation, api-version: recorded 2023-04-02, ours 2024-01-01",
        ),
        ("retry-after", "10", "retry-after: recorded 2, ours 10"),
        ("retry-after", None, "retry-after: recorded 2, ours absent"),
    ],
)
def test_a_planted_difference_of_headers_is_found(name: str, url: str | None, expected: str) -> None:
    headers = {n: v for n, v in _OURS.items() if n != name} | ({name: url} if url else {})
    assert [line for line in found(headers=headers) if line.startswith(expected)]


def test_only_the_presence_of_an_estimated_retry_after_counts() -> None:
    ours = Answer(202, {**_OURS, "retry-after": "30"}, _BODY)
    assert compare(_RECORDED, ours, patience=Patience.PRESENT) == []
    assert len(compare(_RECORDED, ours, patience=Patience.SAME)) == 1
    silent = ours._replace(headers={n: v for n, v in _OURS.items() if n != "retry-after"})
    assert len(compare(_RECORDED, silent, patience=Patience.PRESENT)) == 1
    assert compare(_RECORDED, silent) == []


def test_a_header_that_azure_did_not_send_is_found() -> None:
    bare = replace(_RECORDED, headers={"retry-after": "2"})
    assert len(found(bare)) == 2


def test_the_signature_of_newer_status_urls_is_not_held_against_older_recordings() -> None:
    plain = f"https://management.azure.com{_COLLECTION}/one?api-version=2023-04-02"
    old = {**_HEADERS, "azure-asyncoperation": plain, "location": plain + "&monitor=true"}
    assert found(replace(_RECORDED, headers=old)) == []


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ({"code": "Conflict", "message": "Disk 'x' is busy."}, "error.code"),
        ({"code": "NotAllowed", "message": "Disk 'x' is idle."}, "error.message"),
        ({"code": "NotAllowed", "message": "Disk 'x' is busy.", "target": "disk"}, "$.error.target"),
    ],
)
def test_a_planted_difference_of_errors_is_found(error: Any, expected: str) -> None:
    refused = {"error": {"code": "NotAllowed", "message": "Disk 'd' is busy."}}
    recorded = replace(_RECORDED, status=409, headers={}, body=refused)
    assert found(recorded, status=409, headers={}, body={"error": error})[0].startswith(expected)


def test_names_in_an_error_may_differ() -> None:
    refused = {"error": {"code": "NotAllowed", "message": "Disk 'd' is busy."}}
    recorded = replace(_RECORDED, status=409, headers={}, body=refused)
    ours = {"error": {"code": "NotAllowed", "message": "Disk 'other' is busy."}}
    assert found(recorded, status=409, headers={}, body=ours) == []


# What is translated between the recording and the replay.


def test_what_the_server_generated_is_sent_back_as_it_was_generated_here() -> None:
    names = Names({"{sub}": "s1", "{rg1}": "group"}, "https://127.0.0.1:1")
    disk = "vm_OsDisk_1_0123456789abcdef0123456789abcdef"
    ours = "vm_disk1_fedcba9876543210fedcba9876543210"
    names.learn(
        {"id": f"/subscriptions/{{sub}}/disks/{disk}", "etag": "17"},
        {"id": f"/subscriptions/s1/disks/{ours}"},
    )
    assert names.ours(f"/subscriptions/{{sub}}/resourceGroups/{{rg1}}/disks/{disk}") == (
        f"/subscriptions/s1/resourceGroups/group/disks/{ours}"
    )
    assert names.request({"uri": "https://account.blob.core.windows.net/c/b.vhd"}) == {
        "uri": "https://127.0.0.1:1/account/c/b.vhd"
    }
    seen, here = {"signature": "ABC", "accepted": False}, {"signature": "XYZ", "accepted": False}
    assert names.request({"signature": "ABC", "accepted": True}, seen, here) == {
        "signature": "XYZ",
        "accepted": True,
    }


def test_what_is_in_a_list_here_under_its_own_name_is_asked_for_by_it() -> None:
    names = Names({}, "https://127.0.0.1:1")
    here = [{"name": "our-first-1"}, {"name": "offer-17"}, {"name": "our-second-1"}]
    names.learn([{"name": "offer-17"}, {"name": "offer-18"}], here)
    assert (names.ours("offer-17"), names.ours("offer-18")) == ("offer-17", "our-first-1")


def test_placeholders_are_put_back_into_answers() -> None:
    names = Names({"{sub}": "11112222-aaaa", "{rg1}": "group1"}, "https://127.0.0.1:1")
    assert names.theirs("/subscriptions/11112222-AAAA/resourceGroups/GROUP1/x") == (
        "/subscriptions/{sub}/resourceGroups/{rg1}/x"
    )


# What recorders did to their recordings.


def test_rewritten_api_versions_are_put_back() -> None:
    url = f"https://management.azure.com{_COLLECTION}/one?api-version=2019-07-01"
    asked = {"api-version": "2020-06-30"}
    write = replace(_RECORDED, query=asked, headers={"azure-asyncoperation": url})
    read = replace(_RECORDED, method="GET", query=asked, headers={}, status=200)
    other = replace(read, query={"api-version": "2021-01-01"})
    true = list(with_true_versions([write, read, other]))
    assert [e.api_version for e in true] == ["2019-07-01", "2019-07-01", "2021-01-01"]


def test_versions_from_long_after_a_recording_are_taken_back() -> None:
    url = f"https://management.azure.com{_COLLECTION}/one?api-version=2024-07-01"
    made = {"properties": {"timeCreated": "2023-12-19T09:08:06.8+00:00"}}
    later = replace(
        _RECORDED,
        query={"api-version": "2024-07-01"},
        request={"resources": [{"apiVersion": "2024-07-01"}]},
        headers={"location": url},
        body=made,
    )
    near = replace(later, query={"api-version": "2024-03-02"})
    first, second = with_versions_of_the_time([later, near])
    assert first.api_version == "2023-12-19"
    assert first.headers["location"].endswith("api-version=2023-12-19")
    assert first.request == {"resources": [{"apiVersion": "2023-12-19"}]}
    assert second == near
    assert list(with_versions_of_the_time([replace(later, body=None)])) == [replace(later, body=None)]


def test_replaced_names_of_deployments_are_put_back() -> None:
    path = "/subscriptions/{sub}/resourcegroups/{rg1}/providers/Microsoft.Resources/deployments/"
    url = f"https://management.azure.com{path}vm_1/operationStatuses/08?api-version=2022-09-01"
    write = replace(_RECORDED, path=f"{path}mock", headers={"azure-asyncoperation": url})
    read = replace(_RECORDED, method="GET", path=f"{path}mock", headers={})
    assert [e.path for e in with_true_names([read, write, read])] == [
        f"{path}mock",
        f"{path}vm_1",
        f"{path}vm_1",
    ]


def test_tags_that_nobody_sent_are_left_out() -> None:
    sent = replace(_RECORDED, request={"tags": {"own": "1"}})
    answer = replace(_RECORDED, method="GET", body={"value": [{"tags": {"own": "1", "Creator": "policy"}}]})
    assert list(with_own_tags([sent, answer]))[1].body == {"value": [{"tags": {"own": "1"}}]}


def test_extensions_that_nobody_asked_for_are_left_out() -> None:
    machine = "/subscriptions/{sub}/resourceGroups/{rg1}/providers/Microsoft.Compute/virtualMachines/vm"
    own, foreign = ({"name": n, "id": f"{machine}/extensions/{n}"} for n in ("own", "Policy.Agent"))
    made = replace(_RECORDED, method="PUT", path=own["id"])
    views = [{"name": "Policy.Agent", "type": "Policy.Handler"}, {"name": "own"}]
    agent = {"extensionHandlers": [{"type": "Policy.Handler"}]}
    shown = [
        {"name": "vm", "resources": [foreign, own]},
        {"name": "vm", "resources": [foreign]},
        {"value": [foreign, own]},
        {"vmAgent": agent, "extensions": views},
    ]
    answers = [replace(_RECORDED, method="GET", body=body) for body in shown]
    assert [e.body for e in with_own_extensions([made, *answers])][1:] == [
        {"name": "vm", "resources": [own]},
        {"name": "vm"},
        {"value": [own]},
        {"vmAgent": {"extensionHandlers": []}, "extensions": [{"name": "own"}]},
    ]


def test_groups_that_a_recording_takes_for_granted_are_found() -> None:
    base = "/subscriptions/{sub}/resourcegroups/"
    shown = {"location": "eastus", "tags": {"a": "b"}, "properties": {}}
    exchanges = [
        replace(_RECORDED, method="PUT", path=f"{base}{{rg2}}", status=201, headers={}, body={}),
        replace(_RECORDED, path=f"{base}{{rg2}}/providers/Microsoft.Compute/disks/d"),
        replace(_RECORDED, path=f"{base}{{rg1}}/providers/Microsoft.Compute/disks/d"),
        replace(_RECORDED, method="GET", path=f"{base}{{rg1}}", status=200, headers={}, body=shown),
        replace(_RECORDED, method="GET", path=f"{base}{{rg3}}", status=404, headers={}, body={}),
    ]
    assert presupposed_groups(exchanges) == {"{rg1}": {"location": "eastus", "tags": {"a": "b"}}}


# What does not count.


def test_what_lies_outside_is_excluded_with_its_deployments() -> None:
    vault = replace(_RECORDED, path=_DISK.replace("Compute/disks", "KeyVault/vaults"))
    path = "/subscriptions/{sub}/resourcegroups/{rg1}/providers/Microsoft.Resources/deployments/a"
    template = {"resources": [{"type": "Microsoft.Compute/virtualMachineScaleSets"}]}
    deployment = replace(_RECORDED, path=path, request={"properties": {"template": template}})
    poll = replace(_RECORDED, method="GET", path=f"{path}/operationStatuses/1")
    other = replace(_RECORDED, method="GET", path=f"{path}b")
    exchanges = [vault, deployment, poll, other, replace(_RECORDED, host="graph.microsoft.com"), _RECORDED]
    exclusions = Exclusions(exchanges)
    reasons = [exclusions.reason(position, exchange) for position, exchange in enumerate(exchanges)]
    assert [reason is None for reason in reasons] == [False, False, False, True, False, True]


def test_an_answer_that_the_recorder_put_too_early_is_excluded() -> None:
    shows = replace(_RECORDED, method="GET", status=200, body={"managedBy": _DISK})
    made = replace(_RECORDED, status=201)
    early, late = Exclusions([shows, made]), Exclusions([made, shows])
    assert early.reason(0, shows) is not None
    assert late.reason(1, shows) is None


def test_what_the_service_does_by_itself_for_a_while_is_excluded() -> None:
    snapshot = "/subscriptions/{sub}/resourceGroups/{rg1}/providers/Microsoft.Compute/snapshots/s"
    body = {"id": snapshot, "type": "Microsoft.Compute/snapshots", "properties": {"diskState": "ActiveSAS"}}
    shows = replace(_RECORDED, method="GET", path=snapshot, body=body)
    opens = replace(_RECORDED, method="POST", path=f"{snapshot}/beginGetAccess")
    exclusions = Exclusions([shows, opens, shows])
    assert exclusions.reason(0, shows) is not None
    assert exclusions.reason(2, shows) is None
    message = "VM status blob is found but not yet populated."
    machine = replace(_RECORDED, method="GET", path=snapshot.replace("snapshots", "virtualMachines"))
    silent = replace(machine, body={"vmAgent": {"statuses": [{"message": message}]}})
    assert Exclusions([silent]).reason(0, silent) is not None


def test_recordings_that_contradict_each_other_are_excused_at_that_place_only() -> None:
    interface = replace(_RECORDED, path=_DISK.replace("Compute/disks", "Network/networkInterfaces"))
    assert changed_since(interface, "$.properties.enableAcceleratedNetworking")
    assert not changed_since(interface, "$.properties.primary")
    assert not changed_since(_RECORDED, "$.properties.enableAcceleratedNetworking")
