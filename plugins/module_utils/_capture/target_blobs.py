# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""VHD blobs of the machine's disks, copied by the blob service from snapshots."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError, NotFound
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.parallel import in_parallel
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import (
    resource_group_id,
    resource_id,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.evidence import time_text
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.provenance import (
    CONTENT_TAG,
    INCOMPLETE_TAG,
    completed,
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
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.target import (
    ABSENT,
    OTHER,
    RIGHT,
    UNFINISHED,
    Needs,
    Target,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.temporary_snapshots import (
    TemporarySnapshots,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.backup import disk_key
from ansible_collections.goldenimage.azure.plugins.module_utils._image.findings import Finding
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.blob_target import (
    BlobRequest,
    BlobTarget,
    find_target,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.copy_result import (
    COPY_OF,
    CopyOptions,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.copy_source import (
    SourceRequest,
    find_resource,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.copy_to_blob import BlobCopy
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.disk_access import DiskAccess
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.failures import reported
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.connection import tls_context
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.page_blob import BlobFacts, PageBlob

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

_SNAPSHOT = "Microsoft.Compute/snapshots"


class BlobsTarget(Target):
    """One blob for each disk. What is known of the machine is in their metadata; the operating system's blob
    gets that last, so that it stands for all of them."""

    def __init__(self, session: AzureSession, request: CaptureRequest, wanted: TargetRequest) -> None:
        super().__init__(session, request, wanted)
        self._places: dict[int | None, BlobTarget] = {}
        self._seen: dict[int | None, BlobFacts | None] = {}
        self._own: set[int | None] = set()
        self._left_over = False
        with reported():
            self._context = tls_context(os.environ, request.verify_tls)

    def of_whole_machine(self, source: SourceVm) -> bool:  # noqa: ARG002 - it never is
        return False

    def can_run(self, source: SourceVm) -> bool:
        """Several snapshots of a running machine are of several moments."""
        return len(source.captured(self.request)) == 1

    def snapshots(self, source: SourceVm) -> int:
        return len(source.captured(self.request))

    def blob_name(self, lun: int | None) -> str:
        return f"{self.wanted.prefix}{disk_key(lun)}.vhd"

    # Looking.

    def look(self, source: SourceVm | None, waiter: Waiter) -> None:
        disks: list[int | None] = [None]
        if source is not None:
            disks = [disk.lun for disk in source.captured(self.request)]
        try:
            for lun, place, facts in in_parallel(lambda lun: (lun, *self._look_at(lun, waiter)), disks):
                self._places[lun], self._seen[lun] = place, facts
        except NotFound as error:
            self.missing.append(
                self.finding("place-missing", error.message, error.remedy or "", "storage_account")
            )
            return
        begun = [lun for lun in disks if self._is_begun(lun)]
        snapshots = TemporarySnapshots(self.session, self.request, waiter)
        self._own = {lun for lun in begun if self._is_of_snapshot(lun, snapshots)}
        # A run may have been killed when all that was left to do was to clean up.
        self._left_over = self.status(source) == RIGHT and snapshots.read(None) is not None

    def _look_at(self, lun: int | None, waiter: Waiter) -> tuple[BlobTarget, BlobFacts | None]:
        wanted = self.wanted
        name = self.blob_name(lun)
        request = BlobRequest(
            wanted.storage_account, wanted.container, name, wanted.group, wanted.auth_mode, None
        )
        place = find_target(self.session, request, Waiter(True, waiter.timeout))
        return place, self._facts(place)

    def _facts(self, place: BlobTarget) -> BlobFacts | None:
        with reported():
            blob = self._blob(place)
            try:
                return blob.facts()
            finally:
                blob.close()

    def _blob(self, place: BlobTarget) -> PageBlob:
        return PageBlob(place.url, self._context, place.authorize)

    def _is_begun(self, lun: int | None) -> bool:
        facts = self._seen.get(lun)
        return facts is not None and COPY_OF in facts.metadata and CONTENT_TAG not in facts.metadata

    def _is_of_snapshot(self, lun: int | None, snapshots: TemporarySnapshots) -> bool:
        """Whether a killed run of this capture has begun the blob: its snapshot is there still."""
        facts = self._seen[lun]
        request = SourceRequest("snapshot", snapshots.id(lun), None, None)
        try:
            identity = find_resource(self.session, request).identity
        except NotFound:
            return False
        return facts is not None and facts.metadata.get(COPY_OF) == identity

    def _status_of(self, lun: int | None, source: SourceVm | None) -> str:
        facts = self._seen.get(lun)
        if facts is None:
            return ABSENT
        if source is None:
            return RIGHT if made_by(facts.metadata, self.request) else OTHER
        if facts.metadata.get(CONTENT_TAG) == content_digest(self.request, source):
            return RIGHT
        return UNFINISHED if self._may_replace(lun) else OTHER

    def _may_replace(self, lun: int | None) -> bool:
        """Whether what is there was begun, or made in vain, by a run of this build before this one."""
        facts = self._seen.get(lun)
        return lun in self._own or (facts is not None and is_replaceable(facts.metadata, self.request))

    def status(self, source: SourceVm | None) -> str:
        if self.missing:
            return ABSENT
        states = [self._status_of(lun, source) for lun in self._places]
        return next((state for state in (OTHER, UNFINISHED, ABSENT) if state in states), RIGHT)

    def findings(self, source: SourceVm) -> list[Finding]:
        self.warn_of_plan(source)
        found = list(self.missing)
        for lun in self._places:
            if self._status_of(lun, source) == OTHER:
                found.append(
                    self.finding(
                        "name-taken",
                        f"blob {self.blob_name(lun)} exists and was not made of this machine as it is.",
                        "Give another prefix, or delete that blob first.",
                        "prefix",
                    )
                )
        for disk in source.captured(self.request):
            policy = str(disk.properties.get("networkAccessPolicy") or "AllowAll")
            closed = policy != "AllowAll" or disk.properties.get("publicNetworkAccess") == "Disabled"
            if closed:
                found.append(
                    self.finding(
                        "export-denied",
                        f"the network access policy of the {disk.label} ({policy}) does not let the blob"
                        " service read it.",
                        "Allow the export of the disk, or capture to an image.",
                    )
                )
        return found

    def needs(self, source: SourceVm | None) -> list[Needs]:  # noqa: ARG002 - the same for all targets
        group = resource_group_id(self.session.subscription_id, self.request.vm_group)
        verbs = ("write", "delete", "beginGetAccess/action", "endGetAccess/action")
        temporary = TemporarySnapshots(self.session, self.request, Waiter()).id(None)
        needed = [Needs(group, [f"{_SNAPSHOT}/{verb}" for verb in verbs], temporary, deletes=True)]
        if self.wanted.auth_mode == "key" and not self.missing:
            account = resource_id(
                self.session.subscription_id,
                self.wanted.group,
                "Microsoft.Storage",
                "storageAccounts",
                self.wanted.storage_account,
            )
            needed.append(Needs(account, ["Microsoft.Storage/storageAccounts/listKeys/action"], account))
        return needed

    # Making.

    def make(self, source: SourceVm, waiter: Waiter, now: datetime) -> None:
        disks = [disk for disk in source.captured(self.request) if self._status_of(disk.lun, source) != RIGHT]
        snapshots = TemporarySnapshots(self.session, self.request, waiter)
        luns = [disk.lun for disk in disks]
        try:
            snapshots.make(source, disks, now)
            in_parallel(lambda lun: self._copy(lun, snapshots, waiter), luns)
            tags = provenance_tags(self.request, source, now)
            self._sign(luns, lambda metadata: {**metadata, **tags})
        except BaseException as failure:
            self._left(snapshots, luns, failure)
            raise
        snapshots.remove_all(disk.lun for disk in source.captured(self.request))

    def tidy(self, source: SourceVm, waiter: Waiter) -> None:
        if self._left_over:
            snapshots = TemporarySnapshots(self.session, self.request, waiter)
            snapshots.remove_all(disk.lun for disk in source.captured(self.request))

    def _left(self, snapshots: TemporarySnapshots, luns: list[int | None], failure: BaseException) -> None:
        """Remove what was made before a failure; when that fails as well, say so in its message.

        A blob without a snapshot that it was copied of could not be told from anybody's.
        """
        try:
            in_parallel(self._discard, luns)
            snapshots.remove_all(luns)
        except AzureError as error:
            if isinstance(failure, AzureError):
                names = ", ".join(snapshots.name(lun) for lun in luns)
                failure.message = f"{failure.message} Snapshots are left ({names}): {error}"

    def _discard(self, lun: int | None) -> None:
        """Delete a blob that was copied and not signed."""
        self._seen[lun] = self._facts(self._places[lun])
        if not self._is_begun(lun):
            return
        with reported():
            blob = self._blob(self._places[lun])
            try:
                blob.delete()
            finally:
                blob.close()

    def _copy(self, lun: int | None, snapshots: TemporarySnapshots, waiter: Waiter) -> None:
        source = find_resource(self.session, SourceRequest("snapshot", snapshots.id(lun), None, None))
        patient = Waiter(True, waiter.timeout, waiter.progress)
        access = DiskAccess(
            self.session.compute.snapshots,
            self.request.vm_group,
            snapshots.name(lun),
            patient,
            verify_tls=self.request.verify_tls,
        )
        options = CopyOptions(
            waiter=patient,
            force=self._may_replace(lun),
            check_mode=False,
            report=lambda _done, _total: None,
        )
        done = BlobCopy(source, self._places[lun], access, options, self._context).run()
        self.warnings += done.warnings

    def _sign(
        self, luns: Iterable[int | None], signed: Callable[[Mapping[str, str]], dict[str, str]]
    ) -> None:
        """Set the metadata of blobs to what `signed` makes of them, the operating system's last."""
        for lun in sorted(luns, key=lambda lun: -1 if lun is None else lun, reverse=True):
            with reported():
                blob = self._blob(self._places[lun])
                try:
                    facts = blob.facts()
                    blob.set_metadata(signed(facts.metadata if facts else {}))
                    self._seen[lun] = blob.facts()
                finally:
                    blob.close()

    def changes(self) -> list[str]:
        found = [facts.metadata for facts in self._seen.values() if facts is not None]
        return ["metadata"] if any(INCOMPLETE_TAG in metadata for metadata in found) else []

    def change(self, waiter: Waiter, *, only_look: bool) -> None:  # noqa: ARG002 - done when it is answered
        if not only_look:
            self._sign(self._places, completed)

    def note_incomplete(self, waiter: Waiter, now: datetime) -> None:  # noqa: ARG002 - as above
        self._sign(self._places, lambda metadata: {**metadata, INCOMPLETE_TAG: time_text(now)})

    def facts(self, source: SourceVm | None) -> dict[str, Any]:
        """Without a source the operating system's blob alone is known."""
        sizes = {}
        if source is not None:
            sizes = {disk.lun: disk.size_gb for disk in source.captured(self.request)}
        shown = {
            lun: {"url": str(place.url), "disk_size_gb": sizes.get(lun)}
            for lun, place in self._places.items()
        }
        signed = self._seen.get(None)
        return {
            # A blob is known by its URL.
            "id": shown[None]["url"] if None in shown else None,
            "storage_account": self.wanted.storage_account,
            "container": self.wanted.container,
            "os_disk": shown.get(None),
            "data_disks": [{"lun": lun, **each} for lun, each in shown.items() if lun is not None],
            "tags": dict(signed.metadata) if signed else {},
        }
