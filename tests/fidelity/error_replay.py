# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Compares refusals of the local Azure with single refusals that Azure was recorded with."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from tests.fidelity.blob_replay import BlobReplay
from tests.fidelity.comparison import Answer, compare
from tests.fidelity.error_blobs import refused
from tests.fidelity.error_situations import SITUATIONS, Stage
from tests.fidelity.recording import Recorded
from tests.fidelity.replay import Result, Steps, local_azure
from tests.unit.local_azure.arm_server import Arm

# What messages end with since 2020, and how they ended before.
_NEWER_ENDS = (
    (" For more details please go to https://aka.ms/ARMResourceNotFoundFix", ""),
    (" or the scope is invalid. If access was recently granted, please refresh your credentials.", "."),
)
# Kinds of resources that are outside altogether.
_OTHER_KINDS = re.compile("virtualMachineScaleSets|availabilitySets", re.IGNORECASE)


class Reason(NamedTuple):
    """Why an error is not asked for. The patterns are searched in path and in code and message."""

    path: str
    error: str
    reason: str


_BLOB_REASON = "a condition, lease or kind of blob that the recording does not tell"
_REASONS = (
    Reason(
        "",
        r"^(ServerTimeout|GatewayTimeout|ResourceReadFailed|MultipleErrors|RetryableError|"
        r"InternalExecutionError)",
        "Azure was out of order; such answers are given where faults are injected",
    ),
    Reason("", "^ResourceNotFound Resource not found", "answered by preview versions from before 2015-06-15"),
    Reason(r"virtualMachineScaleSets", "", "images are not made of scale sets"),
    Reason(r"/deployments/", r"vmss_deploy_", "images are not made of scale sets"),
    Reason(
        r"/availabilitySets/|/extensions/|/artifacttypes/\{name\}/types/|/logAnalytics/",
        "",
        "availability sets, extensions and request statistics have no part in images",
    ),
    Reason(
        "",
        r"VMExtensionProvisioning|VMAgentStatus|ActivityId|^Success|^1 ",
        "extensions and patches of guests have no part in images",
    ),
    Reason(
        "",
        r"Key Vault|Billing Profile|Windows_Server|PurchaseEligibility",
        "hangs on key vaults, licences or payment, or on prices of earlier API versions",
    ),
    Reason(
        r"/Microsoft\.Storage/storageAccounts/\{name\}($|/)",
        r"Immutab|HnsMig|NoManagement|Policy|Share|"
        r"SMB|Multichannel|policyId|privateLink|^ContainerNotFound",
        "what storage accounts do besides keeping VHDs in blobs",
    ),
    Reason(r"/Microsoft\.Network/(connections|loadBalancers)/", "", "images are not made of them"),
    Reason(
        r"/providers/(?!Microsoft\.(Compute|Network|Storage|Resources|Authorization)/)",
        "",
        "errors of services that have no part in images",
    ),
    Reason("", "exceeding quota limits of Core", "quotas were told of in other words until 2020"),
    Reason("", r"The entity was not found", "an evicted machine, which only Azure itself can take away"),
)


def read_errors(path: Path) -> Iterator[Recorded]:
    """The refusals of a collection of single exchanges. Paths are templates: names are left out."""
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines):
            record = json.loads(line)
            yield Recorded(
                number=number,
                method=record["method"],
                host=record["host"],
                path=record["template"],
                query={"api-version": record["api"]} if record["api"] else {},
                request=record["req"],
                status=record["status"],
                headers={name.lower(): text for name, text in record["headers"].items()},
                body=record["body"],
            )


def replay_errors(path: Path) -> Iterator[Result]:
    """Yield what came of each refusal, brought about anew."""
    with local_azure() as thread:
        assert thread.server is not None
        steps = Steps()
        thread.server.operations.waits = steps.wait
        stage = Stage(Arm(thread), steps)
        blobs = BlobReplay(thread.server.blobs, thread.server.certificates, thread.settings.ports.blob)
        try:
            for recorded in read_errors(path):
                yield _of_blobs(blobs, recorded) if ".blob." in recorded.host else _one(stage, recorded)
        finally:
            blobs.close()


def _of_blobs(blobs: BlobReplay, recorded: Recorded) -> Result:
    found = refused(blobs, recorded, recorded.headers.get("x-ms-error-code", ""))
    return Result(recorded, reason=_BLOB_REASON) if found is None else Result(recorded, tuple(found))


def _one(stage: Stage, recorded: Recorded) -> Result:
    error = _error(recorded.body)
    situation = next((s for s in SITUATIONS if s.applies(recorded, error)), None)
    if situation is None or _OTHER_KINDS.search(recorded.path):
        return Result(recorded, reason=_reason(recorded, error))
    answer = situation.act(stage, recorded)
    recorded = replace(recorded, headers={})
    answer = Answer(answer.status, {}, _in_older_words(answer.body, str(error["message"])))
    return Result(recorded, tuple(compare(recorded, answer)))


def _error(body: Any) -> Mapping[str, Any]:
    error = body.get("error") if isinstance(body, Mapping) else None
    return error if isinstance(error, Mapping) else {}


def _in_older_words(body: Any, recorded: str) -> Any:
    """Our error with the end that its message had when the recording was made."""
    error = _error(body)
    message = str(error.get("message"))
    for newer, older in _NEWER_ENDS:
        if message.endswith(newer) and not recorded.endswith(newer):
            return {"error": {**error, "message": message.removesuffix(newer) + older}}
    return body


def _reason(recorded: Recorded, error: Mapping[str, Any]) -> str | None:
    text = f"{error.get('code')} {error.get('message')}"
    for reason in _REASONS:
        if re.search(reason.path, recorded.path) and re.search(reason.error, text):
            return reason.reason
    return "no situation is known in which it arises"
