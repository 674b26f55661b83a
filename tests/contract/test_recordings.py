# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The contracts accept what the real Azure was recorded to say; each difference has its reason here."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.contract import arm_rules
from tests.contract.exchange import Finding, Severity
from tests.contract.judge import Judge, Verdict
from tests.contract.recordings import ENVIRONMENT, read_errors, read_recording, recordings_root

ROOT = recordings_root()
# Only these went to Resource Manager as whole exchanges.
RECORDINGS = sorted(ROOT.glob("[lnx]*__*.jsonl")) if ROOT else []
# Requests to services whose API is no part of this project and whose published files are not at hand.
FOREIGN_PROVIDERS = frozenset({"microsoft.keyvault", "microsoft.resourcegraph"})

Difference = Callable[[Verdict, Finding], bool]
KNOWN: dict[str, Difference] = {
    "the recorder replaced names of deployments in the URL, not in the body": lambda verdict, finding: (
        str(verdict.operation).startswith("Deployments_") and finding.kind == "wrong-id"
    ),
    "azure-cli writes 'incremental', and Azure takes enumerations in any case": lambda verdict, finding: (
        verdict.operation == "Deployments_CreateOrUpdate" and finding.where == "/properties/mode"
    ),
    "one recorder kept no request bodies": lambda _, finding: (
        finding.kind == "missing-body" and finding.side == "request"
    ),
}

pytestmark = pytest.mark.skipif(
    not RECORDINGS, reason=f"recordings of Azure are absent; {ENVIRONMENT} names a folder that holds them"
)


def unexplained(verdict: Verdict) -> list[str]:
    return [
        f"line {verdict.exchange.number}: {verdict.exchange} ({verdict.operation}): {finding}"
        for finding in verdict.violations
        if not any(explains(verdict, finding) for explains in KNOWN.values())
    ]


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda path: path.stem[:60])
def test_recorded_exchanges_pass_the_sdk_models(recording: Path, sdk_judge: Judge) -> None:
    report = sdk_judge.report(read_recording(recording))
    assert [text for verdict in report.verdicts for text in unexplained(verdict)] == []
    assert report.unmatched == ()


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda path: path.stem[:60])
def test_recorded_exchanges_pass_the_published_files(recording: Path, full_judge: Judge) -> None:
    report = full_judge.report(read_recording(recording))
    assert [text for verdict in report.verdicts for text in unexplained(verdict)] == []
    unmatched = {verdict.exchange.provider for verdict in report.unmatched}
    assert unmatched <= FOREIGN_PROVIDERS


def test_recorded_errors_keep_the_rules_of_resource_manager() -> None:
    assert ROOT is not None
    errors = list(read_errors(ROOT / "errors.jsonl"))
    assert len(errors) >= 100
    assert [(error, found) for error in errors for found in arm_rules.check(error)] == []


def test_all_recordings_are_judged_in_seconds_and_most_have_no_difference_at_all(
    full_judge: Judge, record_testsuite_property: Callable[[str, object], None]
) -> None:
    started = time.process_time()
    reports = [full_judge.report(read_recording(recording)) for recording in RECORDINGS]
    seconds = time.process_time() - started
    exchanges = sum(len(report.verdicts) for report in reports)
    violations = sum(report.counted(Severity.VIOLATION) for report in reports)
    record_testsuite_property("recorded exchanges", exchanges)
    record_testsuite_property("recorded differences with a reason", violations)
    assert exchanges > 800
    assert violations < exchanges / 10
    assert seconds < 10
