# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Causes that no single component has: whatever provider they befall, the code says what is wrong."""

from __future__ import annotations

from ansible_collections.goldenimage.azure.plugins.module_utils._windows.panther_cause import (
    Cause,
    Rule,
    saying,
    shortened,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.panther_events import (
    CLEANUP,
    DIALOG_CLOSED,
    GENERALIZE,
    SETUP,
    START,
    cannot_load,
    fails,
    halts,
    lacks_function,
    provider_fails,
    registry_action_in,
)

_APPX = frozenset({"appxsysprep.dll"})
_ARCHITECTURE = shortened(0x800700C1)
_PROVIDERS = "https://learn.microsoft.com/windows-hardware/manufacture/desktop/sysprep-process-overview"

GENERAL_CAUSES = (
    Cause(
        id="appx-step-failed",
        title="Sysprep's step for app packages failed",
        explanation=(
            "AppxSysprep.dll failed with another error than that of a package that is not provisioned: "
            "packages could not be listed, or one could not be removed."
        ),
        remedy=(
            "Remove the package that the log names by hand, restart, and see that AppXSvc can be started. "
            "The event log Microsoft-Windows-AppXDeploymentServer/Operational says more."
        ),
        source=(
            "https://learn.microsoft.com/troubleshoot/windows-client/deployment/sysprep-fails-remove-or-update-store-apps"
        ),
        rules=(
            Rule(message=saying(r"\bFailed to remove apps for the current user\b")),
            Rule(message=saying(r"\bPackage\b.{0,300}\bfailed waiting for remove operation\b")),
            Rule(kind=provider_fails, modules=_APPX),
        ),
        modules=_APPX,
        general=True,
    ),
    Cause(
        id="provider-wrong-architecture",
        title="A provider is for another processor architecture",
        explanation=(
            "Sysprep is a 64-bit program, and the library that is registered with it is a 32-bit one."
        ),
        remedy=(
            "Have the entries for the library below "
            "HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Setup (Sysprep and SysPrepExternal) name "
            "the one in System32, or remove the program that registered it."
        ),
        source="Microsoft, KB 2868126 (Internet Explorer 10); error 193 (0xc1), ERROR_BAD_EXE_FORMAT",
        rules=(Rule(kind=cannot_load, codes=_ARCHITECTURE),),
        stated=False,
        general=True,
    ),
    Cause(
        id="provider-missing",
        title="A library that is registered with Sysprep cannot be loaded",
        explanation=(
            "It was deleted or is hidden, or a library that it needs is missing; often its program is only "
            "half removed."
        ),
        remedy=(
            "Put the library back by repairing its program, or remove the entries below "
            "HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Setup\\SysPrepExternal that name it."
        ),
        source=_PROVIDERS,
        rules=(
            Rule(kind=cannot_load, codes=shortened(0x80070002, 0x80070003, 0x8007007E)),
            Rule(kind=provider_fails, codes=shortened(0x8007007E)),
        ),
        stated=False,
        general=True,
    ),
    Cause(
        id="provider-without-function",
        title="A library that is registered with Sysprep lacks the function that is registered",
        explanation="The library is of another version than the entry that registers it.",
        remedy=(
            "Repair or update the program that it belongs to, or remove the entry below SysPrepExternal "
            "that names it."
        ),
        source=_PROVIDERS,
        rules=(
            Rule(kind=lacks_function),
            Rule(kind=cannot_load, codes=shortened(0x8007007F)),
            Rule(kind=provider_fails, codes=shortened(0x8007007F)),
        ),
        stated=False,
        general=True,
    ),
    Cause(
        id="service-disabled",
        title="A service that a provider needs is disabled",
        explanation="The provider could not start a service: error 1058.",
        remedy=(
            "Find the services that were disabled on this machine (a hardening?), and set the provider's "
            "back to manual."
        ),
        source="Error 1058 (0x422), ERROR_SERVICE_DISABLED",
        rules=(
            Rule(kind=provider_fails, codes=shortened(0x80070422)),
            Rule(kind=halts, codes=shortened(0x80070422)),
        ),
        stated=False,
        general=True,
    ),
    Cause(
        id="service-unreachable",
        title="A service that a provider asks does not run",
        explanation="The provider called a service of Windows, and nothing answered: no RPC server.",
        remedy=(
            "Go back to the backup where the machine was changed already. Find the services that were "
            "disabled or removed on this machine (a hardening?), and let the provider's start again."
        ),
        source="0xc0020017, RPC_NT_SERVER_UNAVAILABLE; error 1722 (0x6ba), RPC_S_SERVER_UNAVAILABLE",
        rules=(Rule(kind=provider_fails, codes=frozenset({0xC0020017}) | shortened(0x800706BA)),),
        stated=False,
        general=True,
    ),
    Cause(
        id="disk-full",
        title="The system volume is full",
        explanation="A provider had no space left to write: error 112.",
        remedy=(
            "Free or add space on the system volume. Go back to the backup first where the machine was "
            "changed already."
        ),
        source="Error 112 (0x70), ERROR_DISK_FULL",
        rules=(
            Rule(kind=provider_fails, codes=shortened(0x80070070)),
            Rule(kind=halts, codes=shortened(0x80070070)),
        ),
        stated=False,
        general=True,
    ),
    Cause(
        id="registry-protected",
        title="A program protects a registry value that Sysprep must change",
        explanation=(
            "An action of Sysprep on the registry was denied, though Sysprep runs as an administrator."
        ),
        remedy=(
            "Go back to the backup, remove or switch off the protection of the program that has the key, "
            "and run Sysprep again."
        ),
        source="Error 5, ERROR_ACCESS_DENIED, of a registry action in Sysprep\\ActionFiles",
        rules=(
            Rule(
                kind=lambda line: registry_action_in(line) is not None,
                codes=frozenset({0x5, 0x80070005}),
            ),
        ),
        stated=False,
        general=True,
    ),
    Cause(
        id="external-provider-failed",
        title="A provider of other software failed",
        explanation=(
            "Software that was installed has registered a function with Sysprep, and that function did not "
            "succeed. Only its maker knows the code."
        ),
        remedy=(
            "Go back to the backup, and update or remove the software that the library belongs to; its own "
            "logs may say more."
        ),
        source=_PROVIDERS,
        rules=(
            Rule(
                kind=provider_fails,
                phases=frozenset({f"{CLEANUP}-external", f"{GENERALIZE}-external"}),
            ),
        ),
        stated=False,
        general=True,
    ),
    Cause(
        id="answer-file-not-applied",
        title="A setting of the answer file could not be applied",
        explanation=(
            "The answer file could be read, but a component of Windows did not succeed in what it is told "
            "there: a command that failed, a domain that was not joined, a name that is not allowed."
        ),
        remedy=(
            "The message names the component, and UnattendGC\\setupact.log in Panther what it did last. "
            "Mend that setting, or delete the file; on Azure an image brings none of its own."
        ),
        source="https://learn.microsoft.com/azure/virtual-machines/generalize",
        usual_phase=SETUP,
        rules=(
            Rule(
                message=saying(
                    r"\banswer file\b.{0,120}\bsettings? specified in the answer file cannot be applied\b"
                )
            ),
        ),
        general=True,
    ),
    Cause(
        id="answer-file-invalid",
        title="The answer file is not valid",
        explanation=(
            "Windows found an answer file that it does not understand, perhaps one left over in Panther or "
            "Sysprep: it is no XML, or names a component or setting that does not exist or comes twice."
        ),
        remedy="Delete it; on Azure an image brings none of its own.",
        source="https://learn.microsoft.com/azure/virtual-machines/generalize",
        usual_phase=START,
        rules=(
            Rule(
                message=saying(r"\bcould not parse or process\b.{0,20}\bunattend\w*\b.{0,10}\banswer file\b")
            ),
        ),
        general=True,
    ),
    Cause(
        id="password-against-policy",
        title="A password is against the password policy",
        explanation=(
            "Windows Setup could not enable an account, mostly the built-in Administrator, because its "
            "password is empty, too short or too simple for the policy of the image: error 2245."
        ),
        remedy=(
            "Loosen the password policy of the image, or give the account a password that meets it; on "
            "Azure leave the built-in Administrator disabled."
        ),
        source="Error 2245 (0x8c5), NERR_PasswordTooShort of lmerr.h",
        usual_phase=SETUP,
        rules=(Rule(kind=fails, codes=shortened(0x800708C5), phases=frozenset({SETUP})),),
        stated=False,
        general=True,
    ),
    Cause(
        id="dialog-closed",
        title="Sysprep's dialog was closed",
        explanation=(
            "Sysprep was started without options, showed its dialog, and somebody closed it. It did nothing."
        ),
        remedy="Start it with options: /generalize /oobe /quiet and one of /shutdown, /quit and /reboot.",
        source=(
            "https://learn.microsoft.com/windows-hardware/manufacture/desktop/sysprep-command-line-options"
        ),
        rules=(Rule(ids=frozenset({DIALOG_CLOSED})), Rule(message=saying(r"\bdialog box returned FALSE\b"))),
        usual_phase=START,
        general=True,
    ),
)
