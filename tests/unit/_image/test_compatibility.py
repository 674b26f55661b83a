# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Every compatibility rule: what it refuses, what it lets pass, and what it says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._image import source_facts as facts
from ansible_collections.goldenimage.azure.plugins.module_utils._image import source_names as kinds
from ansible_collections.goldenimage.azure.plugins.module_utils._image import target_facts as targets
from ansible_collections.goldenimage.azure.plugins.module_utils._image.compatibility import (
    RULES,
    check,
    findings,
    refusals,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.compatibility_rule import (
    AT_BIRTH,
    AT_ONCE,
    ERROR,
    LATER,
    NEVER,
    WARNING,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_facts import (
    BlobFacts,
    SourceDisk,
    SourceFacts,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.target_facts import (
    MachineSize,
    TargetFacts,
    definition_target,
)

PLAN = {"publisher": "resf", "product": "rockylinux-x86_64", "name": "9-base"}
OTHER_PLAN = {**PLAN, "name": "8-base"}
VM = SourceFacts(
    kind=kinds.VIRTUAL_MACHINE,
    name="web",
    subscription="s",
    location="eastus",
    os_type="Linux",
    os_state="Generalized",
    generation="V2",
    architecture="x64",
    security_type="Standard",
    disk_controllers=("SCSI",),
    plan={},
    os_disk=SourceDisk(name="os", size_gb=30, storage_account_type="Premium_LRS", state="Reserved"),
    data_disks=(SourceDisk(lun=3, name="data", size_gb=8),),
    provisioning_state="Succeeded",
)
MARKET = SourceFacts(
    kind=kinds.MARKETPLACE,
    name="Debian",
    regions=("eastus", "westus"),
    os_type="Linux",
    os_state="Generalized",
    generation="V2",
    architecture="x64",
    security_type="TrustedLaunchSupported",
    disk_controllers=("SCSI", "NVMe"),
    plan={},
    os_disk=SourceDisk(size_gb=30),
    deprecation={"state": "Active"},
)
VERSION = replace(MARKET, kind=kinds.GALLERY, name="g/web")
IMAGE = replace(VM, kind=kinds.MANAGED_IMAGE, name="img")
DISK = replace(VM, kind=kinds.MANAGED_DISK, name="os", data_disks=())
SNAPSHOT = replace(DISK, kind=kinds.SNAPSHOT)
BLOB = SourceFacts(
    kind=kinds.VHD_BLOB,
    name="web.vhd",
    location="eastus",
    generation="V2",
    blob=BlobFacts("PageBlob", (30 << 30) + 512, "fixed", 30 << 30),
)
TO_IMAGE = TargetFacts(kind=targets.MANAGED_IMAGE, name="golden", subscription="s", location="eastus")
TO_VERSION = TargetFacts(
    kind=targets.GALLERY_VERSION,
    name="definition web",
    location="eastus",
    regions=("eastus", "westus"),
    os_type="Linux",
    os_state="Generalized",
    generation="V2",
    architecture="x64",
    security_type="Standard",
    disk_controllers=("SCSI",),
    plan={},
)
SIZE = MachineSize(
    "D2", ("V1", "V2"), "x64", ("SCSI",), trusted_launch=True, confidential=False, zones=("1",)
)
TO_MACHINE = TargetFacts(
    kind=targets.VIRTUAL_MACHINE,
    name="web-1",
    location="eastus",
    zone="1",
    security_type="TrustedLaunch",
    plan={},
    size=SIZE,
    with_login=True,
)
TO_DISK = TargetFacts(kind=targets.MANAGED_DISK, name="disk", location="eastus")
TO_BLOB = TargetFacts(kind=targets.VHD_BLOB, name="blob")


def sized(**changes: Any) -> TargetFacts:
    return replace(TO_MACHINE, size=replace(SIZE, **changes))


def with_disk(source: SourceFacts, **changes: Any) -> SourceFacts:
    return replace(source, data_disks=(replace(source.data_disks[0], **changes),))


# Source and target that break the rule, and nothing else that they are not said to.
BROKEN: list[tuple[str, SourceFacts, TargetFacts, str]] = [
    ("source-kind", MARKET, TO_IMAGE, AT_ONCE),
    ("source-kind", MARKET, TO_VERSION, AT_ONCE),
    ("source-kind", replace(VERSION, kind=kinds.SHARED), TO_VERSION, AT_ONCE),
    ("source-kind", replace(SNAPSHOT, os_state=None), TO_MACHINE, AT_ONCE),
    ("source-kind", SourceFacts(kinds.DISK_FILE, "web.qcow2"), TO_IMAGE, AT_ONCE),
    ("source-not-ready", replace(IMAGE, provisioning_state="Creating"), TO_VERSION, AT_ONCE),
    ("source-not-ready", replace(IMAGE, provisioning_state="Failed"), TO_VERSION, AT_ONCE),
    ("source-not-ready", replace(VM, provisioning_state="Updating"), TO_IMAGE, AT_ONCE),
    ("source-region", replace(VM, location="westus"), TO_IMAGE, AT_ONCE),
    ("source-region", replace(SNAPSHOT, location="westus"), TO_IMAGE, LATER),
    ("source-region", replace(BLOB, location="westus"), TO_DISK, AT_ONCE),
    ("source-region", replace(VERSION, regions=("westus",)), TO_DISK, AT_ONCE),
    ("source-region", replace(VERSION, regions=()), TO_MACHINE, AT_ONCE),
    ("subscription-mismatch", replace(VM, subscription="t"), TO_IMAGE, AT_ONCE),
    ("not-generalized", replace(VM, os_state="Specialized"), TO_IMAGE, AT_ONCE),
    ("source-ended", replace(VERSION, ended=True), TO_MACHINE, NEVER),
    ("source-deprecated", replace(MARKET, deprecation={"state": "Deprecated"}), TO_MACHINE, AT_ONCE),
    (
        "source-deprecation-announced",
        replace(MARKET, deprecation={"state": "ScheduledForDeprecation", "alternative": "debian-13"}),
        TO_MACHINE,
        NEVER,
    ),
    ("guest-state-lost", replace(VM, security_type="TrustedLaunch"), TO_BLOB, NEVER),
    ("os-state-mismatch", replace(VM, os_state="Specialized"), TO_VERSION, AT_ONCE),
    ("os-state-mismatch", replace(IMAGE, os_state="Specialized"), TO_VERSION, LATER),
    ("os-type-mismatch", replace(VM, os_type="Windows"), TO_VERSION, LATER),
    ("generation-mismatch", replace(VM, generation="V1"), TO_VERSION, LATER),
    ("generation-mismatch", VM, replace(TO_IMAGE, generation="V1"), AT_ONCE),
    ("generation-mismatch", replace(DISK, generation="V1"), TO_VERSION, AT_BIRTH),
    ("generation-unknown", replace(BLOB, generation=None), TO_IMAGE, AT_ONCE),
    ("architecture-mismatch", replace(VM, architecture="Arm64"), TO_VERSION, LATER),
    (
        "definition-arm64-v1",
        replace(VM, architecture="Arm64", generation="V1"),
        replace(TO_VERSION, architecture="Arm64", generation="V1"),
        AT_ONCE,
    ),
    (
        "definition-security-v1",
        replace(IMAGE, generation="V1"),
        replace(TO_VERSION, security_type="TrustedLaunchSupported", generation="V1"),
        AT_ONCE,
    ),
    ("security-type-mismatch", replace(VM, security_type="TrustedLaunch"), TO_VERSION, LATER),
    ("security-type-mismatch", VM, replace(TO_VERSION, security_type="TrustedLaunch"), LATER),
    ("security-type-mismatch", VM, replace(TO_VERSION, security_type="TrustedLaunchSupported"), AT_ONCE),
    ("security-type-mismatch", DISK, replace(TO_VERSION, security_type="TrustedLaunchSupported"), AT_ONCE),
    (
        "security-type-mismatch",
        replace(VERSION, security_type="TrustedLaunch", disk_controllers=("SCSI",)),
        replace(TO_VERSION, security_type="TrustedLaunchSupported"),
        LATER,
    ),
    ("security-type-narrowed", replace(VERSION, disk_controllers=("SCSI",)), TO_VERSION, NEVER),
    ("controller-mismatch", replace(VM, disk_controllers=("NVMe",)), TO_VERSION, AT_BIRTH),
    ("controller-narrowed", replace(VERSION, security_type="Standard"), TO_VERSION, AT_BIRTH),
    ("plan-lost", replace(VM, plan=PLAN), TO_VERSION, LATER),
    ("plan-lost", replace(IMAGE, plan=PLAN), TO_VERSION, NEVER),
    ("plan-mismatch", replace(VM, plan=PLAN), replace(TO_VERSION, plan=OTHER_PLAN), LATER),
    ("plan-mismatch", VM, replace(TO_VERSION, plan=PLAN), NEVER),
    ("plan-in-tags", replace(VM, plan=PLAN), TO_IMAGE, AT_BIRTH),
    ("region-mismatch", VM, replace(TO_VERSION, regions=("westus",)), AT_ONCE),
    (
        "specialized-managed-image",
        replace(DISK, os_state=None),
        replace(TO_IMAGE, os_state="Specialized"),
        AT_BIRTH,
    ),
    ("security-type-managed-image", replace(VM, security_type="ConfidentialVM"), TO_IMAGE, AT_ONCE),
    (
        "specialized-managed-image-machine",
        replace(IMAGE, os_state="Specialized"),
        replace(TO_MACHINE, security_type="Standard", with_login=False),
        LATER,
    ),
    ("login-with-specialized", replace(VERSION, os_state="Specialized"), TO_MACHINE, AT_ONCE),
    ("login-missing", VERSION, replace(TO_MACHINE, with_login=False), AT_ONCE),
    ("size-generation", MARKET, sized(generations=("V1",)), AT_ONCE),
    ("size-architecture", replace(MARKET, architecture="Arm64"), TO_MACHINE, AT_ONCE),
    (
        "size-controller",
        replace(MARKET, disk_controllers=("SCSI",)),
        sized(disk_controllers=("NVMe",)),
        AT_ONCE,
    ),
    (
        "machine-security-type",
        MARKET,
        replace(TO_MACHINE, security_type="ConfidentialVM", size=None),
        AT_ONCE,
    ),
    ("machine-security-type", replace(MARKET, generation="V1"), TO_MACHINE, AT_ONCE),
    ("size-security-type", MARKET, sized(trusted_launch=False), AT_ONCE),
    (
        "confidential-encryption",
        replace(MARKET, security_type="ConfidentialVM"),
        replace(TO_MACHINE, security_type="ConfidentialVM", encryption="platform", size=None),
        AT_ONCE,
    ),
    ("size-restricted", MARKET, sized(restricted=True), AT_ONCE),
    ("size-zone", MARKET, sized(zones=()), AT_ONCE),
    ("machine-plan-missing", replace(MARKET, plan=PLAN), TO_MACHINE, LATER),
    ("machine-plan-missing", replace(MARKET, plan=PLAN), replace(TO_MACHINE, plan=OTHER_PLAN), AT_ONCE),
    (
        "terms-not-accepted",
        replace(MARKET, plan=PLAN, terms_accepted=False),
        replace(TO_MACHINE, plan=PLAN),
        AT_ONCE,
    ),
    ("ephemeral-os-disk", replace(VM, os_disk=SourceDisk(ephemeral=True)), TO_IMAGE, AT_ONCE),
    ("unmanaged-disk", with_disk(VM, managed=False), TO_VERSION, AT_ONCE),
    ("unmanaged-disk", with_disk(VM, managed=False), TO_IMAGE, NEVER),
    ("disk-missing", with_disk(VM, missing=True), TO_IMAGE, AT_ONCE),
    ("shared-disk", with_disk(VM, shared=True), TO_VERSION, NEVER),
    ("unsupported-disk", with_disk(VM, storage_account_type="UltraSSD_LRS"), TO_VERSION, AT_ONCE),
    ("encrypted-disk", with_disk(VM, guest_encrypted=True), TO_BLOB, NEVER),
    ("disk-busy", with_disk(VM, state="ActiveSAS"), TO_IMAGE, LATER),
    ("disk-busy", with_disk(VM, completion_percent=12.5), TO_IMAGE, LATER),
    ("disk-too-large", with_disk(VM, size_gb=4000), TO_VERSION, LATER),
    ("disk-smaller", MARKET, replace(TO_MACHINE, os_disk_size_gb=20), LATER),
    (
        "customer-key-lost",
        with_disk(VM, encryption_set="/set"),
        replace(TO_VERSION, encryption="platform"),
        NEVER,
    ),
    ("blob-not-page", replace(BLOB, blob=BlobFacts("BlockBlob")), TO_IMAGE, AT_ONCE),
    ("blob-no-vhd", replace(BLOB, blob=BlobFacts("PageBlob", 1 << 30, "")), TO_DISK, AT_ONCE),
    ("blob-not-fixed", replace(BLOB, blob=BlobFacts("PageBlob", 1 << 30, "dynamic")), TO_VERSION, AT_ONCE),
    (
        "blob-size",
        replace(BLOB, blob=BlobFacts("PageBlob", (30 << 30) + 1024, "fixed", (30 << 30) + 512)),
        TO_IMAGE,
        AT_ONCE,
    ),
    (
        "blob-size",
        replace(BLOB, blob=BlobFacts("PageBlob", (30 << 30) + 512, "fixed", 20 << 30)),
        TO_IMAGE,
        AT_ONCE,
    ),
    ("blob-size", replace(BLOB, blob=BlobFacts("PageBlob", (1 << 20) + 512, "fixed")), TO_IMAGE, AT_ONCE),
    ("blob-leased", replace(BLOB, blob=BLOB.blob and replace(BLOB.blob, leased=True)), TO_IMAGE, NEVER),
]


@pytest.mark.parametrize(("rule", "source", "target", "told"), BROKEN)
def test_a_broken_rule_is_told_alone_with_a_remedy_and_a_page(
    rule: str, source: SourceFacts, target: TargetFacts, told: str
) -> None:
    verdicts = check(source, target)
    assert [verdict.id for verdict in verdicts] == [rule]
    (verdict,) = verdicts
    assert verdict.told == told
    assert verdict.reason.endswith(".")
    assert verdict.remedy.endswith(".") or (rule in ("disk-missing", "shared-disk") and not verdict.remedy)
    assert verdict.documentation.startswith("https://learn.microsoft.com/")


def test_every_rule_has_such_a_case() -> None:
    assert {rule.id for rule in RULES} == {rule for rule, _source, _target, _told in BROKEN}
    assert len({rule.id for rule in RULES}) == len(RULES)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (VM, TO_IMAGE),
        (VM, TO_VERSION),
        (VM, TO_BLOB),
        (replace(VM, provisioning_state="Failed"), TO_IMAGE),
        (IMAGE, TO_VERSION),
        (IMAGE, replace(TO_VERSION, security_type="TrustedLaunchSupported")),
        (IMAGE, replace(TO_MACHINE, security_type="Standard")),
        (VERSION, replace(TO_VERSION, security_type="TrustedLaunchSupported", disk_controllers=("NVMe",))),
        (
            replace(VM, security_type="TrustedLaunch"),
            replace(TO_VERSION, security_type="TrustedLaunch"),
        ),
        (VERSION, TO_MACHINE),
        (MARKET, TO_MACHINE),
        (
            replace(MARKET, plan=PLAN, terms_accepted=True),
            replace(TO_MACHINE, plan=dict(PLAN, publisher="RESF")),
        ),
        (replace(VERSION, os_state="Specialized"), replace(TO_MACHINE, with_login=False)),
        (DISK, TO_VERSION),
        (SNAPSHOT, TO_IMAGE),
        (BLOB, TO_IMAGE),
        (BLOB, TO_VERSION),
        (BLOB, TO_DISK),
        (replace(VM, plan=PLAN), replace(TO_VERSION, plan=PLAN)),
        (with_disk(VM, size_gb=4000), replace(TO_VERSION, replication_mode="Shallow")),
        (MARKET, TO_DISK),
        (SourceFacts(kinds.DISK_FILE, "web.qcow2"), TO_DISK),
    ],
)
def test_what_goes_together_is_refused_by_no_rule(source: SourceFacts, target: TargetFacts) -> None:
    assert check(source, target) == []


@pytest.mark.parametrize("target", targets.TARGETS)
@pytest.mark.parametrize("kind", kinds.KINDS)
def test_of_what_nothing_is_known_only_the_kind_can_be_refused(kind: str, target: str) -> None:
    ids = {verdict.id for verdict in check(SourceFacts(kind), TargetFacts(target))}
    assert ids <= {"source-kind", "generation-unknown"}


def test_warnings_do_not_refuse_and_rules_can_be_asked_one_by_one() -> None:
    source = replace(VERSION, regions=("westus",))
    verdicts = check(source, TO_VERSION)
    assert {verdict.id: verdict.severity for verdict in verdicts} == {
        "source-region": ERROR,
        "security-type-narrowed": WARNING,
        "controller-narrowed": WARNING,
    }
    assert [verdict.id for verdict in refusals(verdicts)] == ["source-region"]
    assert [verdict.id for verdict in check(source, TO_VERSION, ["controller-narrowed"])] == [
        "controller-narrowed"
    ]
    (finding,) = findings(refusals(verdicts), lambda verdict: f"my {verdict.about}")
    assert (finding.id, finding.where) == ("source-region", "my source")


def test_a_definition_in_wire_shape_is_a_target() -> None:
    definition = {
        "name": "web",
        "properties": {
            "osType": "Linux",
            "osState": "Specialized",
            "hyperVGeneration": "V2",
            "architecture": "Arm64",
            "features": [
                {"name": "SecurityType", "value": "TrustedLaunch"},
                {"name": "DiskControllerTypes", "value": "NVMe,SCSI"},
            ],
            "purchasePlan": PLAN,
        },
    }
    target = definition_target(definition, location="East US", regions=["West US 2"])
    assert target.name == "definition web"
    assert (target.location, target.regions) == ("eastus", ("westus2",))
    assert target.security_type == "TrustedLaunch"
    assert target.disk_controllers == ("NVMe", "SCSI")
    assert target.plan == PLAN
    bare = definition_target({"name": "web", "properties": {"osType": "Linux", "osState": "Generalized"}})
    assert (bare.generation, bare.architecture, bare.security_type) == ("V1", "x64", "Standard")
    assert (bare.disk_controllers, bare.plan) == (("SCSI",), {})


def test_a_description_is_read_back_as_it_was_returned() -> None:
    for source in (VM, MARKET, BLOB, with_disk(VM, shared=True)):
        result = facts.facts_result(source)
        assert facts.facts_result(facts.facts_from_result(result)) == result
