# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""What other programs and other runs have written never becomes a cause, and does not hide one."""

from __future__ import annotations

from datetime import timedelta

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.panther_diagnosis import diagnose
from hypothesis import given
from hypothesis import strategies as st

from tests.windows.failure import Failure
from tests.windows.failures import FAILURES
from tests.windows.sysprep_logs import BEGAN, errors_of, harmless, launch_failed, refused, render
from tests.windows.sysprep_logs import Provider as Library

_BY_NAME = {failure.name: failure for failure in FAILURES}
_NOISE = (
    "    azure-arm: Installing 3 updates; this update requires a reboot",
    "==> azure-arm: The virtual machine is in an invalid state for this operation.",
    "    azure-arm: setup.exe: unable to parse command-line",
    "    azure-arm: System error 2245 has occurred. error code: 2245",
    "    azure-arm: Error: 0xC004D307 On a computer running Windows, run slui.exe",
    "    azure-arm: Error: 0x800f0975",
    "    azure-arm: IMAGE_STATE_UNDEPLOYABLE",
    "[IE sysprep provider] RegOpenKeyEx failed on 'Software\\Contoso' (0x00000002)",
    "MRTGeneralize:120 - WARNING: Failed DeleteInstance Product hr=2147749890",
    "Info SYSPRP ========================================================",
)


@pytest.mark.parametrize("row", [row for row in _NOISE if "0x" not in row])
def test_what_other_programs_say_is_no_cause(row: str) -> None:
    assert diagnose([row])["cause"] == "unknown"


@given(st.data())
def test_what_other_programs_say_does_not_change_the_cause(data: st.DataObject) -> None:
    failure = data.draw(st.sampled_from(FAILURES))
    rows = render(failure.messages).splitlines()
    for row in data.draw(st.lists(st.sampled_from(_NOISE), max_size=6)):
        rows.insert(data.draw(st.integers(0, len(rows))), row)
    assert diagnose(rows)["cause"] == failure.cause


@given(st.sampled_from(FAILURES), st.lists(st.sampled_from(tuple(harmless())), min_size=1, max_size=6))
def test_harmless_errors_after_a_failure_are_no_run_of_their_own(
    failure: Failure, noise: list[object]
) -> None:
    rows = render(errors_of(failure.messages)) + render(noise, "undated")  # type: ignore[arg-type]
    found = diagnose({"setuperr.log": rows})
    assert (found["cause"], found["run"]["runs"]) == (failure.cause, 1)


@given(st.lists(st.sampled_from(FAILURES), max_size=4), st.sampled_from(FAILURES))
def test_errors_of_earlier_days_do_not_change_the_cause_of_the_last_run(
    earlier: list[Failure], last: Failure
) -> None:
    days = [*earlier, last]
    text = "".join(
        render(errors_of(failure.messages), began=BEGAN + timedelta(days=number))
        for number, failure in enumerate(days)
    )
    found = diagnose({"setuperr.log": text})
    assert found["cause"] == last.cause
    assert [run["cause"] for run in found["earlier_runs"]] == [failure.cause for failure in earlier]


def test_a_run_of_which_only_the_ruler_is_there_hides_nothing() -> None:
    failure = _BY_NAME["encrypted volume"]
    rest = "2025-12-03 09:15:00, Info                  SYSPRP ======\n2025-12-03 09:15:00, Info"
    assert diagnose(render(errors_of(failure.messages)) + rest)["cause"] == "bitlocker-on"


def test_a_failure_and_the_refusal_that_it_led_to_are_told_by_the_failure_where_no_time_orders_them() -> None:
    rearms = launch_failed(Library("slc.dll", "SLReArmWindows"), "generalize", "", "-1073425657")
    first, second = render(errors_of(list(rearms)), "undated"), render(list(refused()), "undated")
    for text in (first + second, second + first):
        found = diagnose(text)
        assert (found["cause"], found["machine_changed"]) == ("rearm-exhausted", "yes")
    validated = render(errors_of(_BY_NAME["encrypted volume"].messages), "undated")
    assert diagnose(validated + second)["cause"] == "earlier-run-unfinished"


def test_times_order_a_failure_and_the_refusal_that_it_led_to() -> None:
    rearms = errors_of(_BY_NAME["rearms used up"].messages)
    later = BEGAN + timedelta(minutes=30)
    found = diagnose(render(rearms) + render(list(refused()), began=later))
    assert (found["cause"], found["earlier_cause"]) == ("earlier-run-unfinished", "rearm-exhausted")


def test_a_last_error_without_its_text_belongs_to_the_run() -> None:
    rows = render(errors_of(_BY_NAME["app of one user"].messages)).splitlines()
    cut = rows[-1].partition(" SYSPRP")[0]
    found = diagnose([*rows[:-1], cut])
    assert (found["cause"], found["run"]["runs"]) == ("appx-per-user", 1)


@pytest.mark.parametrize(
    ("row", "cause"),
    [
        ("Sysprep: Error from RegDeleteValueW for value senseGuid", "defender-for-endpoint"),
        ("SYSPRP BitLocker-Sysprep: BitLocker is on for the OS volume.", "bitlocker-on"),
        ("# for hex 0x80310039 / decimal -2144272327: FVE_E_NOT_DECRYPTED winerror.h", "bitlocker-on"),
        ("SYSPRP ParseCommands:Malformed command line detected", "wrong-options"),
        ("Error SYSPRP ValidateUser:User does not have the privileges", "not-administrator"),
        (
            "The app Contoso.Notes was installed for a user, but not provisioned for all users",
            "appx-per-user",
        ),
        ("SYSPRP ActionPlatform::LaunchModule: Failure occurred while executing", "unknown"),
        (
            "Error SYSPRP LaunchDll:Failure occurred while executing 'sppnp.dll,Pnp', returned error code 31",
            "unknown",
        ),
    ],
)
def test_a_message_alone_is_enough_only_where_it_says_the_cause(row: str, cause: str) -> None:
    assert diagnose([row])["cause"] == cause


def test_a_failure_at_the_first_start_calls_for_a_new_image() -> None:
    found = diagnose(render(_BY_NAME["answer file with a setting that fails"].messages))
    assert (found["phase"], found["machine_changed"]) == ("setup", "yes")
    assert found["next_step"].startswith("Go back to the backup")
