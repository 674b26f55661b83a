# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Rules about the source itself and where it is, whatever is made of it."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.goldenimage.azure.plugins.module_utils._image import (
    compatibility_documentation as docs,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image import target_facts as targets
from ansible_collections.goldenimage.azure.plugins.module_utils._image.compatibility_rule import (
    AT_ONCE,
    LATER,
    NEVER,
    SOURCE,
    WARNING,
    Reason,
    RuleBook,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_facts import (
    GENERALIZED,
    STANDARD,
    SourceFacts,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_names import (
    COMMUNITY,
    DISK_FILE,
    GALLERY,
    KIND_WORDS,
    MANAGED_DISK,
    MANAGED_IMAGE,
    MARKETPLACE,
    SHARED,
    SNAPSHOT,
    VHD_BLOB,
    VIRTUAL_MACHINE,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.target_facts import TargetFacts

BOOK = RuleBook()
_IMAGE_KINDS = (MARKETPLACE, COMMUNITY, SHARED, GALLERY, MANAGED_IMAGE)
#: What each target can be made of directly.
_FITTING = {
    targets.MANAGED_IMAGE: (VIRTUAL_MACHINE, MANAGED_DISK, SNAPSHOT, VHD_BLOB),
    targets.GALLERY_VERSION: (
        VIRTUAL_MACHINE,
        MANAGED_IMAGE,
        GALLERY,
        COMMUNITY,
        MANAGED_DISK,
        SNAPSHOT,
        VHD_BLOB,
    ),
    targets.VIRTUAL_MACHINE: (*_IMAGE_KINDS, MANAGED_DISK),
    targets.MANAGED_DISK: (*_IMAGE_KINDS, MANAGED_DISK, SNAPSHOT, VHD_BLOB, DISK_FILE),
    targets.VHD_BLOB: (VIRTUAL_MACHINE, MANAGED_DISK, SNAPSHOT, VHD_BLOB, DISK_FILE),
}
_TARGET_WORDS = {
    targets.MANAGED_IMAGE: "managed images",
    targets.GALLERY_VERSION: "gallery versions",
    targets.VIRTUAL_MACHINE: "virtual machines",
    targets.MANAGED_DISK: "managed disks",
    targets.VHD_BLOB: "VHD blobs",
}
_WAYS = {
    MARKETPLACE: "Make a virtual machine of it, and capture that.",
    COMMUNITY: "Make a virtual machine of it, and capture that.",
    SHARED: "Make a virtual machine of it, and capture that; or ask for read access to the gallery itself.",
    GALLERY: "Make a virtual machine of it, and capture that.",
    MANAGED_IMAGE: "Make a virtual machine of it, and capture that.",
    VIRTUAL_MACHINE: "Capture it to an image, or take its disks or snapshots of them.",
    MANAGED_DISK: "Make an image of it first.",
    SNAPSHOT: "Make a managed disk or an image of it first.",
    VHD_BLOB: "Make a managed disk or an image of it first.",
    DISK_FILE: "Upload it first, with module disk_upload.",
}
_READY = ("succeeded", "updating")
_CHANGING = ("creating", "updating", "deleting", "migrating")
# What a source has to be in the region for; other sources carry their own list of regions.
_ONE_REGION = (VIRTUAL_MACHINE, MANAGED_IMAGE, MANAGED_DISK, SNAPSHOT, VHD_BLOB)


@BOOK.rule(
    "source-kind",
    "the target can be made directly of a source of this kind",
    targets.TARGETS,
    docs.GALLERY,
    told=AT_ONCE,
)
def source_kind(source: SourceFacts, target: TargetFacts) -> Iterator[Reason]:
    if source.kind not in _FITTING[target.kind]:
        yield Reason(
            f"{source.name} is a {KIND_WORDS[source.kind]}, of which Azure makes no"
            f" {_TARGET_WORDS[target.kind]}.",
            _WAYS[source.kind],
            SOURCE,
        )


@BOOK.rule(
    "source-not-ready",
    "the source is complete, and not being deleted",
    targets.TARGETS,
    docs.ERRORS,
    told=AT_ONCE,
)
def source_not_ready(source: SourceFacts, target: TargetFacts) -> Iterator[Reason]:
    del target
    state = source.provisioning_state
    if state is None:
        return
    if source.kind == VIRTUAL_MACHINE:
        # One on which an operation failed is still there, and may be whole.
        ready = state.casefold() not in _CHANGING
    else:
        ready = state.casefold() in _READY
    if ready:
        return
    yield Reason(
        f"{source.name} cannot be used, its provisioning state is {state}.",
        "Make it anew." if state.casefold() == "failed" else "Run the task again when it is complete.",
        SOURCE,
    )


@BOOK.rule(
    "source-region",
    "source and target are in one region; an image of a gallery has a copy there",
    targets.TARGETS[:4],
    docs.VERSION,
    told=AT_ONCE,
)
def source_region(source: SourceFacts, target: TargetFacts) -> Iterator[Reason]:
    if target.location is None:
        return
    if source.kind in _ONE_REGION:
        if source.location is not None and source.location != target.location:
            late = source.kind == SNAPSHOT and target.kind == targets.MANAGED_IMAGE
            yield Reason(
                f"{source.name} is in {source.location}, {target.name} is to be in {target.location}.",
                f"Copy it to {target.location} first (module disk_copy for disks, snapshots and blobs), or"
                f" choose {source.location}.",
                SOURCE,
                LATER if late else None,
            )
    elif source.regions is not None and target.location not in source.regions:
        yield Reason(
            f"{source.name} has no copy in {target.location}, but in {', '.join(source.regions) or 'none'}.",
            f"Replicate it to {target.location}, ask its owner to, or choose a region where it is.",
            SOURCE,
        )


@BOOK.rule(
    "subscription-mismatch",
    "a managed image and its source belong to one subscription",
    [targets.MANAGED_IMAGE],
    docs.CAPTURE,
    told=AT_ONCE,
)
def subscription_mismatch(source: SourceFacts, target: TargetFacts) -> Iterator[Reason]:
    if not source.subscription or not target.subscription:
        return
    if source.subscription.casefold() != target.subscription.casefold():
        yield Reason(
            f"{source.name} is in another subscription than the image.",
            "A managed image and its sources belong to one subscription: set subscription_id to it,"
            " or copy the source.",
            SOURCE,
        )


@BOOK.rule(
    "not-generalized",
    "a machine of which a generalized image is made is marked generalized",
    [targets.MANAGED_IMAGE],
    docs.CAPTURE,
    told=AT_ONCE,
)
def not_generalized(source: SourceFacts, target: TargetFacts) -> Iterator[Reason]:
    del target
    # Of a gallery's definition, os-state-mismatch says it.
    if source.kind == VIRTUAL_MACHINE and source.os_state not in (None, GENERALIZED):
        yield Reason(
            f"{source.name} is not generalized.",
            "Generalize its operating system, stop it and mark it (module vm with generalized: true);"
            " an image of one machine with its identity is made from its disks, with os_state: Specialized.",
            SOURCE,
        )


@BOOK.rule(
    "source-ended",
    "the image has not reached its end of life",
    [targets.VIRTUAL_MACHINE, targets.MANAGED_DISK, targets.GALLERY_VERSION],
    docs.GALLERY,
    told=NEVER,
    severity=WARNING,
)
def source_ended(source: SourceFacts, target: TargetFacts) -> Iterator[Reason]:
    del target
    if source.ended:
        yield Reason(
            f"{source.name} has reached its end of life ({source.end_of_life}).", "Use a later one.", SOURCE
        )


@BOOK.rule(
    "source-deprecated",
    "the Marketplace has not withdrawn the image",
    [targets.VIRTUAL_MACHINE, targets.MANAGED_DISK],
    docs.DEPRECATED,
    told=AT_ONCE,
)
def source_deprecated(source: SourceFacts, target: TargetFacts) -> Iterator[Reason]:
    del target
    if source.deprecation.get("state") == "Deprecated":
        yield Reason(f"{source.name} is deprecated.", _alternative(source), SOURCE)


@BOOK.rule(
    "source-deprecation-announced",
    "the Marketplace is not about to withdraw the image",
    [targets.VIRTUAL_MACHINE, targets.MANAGED_DISK],
    docs.DEPRECATED,
    told=NEVER,
    severity=WARNING,
)
def deprecation_announced(source: SourceFacts, target: TargetFacts) -> Iterator[Reason]:
    del target
    if source.deprecation.get("state") == "ScheduledForDeprecation":
        when = source.deprecation.get("scheduled_time") or "a date not said"
        yield Reason(f"{source.name} will be deprecated at {when}.", _alternative(source), SOURCE)


def _alternative(source: SourceFacts) -> str:
    other = source.deprecation.get("alternative")
    return f"Use {other}." if other else "Use a later version, or another offer."


@BOOK.rule(
    "guest-state-lost",
    "what a VHD blob is made of has no guest state",
    [targets.VHD_BLOB],
    docs.EXPORT,
    told=NEVER,
    severity=WARNING,
)
def guest_state_lost(source: SourceFacts, target: TargetFacts) -> Iterator[Reason]:
    del target
    kinds = (VIRTUAL_MACHINE, MANAGED_DISK, SNAPSHOT)
    if source.kind in kinds and source.security_type not in (None, STANDARD):
        yield Reason(
            f"{source.name} has security type {source.security_type}; its virtual TPM and its keys do not go"
            " into a VHD.",
            "Use a gallery to keep them; a generalized system does without them.",
            SOURCE,
        )
