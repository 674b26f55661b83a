# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""One failed run for each cause and phase, with the diagnosis that it must get."""

from __future__ import annotations

from tests.windows.failure import COMPLETE, SPECIALIZED, UNDEPLOYABLE, Failure
from tests.windows.first_starts import FIRST_STARTS
from tests.windows.sysprep_logs import (
    APPX,
    APPX_REMOVAL,
    BITLOCKER,
    ERROR,
    INFO,
    OPK,
    Message,
    Provider,
    beginning,
    begun,
    done,
    ending,
    executing,
    failed,
    harmless,
    launch_failed,
    not_loaded,
    refused,
    registered,
    session_failed,
    validating,
)

_MSDTC = Provider("msdtcprx.dll", "SysPrepDtcCleanup")
_DSC = Provider("DscCore.dll", "SysPrep_Cleanup")
_LICENSING = Provider("slc.dll", "SLReArmWindows")
_AGENT = Provider("VMAgentDisabler.dll", "SysprepProviderEntryPoint")
_VENDOR = Provider("acmesync.dll", "GeneralizeEntry")
_BCD = Provider("spbcd.dll", "Sysprep_Generalize_Bcd")


def _validated(kind: str) -> tuple[Message, ...]:
    """The run up to where the providers of `kind` are asked whether they would refuse."""
    before = tuple(beginning()) + tuple(validating("cleanup"))
    return before if kind == "cleanup" else before + tuple(done(OPK)) + tuple(validating("generalize"))


def _executed(kind: str) -> tuple[Message, ...]:
    """The run up to where Windows' own providers of `kind` have worked."""
    before = (
        _validated("generalize") + tuple(done(BITLOCKER)) + tuple(done(APPX)) + tuple(executing("cleanup"))
    )
    return before if kind == "cleanup" else before + tuple(executing("generalize")) + tuple(harmless())


def _unprovisioned(package: str) -> tuple[Message, ...]:
    return (
        Message(
            ERROR,
            f"Package {package} was installed for a user, but not provisioned for all users. "
            "This package will not function properly in the sysprep image.",
        ),
        Message(ERROR, "Failed to remove apps for the current user: 0x80073cf2."),
        Message(ERROR, "Exit code of RemoveAllApps thread was 0x3cf2."),
    )


def _refusing(
    name: str, cause: str, kind: str, provider: Provider, code: str, *said: Message, state: str = COMPLETE
) -> Failure:
    messages = (*_validated(kind), *failed(provider, kind, "Validate", code, *said), *ending())
    return Failure(name, cause, f"validate-{kind}", "no", state, messages)


def _registry_denied(key: str, value: str) -> tuple[Message, ...]:
    denied = f"Error from RegDeleteValueW for value {value} under key {key}; dwRet = 0x5"
    return (
        *_executed("generalize"),
        Message(ERROR, f"ActionPlatform::DeleteValue: {denied}", 0, 2),
        Message(ERROR, "SysprepSession::ExecuteAction: Failed during deleteValue operation; dwRet = 0x5"),
        *session_failed("generalize", "Execute", "0x5"),
    )


_SAID_OPK = "Sysprep_Clean_Validate_Opk:"

