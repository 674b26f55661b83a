# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Every known cause is found in every form of log, and no other one."""

from __future__ import annotations

from datetime import timedelta

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.panther_causes import CAUSES
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.panther_diagnosis import diagnose

from tests.windows.failure import Failure
from tests.windows.failures import BUSY, FAILURES, HANGS
from tests.windows.sysprep_logs import BEGAN, FORMS, beginning, errors_of, harmless, render, success

_LATER = BEGAN + timedelta(minutes=20)
_failures = pytest.mark.parametrize("failure", FAILURES, ids=[failure.name for failure in FAILURES])


def test_there_is_a_log_for_every_cause() -> None:
    assert {cause.id for cause in CAUSES} <= {failure.cause for failure in FAILURES}


def test_causes_have_one_id_each_and_say_what_to_do() -> None:
    assert len({cause.id for cause in CAUSES}) == len(CAUSES)
    for cause in CAUSES:
        assert cause.title and cause.explanation and cause.remedy and cause.source and cause.rules


@pytest.mark.parametrize("form", FORMS)
@_failures
def test_cause_phase_and_damage_are_told_in_every_form(failure: Failure, form: str) -> None:
    found = diagnose(render(failure.messages, form))
    assert (found["outcome"], found["cause"]) == ("failed", failure.cause)
    assert (found["phase"], found["machine_changed"]) == (failure.phase, failure.changed)
    assert found["phase_basis"] == "log"
    assert found["first_error"]["text"] and found["evidence"] and found["next_step"]


@_failures
def test_image_state_agrees_with_what_the_log_says_of_damage(failure: Failure) -> None:
    found = diagnose(render(failure.messages), failure.state)
    assert (found["cause"], found["machine_changed"]) == (failure.cause, failure.changed)


@_failures
def test_the_errors_alone_give_the_same_cause(failure: Failure) -> None:
    found = diagnose({"Panther/setuperr.log": render(errors_of(failure.messages))})
    assert found["cause"] == failure.cause


@_failures
def test_the_error_log_beside_the_full_one_changes_nothing(failure: Failure) -> None:
    logs = {
        "Panther/setupact.log": render(failure.messages),
        "Panther/setuperr.log": render(errors_of(failure.messages)),
    }
    both, one = diagnose(logs), diagnose(render(failure.messages))
    assert {**both, "logs": one["logs"]} == {
        **one,
        "first_error": both["first_error"],
        "evidence": both["evidence"],
        "benign": both["benign"],
        "other_errors": both["other_errors"],
    }
    assert [line["text"] for line in both["evidence"]] == [line["text"] for line in one["evidence"]]


@_failures
def test_an_older_run_does_not_speak_for_the_last_one(failure: Failure) -> None:
    for older in FAILURES:
        text = render(older.messages) + render(failure.messages, began=_LATER)
        found = diagnose(text)
        assert (found["cause"], found["phase"]) == (failure.cause, failure.phase), older.name
        assert found["earlier_runs"][-1]["cause"] == older.cause
        assert found["run"]["runs"] == 2


@_failures
def test_success_after_a_failure_is_a_success(failure: Failure) -> None:
    found = diagnose(render(failure.messages) + render(success(), began=_LATER))
    assert (found["outcome"], found["cause"], found["next_step"]) == ("succeeded", "none", "")


@_failures
def test_errors_of_an_image_s_own_making_are_not_the_last_run_s(failure: Failure) -> None:
    old = render(list(harmless()), began=BEGAN - timedelta(days=60))
    found = diagnose({"setuperr.log": old + render(errors_of(failure.messages))})
    assert found["cause"] == failure.cause
    assert found["run"]["began"].startswith("2025-11-03")


def test_a_refused_run_names_the_cause_of_the_run_that_broke_the_machine() -> None:
    by_name = {failure.name: failure for failure in FAILURES}
    text = render(by_name["Defender for Endpoint"].messages)
    text += render(by_name["run after a broken one"].messages, began=_LATER)
    found = diagnose(text)
    assert (found["cause"], found["earlier_cause"]) == ("earlier-run-unfinished", "defender-for-endpoint")
    assert "An earlier run failed by defender-for-endpoint." in found["msg"]


