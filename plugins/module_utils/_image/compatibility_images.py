# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Rules about what source and image definition, managed image or machine both say of themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ansible_collections.goldenimage.azure.plugins.module_utils._image import (
    compatibility_documentation as docs,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image import target_facts as targets
from ansible_collections.goldenimage.azure.plugins.module_utils._image.compatibility_rule import (
    AT_BIRTH,
    AT_ONCE,
    LATER,
    NEVER,
    SOURCE,
    WARNING,
    Reason,
    RuleBook,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_facts import (
    NVME,
    SPECIALIZED,
    STANDARD,
    SourceFacts,
    allowed_security_types,
    leaves_choice,
    plan_text,
    same_plan,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_names import (
    COMMUNITY,
    GALLERY,
    MANAGED_DISK,
    MANAGED_IMAGE,
    SNAPSHOT,
    VHD_BLOB,
    VIRTUAL_MACHINE,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.target_facts import TargetFacts

BOOK = RuleBook()
_VERSION = [targets.GALLERY_VERSION]
_WITH_STATE = (targets.GALLERY_VERSION, targets.MANAGED_IMAGE)
# What Azure compares with the definition; of single disks it is not looked at.
_COMPARED = (VIRTUAL_MACHINE, MANAGED_IMAGE, GALLERY, COMMUNITY)


def _told(source: SourceFacts) -> str | None:
    return None if source.kind in _COMPARED else AT_BIRTH


def _mismatch(
    what: str, has: str | None, wanted: str | None, source: SourceFacts, target: TargetFacts
) -> Iterator[Reason]:
    if has and wanted and has.casefold() != wanted.casefold():
        yield Reason(
            f"{source.name} has {what} {has}, {target.name} is for {wanted}.",
            f"Use a definition for {has}." if target.kind == targets.GALLERY_VERSION else f"Ask for {has}.",
            told=_told(source),
        )


@BOOK.rule(
    "os-state-mismatch",
    "source and definition are both generalized or both specialized",
    _VERSION,
    docs.GALLERY,
    told=LATER,
)
def os_state(source: SourceFacts, target: TargetFacts) -> Iterator[Reason]:
    for reason in _mismatch("OS state", source.os_state, target.os_state, source, target):
        yield reason._replace(told=AT_ONCE) if source.kind == VIRTUAL_MACHINE else reason


@BOOK.rule("os-type-mismatch", "both are Linux or both are Windows", _WITH_STATE, docs.GALLERY, told=LATER)
def os_type(source: SourceFacts, target: TargetFacts) -> Iterator[Reason]:
    yield from _mismatch("operating system", source.os_type, target.os_type, source, target)


@BOOK.rule(
    "generation-mismatch",
    "both are of the same generation of the hypervisor",
    _WITH_STATE,
    docs.GENERATION,
    told=LATER,
)
def generation(source: SourceFacts, target: TargetFacts) -> Iterator[Reason]:
    for reason in _mismatch("generation", source.generation, target.generation, source, target):
        at_once = source.kind == VIRTUAL_MACHINE and target.kind == targets.MANAGED_IMAGE
        yield reason._replace(told=AT_ONCE) if at_once else reason


@BOOK.rule(
    "generation-unknown",
    "of a source that does not tell its generation, the image says it",
    [targets.MANAGED_IMAGE],
    docs.GENERATION,
    told=AT_ONCE,
)
def generation_unknown(source: SourceFacts, target: TargetFacts) -> Iterator[Reason]:
    if source.kind == VHD_BLOB and source.generation is None and target.generation is None:
        yield Reason(
            f"nothing says of which generation {source.name} is.",
            "Set hyper_v_generation: V2 for a disk with an EFI system partition that is to boot by UEFI.",
        )


@BOOK.rule("architecture-mismatch", "both are for the same processors", _VERSION, docs.GALLERY, told=LATER)
def architecture(source: SourceFacts, target: TargetFacts) -> Iterator[Reason]:
    yield from _mismatch("architecture", source.architecture, target.architecture, source, target)


@BOOK.rule(
    "definition-arm64-v1",
    "a definition for Arm64 is of generation V2",
    _VERSION,
    docs.GENERATION,
    told=AT_ONCE,
)
def definition_arm64(source: SourceFacts, target: TargetFacts) -> Iterator[Reason]:
    del source
    if (target.architecture or "").casefold() == "arm64" and target.generation == "V1":
        yield Reason(
            f"{target.name} is for Arm64 and for generation V1, which does not exist.",
            "Use generation V2.",
        )


@BOOK.rule(
    "definition-security-v1",
    "a definition with a security type is of generation V2",
    _VERSION,
    docs.TRUSTED_LAUNCH,
    told=AT_ONCE,
)
def definition_security(source: SourceFacts, target: TargetFacts) -> Iterator[Reason]:
    del source
    if target.security_type not in (None, STANDARD) and target.generation == "V1":
        yield Reason(
            f"{target.name} has SecurityType {target.security_type} and generation V1, which has no secure"
            " boot.",
            "Use generation V2, or no SecurityType.",
        )


@BOOK.rule(
    "security-type-mismatch",
    "the definition's SecurityType is one that a source of this kind and security type may have",
    _VERSION,
    docs.TRUSTED_LAUNCH,
    told=LATER,
)
def security_type(source: SourceFacts, target: TargetFacts) -> Iterator[Reason]:
    wanted, has = target.security_type, source.security_type
    if wanted is None:
        return
    if leaves_choice(wanted) and source.kind in (VIRTUAL_MACHINE, MANAGED_DISK, SNAPSHOT):
        yield _no_guest_state(source, target)
        return
    if has is None:
        return
    # An image whose feature ends in Supported has no guest state, as a standard one.
    own = STANDARD if leaves_choice(has) else has
    if leaves_choice(wanted) and own == STANDARD:
        return
    if own.casefold() != wanted.casefold():
        yield Reason(
            f"{source.name} has security type {has}, {target.name} is for {wanted}.",
            f"Use a definition for {has}.",
            told=_told(source),
        )


def _no_guest_state(source: SourceFacts, target: TargetFacts) -> Reason:
    has = source.security_type or STANDARD
    machine = source.kind == VIRTUAL_MACHINE
    what = (
        f"{target.name} has SecurityType {target.security_type}, of which Azure makes no versions of a"
        f" {'machine' if machine else source.kind.replace('_', ' ')}."
    )
    remedy = (
        f"Use a definition with SecurityType {has}, or capture to VHD blobs and make the version of these."
    )
    if has == STANDARD:
        remedy = "Use a definition without SecurityType, or capture to a managed image first."
    return Reason(what, remedy, told=AT_ONCE)


@BOOK.rule(
    "security-type-narrowed",
    "machines of the version may have the security types that machines of the source may have",
    _VERSION,
    docs.TRUSTED_LAUNCH,
    told=NEVER,
    severity=WARNING,
)
def security_narrowed(source: SourceFacts, target: TargetFacts) -> Iterator[Reason]:
    if target.security_type is None or not leaves_choice(source.security_type):
        return
    kept = allowed_security_types(target.security_type)
    lost = [each for each in allowed_security_types(source.security_type) if each not in kept]
    if lost:
        yield Reason(
            f"machines of {source.name} may have {' or '.join(lost)}, those of {target.name} may not.",
            f"Use a definition with SecurityType {source.security_type}.",
        )


@BOOK.rule(
    "controller-mismatch",
    "the definition's DiskControllerTypes name the controller that the source's disks are at",
    _VERSION,
    docs.NVME,
    told=AT_BIRTH,
)
def controller(source: SourceFacts, target: TargetFacts) -> Iterator[Reason]:
    has, wanted = source.disk_controllers, target.disk_controllers
    if not has or not wanted or _common(has, wanted):
        return
    mine, theirs = ", ".join(has), ", ".join(wanted)
    yield Reason(
        f"the disks of {source.name} are at an {mine} controller, {target.name} is for {theirs}.",
        f"Use a definition whose feature DiskControllerTypes names {mine}.",
    )


@BOOK.rule(
    "controller-narrowed",
    "machines of the version may have NVMe disks where machines of the source may",
    _VERSION,
    docs.NVME,
    told=AT_BIRTH,
    severity=WARNING,
)
def controller_narrowed(source: SourceFacts, target: TargetFacts) -> Iterator[Reason]:
    has, wanted = source.disk_controllers, target.disk_controllers
    if not has or not wanted or not _common(has, wanted):
        return
    if _common(has, [NVME]) and not _common(wanted, [NVME]):
        yield Reason(
            f"{source.name} starts from NVMe disks, {target.name} is for {', '.join(wanted)} alone: sizes"
            " that have NVMe only will refuse it.",
            "Use a definition whose feature DiskControllerTypes is SCSI, NVMe.",
        )


def _common(one: Sequence[str], other: Sequence[str]) -> bool:
    return bool({each.casefold() for each in one} & {each.casefold() for each in other})


@BOOK.rule(
    "plan-lost",
    "the definition has the purchase plan of the source",
    _VERSION,
    docs.PLAN,
    told=NEVER,
)
def plan_lost(source: SourceFacts, target: TargetFacts) -> Iterator[Reason]:
    if source.plan and target.plan is not None and not target.plan:
        yield Reason(
            f"{source.name} has Marketplace plan {plan_text(source.plan)}, {target.name} has none, so that no"
            " machine could be made of the version.",
            f"Use a definition with purchase plan {plan_text(source.plan)}.",
            told=LATER if source.kind == VIRTUAL_MACHINE else None,
        )


@BOOK.rule(
    "plan-mismatch",
    "the definition has no other purchase plan than the source",
    _VERSION,
    docs.PLAN,
    told=NEVER,
)
def plan_mismatch(source: SourceFacts, target: TargetFacts) -> Iterator[Reason]:
    if source.plan is None or not target.plan:
        return
    if not source.plan:
        yield Reason(
            f"{target.name} is for plan {plan_text(target.plan)}, {source.name} has none.",
            "Use a definition without a purchase plan.",
        )
    elif not same_plan(source.plan, target.plan):
        yield Reason(
            f"{source.name} has Marketplace plan {plan_text(source.plan)}, {target.name} is for"
            f" {plan_text(target.plan)}.",
            f"Use a definition with purchase plan {plan_text(source.plan)}.",
            told=LATER if source.kind == VIRTUAL_MACHINE else None,
        )


@BOOK.rule(
    "plan-in-tags",
    "a plan is not left to the tags or metadata of what is made",
    [targets.MANAGED_IMAGE, targets.VHD_BLOB],
    docs.PLAN,
    told=AT_BIRTH,
    severity=WARNING,
)
def plan_in_tags(source: SourceFacts, target: TargetFacts) -> Iterator[Reason]:
    if source.plan:
        yield Reason(
            f"machines of {target.name} need the plan {plan_text(source.plan)}, which Azure does not keep"
            " there; only its tags or metadata name it.",
            "Use a gallery, whose definition keeps the plan.",
        )


@BOOK.rule(
    "region-mismatch",
    "a version's own region is one of those it is replicated to",
    _VERSION,
    docs.VERSION,
    told=AT_ONCE,
)
def home_region(source: SourceFacts, target: TargetFacts) -> Iterator[Reason]:
    if target.location and target.regions and target.location not in target.regions:
        yield Reason(
            f"{source.name} is in {target.location}, which is not among its regions.",
            f"Add {target.location} to the regions: a version is made, and stays, in its source's region.",
        )


@BOOK.rule(
    "specialized-managed-image",
    "a managed image is generalized",
    [targets.MANAGED_IMAGE],
    docs.CAPTURE,
    told=AT_BIRTH,
    severity=WARNING,
)
def specialized_managed_image(source: SourceFacts, target: TargetFacts) -> Iterator[Reason]:
    del source
    if target.os_state == SPECIALIZED:
        yield Reason(
            "Azure makes no virtual machine of a specialized managed image.",
            "Use a version of a specialized definition of a gallery, or VHD blobs.",
        )


@BOOK.rule(
    "security-type-managed-image",
    "what a managed image is made of has no Trusted Launch and is not confidential",
    [targets.MANAGED_IMAGE],
    docs.CAPTURE,
    told=AT_ONCE,
)
def security_managed_image(source: SourceFacts, target: TargetFacts) -> Iterator[Reason]:
    del target
    if source.security_type not in (None, STANDARD):
        yield Reason(
            f"{source.name} has security type {source.security_type}, of which Azure makes no managed"
            " images.",
            "Publish it as a version of an Azure Compute Gallery, of a definition with SecurityType"
            f" {source.security_type}.",
            SOURCE,
        )
