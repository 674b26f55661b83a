# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The module disk_copy's work: its options, checked before Azure is asked anything, and its outcome."""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import parse_resource_id
from ansible_collections.goldenimage.azure.plugins.module_utils._module import Outcome
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.blob_target import (
    BlobRequest,
    find_target,
    sas_target,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.common_options import (
    checks_certificates,
    waiter_of,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.copy_progress import CopyProgress
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.copy_result import (
    Copied,
    CopyOptions,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.copy_source import (
    BlobSource,
    ResourceSource,
    SourceRequest,
    find_blob,
    find_resource,
    importable,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.copy_target import ResourceTarget
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.copy_to_blob import BlobCopy
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.copy_to_resource import ResourceCopy
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.disk_access import DiskAccess
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.failures import reported
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.interruption import interruptible
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.connection import tls_context
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.progress_file import ProgressFile

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

_RESOURCE_OPTIONS = (
    "location",
    "sku",
    "zone",
    "incremental",
    "disk_encryption_set",
    "os_type",
    "hyper_v_generation",
    "tags",
)


class CopyJob:
    """One run of the module.

    Making one checks everything that needs no request; bad input raises InvalidInput.
    """

    def __init__(self, options: Mapping[str, Any], *, check_mode: bool) -> None:
        self._options = options
        self._waiter = waiter_of(options, wait=options["wait"])
        self._check_mode = check_mode
        self._source = _source(options["source"], options["resource_group"])
        self._target = self._blob_target() or self._resource_target()
        self._verify_tls = checks_certificates(options, signs_in=self.needs_session)

    @property
    def needs_session(self) -> bool:
        """Whether anything has to be asked of Azure Resource Manager or signed in for."""
        blobs = (self._source.blob, self._target)
        return not all(isinstance(blob, BlobRequest) and blob.sas_url for blob in blobs)

    def _blob_target(self) -> BlobRequest | None:
        options = self._options
        if options["disk_name"] or options["snapshot_name"]:
            return None
        meaningless = [name for name in _RESOURCE_OPTIONS if options[name] not in (None, "")]
        if meaningless:
            raise InvalidInput(
                f"{', '.join(meaningless)}: only a managed disk or snapshot has that, a blob does not.",
                remedy="Set disk_name or snapshot_name, or leave it out.",
            )
        request = BlobRequest.of(options, options["resource_group"])
        with reported():
            request.check()
            if request.sas_url:
                sas_target(request)
        return request

    def _resource_target(self) -> ResourceTarget:
        options = self._options
        if self._source.blob is None and (options["os_type"] or options["hyper_v_generation"]):
            raise InvalidInput(
                "os_type, hyper_v_generation: a copy of a disk or snapshot has its source's.",
                remedy="Leave them out.",
            )
        kind = "disk" if options["disk_name"] else "snapshot"
        target = ResourceTarget(
            kind=kind,
            resource_group=options["resource_group"] or "",
            name=options[f"{kind}_name"],
            location=options["location"] or None,
            sku=options["sku"],
            zone=options["zone"],
            incremental=options["incremental"],
            disk_encryption_set=options["disk_encryption_set"] or None,
            os_type=options["os_type"],
            generation=options["hyper_v_generation"],
            tags=options["tags"],
            append_tags=options["append_tags"],
        )
        target.check()
        return target

    def run(self, session: AzureSession | None) -> Outcome:
        """Copy; `session` may be None when `needs_session` is False."""
        progress = ProgressFile(self._options["progress_file"])
        started = time.monotonic()
        options = CopyOptions(
            waiter=self._waiter,
            force=self._options["force"],
            check_mode=self._check_mode,
            report=CopyProgress(progress.copying),
        )
        try:
            with interruptible("The copy was interrupted; what it had created was removed."):
                source, done = self._copy(session, options)
        finally:
            progress.close()
        kind = "blob" if isinstance(self._target, BlobRequest) else self._target.kind
        return Outcome(
            changed=done.changed,
            result={
                kind: done.facts,
                "source": source.facts(),
                "seconds": round(time.monotonic() - started, 3),
            },
            before=done.before,
            after=done.after,
            actions=list(done.actions),
            warnings=list(done.warnings),
        )

    def _copy(
        self, session: AzureSession | None, options: CopyOptions
    ) -> tuple[ResourceSource | BlobSource, Copied]:
        with reported():
            context = tls_context(os.environ, self._verify_tls)
        source = self._found(session, context)
        if isinstance(self._target, ResourceTarget):
            if session is None:
                raise ValueError("a disk or snapshot needs a session")
            original = importable(session, source) if isinstance(source, BlobSource) else source
            return source, ResourceCopy(session, original, self._target, options).run()
        if session is None or self._target.sas_url:
            target = sas_target(self._target)
        else:
            target = find_target(session, self._target, self._waiter)
        access = None if session is None else self._access(session, source)
        return source, BlobCopy(source, target, access, options, context).run()

    def _found(self, session: AzureSession | None, context: ssl.SSLContext) -> ResourceSource | BlobSource:
        if self._source.blob is not None:
            own_sas = bool(self._source.blob.sas_url)
            return find_blob(
                None if own_sas else session,
                self._source.blob,
                self._waiter,
                context,
                verify_tls=self._verify_tls,
            )
        if session is None:
            raise ValueError("a disk or snapshot needs a session")
        return find_resource(session, self._source)

    def _access(self, session: AzureSession, source: ResourceSource | BlobSource) -> DiskAccess | None:
        if isinstance(source, BlobSource):
            return None
        place = parse_resource_id(source.id)
        compute = session.compute_in(place.subscription)
        collection = compute.disks if source.kind == "disk" else compute.snapshots
        patient = Waiter(wait=True, timeout=self._waiter.timeout)
        return DiskAccess(collection, place.resource_group, place.name, patient, verify_tls=self._verify_tls)


def _source(options: Mapping[str, Any], resource_group: str | None) -> SourceRequest:
    group = options["resource_group"] or resource_group or None
    kind = "disk" if options["disk_name"] else "snapshot" if options["snapshot_name"] else "blob"
    if kind == "blob":
        request = SourceRequest(kind, "", group, BlobRequest.of(options, group))
    else:
        request = SourceRequest(kind, options[f"{kind}_name"], group, None)
    request.check()
    return request
