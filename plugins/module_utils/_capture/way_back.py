# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The backup that a capture takes first, and the way back to it when the capture fails."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.temporary import new_build
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.request import CaptureRequest
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.source import SourceVm
from ansible_collections.goldenimage.azure.plugins.module_utils._image.backup import (
    Backup,
    default_backup_name,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.backup_machine import read_machine
from ansible_collections.goldenimage.azure.plugins.module_utils._image.backup_taking import (
    BackupOptions,
    BackupPlan,
    carry_out_backup,
    find_backups,
    plan_backup,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.findings import Finding, Refused
from ansible_collections.goldenimage.azure.plugins.module_utils._image.restore import restore_backup
from ansible_collections.goldenimage.azure.plugins.module_utils._image.restore_plan import RestoreOptions
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_state import read_state

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession


_BUILD_LENGTH = 23


class WayBack:
    """The backup of one capture."""

    def __init__(self, session: AzureSession, request: CaptureRequest, waiter: Waiter) -> None:
        self._session = session
        self._request = request
        self._options = BackupOptions(
            waiter=Waiter(True, waiter.timeout, waiter.progress),
            name=request.backup_name,
            build_id=request.build_id,
        )
        self._plan: BackupPlan | None = None
        self._backup: Backup | None = None

    def findings(self, source: SourceVm) -> list[Finding]:
        """Why no backup could be taken."""
        now = datetime.now(timezone.utc)
        name = self._request.backup_name or self._earlier(source, now)
        if name is None:
            name = f"{self._request.build_id[:_BUILD_LENGTH].rstrip('-')}-{default_backup_name(now)}"
        self._options = self._options._replace(name=name)
        try:
            self._plan = plan_backup(self._session, source.machine, self._options)
        except Refused as refusal:
            return [finding._replace(where=f"backup: {finding.where}") for finding in refusal.findings]
        return []

    def _earlier(self, source: SourceVm, now: datetime) -> str | None:
        """Name of the backup of a run that was killed when it had stopped or marked the machine already.

        A backup made now would be of that. Of a machine that has not been touched a new one is made, because
        much may have been written to it since.
        """
        stopped = self._request.stop and source.state.power == "deallocated"
        if not source.state.generalized and not stopped:
            return None
        since = now - timedelta(hours=self._request.expires_after)
        own = [
            each
            for each in find_backups(self._session, source.id)
            if each.build_id == self._request.build_id and each.created > since and not each.failed
        ]
        return own[0].name if own else None

    def take(self) -> None:
        """Take the backup, unless it is there; returns when it can be gone back to."""
        if self._plan is not None:
            self._backup = carry_out_backup(self._session, self._plan, self._options)

    @property
    def action(self) -> str:
        """The sentence about taking it; "" when it is there already."""
        if self._plan is None or self._plan.current is not None:
            return ""
        return (
            f"Made backup {self._plan.name} of virtual machine {self._request.vm_name} ({self._plan.method})"
        )

    @property
    def facts(self) -> dict[str, Any] | None:
        """What the module returns about it; before it is made, its name and method."""
        if self._plan is None:
            return None
        known = self._backup or self._plan.current
        return known.facts() if known else {"name": self._plan.name, "method": self._plan.method}

    def go_back(self, failure: AzureError, *, was_running: bool) -> None:
        """Bring the machine back after the failure, whose message tells of it then.

        One that was stopped and not marked generalized has all that it had: it is started again. Only a
        backup of the user's own is gone back to in that case, too: it may be of the time before the guest was
        generalized.
        """
        backup = self._backup
        if backup is None:
            return
        if self._request.backup_name is None and not self._is_marked():
            self._start_again(failure, was_running=was_running)
            return
        now = datetime.now(timezone.utc)
        build = new_build(self._request.build_id, self._request.expires_after, now)
        # Its disks are still those of the backup, only that they may have been written to since.
        options = RestoreOptions(waiter=self._options.waiter, build=build, force=True)
        try:
            restored = restore_backup(self._session, self._request.vm_id, backup, options)
        except AzureError as error:
            said = f"The machine could not be restored from backup {backup.name}: {error}"
            remedy = "Restore it with goldenimage.azure.vm_backup, state: restored."
        else:
            said = f"The machine was restored from backup {backup.name}."
            remedy = failure.remedy or ""
            if restored.kept:
                said += f" Its former disks stay: {', '.join(restored.kept)}."
        failure.message = f"{failure.message} {said}"
        failure.remedy = remedy or None

    def _is_marked(self) -> bool:
        """Whether the machine is marked generalized, or that cannot be told."""
        try:
            machine = read_machine(self._session, self._request.vm_id, self._options.waiter)
        except AzureError:
            return True
        return machine is None or read_state(machine).generalized

    def _start_again(self, failure: AzureError, *, was_running: bool) -> None:
        if not was_running:
            return
        machines = self._session.compute.virtual_machines
        group, name = self._request.vm_group, self._request.vm_name
        try:
            machines.action(group, name, "start", None, self._options.waiter)
        except AzureError as error:
            failure.message = f"{failure.message} The machine could not be started again: {error}"
        else:
            failure.message = f"{failure.message} The machine was not marked generalized, and runs again."
