# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Looks at VHD blobs and disk files, as sources: what their bytes tell."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import (
    InvalidInput,
    NotFound,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import (
    normalize_location,
    parse_resource_id,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.inspection import inspect_disk
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.open import open_disk
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskError
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.vhd_footer import (
    FIXED,
    FOOTER_SIZE,
    FooterError,
    parse_footer,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.blob_urls import blob_place
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_facts import (
    BlobFacts,
    SourceDisk,
    SourceFacts,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_names import (
    DiskFile,
    VhdBlob,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.sources import account_of_blob
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.blob_target import (
    BlobRequest,
    find_source_url,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.failures import reported
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.connection import tls_context
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.page_blob import PageBlob

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

_GIB = 1 << 30
_KINDS = {FIXED: "fixed", 3: "dynamic", 4: "differencing"}
_KEY_TIMEOUT = 60


def describe_blob(
    session: AzureSession, source: VhdBlob, *, auth_mode: str = "key", verify_tls: bool = True
) -> SourceFacts:
    """A blob of a storage account of the subscription; of others only the name is known.

    Raises NotFound when the account is there and the blob is not, AzureError when it cannot be read.

    :param auth_mode: key or login, how the blob is read
    """
    place = blob_place("source", source.url)
    account = account_of_blob(session, source.url)
    if account is None:
        return SourceFacts(kind=source.kind, name=place.name, reference=str(source), pinned=str(source))
    parsed = parse_resource_id(account["id"])
    request = BlobRequest(parsed.name, place.container, place.name, parsed.resource_group, auth_mode, None)
    url = find_source_url(session, request, Waiter(True, _KEY_TIMEOUT), verify_tls=verify_tls)
    context = tls_context(os.environ, verify_tls)
    with reported():
        blob = PageBlob(url, context)
        try:
            found = blob.facts()
            if found is None:
                raise NotFound(f"there is no blob {source}.", code="BlobNotFound", remedy="Correct its name.")
            facts = _blob_facts(blob, found.kind, found.size, leased=found.leased)
        finally:
            blob.close()
    location = normalize_location(account["location"])
    size = facts.disk_size_bytes
    return SourceFacts(
        kind=source.kind,
        name=place.name,
        reference=str(source),
        pinned=str(source),
        identity=f"{source} {found.etag}",
        subscription=parsed.subscription,
        location=location,
        regions=(location,),
        os_disk=None if size is None else SourceDisk(size_gb=-(-size // _GIB)),
        blob=facts,
    )


def _blob_facts(blob: PageBlob, kind: str, size: int, *, leased: bool) -> BlobFacts:
    if kind != "PageBlob" or size < FOOTER_SIZE:
        return BlobFacts(kind, size, "" if kind == "PageBlob" else None, None, leased)
    try:
        footer = parse_footer(blob.get_pages(size - FOOTER_SIZE, FOOTER_SIZE))
    except FooterError:
        return BlobFacts(kind, size, "", None, leased)
    return BlobFacts(kind, size, _KINDS.get(footer.disk_type, ""), footer.current_size, leased)


def describe_file(source: DiskFile, *, allow_unpartitioned: bool = True) -> SourceFacts:
    """A disk file here. Raises InvalidInput when it is missing or no disk."""
    path = Path(source.path).expanduser()
    try:
        with open_disk(str(path), allow_unpartitioned) as reader:
            disk = inspect_disk(reader)
    except (DiskError, OSError) as error:
        raise InvalidInput(f"source: {source} cannot be read as a disk: {error}") from error
    return SourceFacts(
        kind=source.kind,
        name=path.name,
        reference=str(source),
        pinned=str(source),
        generation=disk["hyper_v_generation"],
        architecture=disk["architecture"],
        os_disk=SourceDisk(size_gb=-(-disk["virtual_size"] // _GIB)),
    )
