# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What is known of a source: the one description of every kind, for users and for the compatibility rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

STANDARD, TRUSTED_LAUNCH, CONFIDENTIAL = "Standard", "TrustedLaunch", "ConfidentialVM"
GENERALIZED, SPECIALIZED = "Generalized", "Specialized"
SCSI, NVME = "SCSI", "NVMe"
PLAN_PARTS = ("publisher", "product", "name")


@dataclass(frozen=True)
class SourceDisk:
    """One disk of a source. `lun` None: the operating system disk. Sizes are GiB; None: not known.

    `state` is Azure's diskState; `guest_encrypted` Azure Disk Encryption; `encryption_set` a resource id.
    """

    lun: int | None = None
    name: str | None = None
    id: str | None = None
    size_gb: int | None = None
    storage_account_type: str | None = None
    caching: str | None = None
    state: str | None = None
    completion_percent: float | None = None
    managed: bool = True
    missing: bool = False
    ephemeral: bool = False
    shared: bool = False
    guest_encrypted: bool = False
    encryption_set: str | None = None

    @property
    def label(self) -> str:
        """As a sentence names it: its place and name."""
        place = "operating system disk" if self.lun is None else f"data disk at LUN {self.lun}"
        return f"{place} {self.name or ''}".rstrip()


@dataclass(frozen=True)
class BlobFacts:
    """What the blob service and the VHD's footer say of a blob. Sizes are bytes; None: not looked.

    `disk_type` is fixed, dynamic, differencing, or "" for what holds no VHD.
    """

    blob_type: str | None = None
    size_bytes: int | None = None
    disk_type: str | None = None
    disk_size_bytes: int | None = None
    leased: bool = False


@dataclass(frozen=True)
class SourceFacts:
    """A source as it is. None stands for "not known", which no rule holds against it.

    `reference` is the name as it was given, in canonical spelling; `pinned` names exactly what `version` is.
    `security_type` of a machine, disk or snapshot is its own; of an image it is the feature SecurityType,
    such as TrustedLaunchSupported, Standard where it has none. `regions` are those it can be used in.
    `plan` {} says that it has none; `terms_accepted` whether this subscription has accepted the plan's.
    `identity` is another when the source was replaced by one of the same name.
    """

    kind: str
    name: str = "the source"
    reference: str | None = None
    pinned: str | None = None
    id: str | None = None
    identity: str | None = None
    version: str | None = None
    subscription: str | None = None
    location: str | None = None
    regions: Sequence[str] | None = None
    os_type: str | None = None
    os_state: str | None = None
    generation: str | None = None
    architecture: str | None = None
    security_type: str | None = None
    disk_controllers: Sequence[str] | None = None
    features: Mapping[str, str] = field(default_factory=dict)
    plan: Mapping[str, str] | None = None
    terms_accepted: bool | None = None
    os_disk: SourceDisk | None = None
    data_disks: Sequence[SourceDisk] = ()
    blob: BlobFacts | None = None
    provisioning_state: str | None = None
    power_state: str | None = None
    end_of_life: str | None = None
    ended: bool | None = None
    deprecation: Mapping[str, Any] = field(default_factory=dict)
    exclude_from_latest: bool | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def disks(self) -> list[SourceDisk]:
        """The operating system's first, as far as they are known."""
        return [*([self.os_disk] if self.os_disk else []), *self.data_disks]


# What the feature SecurityType of an image lets machines be; "Supported" leaves the choice to them. Source:
# "Trusted launch for Azure virtual machines" and "Create an image definition and an image version".
_ALLOWED = {
    "standard": (STANDARD,),
    "trustedlaunch": (TRUSTED_LAUNCH,),
    "trustedlaunchsupported": (STANDARD, TRUSTED_LAUNCH),
    "confidentialvm": (CONFIDENTIAL,),
    "confidentialvmsupported": (STANDARD, CONFIDENTIAL),
    "trustedlaunchandconfidentialvmsupported": (STANDARD, TRUSTED_LAUNCH, CONFIDENTIAL),
}


def allowed_security_types(feature: str | None) -> tuple[str, ...]:
    """The security types that machines of an image with this feature may have."""
    return _ALLOWED.get((feature or STANDARD).casefold(), (STANDARD,))


def leaves_choice(feature: str | None) -> bool:
    """Whether the feature is one of those ending in Supported: the image has no guest state of its own."""
    return (feature or "").casefold().endswith("supported")


def feature_values(features: Sequence[Mapping[str, Any]] | None) -> dict[str, str]:
    """Azure's list of features as a dictionary."""
    return {str(each.get("name", "")): str(each.get("value", "")) for each in features or ()}


def security_type_of(features: Mapping[str, str]) -> str:
    """The feature SecurityType; Standard where there is none."""
    return next((value for name, value in features.items() if name.casefold() == "securitytype"), STANDARD)


def controllers_of(features: Mapping[str, str]) -> tuple[str, ...]:
    """The controllers an image with these features starts from; SCSI where nothing is said."""
    text = next((value for name, value in features.items() if name.casefold() == "diskcontrollertypes"), SCSI)
    spelled = {SCSI.casefold(): SCSI, NVME.casefold(): NVME}
    named = [part.strip() for part in text.split(",") if part.strip()]
    return tuple(spelled.get(part.casefold(), part) for part in named)


def plan_of(wire: Mapping[str, Any] | None) -> dict[str, str]:
    """A plan of Azure's with its three parts; {} where there is none."""
    return {part: str(wire.get(part) or "") for part in PLAN_PARTS} if wire else {}


def plan_text(plan: Mapping[str, Any]) -> str:
    """A Marketplace plan as publisher:product:name."""
    return ":".join(str(plan.get(part) or "") for part in PLAN_PARTS)


def same_plan(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return plan_text(one).casefold() == plan_text(other).casefold()


def facts_result(facts: SourceFacts) -> dict[str, Any]:
    """The description as modules return it."""
    shown = {each.name: _shown(getattr(facts, each.name)) for each in fields(facts)}
    return {**shown, "latest": facts.reference != facts.pinned if facts.pinned else None}


def _shown(value: Any) -> Any:
    if isinstance(value, (SourceDisk, BlobFacts)):
        return {each.name: _shown(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (tuple, list)):
        return [_shown(each) for each in value]
    return value


def facts_from_result(result: Mapping[str, Any]) -> SourceFacts:
    """The description that `facts_result` has returned; what it does not say is not known."""
    given = _known(SourceFacts, result)
    if given.get("os_disk") is not None:
        given["os_disk"] = SourceDisk(**_known(SourceDisk, given["os_disk"]))
    if given.get("blob") is not None:
        given["blob"] = BlobFacts(**_known(BlobFacts, given["blob"]))
    given["data_disks"] = tuple(
        SourceDisk(**_known(SourceDisk, disk)) for disk in given.get("data_disks") or ()
    )
    given["kind"] = str(given["kind"])
    return SourceFacts(**{name: value for name, value in given.items() if value is not None})


def _known(kind: type, given: Mapping[str, Any]) -> dict[str, Any]:
    names = {each.name for each in fields(kind)}
    return {name: value for name, value in given.items() if name in names and value is not None}
