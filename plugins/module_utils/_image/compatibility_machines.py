# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Rules about a virtual machine that is to be made of an image or a disk."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.goldenimage.azure.plugins.module_utils._image import (
    compatibility_documentation as docs,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image import target_facts as targets
from ansible_collections.goldenimage.azure.plugins.module_utils._image.compatibility_rule import (
    AT_ONCE,
    LATER,
    SOURCE,
    WARNING,
    Reason,
    RuleBook,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_facts import (
    CONFIDENTIAL,
    GENERALIZED,
    SPECIALIZED,
    STANDARD,
    TRUSTED_LAUNCH,
    SourceFacts,
    allowed_security_types,
    plan_text,
    same_plan,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_names import (
    MANAGED_DISK,
    MANAGED_IMAGE,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.target_facts import (
    MachineSize,
    TargetFacts,
)

BOOK = RuleBook()
_MACHINE = [targets.VIRTUAL_MACHINE]
_CONFIDENTIAL_ENCRYPTION = ("VMGuestStateOnly", "DiskWithVMGuestState", "NonPersistedTPM")
_UNSIZED = MachineSize("")


def _size(target: TargetFacts) -> MachineSize:
    return target.size or _UNSIZED


@BOOK.rule(
    "specialized-managed-image-machine",
    "the managed image that a machine is made of is generalized",
    _MACHINE,
    docs.CAPTURE,
    told=LATER,
    severity=WARNING,
)
def specialized_managed_image(source: SourceFacts, target: TargetFacts) -> Iterator[Reason]:
    del target
    if source.kind == MANAGED_IMAGE and source.os_state == SPECIALIZED:
        yield Reason(
            f"{source.name} is a specialized managed image; Azure is made for generalized ones.",
            "Make a specialized gallery version of it, or disks.",
            SOURCE,
        )


@BOOK.rule(
    "login-with-specialized",
    "a machine of a specialized image or a disk is given no administrator: it has its own",
    _MACHINE,
    docs.GALLERY,
    told=AT_ONCE,
)
def login_with_specialized(source: SourceFacts, target: TargetFacts) -> Iterator[Reason]:
    keeps = source.os_state == SPECIALIZED or source.kind == MANAGED_DISK
    if target.with_login and keeps:
        yield Reason(
            f"{source.name} is specialized: its accounts and its host name stay, Azure sets none.",
            "Leave out the administrator, keys, password, host name and custom data.",
        )


@BOOK.rule(
    "login-missing",
    "a machine of a generalized image is given an administrator",
    _MACHINE,
    docs.GALLERY,
    told=AT_ONCE,
)
def login_missing(source: SourceFacts, target: TargetFacts) -> Iterator[Reason]:
    if target.with_login is False and source.os_state == GENERALIZED and source.kind != MANAGED_DISK:
        yield Reason(
            f"{source.name} is generalized and has no account, and the machine is given none.",
            "Give an administrator's name with a key or a password.",
        )


@BOOK.rule(
    "size-generation",
    "the size boots machines of the image's generation",
    _MACHINE,
    docs.GENERATION,
    told=AT_ONCE,
)
def size_generation(source: SourceFacts, target: TargetFacts) -> Iterator[Reason]:
    able = _size(target).generations
    if able and source.generation and source.generation not in able:
        yield Reason(
            f"size {_size(target).name} boots generation {', '.join(able)}, {source.name} is of"
            f" {source.generation}.",
            f"Choose a size for {source.generation}, or an image of generation {able[0]}.",
        )


@BOOK.rule(
    "size-architecture",
    "the size has processors of the image's architecture",
    _MACHINE,
    docs.SIZES,
    told=AT_ONCE,
)
def size_architecture(source: SourceFacts, target: TargetFacts) -> Iterator[Reason]:
    able = _size(target).architecture
    if able and source.architecture and able.casefold() != source.architecture.casefold():
        yield Reason(
            f"size {_size(target).name} has {able} processors, {source.name} is for {source.architecture}.",
            f"Choose a size with {source.architecture} processors, or an image for {able}.",
        )


@BOOK.rule(
    "size-controller",
    "the image starts from a disk controller that the size has",
    _MACHINE,
    docs.NVME,
    told=AT_ONCE,
)
def size_controller(source: SourceFacts, target: TargetFacts) -> Iterator[Reason]:
    has, able = source.disk_controllers, _size(target).disk_controllers
    if not has or not able:
        return
    if not {each.casefold() for each in has} & {each.casefold() for each in able}:
        yield Reason(
            f"size {_size(target).name} has {', '.join(able)} disks alone, {source.name} is for"
            f" {', '.join(has)}.",
            "Choose another size; or, where its system has the drivers, a definition with"
            " DiskControllerTypes SCSI, NVMe.",
        )


@BOOK.rule(
    "machine-security-type",
    "the image lets machines have the security type that is asked for",
    _MACHINE,
    docs.TRUSTED_LAUNCH,
    told=AT_ONCE,
)
def machine_security(source: SourceFacts, target: TargetFacts) -> Iterator[Reason]:
    wanted = target.security_type
    if wanted is None or source.security_type is None:
        return
    if source.kind == MANAGED_DISK:
        allowed: tuple[str, ...] = (source.security_type,)
    else:
        allowed = allowed_security_types(source.security_type)
    if wanted not in allowed:
        yield Reason(
            f"{source.name} is for machines with security type {' or '.join(allowed)}, not {wanted}.",
            f"Set security_type to {allowed[0]}, or use another image.",
        )
    elif wanted != STANDARD and source.generation == "V1":
        yield Reason(
            f"{source.name} is of generation V1, which has no secure boot for {wanted}.",
            "Use an image of generation V2.",
        )


@BOOK.rule(
    "size-security-type",
    "the size can have the security type that is asked for",
    _MACHINE,
    docs.TRUSTED_LAUNCH,
    told=AT_ONCE,
)
def size_security(source: SourceFacts, target: TargetFacts) -> Iterator[Reason]:
    del source
    able = {TRUSTED_LAUNCH: _size(target).trusted_launch, CONFIDENTIAL: _size(target).confidential}
    if able.get(target.security_type or "") is False:
        yield Reason(
            f"size {_size(target).name} cannot have security type {target.security_type}.",
            "Choose another size, or another security type.",
        )


@BOOK.rule(
    "confidential-encryption",
    "a confidential machine says how its disk is encrypted",
    _MACHINE,
    docs.CONFIDENTIAL,
    told=AT_ONCE,
)
def confidential_encryption(source: SourceFacts, target: TargetFacts) -> Iterator[Reason]:
    del source
    if target.security_type != CONFIDENTIAL or target.encryption is None:
        return
    if target.encryption not in _CONFIDENTIAL_ENCRYPTION:
        yield Reason(
            f"a confidential machine's disk is not encrypted by {target.encryption}.",
            f"Use one of {', '.join(_CONFIDENTIAL_ENCRYPTION)}.",
        )


@BOOK.rule(
    "size-restricted",
    "the subscription may use the size in the region",
    _MACHINE,
    docs.SIZES,
    told=AT_ONCE,
)
def size_restricted(source: SourceFacts, target: TargetFacts) -> Iterator[Reason]:
    del source
    if _size(target).restricted:
        yield Reason(
            f"size {_size(target).name} is not available to this subscription in"
            f" {target.location or 'the region'}.",
            "Choose another size or region.",
        )


@BOOK.rule("size-zone", "the size is offered in the zone", _MACHINE, docs.ZONES, told=AT_ONCE)
def size_zone(source: SourceFacts, target: TargetFacts) -> Iterator[Reason]:
    del source
    zones = _size(target).zones
    if target.zone and zones is not None and target.zone not in zones:
        offered = f"in zones {', '.join(zones)}" if zones else "in no zone"
        yield Reason(
            f"size {_size(target).name} is offered {offered} of {target.location or 'the region'}, not in"
            f" {target.zone}.",
            "Choose another zone, another size, or leave the zone out.",
        )


@BOOK.rule(
    "machine-plan-missing",
    "a machine of an image with a plan has that plan",
    _MACHINE,
    docs.PLAN,
    told=AT_ONCE,
)
def plan_missing(source: SourceFacts, target: TargetFacts) -> Iterator[Reason]:
    if not source.plan or target.plan is None:
        return
    if not target.plan:
        yield Reason(
            f"{source.name} has Marketplace plan {plan_text(source.plan)}, the machine has none.",
            "Give the machine that plan.",
            told=LATER,
        )
    elif not same_plan(source.plan, target.plan):
        yield Reason(
            f"{source.name} has Marketplace plan {plan_text(source.plan)}, the machine is to have"
            f" {plan_text(target.plan)}.",
            "Give the machine the image's plan.",
        )


@BOOK.rule(
    "terms-not-accepted",
    "the subscription has accepted the terms of the image's plan",
    _MACHINE,
    docs.PLAN,
    told=AT_ONCE,
)
def terms_not_accepted(source: SourceFacts, target: TargetFacts) -> Iterator[Reason]:
    del target
    if source.plan and source.terms_accepted is False:
        yield Reason(
            f"the terms of plan {plan_text(source.plan)} are not accepted in this subscription.",
            "Read and accept them with module marketplace_terms.",
            SOURCE,
        )
