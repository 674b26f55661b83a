# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What on a Windows machine is a trace, what of it is to go, and what is said of the rest."""

from __future__ import annotations

import json
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.goldenimage.azure.plugins.filter import (
    windows_trace_places,
    windows_traces,
    windows_traces_left,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.cleanup import judge_traces, places
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.trace import KINDS, Session
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.traces import TRACES
from hypothesis import given
from hypothesis import strategies as st

from tests.unit._windows.traced import Answers, clean, cleaned, removed

_TEMPORARY, _WINLOGON = (
    "%SystemRoot%\\Temp\\*",
    "HKLM:\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\Winlogon",
)
_HISTORY = "~\\AppData\\Roaming\\Microsoft\\Windows\\PowerShell\\PSReadLine\\*"
_HTTP = Session(transport="http")


_ROLES = Path(__file__).parents[3] / "roles"


def _judged(answers: object, **options: Any) -> dict[str, Any]:
    options.setdefault("transport", "http")
    found: dict[str, Any] = windows_traces.FilterModule().filters()["windows_traces"](answers, **options)
    return found


def _state(judged: dict[str, Any], trace: str) -> str:
    return str(next(each["state"] for each in judged["traces"] if each["id"] == trace))


def _targets(judged: dict[str, Any], kind: str) -> list[str]:
    return [each["target"] for each in judged["remove"] if each["kind"] == kind]


def test_a_machine_without_traces_has_nothing_to_remove_and_the_session_s_account_is_told() -> None:
    judged = _judged(json.dumps(clean()))
    assert judged["remove"] == judged["stops"] == []
    assert [each["id"] for each in judged["traces"] if each["state"] != "absent"] == [
        *(trace.id for trace in TRACES if not trace.default),
        "own-account",
    ]
    assert "own-account (stays): account builder No session can remove its own" in judged["summary"][-1]


@pytest.mark.parametrize("trace", [trace for trace in TRACES if trace.default], ids=lambda trace: trace.id)
def test_each_trace_that_is_there_is_removed_unless_excluded(trace: Any) -> None:
    answers = _full()
    judged = _judged(answers, accounts=["packer"])
    assert _state(judged, trace.id) == "remove"
    assert {each["kind"] for each in judged["remove"] if each["id"] == trace.id} <= set(KINDS)
    without = _judged(answers, accounts=["packer"], exclude=[trace.id])
    assert _state(without, trace.id) == "excluded"
    assert trace.id not in {each["id"] for each in without["remove"]}
    assert next(each["found"] for each in without["traces"] if each["id"] == trace.id)


@pytest.mark.parametrize("trace", [trace.id for trace in TRACES if not trace.default])
def test_what_is_kept_by_default_is_removed_when_included(trace: str) -> None:
    assert _state(_judged(_full()), trace) == "excluded"
    assert _state(_judged(_full(), include=[trace]), trace) == "remove"


def _full() -> Answers:
    """A machine with something of everything."""
    answers = clean(
        {pattern: [f"C:\\{number}"] for number, pattern in enumerate(places("files"))}, places("values")
    )
    machine = cleaned("look_machine")["answers"]
    keys = cleaned("look_registry")["answers"]["user_keys"]["found"]
    servers = "Software\\Microsoft\\Terminal Server Client\\Servers"
    answers["user_keys"]["value"]["found"] = [
        *keys,
        {"key": servers, "path": f"Registry::HKEY_USERS\\S\\{servers}"},
    ]
    answers["winrm"]["value"], answers["event_logs"]["value"] = machine["winrm"], machine["event_logs"]
    return answers


def test_named_accounts_go_with_their_profiles_which_come_first() -> None:
    judged = _judged(clean(), accounts=["PACKER", "gone"])
    assert [(each["kind"], each["target"], each["shown"]) for each in judged["remove"]] == [
        ("profile", "S-1-5-21-1-2-3-1002", "profile C:\\Users\\packer of packer"),
        ("account", "S-1-5-21-1-2-3-1002", "account packer"),
    ]


def test_the_account_of_the_session_and_windows_own_are_refused() -> None:
    with pytest.raises(AnsibleFilterError, match="Builder is the account of this session"):
        _judged(clean(), accounts=["Builder"])
    with pytest.raises(AnsibleFilterError, match="Administrator is an account of Windows itself"):
        _judged(clean(), accounts=["Administrator"])
    assert _judged(clean(), accounts=["builder"], exclude=["build-accounts"])["remove"] == []


def test_listeners_and_certificates_go_unless_the_session_comes_through_them() -> None:
    answers = clean(winrm=cleaned("look_machine")["answers"]["winrm"])
    judged = _judged(answers)
    assert _targets(judged, "listener") == ["*+HTTPS"]
    # The listener's, whoever issued it, and the one in the computer's name; not a service's.
    assert _targets(judged, "certificate") == ["6A1B0042", "77AA"]
    kept = _judged(answers, transport="https")
    assert (_state(kept, "winrm-certificates"), kept["remove"]) == ("kept", [])


def test_keys_that_the_session_logs_in_with_stay() -> None:
    answers = clean({"%ProgramData%\\ssh\\administrators_authorized_keys": ["C:\\ProgramData\\ssh\\a"]})
    assert _state(_judged(answers), "ssh-keys") == "remove"
    assert _state(_judged(answers, transport="ssh"), "ssh-keys") == "kept"


def test_the_answer_file_that_sysprep_takes_stays() -> None:
    pattern = "%SystemDrive%\\*nattend.xml"
    answers = clean({pattern: ["C:\\Autounattend.xml", "C:\\unattend.xml"]})
    assert _targets(_judged(answers), "file") == ["C:\\Autounattend.xml", "C:\\unattend.xml"]
    answers["values"]["value"]["unattend_file"] = {"present": True, "value": "c:\\UNATTEND.xml"}
    assert _targets(_judged(answers), "file") == ["C:\\Autounattend.xml"]
    answers["values"]["value"]["unattend_file"] = {"error": "access denied"}
    assert _judged(answers)["stops"] == ["answer-files"]


def test_what_could_not_be_looked_at_is_unknown_and_stops_where_it_would_be_an_error() -> None:
    answers = clean({_TEMPORARY: ["C:\\Windows\\Temp\\a"], _HISTORY: ["C:\\h"]})
    for match in answers["files"]["value"]["matches"]:
        if match["pattern"] in (_TEMPORARY, _HISTORY):
            match["errors"] = ["access denied"]
    judged = _judged(answers)
    assert judged["stops"] == ["powershell-history"]
    assert _state(judged, "temporary-files") == "unknown"
    # What was seen of the one that does not stop goes.
    assert _targets(judged, "file") == ["C:\\Windows\\Temp\\a"]
    assert _judged(answers, exclude=["powershell-history"])["stops"] == []


@pytest.mark.parametrize(
    "collected", [None, "", "{", [], {}, 7, [["[]"]], {"files": {"ok": False, "error": "no"}}]
)
def test_nothing_heard_is_never_clean(collected: object) -> None:
    judged = _judged(collected, accounts=["packer"])
    assert judged["remove"] == []
    errors = {trace.id for trace in TRACES if trace.default and trace.severity == "error"}
    assert set(judged["stops"]) == errors
    # Where no account is named, none is looked for.
    assert set(_judged(collected)["stops"]) == errors - {"build-accounts"}


_NAMES = ["files", "ok", "value", "matches", "pattern", "paths", "values", "winrm", "people", "sid"]
_LEAVES = st.none() | st.booleans() | st.integers() | st.text()


def _branches(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(children) | st.dictionaries(st.sampled_from(_NAMES), children)


@given(st.recursive(_LEAVES, _branches, max_leaves=20))
def test_garbage_removes_nothing_and_never_raises(collected: object) -> None:
    judged = judge_traces(collected, session=_HTTP)
    assert judged["remove"] == [] or judged["stops"]
    assert judged["stops"]


def test_names_that_no_trace_has_are_refused() -> None:
    for options in ({"include": ["logs"]}, {"exclude": ["logs"]}):
        with pytest.raises(AnsibleFilterError, match="There is no trace 'logs'"):
            _judged(clean(), **options)
    with pytest.raises(AnsibleFilterError, match="is no transport"):
        _judged(clean(), transport="carrier pigeon")
    with pytest.raises(AnsibleFilterError, match="accounts: a list of names is expected"):
        _judged(clean(), accounts="packer")
    with pytest.raises(AnsibleFilterError, match="no places of kind"):
        windows_trace_places.windows_trace_places("drawers")


def test_secrets_are_never_among_what_is_told() -> None:
    name = f"{_WINLOGON}\\DefaultPassword"
    judged = _judged(clean(values=[name]))
    assert _targets(judged, "value") == [name]
    assert "(not told)" not in json.dumps(judged)


_LEFT = windows_traces_left.FilterModule().filters()["windows_traces_left"]


def test_what_could_not_be_removed_is_told_and_stops_where_it_matters() -> None:
    judged = _judged(
        clean({_TEMPORARY: ["C:\\Windows\\Temp\\a", "C:\\Windows\\Temp\\b"], _HISTORY: ["C:\\h"]})
    )
    number = {each["target"]: index for index, each in enumerate(judged["remove"])}
    assert _LEFT(judged, json.dumps(removed(3)))["left"] == []
    busy = _LEFT(judged, [json.dumps(removed(3, {number["C:\\Windows\\Temp\\b"]: "It is in use."}))])
    assert (busy["stops"], busy["summary"]) == (
        False,
        ["temporary-files: C:\\Windows\\Temp\\b. It is in use."],
    )
    assert _LEFT(judged, removed(3, {number["C:\\h"]: "denied"}))["stops"]
    assert [each["error"] for each in _LEFT(judged, removed(2))["left"]] == ["It was not reached."]


@pytest.mark.parametrize(
    "answer", [None, "", "{", [], {"removed": {"ok": False, "error": "no"}}, {"removed": 7}]
)
def test_without_an_answer_all_of_it_may_still_be_there(answer: object) -> None:
    judged = _judged(clean({_HISTORY: ["C:\\h"]}))
    found = _LEFT(judged, answer)
    assert (found["stops"], len(found["left"])) == (True, 1)
    assert "is not known" in found["summary"][0]
    assert _LEFT(answer, answer) == {"left": [], "stops": False, "summary": []}


def test_ids_are_told_apart_and_every_pattern_has_a_base() -> None:
    ids = [trace.id for trace in TRACES]
    assert len(ids) == len(set(ids))
    # Logs last: what is removed before is noted in them.
    assert ids[-1] == "event-logs"
    for pattern in places("files"):
        assert pattern.startswith(("~\\", "%SystemRoot%\\", "%SystemDrive%\\", "%ProgramData%\\"))
        assert ".." not in pattern
        # Never a whole folder of Windows or of an account.
        below = pattern.partition("\\")[2]
        assert below.strip("*?")


def test_a_machine_without_event_logs_has_not_been_looked_at() -> None:
    judged = _judged(clean(event_logs={"listed": 0, "with_records": []}))
    assert (_state(judged, "event-logs"), judged["stops"]) == ("unknown", [])


def test_no_pattern_leads_through_the_links_of_a_profile_that_nobody_may_look_into() -> None:
    # Windows has them for old programs; an error there would make the trace unknown on every machine.
    links = {
        "AppData\\Local": ["Application Data", "History", "Temporary Internet Files"],
        "Documents": ["My Music", "My Pictures", "My Videos"],
        ".": ["Application Data", "Cookies", "Local Settings", "My Documents", "NetHood", "Recent", "SendTo"],
    }
    for pattern in places("files"):
        base, *folders, _last = pattern.split("\\")
        for depth, folder in enumerate(folders):
            parent = "\\".join(folders[:depth]) or "."
            for link in links.get(parent, []) if base == "~" else []:
                assert not fnmatch(link, folder), (pattern, link)


def test_dumps_are_looked_for_where_role_windows_prepare_has_them() -> None:
    prepared = yaml.safe_load((_ROLES / "windows_prepare" / "vars" / "main.yml").read_text(encoding="utf-8"))
    (folder,) = [
        value["data"] for value in prepared["_windows_prepare_dump_values"] if value["name"] == "DumpFolder"
    ]
    assert folder.replace("C:", "%SystemDrive%") + "\\*" in places("files")
