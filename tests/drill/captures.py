# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The captures of the drill: of the machine itself, and of a twin as the role vm_capture does it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from typing import Any, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession
from ansible_collections.goldenimage.azure.plugins.module_utils._image.twin import ensure_twin, remove_twin
from ansible_collections.goldenimage.azure.plugins.module_utils._image.twin_request import TwinRequest

from tests.integration.captures import captured


class Job(NamedTuple):
    """What is captured to where; `name` is the machine's and the build's, `options` those of vm_capture."""

    group: str
    name: str
    targets: Sequence[Mapping[str, Any]]
    options: Mapping[str, Any]


def in_place(session: AzureSession, job: Job) -> list[str]:
    """The ids of what was made."""
    return _ids(session, job, job.group, job.name, check=False)[0]


def by_twin(session: AzureSession, job: Job) -> list[str]:
    """The same of a twin, which goes whatever happens."""
    now = datetime.now(timezone.utc)
    named = {"source_vm": job.name, "resource_group": job.group, "build_id": job.name}
    request = TwinRequest.from_options(named, session.subscription_id, now)
    try:
        if not _all_there(session, job, request):
            ensure_twin(session, request, check_mode=False, waiter=Waiter(), now=now)
        made = _ids(session, job, request.group, request.name, check=False)[0]
    except AzureError:
        # What cannot be removed now is collected later.
        with suppress(AzureError):
            remove_twin(session, request, check_mode=False, waiter=Waiter())
        raise
    remove_twin(session, request, check_mode=False, waiter=Waiter())
    return made


def _all_there(session: AzureSession, job: Job, twin: TwinRequest) -> bool:
    try:
        return not _ids(session, job, twin.group, twin.name, check=True)[1]
    except AzureError:
        return False


def _ids(session: AzureSession, job: Job, group: str, name: str, *, check: bool) -> tuple[list[str], bool]:
    """What is made, and whether it had to be."""
    targets = [{"resource_group": job.group, **target} for target in job.targets]
    done = captured(session, group, name, *targets, check=check, **job.options)
    return [target["id"] for target in done.targets], done.changed