def test_a_run_that_has_only_begun_leaves_the_last_failure_to_be_told() -> None:
    failure = next(one for one in FAILURES if one.cause == "servicing-unavailable")
    found = diagnose(render(failure.messages) + render(list(beginning()), began=_LATER))
    assert (found["cause"], found["earlier_cause"]) == ("unknown", "servicing-unavailable")
    assert "An earlier run failed by servicing-unavailable." in found["msg"]


def test_errors_of_runs_that_only_their_endings_tell_apart_are_not_mixed() -> None:
    by_name = {failure.name: failure for failure in FAILURES}
    for first in ("dialog closed", "encrypted volume", "updates in flight"):
        for second in ("app of one user", "Windows' own provider with a code that has no rule"):
            errors = [render(errors_of(by_name[name].messages)) for name in (first, second)]
            found = diagnose({"setuperr.log": "".join(errors)})
            assert (found["cause"], found["run"]["runs"]) == (by_name[second].cause, 2)
            assert found["first_error"]["line"] > errors[0].count("\n")


def test_a_cause_that_another_provider_s_failure_speaks_against_is_not_taken() -> None:
    package = "Package A_1_x64__b was installed for a user, but not provisioned for all users."
    other = "Failure occurred while executing 'Other' from C:\\x\\other.dll; dwRet = 0x1"
    rows = [f"Error SYSPRP {package}", f"Error SYSPRP ActionPlatform::LaunchModule: {other}"]
    assert diagnose(rows[:1])["cause"] == "appx-per-user"
    assert diagnose(rows)["cause"] == "unknown"


def test_what_was_wrong_before_the_failing_provider_began_is_another_matter() -> None:
    failure = next(one for one in FAILURES if one.name == "encrypted volume")
    text = render(failure.messages)
    marker = text.index("Executing method 'ValidateBitLockerState'")
    begin = text.rindex("\r\n", 0, marker) + 2
    odd = "2025-11-03 09:15:02, Error                 SYSPRP Something odd; hr = 0x80004005\r\n"
    found = diagnose(text[:begin] + odd + text[begin:])
    assert found["cause"] == "bitlocker-on"
    assert "BitLocker" in found["first_error"]["text"]
    assert [line["text"] for line in found["other_errors"]] == [odd.strip()]


def test_packages_and_registry_values_are_named() -> None:
    by_cause = {failure.cause: failure for failure in reversed(FAILURES)}
    assert diagnose(render(by_cause["appx-per-user"].messages))["packages"] == [
        "Contoso.Notes_1.2.3.0_x64__0123456789abc"
    ]
    bold = "Error SYSPRP Package **A.B_1_x64__c is installed for a user, but not provisioned for all users**."
    assert diagnose([bold])["packages"] == ["A.B_1_x64__c"]
    (action,) = diagnose(render(by_cause["registry-protected"].messages))["registry"]
    assert (action["key"], action["value"]) == ("HKEY_LOCAL_MACHINE\\Software\\Contoso\\Guard", "MachineId")
    found = diagnose(render(by_cause["external-provider-failed"].messages))
    assert found["provider"] == "C:\\Windows\\System32\\acmesync.dll, GeneralizeEntry"
    assert "acmesync.dll" in found["msg"]


def test_the_true_code_is_told_and_not_its_rest() -> None:
    by_cause = {failure.cause: failure for failure in FAILURES}
    for cause, code in (("servicing-in-use", "0x800f0975"), ("servicing-unavailable", "0x80080005")):
        codes = diagnose(render(by_cause[cause].messages))["codes"]
        assert {one["code"] for one in codes} == {code}


def test_good_images_have_errors_and_no_cause() -> None:
    found = diagnose(render(success()), "IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE")
    assert (found["outcome"], found["cause"], found["phase"]) == ("succeeded", "none", "complete")
    assert len(found["benign"]) == 10
    assert not found["other_errors"]


