# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What all targets of a capture have in common: looked at first, made later, never left half made."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import (
    AzureError,
    OperationFailed,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.provenance import (
    CONTENT_TAG,
    content_digest,
    is_replaceable,
    made_by,
    provenance_tags,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.request import (
    CaptureRequest,
    TargetRequest,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.source import SourceVm
from ansible_collections.goldenimage.azure.plugins.module_utils._image.findings import Finding
from ansible_collections.goldenimage.azure.plugins.module_utils._image.image_tags import PLAN_TAG
from ansible_collections.goldenimage.azure.plugins.module_utils._image.settled import is_failed, settled
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_facts import plan_text

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

# What is there under the target's name: nothing, what is wanted, what a failed run of ours left behind and
# is to be replaced (half made, or whole and of a machine that is another one since then), or something else.
ABSENT, RIGHT, UNFINISHED, OTHER = "absent", "right", "unfinished", "other"

_CONFLICT = 409
_VOLATILE = ("provisioning_state", "replication")


class Needs(NamedTuple):
    """Rights that making the target takes, and what it changes. `scope` is the id of a resource or group
    that exists; `changes` the id that is written, `deletes` whether it, or a part, is also deleted."""

    scope: str
    actions: Sequence[str]
    changes: str
    deletes: bool = False


class Target(ABC):
    """One target. `look` is called first and once; the others go by what it has seen."""

    # Whether it can be made of a machine that runs, if that was allowed.
    while_running = True

    def __init__(self, session: AzureSession, request: CaptureRequest, wanted: TargetRequest) -> None:
        self.session = session
        self.request = request
        self.wanted = wanted
        self.id = wanted.id(session.subscription_id)
        self.missing: list[Finding] = []
        self.warnings: list[str] = []

    @abstractmethod
    def look(self, source: SourceVm | None, waiter: Waiter) -> None:
        """Read what there is, and wait for what another run is still making."""

    @abstractmethod
    def status(self, source: SourceVm | None) -> str:
        """One of ABSENT, RIGHT, UNFINISHED, OTHER."""

    @abstractmethod
    def findings(self, source: SourceVm) -> list[Finding]:
        """Why it could not be made of this machine."""

    @abstractmethod
    def needs(self, source: SourceVm | None) -> list[Needs]:
        """What has to be allowed to make it, or to change it."""

    @abstractmethod
    def make(self, source: SourceVm, waiter: Waiter, now: datetime) -> None:
        """Make it; on failure nothing half made stays."""

    @abstractmethod
    def note_incomplete(self, waiter: Waiter, now: datetime) -> None:
        """Mark what is there as made by a capture that failed at another target; `change` takes that back."""

    @abstractmethod
    def facts(self, source: SourceVm | None) -> dict[str, Any]:
        """What the module returns about it; before it is made, what it will be."""

    def changes(self) -> list[str]:
        """The options that a target that is there already does not comply with, and can be changed to."""
        return []

    def change(self, waiter: Waiter, *, only_look: bool) -> None:  # noqa: B027 - most have nothing to change
        """Change what `changes` names; with `only_look`, let `facts` tell what it would be then."""

    def unchangeable(self) -> list[Finding]:
        """Where a target that is there already does not comply with the options, and never will."""
        return []

    def tidy(self, source: SourceVm, waiter: Waiter) -> None:  # noqa: B027 - most leave nothing
        """Remove what is temporary, where a run was killed after the target itself had been made."""

    @property
    def title(self) -> str:
        """As a sentence names it."""
        return f"{self.wanted.type.replace('_', ' ')} {self.id}"

    def needs_flag(self, source: SourceVm) -> bool:
        """Whether Azure has to know the machine as generalized: it does where the machine is the source."""
        return self.request.generalized and self.of_whole_machine(source)

    def of_whole_machine(self, source: SourceVm) -> bool:
        """Whether the machine itself, and not each disk, is named as the source."""
        return source.is_whole(self.request)

    def can_run(self, source: SourceVm) -> bool:
        """Whether it can be made while the machine runs, if that is allowed."""
        return self.while_running and self.of_whole_machine(source)

    def snapshots(self, source: SourceVm) -> int:  # noqa: ARG002 - most targets need none
        """How many snapshots making it takes."""
        return 0

    def shown(self, source: SourceVm | None) -> dict[str, Any]:
        """Its facts for a diff: without what changes by itself."""
        facts = self.facts(source)
        return {name: value for name, value in facts.items() if name not in _VOLATILE}

    def warn_of_plan(self, source: SourceVm) -> None:
        """Say that the machine's Marketplace plan is not kept by what is made of it."""
        if source.plan:
            self.warnings.append(
                f"Machines made of {self.title} need the plan {plan_text(source.plan)}, which Azure does not"
                f" keep there; {PLAN_TAG} in its tags or metadata names it."
            )

    def cannot_change(self, part: str, has: object) -> Finding:
        """Of a target that is there and was made otherwise than the option says."""
        return self.finding(
            "cannot-change",
            f"{self.title} is there already; its {part} is {has}, which Azure does not change.",
            "Leave the option as it was, give another name, or delete it first.",
            part,
        )

    def finding(self, name: str, what: str, remedy: str, part: str = "") -> Finding:
        option = f"{self.wanted.option}.{part}" if part else self.wanted.option
        return Finding(name, what, option, remedy)

    def tags(self, source: SourceVm, now: datetime) -> dict[str, str]:
        return {**self.request.tags, **provenance_tags(self.request, source, now)}


def status_of(
    resource: Mapping[str, Any] | None,
    request: CaptureRequest,
    source: SourceVm | None,
    *,
    usable: bool = False,
) -> str:
    """The status of an image or version, by its tags and state.

    Without a source, which may be gone when everything was made long ago, the build alone tells. `usable`: it
    is good in some respect even if Azure calls it failed.
    """
    if resource is None:
        return ABSENT
    tags = resource.get("tags") or {}
    if is_failed(resource) and not usable:
        return UNFINISHED if made_by(tags, request) else OTHER
    if source is None:
        return RIGHT if made_by(tags, request) else OTHER
    if tags.get(CONTENT_TAG) == content_digest(request, source):
        return RIGHT
    return UNFINISHED if is_replaceable(tags, request) else OTHER


def _put_or_found(
    put: Callable[[], dict[str, Any]],
    read: Callable[[], dict[str, Any] | None],
    request: CaptureRequest,
    waiter: Waiter,
) -> dict[str, Any]:
    try:
        return put()
    except AzureError as failure:
        if failure.status != _CONFLICT:
            raise
        found = settled("What is being made", read(), read, waiter)
        if found is None or not made_by(found.get("tags") or {}, request) or is_failed(found):
            raise
        return found


def made_or_gone(
    put: Callable[[], dict[str, Any]],
    read: Callable[[], dict[str, Any] | None],
    delete: Callable[[], Any],
    request: CaptureRequest,
    waiter: Waiter,
) -> dict[str, Any]:
    """What `put` makes. When Azure fails at it, the failed remains are deleted if this build made them.

    A request whose answer was lost is sent again, and may be in conflict with what it has begun itself.
    """
    try:
        return _put_or_found(put, read, request, waiter)
    except AzureError as failure:
        if not isinstance(failure, OperationFailed) and failure.status != _CONFLICT:
            raise
        try:
            remains = read()
            if is_failed(remains) and made_by((remains or {}).get("tags") or {}, request):
                delete()
        except AzureError as error:
            failure.remedy = (
                f"{failure.remedy or ''} What is left of it could not be deleted now ({error}); the next run"
                " deletes it."
            ).lstrip()
        raise
