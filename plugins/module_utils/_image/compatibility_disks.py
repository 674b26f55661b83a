# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Rules about the disks of a source, each of them on its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ansible_collections.goldenimage.azure.plugins.module_utils._image import (
    compatibility_documentation as docs,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image import target_facts as targets
from ansible_collections.goldenimage.azure.plugins.module_utils._image.compatibility_rule import (
    AT_ONCE,
    LATER,
    NEVER,
    WARNING,
    Reason,
    RuleBook,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_facts import (
    SourceDisk,
    SourceFacts,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.target_facts import TargetFacts

BOOK = RuleBook()
# Everything a disk's content is copied to at once; a managed disk is copied otherwise, or attached.
_COPIES = (targets.MANAGED_IMAGE, targets.GALLERY_VERSION, targets.VHD_BLOB)
_IMAGES = (targets.MANAGED_IMAGE, targets.GALLERY_VERSION)
_UNSUPPORTED: Mapping[str | None, str] = {
    # No copies of these by image or by snapshot that could be read ("Azure managed disk types").
    "UltraSSD_LRS": "an Ultra disk",
    "PremiumV2_LRS": "a Premium SSD v2 disk",
}
_WRITTEN_TO: Mapping[str | None, str] = {
    "ReadyToUpload": "it waits for its upload",
    "ActiveUpload": "an upload into it has not been completed",
    "ActiveSAS": "access to it is granted by a shared access signature",
    "ActiveSASFrozen": "access to it is granted by a shared access signature",
}
_COMPLETE = 100
# GiB; larger disks are not replicated ("Azure Compute Gallery", limits).
LARGEST_REPLICATED = 2048


def _where(disk: SourceDisk) -> str:
    return f"disk {disk.name or ''}".rstrip()


def _without(disk: SourceDisk) -> str:
    return "Leave it out with data_disks, or detach it." if disk.lun is not None else ""


def _managed(source: SourceFacts) -> Iterator[SourceDisk]:
    yield from (disk for disk in source.disks if disk.managed and not disk.ephemeral and not disk.missing)


@BOOK.rule(
    "ephemeral-os-disk",
    "the operating system disk outlives its host",
    _COPIES,
    docs.EPHEMERAL,
    told=AT_ONCE,
)
def ephemeral_os_disk(source: SourceFacts, target: TargetFacts) -> Iterator[Reason]:
    del target
    if source.os_disk and source.os_disk.ephemeral:
        yield Reason(
            f"{source.name} has an ephemeral operating system disk, which lives on its host alone.",
            "Capture a machine whose operating system disk is a managed disk.",
            "source",
        )


@BOOK.rule("unmanaged-disk", "the machine's disks are managed disks", _COPIES, docs.UNMANAGED, told=AT_ONCE)
def unmanaged_disk(source: SourceFacts, target: TargetFacts) -> Iterator[Reason]:
    for disk in source.disks:
        if not disk.managed and not disk.ephemeral:
            # Azure still makes a managed image of such a machine; gallery and export want managed disks.
            yield Reason(
                f"the {disk.label} is a blob of one's own, not a managed disk.",
                "Convert the machine to managed disks first (az vm convert).",
                _where(disk),
                NEVER if target.kind == targets.MANAGED_IMAGE else None,
            )


@BOOK.rule("disk-missing", "all disks of the machine are there", _COPIES, docs.ERRORS, told=AT_ONCE)
def disk_missing(source: SourceFacts, target: TargetFacts) -> Iterator[Reason]:
    del target
    for disk in source.disks:
        if disk.missing:
            yield Reason(f"the {disk.label} is not there any more.", _without(disk), _where(disk))


@BOOK.rule("shared-disk", "no disk is shared between machines", _COPIES, docs.SHARED_DISKS, told=NEVER)
def shared_disk(source: SourceFacts, target: TargetFacts) -> Iterator[Reason]:
    del target
    for disk in _managed(source):
        if disk.shared:
            yield Reason(f"the {disk.label} may be shared with other machines.", _without(disk), _where(disk))


@BOOK.rule(
    "unsupported-disk",
    "no disk is an Ultra or Premium SSD v2 disk",
    _COPIES,
    docs.DISK_TYPES,
    told=AT_ONCE,
)
def unsupported_disk(source: SourceFacts, target: TargetFacts) -> Iterator[Reason]:
    del target
    for disk in _managed(source):
        kind = _UNSUPPORTED.get(disk.storage_account_type)
        if kind:
            yield Reason(
                f"the {disk.label} is {kind}, of which Azure makes no images.", _without(disk), _where(disk)
            )


@BOOK.rule(
    "encrypted-disk",
    "no disk is encrypted in the guest by Azure Disk Encryption",
    _COPIES,
    docs.DISK_ENCRYPTION,
    told=NEVER,
)
def encrypted_disk(source: SourceFacts, target: TargetFacts) -> Iterator[Reason]:
    del target
    for disk in _managed(source):
        if disk.guest_encrypted:
            yield Reason(
                f"the {disk.label} is encrypted in the guest (Azure Disk Encryption).",
                "Disable Azure Disk Encryption first; encryption at host and disk encryption sets may stay.",
                _where(disk),
            )


@BOOK.rule(
    "disk-busy",
    "every disk has its content: no upload, copy or access by SAS is under way",
    _COPIES,
    docs.ERRORS,
    told=LATER,
)
def disk_busy(source: SourceFacts, target: TargetFacts) -> Iterator[Reason]:
    del target
    for disk in _managed(source):
        why = _WRITTEN_TO.get(disk.state)
        if why:
            yield Reason(
                f"the {disk.label} cannot be captured now, {why} (state {disk.state}).",
                "Complete the upload or revoke the access first (az disk revoke-access).",
                _where(disk),
            )
        done = _COMPLETE if disk.completion_percent is None else disk.completion_percent
        if done < _COMPLETE:
            yield Reason(
                f"the {disk.label} is still being filled, {done:g} percent are done.",
                "Run the task again when that is complete.",
                _where(disk),
            )


@BOOK.rule(
    "disk-too-large",
    f"no disk of a version that is replicated is larger than {LARGEST_REPLICATED} GiB",
    [targets.GALLERY_VERSION],
    docs.VERSION,
    told=LATER,
)
def disk_too_large(source: SourceFacts, target: TargetFacts) -> Iterator[Reason]:
    if target.replication_mode == "Shallow":
        return
    for disk in source.disks:
        if (disk.size_gb or 0) > LARGEST_REPLICATED:
            yield Reason(
                f"{disk.label} has {disk.size_gb} GiB, no more than {LARGEST_REPLICATED} are replicated.",
                "Leave it out with data_disks, or set replication_mode to Shallow.",
            )


@BOOK.rule(
    "disk-smaller",
    "the operating system disk is not made smaller than the source's",
    [targets.VIRTUAL_MACHINE, targets.MANAGED_DISK, targets.MANAGED_IMAGE],
    docs.ERRORS,
    told=LATER,
)
def disk_smaller(source: SourceFacts, target: TargetFacts) -> Iterator[Reason]:
    has = source.os_disk.size_gb if source.os_disk else None
    if target.os_disk_size_gb is not None and has is not None and target.os_disk_size_gb < has:
        yield Reason(
            f"{target.os_disk_size_gb} GiB are less than the {has} GiB of {source.name}, and a disk cannot"
            " shrink.",
            f"Ask for {has} GiB or more.",
        )


@BOOK.rule(
    "customer-key-lost",
    "what is made of disks with a disk encryption set has one too",
    _IMAGES,
    docs.DISK_ENCRYPTION,
    told=NEVER,
    severity=WARNING,
)
def customer_key_lost(source: SourceFacts, target: TargetFacts) -> Iterator[Reason]:
    if target.encryption != "platform":
        return
    for disk in source.disks:
        if disk.encryption_set:
            yield Reason(
                f"the {disk.label} is encrypted with a key of your own, {target.name} by the platform's.",
                "Name a disk encryption set for the target.",
                _where(disk),
            )