def test_a_provider_that_hangs_is_a_cause_only_with_a_machine_in_the_midst_of_it() -> None:
    found = diagnose(render(HANGS.messages), HANGS.state)
    assert (found["outcome"], found["cause"], found["phase"]) == ("unfinished", HANGS.cause, HANGS.phase)
    assert diagnose(render(HANGS.messages))["cause"] == "unknown"
    assert diagnose(render(HANGS.messages), "IMAGE_STATE_COMPLETE")["cause"] == "unknown"


def test_a_log_of_a_run_that_goes_on_has_no_cause() -> None:
    found = diagnose(render(BUSY.messages), BUSY.state)
    assert (found["outcome"], found["cause"], found["phase"]) == ("unfinished", "unknown", BUSY.phase)
    assert "spbcd.dll" in found["unfinished_provider"]
    assert found["next_step"].startswith("Wait as long as")


def test_an_error_that_nobody_knows_ends_no_run() -> None:
    text = render(BUSY.messages) + "2025-11-03 09:30:00, Error                 SYSPRP Something odd\r\n"
    found = diagnose(text, BUSY.state)
    assert (found["outcome"], found["cause"]) == ("unfinished", "unknown")
    assert found["first_error"]["text"].endswith("Something odd")
    assert found["first_error"] in found["evidence"]


def test_a_state_that_the_log_does_not_explain_makes_the_damage_worse_never_better() -> None:
    by_name = {failure.name: failure for failure in FAILURES}
    validated = render(by_name["encrypted volume"].messages)
    assert diagnose(validated, "IMAGE_STATE_UNDEPLOYABLE")["machine_changed"] == "yes"
    generalized = render(by_name["rearms used up"].messages)
    assert diagnose(generalized, "IMAGE_STATE_COMPLETE")["machine_changed"] == "yes"


def test_the_states_on_a_console_count_where_none_was_read() -> None:
    rows = ["builder: IMAGE_STATE_COMPLETE", "builder: IMAGE_STATE_UNDEPLOYABLE"]
    assert diagnose(rows)["image_state"] == "IMAGE_STATE_UNDEPLOYABLE"
    assert diagnose(rows, "IMAGE_STATE_COMPLETE")["image_state"] == "IMAGE_STATE_COMPLETE"
    assert diagnose(rows)["cause"] == "unknown"


def test_of_several_folders_sysprep_s_own_is_read() -> None:
    by_cause = {failure.cause: failure for failure in FAILURES}
    logs = {
        "C:\\Windows\\Panther\\setupact.log": render(by_cause["bitlocker-on"].messages),
        "C:\\Windows\\System32\\Sysprep\\Panther\\setupact.log": render(by_cause["dsc-state"].messages),
    }
    found = diagnose(logs)
    assert found["cause"] == "dsc-state"
    assert found["logs_left_out"] == ["C:\\Windows\\Panther\\setupact.log"]


@pytest.mark.parametrize("logs", ["", [], {}, {"setupact.log": ""}])
def test_no_log_is_no_run_and_no_success(logs: object) -> None:
    found = diagnose(logs)  # type: ignore[arg-type]
    assert (found["outcome"], found["cause"], found["first_error"]) == ("no-run", "unknown", None)


def test_a_log_that_stops_after_its_beginning_says_nothing() -> None:
    found = diagnose(render(list(beginning())))
    assert (found["outcome"], found["cause"], found["machine_changed"]) == ("unfinished", "unknown", "no")


@pytest.mark.parametrize("kind", ["cleanup", "generalize"])
@pytest.mark.parametrize("side", ["internal", "external"])
def test_a_log_that_ends_where_providers_begin_tells_the_phase(kind: str, side: str) -> None:
    found = diagnose(
        [f"2025-11-03 09:15:00, Info SYSPRP WinMain:Processing '{kind}' {side} provider request."]
    )
    assert (found["outcome"], found["cause"], found["phase"]) == ("unfinished", "unknown", f"{kind}-{side}")
