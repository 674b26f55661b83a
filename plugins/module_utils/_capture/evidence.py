# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Whether the guest of a machine was really generalized: Azure's flag alone says nothing about that.

The role that generalizes leaves a tag on the machine, "<time> <vmId>". It counts for that machine only, and
only if the machine was not started since, because a guest that starts gets an identity again. Azure says of
a disk when its machine was last started or deallocated (LastOwnershipUpdateTime, Disks - Get). What marks the
machine and then deallocates it itself adds its build: "<time> <vmId> <build>".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.times import moment
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.request import CaptureRequest
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.source import SourceVm
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_state import GENERALIZED_TAG

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

MARK_TAG = GENERALIZED_TAG
# Where the last step of generalizing reports; the directory is in the guest's memory and gone after a start.
_REPORT = "/run/goldenimage-generalize/report.json"
TAG, ASSUMED, GUEST = "tag", "assumed", "guest"
# Azure takes minutes to deallocate; what is later than this after the tag is no end of that.
_OWN_STOP = timedelta(hours=1)


class Evidence(NamedTuple):
    """`how`: tag, guest (what it answered) or assumed; None when there is none, and then `why` says what is
    missing. `ask_guest`: it runs, and may be asked."""

    how: str | None
    why: str = ""
    ask_guest: bool = False


def mark(vm_id: str, now: datetime, build_id: str = "") -> str:
    """The value of the tag. With `build_id`: that build is about to deallocate the machine itself."""
    return " ".join(filter(None, (time_text(now), vm_id, build_id)))


def time_text(moment: datetime) -> str:
    """A time as tags have it, in UTC."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def find_evidence(request: CaptureRequest, source: SourceVm) -> Evidence:
    """What is known without touching the machine."""
    if request.assume_generalized:
        return Evidence(ASSUMED)
    if source.running:
        return Evidence(None, "it runs, so that only its guest can tell.", ask_guest=_can_be_asked(source))
    value = source.tags.get(MARK_TAG, "")
    if not value:
        return Evidence(None, f"it has no tag {MARK_TAG}.")
    return _from_tag(value, request, source)


def _from_tag(value: str, request: CaptureRequest, source: SourceVm) -> Evidence:
    time, _space, rest = value.partition(" ")
    vm_id, _space, build_id = rest.partition(" ")
    marked = moment(time)
    if marked is None or not vm_id:
        return Evidence(None, f"its tag {MARK_TAG} cannot be read ({value}).")
    if vm_id.casefold() != source.vm_id.casefold():
        return Evidence(None, f"its tag {MARK_TAG} was written for another machine ({vm_id}).")
    moved = moment(str(source.os_disk.properties.get("LastOwnershipUpdateTime", "")))
    # Once it is flagged nobody can start it: then it does not matter which build has stopped it.
    known = bool(build_id) if source.state.generalized else build_id == request.build_id
    own_stop = known and source.state.power == "deallocated"
    latest = marked + (_OWN_STOP if own_stop else timedelta(0))
    if moved is not None and moved > latest:
        return Evidence(
            None,
            f"it was started or deallocated at {moved:%Y-%m-%dT%H:%M:%SZ}, after its tag {MARK_TAG} was"
            " written.",
        )
    return Evidence(TAG)


def _can_be_asked(source: SourceVm) -> bool:
    return source.state.power == "running" and source.os_type == "Linux"


def ask_guest(session: AzureSession, source: SourceVm, waiter: Waiter) -> Evidence:
    """Let the machine's agent read the report of the role that generalizes. Changes nothing in the guest."""
    parts = source.id.split("/")
    try:
        answer = session.compute.virtual_machines.action(
            parts[4],
            source.name,
            "runCommand",
            {"commandId": "RunShellScript", "script": [f"cat {_REPORT}"]},
            Waiter(True, waiter.timeout, waiter.progress),
        )
    except AzureError as error:
        return Evidence(None, f"its guest could not be asked ({error}).")
    phase = _phase(answer)
    if phase == "done":
        return Evidence(GUEST)
    return Evidence(None, f"its guest says {phase}." if phase else f"its guest has no report in {_REPORT}.")


def _phase(answer: Any) -> str:
    """The phase in what the guest printed; "" where there is no report."""
    said = answer.get("value") if isinstance(answer, Mapping) else None
    text = "\n".join(str(part.get("message", "")) for part in said or [] if isinstance(part, Mapping))
    printed = text.partition("[stdout]")[2].partition("[stderr]")[0].strip()
    try:
        report = json.loads(printed)
    except ValueError:
        return ""
    return str(report.get("phase", "")) if isinstance(report, Mapping) else ""
