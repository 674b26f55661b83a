# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""A capture from its checks to its images.

Everything is looked at first, and what speaks against it is told together. Only then is the machine stopped
and marked, as far as the targets need it, and the targets are made one after the other. A run after a kill
finds the machine and the targets in some state between the first and the last, and goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import (
    AzureError,
    InvalidInput,
    WaitTimeout,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.parallel import in_parallel
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.allowed import (
    lock_findings,
    quota_findings,
    right_findings,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.evidence import (
    GUEST,
    MARK_TAG,
    Evidence,
    ask_guest,
    find_evidence,
    mark,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.refusals import (
    machine_findings,
    not_generalized,
    vm_missing,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.request import (
    GALLERY_VERSION,
    MANAGED_IMAGE,
    VHD_BLOBS,
    CaptureRequest,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.source import SourceVm, read_source
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.target import RIGHT, Needs, Target
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.target_blobs import BlobsTarget
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.target_gallery import GalleryTarget
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.target_image import ImageTarget
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.way_back import WayBack
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.places import place_findings
from ansible_collections.goldenimage.azure.plugins.module_utils._image.findings import Finding, refuse_if_any

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

_VM = "Microsoft.Compute/virtualMachines"
_STOPPED = {"deallocate": "Deallocated", "powerOff": "Powered off"}
_TARGETS: Mapping[str, type[Target]] = {
    MANAGED_IMAGE: ImageTarget,
    GALLERY_VERSION: GalleryTarget,
    VHD_BLOBS: BlobsTarget,
}


class Captured(NamedTuple):
    """What was done, or would be: `vm` its id, power_state and generalized afterwards, None when it is gone
    and everything had been made; `targets` one entry of facts each, with type, changed and option."""

    changed: bool
    build_id: str
    evidence: str | None
    backup: dict[str, Any] | None
    vm: dict[str, Any] | None
    targets: list[dict[str, Any]]
    before: dict[str, Any]
    after: dict[str, Any]
    actions: list[str]
    warnings: list[str]


class _Plan(NamedTuple):
    """What is left to do: the targets to make, what happens to the machine before, and the targets to
    change. `verb` is deallocate, powerOff, or None; `flag`: whether the machine is marked generalized."""

    todo: list[Target]
    verb: str | None
    flag: bool
    evidence: Evidence
    outdated: list[Target]

    def touches(self, target: Target) -> bool:
        """Whether the target is made or changed."""
        return target in self.todo or target in self.outdated


class Capture:
    """One capture; `run` does it."""

    def __init__(self, session: AzureSession, request: CaptureRequest, waiter: Waiter) -> None:
        self._session = session
        self._request = request
        self._waiter = waiter
        # What others build upon has to be complete before they begin, also when the end is not waited for.
        self._to_its_end = Waiter(True, waiter.timeout, waiter.progress)
        self._source: SourceVm | None = None
        self._way_back = WayBack(session, request, waiter)
        self._targets = [_TARGETS[wanted.type](session, request, wanted) for wanted in request.targets]

    def run(self, *, check_mode: bool) -> Captured:
        """Raises Refused, with every finding, before anything is changed."""
        self._look()
        plan = self._plan(check_mode=check_mode)
        before = self._picture([])
        changed = {target.wanted.option: target.changes() for target in plan.outdated}
        source = self._source
        if not check_mode and source is not None:
            if plan.todo:
                self._carry_out_or_back(plan, source)
            for target in self._targets:
                if target not in plan.todo:
                    target.tidy(source, self._waiter)
        for target in plan.outdated:
            target.change(self._waiter, only_look=check_mode)
        return self._outcome(plan, before, changed)

    def _look(self) -> None:
        # Made before the threads that use them.
        _unused = self._session.arm, self._session.compute
        self._source = read_source(self._session, self._request, self._waiter)
        in_parallel(lambda target: target.look(self._source, self._waiter), self._targets)

    def _plan(self, *, check_mode: bool) -> _Plan:
        source = self._source
        task = f"capture virtual machine {self._request.vm_name}"
        todo = [target for target in self._targets if target.status(source) != RIGHT]
        there = [target for target in self._targets if target not in todo]
        outdated = [target for target in there if target.changes()]
        fixed = [finding for target in there for finding in target.unchangeable()]
        if not todo:
            needs = [need for target in outdated for need in target.needs(source)]
            refuse_if_any(task, [*fixed, *(self._allowed(needs, outdated) if outdated else [])])
            return _Plan([], None, False, Evidence(None), outdated)
        if source is None:
            missing = [finding for target in todo for finding in target.missing]
            refuse_if_any(task, [vm_missing(self._request), *missing, *fixed])
            raise AssertionError("unreachable: there is a finding")
        evidence = find_evidence(self._request, source) if self._request.generalized else Evidence(None)
        plan = _Plan(
            todo=todo,
            verb=self._verb(source),
            flag=not source.state.generalized and any(target.needs_flag(source) for target in todo),
            evidence=evidence,
            outdated=outdated,
        )
        found = [*fixed, *self._findings(plan, source)]
        asked = evidence.how is None and evidence.ask_guest and self._request.stop
        if self._request.generalized and evidence.how is None and not asked:
            found.append(not_generalized(source, evidence.why))
        refuse_if_any(task, found)
        if asked and not check_mode:
            # Only when nothing else is in the way: Azure counts it as an action on the machine.
            plan = plan._replace(evidence=ask_guest(self._session, source, self._waiter))
            if plan.evidence.how is None:
                refuse_if_any(task, [not_generalized(source, plan.evidence.why)])
        return plan

    def _verb(self, source: SourceVm) -> str | None:
        """How the machine is stopped.

        One whose guest has switched itself off looks stopped and is not, for Azure: "Please power off
        explicitly in case you shut down the VM from inside the guest operating system". That leaves the time
        alone when its disks changed hands last, by which the proof of its generalization is judged.
        """
        if source.running:
            return "deallocate" if self._request.stop else None
        off_by_itself = source.state.power == "stopped" and not source.state.generalized
        return "powerOff" if off_by_itself and self._request.generalized else None

    def _findings(self, plan: _Plan, source: SourceVm) -> list[Finding]:
        needs = [need for target in self._targets if plan.touches(target) for need in target.needs(source)]
        verbs = [*([plan.verb] if plan.verb else []), *["generalize"] * plan.flag]
        actions = [f"{_VM}/{verb}/action" for verb in verbs]
        if plan.verb and plan.evidence.ask_guest:
            actions += [f"{_VM}/runCommand/action", f"{_VM}/write"]
        if actions:
            needs.append(Needs(source.id, actions, source.id))
        snapshots = sum(target.snapshots(source) for target in plan.todo)
        looks: list[Callable[[], list[Finding]]] = [
            lambda: self._allowed(needs, [*plan.todo, *plan.outdated]),
            lambda: quota_findings(self._session, source.location, snapshots),
        ]
        if self._request.backup:
            looks.append(lambda: self._way_back.findings(source))
        found = machine_findings(self._request, source, plan.todo)
        for target in plan.todo:
            found += target.findings(source)
        return found + _all(looks)

    def _allowed(self, needs: list[Needs], targets: list[Target]) -> list[Finding]:
        """What the rights, the locks and the regions of the subscription say to it."""
        wanted = [target.wanted.placed for target in targets]
        location = self._source.location if self._source else ""
        return _all(
            [
                lambda: right_findings(self._session, needs),
                lambda: lock_findings(self._session, needs),
                lambda: place_findings(self._session, wanted, location),
            ]
        )

    def _carry_out_or_back(self, plan: _Plan, source: SourceVm) -> None:
        self._way_back.take()
        try:
            self._carry_out(plan, source)
        except WaitTimeout:
            # No failure: Azure goes on with what the machine is needed for.
            raise
        except AzureError as failure:
            # Before anything is undone: a run that is killed then leaves what the next one can tell.
            self._note_incomplete(source, failure)
            # A machine that nothing was done to has no way back, only time to lose.
            if self._request.rescue and (plan.verb or plan.flag):
                self._way_back.go_back(failure, was_running=source.state.power == "running")
            raise

    def _note_incomplete(self, source: SourceVm, failure: AzureError) -> None:
        """Tell what is there of a capture that has failed, and mark it. When what it was made of is restored
        or removed, the rest can only be made of another machine: then all of it is made anew."""
        made = [target for target in self._targets if target.status(source) == RIGHT]
        if not made:
            return
        now = datetime.now(timezone.utc)
        names = ", ".join(target.title for target in made)
        failure.message = f"{failure.message} Made before that, and kept: {names}."
        for target in made:
            try:
                target.note_incomplete(self._to_its_end, now)
            except AzureError as error:
                failure.message = (
                    f"{failure.message} In its tags it could not be noted that the capture was not completed"
                    f" ({error}); delete {target.title} before the machine is captured again."
                )

    def _carry_out(self, plan: _Plan, source: SourceVm) -> None:
        machines = self._session.compute.virtual_machines
        group, name = self._request.vm_group, self._request.vm_name
        if plan.evidence.how == GUEST:
            self._note_own_stop(source)
        if plan.verb:
            query = {"skip_shutdown": False} if plan.verb == "powerOff" else {}
            machines.action(group, name, plan.verb, None, self._to_its_end, **query)
        if plan.flag:
            machines.action(group, name, "generalize", None, self._to_its_end)
        for target in plan.todo:
            target.make(source, self._waiter, datetime.now(timezone.utc))

    def _note_own_stop(self, source: SourceVm) -> None:
        """What the guest said is gone when it is off. The tag tells it to a run after a kill."""
        value = mark(source.vm_id, datetime.now(timezone.utc), self._request.build_id)
        tags = {**source.tags, MARK_TAG: value}
        machines = self._session.compute.virtual_machines
        machines.update(self._request.vm_group, self._request.vm_name, {"tags": tags}, self._to_its_end)

    def _outcome(self, plan: _Plan, before: dict[str, Any], changed: Mapping[str, list[str]]) -> Captured:
        source = self._source
        return Captured(
            changed=bool(plan.todo or plan.outdated),
            build_id=self._request.build_id,
            evidence=plan.evidence.how,
            backup=self._way_back.facts,
            vm=self._vm(plan),
            targets=[
                {
                    "type": target.wanted.type,
                    "changed": plan.touches(target),
                    "made": target in plan.todo,
                    **target.facts(source),
                }
                for target in self._targets
            ],
            before=before,
            after=self._picture([target.wanted.option for target in plan.todo], plan),
            actions=self._actions(plan, changed),
            warnings=[warning for target in self._targets for warning in target.warnings],
        )

    def _vm(self, plan: _Plan | None) -> dict[str, Any] | None:
        source = self._source
        if source is None:
            return None
        stopped = plan is not None and plan.verb == "deallocate"
        return {
            "id": source.id,
            "power_state": "deallocated" if stopped else source.state.power,
            "generalized": source.state.generalized or (plan is not None and plan.flag),
        }

    def _picture(self, made: list[str], plan: _Plan | None = None) -> dict[str, Any]:
        """One side of the diff: the machine, and the targets that are there."""
        there = [
            target
            for target in self._targets
            if target.wanted.option in made or target.status(self._source) == RIGHT
        ]
        picture: dict[str, Any] = {"targets": {target.title: target.shown(self._source) for target in there}}
        machine = self._vm(plan)
        return {**picture, "vm": machine} if machine else picture

    def _actions(self, plan: _Plan, changed: Mapping[str, list[str]]) -> list[str]:
        name = self._request.vm_name
        asked = plan.evidence.ask_guest or plan.evidence.how == GUEST
        said = [f"Asked the guest of {name} whether it is generalized"] * asked
        said += [self._way_back.action] * bool(self._way_back.action)
        said += [f"{_STOPPED[plan.verb]} virtual machine {name}"] if plan.verb else []
        said += [f"Marked virtual machine {name} generalized, Azure does not start it any more"] * plan.flag
        said += [f"Captured {name} to {target.title}" for target in plan.todo]
        return said + [
            f"Changed {target.title}: {', '.join(changed[target.wanted.option])}" for target in plan.outdated
        ]


def _all(looks: list[Callable[[], list[Finding]]]) -> list[Finding]:
    """What each of them finds; they look at the same time."""
    return [finding for each in in_parallel(_call, looks) for finding in each]


def _call(look: Callable[[], list[Finding]]) -> list[Finding]:
    return look()


def capture(session: AzureSession, request: CaptureRequest, *, check_mode: bool, waiter: Waiter) -> Captured:
    """Make the targets of the machine. Bad input raises before any change."""
    if request.rescue and not waiter.wait:
        raise InvalidInput(
            "rescue: what fails when nobody waits for it any more is not seen, and the machine not restored.",
            remedy="Leave wait out, or use async and poll for the task.",
        )
    return Capture(session, request, waiter).run(check_mode=check_mode)
