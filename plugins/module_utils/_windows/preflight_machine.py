# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Windows and its disks: version, upgrade, licence, encryption, space, what Azure's first boot needs."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.goldenimage.azure.plugins.module_utils._windows.preflight_facts import (
    Facts,
    UnknownFactError,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.preflight_rule import (
    ERROR,
    WARNING,
    Observation,
    Rule,
)

# Windows Server 2012 R2; Windows 10 version 1607, from which on upgraded machines are supported.
_OLDEST_BUILD = 9600
_UPGRADE_BUILD = 14393
_FULLY_DECRYPTED = 0
_CD_ROM_AT_BOOT = 1
_GIB = 1 << 30
_LEAST_FREE, _LITTLE_FREE = _GIB // 2, 2 * _GIB
_GENERALIZE = "Microsoft: Remove machine-specific information before creating an image (Azure)"


def _version(facts: Facts) -> Iterator[Observation]:
    system = facts.of("system")
    name, build = system.name("caption"), system.count("build")
    if build < _OLDEST_BUILD:
        yield Observation(f"This is {name}, build {build}.")


def _upgraded(facts: Facts) -> Iterator[Observation]:
    system, upgrade = facts.of("system"), facts.of("upgrade")
    seen = upgrade.texts("source_os")
    if upgrade.flag("windows_old"):
        seen.append("a folder Windows.old")
    # By itself it says little: it was seen on upgraded machines, and may be on others.
    proved = bool(seen)
    if upgrade.flag("upgrade_key"):
        seen.append("the key HKLM\\SYSTEM\\Setup\\Upgrade")
    build = system.count("build")
    if seen:
        severity = ERROR if proved and build < _UPGRADE_BUILD else WARNING
        yield Observation(f"There is {', '.join(seen)}; the build is {build}.", severity=severity)


def _rearm(facts: Facts) -> Iterator[Observation]:
    licensing = facts.of("licensing")
    left, skip = licensing.integer("rearms_left"), licensing.integer_reading("skip_rearm")
    if skip:
        yield Observation(
            f"SkipRearm is {skip}, {left} rearms are left.",
            subject="skip-rearm",
            severity=WARNING,
            what="Sysprep does not reset the licence, and KMS takes all machines of the image for one.",
            remedy="Set SkipRearm to 0 for the last run.",
        )
    elif left <= 0:
        yield Observation("RemainingWindowsReArmCount is 0.")
    elif left == 1:
        yield Observation("RemainingWindowsReArmCount is 1: this is the last time.", severity=WARNING)


def _bitlocker(facts: Facts) -> Iterator[Observation]:
    encryption = facts.of("encryption")
    if not encryption.flag("available"):
        # A server without the feature has no such class in WMI, and nothing that it could have encrypted.
        return
    system = encryption.name("system_drive")
    volumes = encryption.nodes("volumes")
    drives = {volume.text("drive").casefold() for volume in volumes}
    for volume in volumes:
        drive, status = volume.text("drive"), volume.integer("conversion_status")
        if status != _FULLY_DECRYPTED:
            yield Observation(
                f"ConversionStatus of {drive or 'a volume without a letter'} is {status}, "
                f"ProtectionStatus {volume.integer('protection_status')}.",
                subject=drive.rstrip(":"),
            )
    if system.casefold() not in drives:
        raise UnknownFactError(f"the system drive {system} is not among the volumes")


def _space(facts: Facts) -> Iterator[Observation]:
    disk = facts.of("disk")
    free, size = disk.count("free_bytes"), disk.count("size_bytes")
    if not 0 < size >= free:
        raise UnknownFactError(f"{free} bytes free of {size} cannot be")
    if free < _LITTLE_FREE:
        severity = ERROR if free < _LEAST_FREE else WARNING
        yield Observation(f"{free / _GIB:.1f} GiB of the system drive are free.", severity=severity)


def _cd_rom(facts: Facts) -> Iterator[Observation]:
    storage = facts.of("removable_storage")
    start = storage.integer_reading("cdrom_start")
    if start != _CD_ROM_AT_BOOT:
        yield Observation(
            f"Start of service cdrom is {'absent' if start is None else start}.", subject="service"
        )
    for policy in ("deny_all", "cdrom_deny_read"):
        if storage.integer_reading(policy):
            yield Observation(
                f"The policy on removable storage has {policy}.",
                subject="policy",
                remedy="Take the machine out of the policy.",
            )


def _answer_files(facts: Facts) -> Iterator[Observation]:
    leftovers = facts.of("leftovers")
    for path in leftovers.texts("answer_files"):
        yield Observation(f"There is {path}.", subject=path)
    registered = leftovers.text_reading("unattend_file")
    if registered:
        yield Observation(
            f"UnattendFile below HKLM\\SYSTEM\\Setup is {registered}.",
            subject="registry",
            what="Windows takes that answer file before any other, and so before Azure's own.",
            remedy="Remove the value. The role leaves it, and the file where that is not in Panther.",
        )


def _panther(facts: Facts) -> Iterator[Observation]:
    for path in facts.of("leftovers").texts("panther"):
        yield Observation(f"There is {path}.", subject=path)


RULES = (
    Rule(
        "windows-version",
        ERROR,
        "This Windows is older than what the collection was made for: Windows Server 2012 R2, Windows 10.",
        "Use a newer Windows.",
        "goldenimage.azure",
        _version,
    ),
    Rule(
        "upgraded-windows",
        ERROR,
        "Windows was upgraded in place, which Sysprep supports since Windows 10 version 1607, with "
        "leftovers of "
        "the older Windows as a known cause of failures.",
        "Build the image from fresh media; at the least, clean up the older Windows.",
        "Microsoft: Sysprep (System Preparation) Overview; KB 4057974",
        _upgraded,
    ),
    Rule(
        "rearm-count",
        ERROR,
        "The licence has been reset as often as is allowed; Sysprep fails (0xC004D307).",
        "Build the image from fresh media.",
        "Microsoft: KB 929828, KB 929829",
        _rearm,
    ),
    Rule(
        "bitlocker",
        ERROR,
        "A volume is not fully decrypted, on which Sysprep fails (0x80310039), even if protection is off.",
        "Run Disable-BitLocker, and wait until the volume is FullyDecrypted.",
        "MicrosoftDocs/azure-docs#58134; lxc/incus-windows#30",
        _bitlocker,
    ),
    Rule(
        "disk-space",
        ERROR,
        "There is little space on the system drive, which Sysprep and the first boot write to.",
        "Clean the component store and temporary files.",
        "goldenimage.azure: a limit of its own",
        _space,
    ),
    Rule(
        "cd-rom",
        ERROR,
        "Azure hands a new machine its settings on a virtual CD-ROM, which it could not read: it "
        "hangs in setup.",
        "Set Start of service cdrom to 1.",
        _GENERALIZE,
        _cd_rom,
    ),
    Rule(
        "answer-file",
        WARNING,
        "An answer file of an earlier setup is there. Sysprep takes it again, and it may hold passwords.",
        "Remove it; the role does so before it starts Sysprep, unless its clean-up is off.",
        "Microsoft: Windows Setup Automation Overview (implicit answer files)",
        _answer_files,
    ),
    Rule(
        "panther",
        WARNING,
        "Logs of earlier setups are there; in them, old errors look like new ones.",
        "Copy and remove them; the role does so before it starts Sysprep.",
        _GENERALIZE,
        _panther,
    ),
)
