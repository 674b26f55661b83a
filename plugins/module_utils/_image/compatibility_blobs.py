# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Rules about the VHD blobs that disks and images are made of."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.goldenimage.azure.plugins.module_utils._image import (
    compatibility_documentation as docs,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image import target_facts as targets
from ansible_collections.goldenimage.azure.plugins.module_utils._image.compatibility_rule import (
    AT_ONCE,
    NEVER,
    SOURCE,
    WARNING,
    Reason,
    RuleBook,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_facts import (
    BlobFacts,
    SourceFacts,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_names import VHD_BLOB
from ansible_collections.goldenimage.azure.plugins.module_utils._image.target_facts import TargetFacts

BOOK = RuleBook()
_MADE_OF = (targets.MANAGED_IMAGE, targets.GALLERY_VERSION, targets.MANAGED_DISK)
_MIB = 1 << 20
_FOOTER = 512
# Bytes; "Upload a VHD to Azure" and the limits of page blobs.
_SMALLEST, _LARGEST = 20 * _MIB, 4095 << 30
_REMEDY = "Upload the disk with module disk_upload, which makes it what Azure wants."


def _blob(source: SourceFacts) -> BlobFacts:
    return (source.blob or BlobFacts()) if source.kind == VHD_BLOB else BlobFacts()


@BOOK.rule("blob-not-page", "the blob is a page blob", _MADE_OF, docs.UPLOAD, told=AT_ONCE)
def not_page(source: SourceFacts, target: TargetFacts) -> Iterator[Reason]:
    del target
    kind = _blob(source).blob_type
    if kind is not None and kind != "PageBlob":
        yield Reason(f"{source.name} is a {kind}, Azure takes disks from page blobs only.", _REMEDY, SOURCE)


@BOOK.rule("blob-no-vhd", "the blob ends in the footer of a VHD", _MADE_OF, docs.UPLOAD, told=AT_ONCE)
def no_vhd(source: SourceFacts, target: TargetFacts) -> Iterator[Reason]:
    del target
    if _blob(source).disk_type == "":
        yield Reason(
            f"{source.name} does not end in the footer of a VHD: it is something else, or was not uploaded"
            " to its end.",
            _REMEDY,
            SOURCE,
        )


@BOOK.rule("blob-not-fixed", "the VHD is of the fixed kind", _MADE_OF, docs.UPLOAD, told=AT_ONCE)
def not_fixed(source: SourceFacts, target: TargetFacts) -> Iterator[Reason]:
    del target
    kind = _blob(source).disk_type
    if kind and kind != "fixed":
        yield Reason(f"{source.name} is a {kind} VHD, Azure takes fixed ones only.", _REMEDY, SOURCE)


@BOOK.rule(
    "blob-size",
    "the disk in the VHD is whole MiB, from 20 MiB to 4095 GiB, and as large as its footer says",
    _MADE_OF,
    docs.UPLOAD,
    told=AT_ONCE,
)
def size(source: SourceFacts, target: TargetFacts) -> Iterator[Reason]:
    del target
    blob = _blob(source)
    if blob.size_bytes is None or blob.disk_type != "fixed":
        return
    disk = blob.size_bytes - _FOOTER
    if blob.disk_size_bytes not in (None, disk):
        yield Reason(
            f"the footer of {source.name} is for {blob.disk_size_bytes} bytes, {disk} stand before it.",
            _REMEDY,
            SOURCE,
        )
    elif disk % _MIB:
        yield Reason(f"the disk in {source.name} has {disk} bytes, which is not whole MiB.", _REMEDY, SOURCE)
    elif not _SMALLEST <= disk <= _LARGEST:
        yield Reason(
            f"the disk in {source.name} has {disk} bytes, Azure takes {_SMALLEST} to {_LARGEST}.",
            "Grow or shrink the disk.",
            SOURCE,
        )


@BOOK.rule(
    "blob-leased",
    "nobody has a lease on the blob",
    _MADE_OF,
    docs.ERRORS,
    told=NEVER,
    severity=WARNING,
)
def leased(source: SourceFacts, target: TargetFacts) -> Iterator[Reason]:
    del target
    if _blob(source).leased:
        yield Reason(
            f"{source.name} has a lease: it is a disk of a machine, or somebody is writing it.",
            "Wait for its end, so that it does not change while it is read.",
            SOURCE,
        )