FAILURES = (
    _refusing(
        "app of one user",
        "appx-per-user",
        "generalize",
        APPX,
        "0x3cf2",
        *_unprovisioned("Contoso.Notes_1.2.3.0_x64__0123456789abc"),
    ),
    Failure(
        "app that cannot be removed any more",
        "appx-per-user",
        "generalize-internal",
        "yes",
        UNDEPLOYABLE,
        (
            *_executed("generalize"),
            *failed(
                APPX_REMOVAL,
                "generalize",
                "Execute",
                "0x3cf2",
                *_unprovisioned("Contoso.Mail_4.0.0.0_neutral__0123456789abc"),
            ),
        ),
    ),
    _refusing("app service disabled", "appx-service-disabled", "generalize", APPX, "0x422"),
    _refusing(
        "apps with another error",
        "appx-step-failed",
        "generalize",
        APPX,
        "0x3d02",
        Message(ERROR, "Failed to remove apps for the current user: 0x80073d02."),
    ),
    _refusing(
        "encrypted volume",
        "bitlocker-on",
        "generalize",
        BITLOCKER,
        "0x80310039",
        Message(
            ERROR,
            "BitLocker-Sysprep: BitLocker is on for the OS volume. "
            "Turn BitLocker off to run Sysprep. (0x80310039)",
        ),
    ),
    _refusing(
        "restart outstanding",
        "pending-restart",
        "cleanup",
        OPK,
        "0x139f",
        Message(ERROR, f"{_SAID_OPK} There are one or more Windows updates that require a reboot."),
    ),
    _refusing(
        "updates in flight",
        "servicing-in-use",
        "cleanup",
        OPK,
        "0x975",
        Message(
            ERROR,
            f"{_SAID_OPK} Audit mode cannot be turned on if reserved storage is in use.; hr = 0x800F0975",
        ),
    ),
    _refusing(
        "modules installer does not start",
        "servicing-unavailable",
        "cleanup",
        OPK,
        "0x5",
        Message(ERROR, "spopk.dll:: Failed to query pending CBS operations; hr = 0x80080005", 0x0F00B0, 240),
    ),
    _refusing(
        "upgraded Windows",
        "upgraded-windows",
        "cleanup",
        OPK,
        "0x1",
        Message(ERROR, "spopk.dll:: Sysprep will not run on an upgraded OS.", 0x0F0036),
    ),
    Failure(
        "rearms used up",
        "rearm-exhausted",
        "generalize-internal",
        "yes",
        UNDEPLOYABLE,
        (*_executed("generalize"), *launch_failed(_LICENSING, "generalize", "", "-1073425657")),
    ),
    Failure(
        "DSC was used",
        "dsc-state",
        "cleanup-external",
        "partly",
        SPECIALIZED,
        (*_executed("cleanup"), *launch_failed(_DSC, "cleanup", "External", "0x2")),
    ),
    Failure(
        "Defender for Endpoint",
        "defender-for-endpoint",
        "generalize-internal",
        "yes",
        UNDEPLOYABLE,
        _registry_denied(
            "HKEY_LOCAL_MACHINE\\Software\\Microsoft\\Windows Advanced Threat Protection", "senseGuid"
        ),
    ),
    Failure(
        "another program protects its key",
        "registry-protected",
        "generalize-internal",
        "yes",
        UNDEPLOYABLE,
        _registry_denied("HKEY_LOCAL_MACHINE\\Software\\Contoso\\Guard", "MachineId"),
    ),
    Failure(
        "agent's library is missing",
        "vm-agent-provider",
        "generalize-external",
        "yes",
        UNDEPLOYABLE,
        (*_executed("generalize"), *not_loaded(_AGENT, "generalize", "External", 0x7E)),
    ),
    Failure(
        "MSDTC",
        "msdtc-failed",
        "cleanup-internal",
        "partly",
        SPECIALIZED,
        (*_executed("cleanup"), *launch_failed(_MSDTC, "cleanup", "", "-2146434815")),
    ),
    Failure(
        "run after a broken one",
        "earlier-run-unfinished",
        "refused",
        "by-earlier-run",
        UNDEPLOYABLE,
        (*_validated("generalize"), *done(BITLOCKER), *done(APPX), *refused()),
    ),
    Failure(
        "no administrator",
        "not-administrator",
        "start",
        "no",
        COMPLETE,
        (
            *tuple(beginning())[:4],
            Message(
                ERROR,
                "ValidatePrivileges:User does not have required privileges to sysprep machine",
                0x0F0055,
            ),
        ),
    ),
    Failure(
        "unknown option",
        "wrong-options",
        "start",
        "no",
        COMPLETE,
        (
            *tuple(beginning())[:6],
            Message(ERROR, "WinMain:Unable to parse command-line arguments to sysprep; GLE = 0x57", 0x0F0038),
        ),
    ),
    Failure(
        "32-bit library",
        "provider-wrong-architecture",
        "cleanup-internal",
        "partly",
        SPECIALIZED,
        (*_executed("cleanup"), *not_loaded(_VENDOR, "cleanup", "", 0xC1)),
    ),
    Failure(
        "library of removed software",
        "provider-missing",
        "cleanup-external",
        "partly",
        SPECIALIZED,
        (*_executed("cleanup"), *not_loaded(_VENDOR, "cleanup", "External", 0x7E)),
    ),
    Failure(
        "library without the function",
        "provider-without-function",
        "generalize-external",
        "yes",
        UNDEPLOYABLE,
        (*_executed("generalize"), *not_loaded(_VENDOR, "generalize", "External", 0x7F)),
    ),
    Failure(
        "service of another provider disabled",
        "service-disabled",
        "generalize-internal",
        "yes",
        UNDEPLOYABLE,
        (*_executed("generalize"), *failed(_BCD, "generalize", "Execute", "0x422")),
    ),
    Failure(
        "service of another provider does not run",
        "service-unreachable",
        "generalize-internal",
        "yes",
        UNDEPLOYABLE,
        (*_executed("generalize"), *failed(_BCD, "generalize", "Execute", "0xc0020017")),
    ),
    Failure(
        "no space",
        "disk-full",
        "generalize-internal",
        "yes",
        UNDEPLOYABLE,
        (*_executed("generalize"), *failed(_BCD, "generalize", "Execute", "0x70")),
    ),
    Failure(
        "other software's provider fails",
        "external-provider-failed",
        "generalize-external",
        "yes",
        UNDEPLOYABLE,
        (*_executed("generalize"), *launch_failed(_VENDOR, "generalize", "External", "0x80004005")),
    ),
    Failure(
        "answer file left over",
        "answer-file-invalid",
        "start",
        "no",
        COMPLETE,
        (
            *beginning(),
            Message(
                ERROR,
                "WinMain:Windows could not parse or process unattend answer file "
                "[C:\\Windows\\Panther\\unattend.xml].",
            ),
        ),
    ),
    *FIRST_STARTS,
    Failure(
        "dialog closed",
        "dialog-closed",
        "start",
        "no",
        COMPLETE,
        (
            *tuple(beginning())[:6],
            Message(INFO, "WinMain:Displaying dialog box for user to choose sysprep mode...", 0x0F003D),
            Message(ERROR, "WinMain:The sysprep dialog box returned FALSE", 0x0F0043, 30),
        ),
    ),
    Failure(
        "Windows' own provider with a code that has no rule",
        "unknown",
        "generalize-internal",
        "yes",
        UNDEPLOYABLE,
        (*_executed("generalize"), *failed(_BCD, "generalize", "Execute", "0x2")),
    ),
    _refusing("denied access that may be another code's rest", "unknown", "cleanup", OPK, "0x5"),
)

#: A log that ends while the agent's provider runs, with the machine in the midst of it.
HANGS = Failure(
    "agent's provider hangs",
    "vm-agent-provider",
    "generalize-external",
    "yes",
    UNDEPLOYABLE,
    (*_executed("generalize"), *registered(_AGENT, "generalize", "External")),
)
#: A log that was copied while one of Windows' own providers worked.
BUSY = Failure(
    "log of a run that goes on",
    "unknown",
    "generalize-internal",
    "yes",
    UNDEPLOYABLE,
    (*_executed("generalize"), begun(_BCD)),
)
