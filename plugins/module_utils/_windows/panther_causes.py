# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The known causes of a failed Sysprep.

Rules look at what the writers of the logs keep the same: library, function, code, number of the message, and
the fixed parts of messages. They never look at names of packages, users or machines.
docs/sysprep-diagnosis.md is made of this.
"""

from __future__ import annotations

from ansible_collections.goldenimage.azure.plugins.module_utils._windows.panther_cause import (
    Cause,
    Rule,
    saying,
    shortened,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.panther_causes_general import (
    GENERAL_CAUSES,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.panther_events import (
    CLEANUP,
    GENERALIZE,
    NOT_RUNNING,
    REFUSED,
    START,
    VALIDATE_CLEANUP,
    VALIDATE_GENERALIZE,
    by_sysprep,
    fails,
    halts,
    provider_fails,
    refuses,
    registry_action_in,
)

_LEARN = "https://learn.microsoft.com/troubleshoot/windows-client"
_APPX = frozenset({"appxsysprep.dll"})
_OPK = frozenset({"spopk.dll"})
_BITLOCKER = frozenset({"bdesysprep.dll"})
_LICENSING = frozenset({"slc.dll", "sppc.dll"})
_DSC = frozenset({"dsccore.dll"})
_AGENT = frozenset({"vmagentdisabler.dll"})
_MSDTC = frozenset({"msdtcprx.dll"})
_PRIVILEGES = saying(r"^Validate(Privileges|User):")

_SPECIFIC = (
    Cause(
        id="appx-per-user",
        title="An app is installed for a user, but not for all users",
        explanation=(
            "Sysprep takes no app package that one user has and that is not provisioned, or is provisioned "
            "in another version. It names one package and ends; others may follow."
        ),
        remedy=(
            "Remove the package for every user that has it, as an administrator in Windows PowerShell 5.1: "
            "Get-AppxPackage -AllUsers -Name NAME | Remove-AppxPackage -AllUsers. Only then touch its "
            "provisioning. Compare all packages before the next run (windows_generalize does), and keep the "
            "Store and Edge from updating meanwhile."
        ),
        source=f"{_LEARN}/deployment/sysprep-fails-remove-or-update-store-apps",
        rules=(
            Rule(
                message=saying(
                    r"(\bPackage\b.{0,300}?\b|\b(is|was) )installed for a user,?\W{1,12}but not provisioned\b"
                )
            ),
            Rule(
                message=saying(r"\b(Failed to remove apps for the current user|RemoveAllApps)\b"),
                codes=shortened(0x80073CF2),
            ),
            Rule(kind=provider_fails, modules=_APPX, codes=shortened(0x80073CF2)),
            # No other component of Windows has this code.
            Rule(kind=halts, codes=shortened(0x80073CF2)),
        ),
        modules=_APPX,
        usual_phase=VALIDATE_GENERALIZE,
    ),
    Cause(
        id="appx-service-disabled",
        title="The AppX deployment service is disabled",
        explanation=(
            "Sysprep asks AppXSvc for the packages of all users, and a disabled service cannot be started."
        ),
        remedy=(
            "Set AppXSvc back to start on demand (sc config AppXSvc start= demand), and look at what "
            "disabled it."
        ),
        source="Error 1058 (0x422), ERROR_SERVICE_DISABLED, of AppxSysprep.dll",
        rules=(
            Rule(kind=provider_fails, modules=_APPX, codes=shortened(0x80070422)),
            Rule(
                message=saying(r"\b(Failed to remove apps for the current user|RemoveAllApps)\b"),
                codes=shortened(0x80070422),
            ),
        ),
        modules=_APPX,
        usual_phase=VALIDATE_GENERALIZE,
        stated=False,
    ),
    Cause(
        id="bitlocker-on",
        title="The system volume is encrypted",
        explanation=(
            "Sysprep wants the system volume fully decrypted. That protection is off is not enough, and "
            "Windows 11 may have encrypted it without having been asked."
        ),
        remedy=(
            "Decrypt it (manage-bde -off C:), wait until manage-bde -status says Fully Decrypted, and keep "
            "device encryption from starting again while the image is built."
        ),
        source="https://github.com/MicrosoftDocs/azure-docs/issues/58134",
        rules=(
            Rule(codes=frozenset({0x80310039})),
            Rule(message=saying(r"\bBitLocker-Sysprep: BitLocker is on\b")),
            # The code's name in winerror.h, as people look it up.
            Rule(message=saying(r"\bFVE_E_NOT_DECRYPTED\b")),
            Rule(kind=provider_fails, modules=_BITLOCKER, codes=shortened(0x80310039)),
        ),
        modules=_BITLOCKER,
        usual_phase=VALIDATE_GENERALIZE,
    ),
    Cause(
        id="pending-restart",
        title="Windows waits for a restart",
        explanation=(
            "Updates or features are installed in part, and finish when Windows starts the next time."
        ),
        remedy=(
            "Restart Windows, once more if it asks again, and run Sysprep before anything else is installed."
        ),
        source="https://learn.microsoft.com/azure/virtual-machines/windows/prepare-for-upload-vhd-image",
        rules=(
            Rule(message=saying(r"\bone or more Windows updates\b.{0,40}\brequires? a (re)?(boot|start)\b")),
            # Other programs say as much while an image is built, and the restart follows.
            Rule(kind=by_sysprep, message=saying(r"\bupdates?\b.{0,40}\brequires? a (re)?(boot|start)\b")),
            Rule(message=saying(r"\bSysprep_Clean_Validate_Opk\b.*\brequires? a (re)?(boot|start)\b")),
        ),
        modules=_OPK,
        usual_phase=VALIDATE_CLEANUP,
    ),
    Cause(
        id="servicing-in-use",
        title="Updates or servicing are under way",
        explanation="An update or a servicing operation uses the storage that Windows reserves for it.",
        remedy=(
            "Install all updates, restart until none is left, let the component clean-up end (dism /online "
            "/cleanup-image /startcomponentcleanup), and run Sysprep again."
        ),
        source="Microsoft, Configuration Manager: capture media fails to capture a Windows 11 image",
        rules=(
            Rule(codes=frozenset({0x800F0975})),
            Rule(kind=provider_fails, modules=_OPK, codes=shortened(0x800F0975)),
            Rule(kind=halts, codes=shortened(0x800F0975), phases=frozenset({VALIDATE_CLEANUP})),
            Rule(message=saying(r"\bAudit mode can\W?(no|')t be turned on if\b")),
        ),
        modules=_OPK,
        usual_phase=VALIDATE_CLEANUP,
    ),
    Cause(
        id="servicing-unavailable",
        title="The Windows Modules Installer did not start",
        explanation=(
            "Sysprep asks the Windows Modules Installer for pending operations, and it did not answer in "
            "time. What the last lines say, 0x80070005, is the rest of that code (0x80080005) and no denied "
            "access."
        ),
        remedy=(
            "See that the service TrustedInstaller is not disabled, wait until the machine is no longer "
            "busy after its start or give it more processors, and run Sysprep again."
        ),
        source="https://github.com/GoogleCloudPlatform/compute-image-windows/issues/156",
        rules=(
            Rule(message=saying(r"\bCBS\b|\bservicing\b"), codes=frozenset({0x80080005})),
            Rule(modules=_OPK, codes=frozenset({0x80080005})),
        ),
        modules=_OPK,
        usual_phase=VALIDATE_CLEANUP,
        stated=False,
    ),
    Cause(
        id="upgraded-windows",
        title="This Windows was upgraded from another one",
        explanation="Sysprep before Windows 10 1607 takes only Windows that was installed anew.",
        remedy="Build the image from an installation medium.",
        source=(
            "https://learn.microsoft.com/windows-hardware/manufacture/desktop/sysprep--system-preparation--overview"
        ),
        rules=(Rule(message=saying(r"\bwill not run on an upgraded (OS|operating system)\b")),),
        modules=_OPK,
        usual_phase=VALIDATE_CLEANUP,
    ),
    Cause(
        id="rearm-exhausted",
        title="The licensing rearms of this Windows are used up",
        explanation=(
            "Each generalizing resets the activation, which is possible 1001 times, on Windows 7 and Server "
            "2008 R2 three times."
        ),
        remedy=(
            "Build the image from an installation medium, and generalize copies of one master. SkipRearm "
            "avoids the count while building, but in an image for use it gives all machines one KMS client "
            "id."
        ),
        source=f"{_LEARN}/setup-upgrade-and-drivers/error-occurs-when-running-sysprep-generalize",
        rules=(
            Rule(codes=frozenset({0xC004D307})),
            Rule(kind=provider_fails, modules=_LICENSING, codes=shortened(0xC004D307)),
        ),
        modules=_LICENSING,
        usual_phase=f"{GENERALIZE}-internal",
    ),
    Cause(
        id="dsc-state",
        title="Desired State Configuration was used on this machine",
        explanation=(
            "The clean-up of DSC does not find the registry data that it removes. Microsoft does not "
            "support generalizing after a configuration was applied, be it directly or by an extension."
        ),
        remedy=(
            "Go back to the backup and apply DSC only to machines made of the image. Where that cannot be, "
            "an empty value AgentId below HKLM\\SOFTWARE\\Microsoft\\DesiredStateConfiguration has let "
            "Sysprep pass."
        ),
        source="https://github.com/MicrosoftDocs/azure-docs/issues/80346",
        rules=(Rule(kind=provider_fails, modules=_DSC),),
        modules=_DSC,
        usual_phase=f"{CLEANUP}-external",
        stated=False,
    ),
    Cause(
        id="defender-for-endpoint",
        title="Defender for Endpoint protects its registry",
        explanation=(
            "The machine is onboarded to Microsoft Defender for Endpoint, which does not let Sysprep remove "
            "its values. This happens in the midst of generalizing."
        ),
        remedy="Go back to the backup, offboard the machine, restart it, and run Sysprep again.",
        source="https://github.com/actions/runner-images/issues/9659",
        rules=(
            Rule(
                kind=lambda line: bool(registry_action_in(line)),
                message=saying(r"\\Windows Advanced Threat Protection\b"),
            ),
            # The value that identifies a machine to the service; nothing else has it.
            Rule(message=saying(r"\bError from Reg\w+ for value senseGuid\b")),
            Rule(message=saying(r"\bError in executing action for Windows-Sense\w*")),
        ),
        usual_phase=f"{GENERALIZE}-internal",
        stated=False,
    ),
    Cause(
        id="vm-agent-provider",
        title="The provider of the Azure VM agent failed",
        explanation=(
            "VMAgentDisabler.dll, which the agent registers with Sysprep, could not be run. The library is "
            "missing or hidden, or the agent was not ready."
        ),
        remedy=(
            "Go back to the backup. See that the library is in System32 and not hidden, and that RdAgent "
            "and WindowsAzureGuestAgent run before Sysprep starts; update the agent."
        ),
        source="https://github.com/hashicorp/packer/issues/5945",
        rules=(
            Rule(message=saying(r"\bfailure occurred while executing\b|\bcould not load\b"), modules=_AGENT),
        ),
        modules=_AGENT,
        usual_phase=f"{GENERALIZE}-external",
        stated=False,
        hangs=True,
    ),
    Cause(
        id="msdtc-failed",
        title="The Distributed Transaction Coordinator could not be cleaned up",
        explanation="The provider of MSDTC failed, mostly because an earlier run was left half-way.",
        remedy=(
            "Go back to the backup. There, set SysprepInProgress below HKLM\\SOFTWARE\\Microsoft\\MSDTC to "
            "0, register the service anew (msdtc -uninstall, msdtc -install), restart, and run Sysprep "
            "again."
        ),
        source="https://blogs.msdn.microsoft.com/distributedservices/the-dtc-service-cannot-start",
        rules=(Rule(kind=provider_fails, modules=_MSDTC),),
        modules=_MSDTC,
        usual_phase=f"{CLEANUP}-internal",
        stated=False,
    ),
    Cause(
        id="earlier-run-unfinished",
        title="An earlier run stopped after it had begun to change the machine",
        explanation=(
            "Sysprep records how far it is, cannot undo it, and does not start again from there. What this "
            "run says is no cause; the cause is in the logs of the earlier run."
        ),
        remedy=(
            "Go back to the backup, find the earlier run's cause, and run Sysprep there. Setting the "
            "recorded state back by hand silences the message and leaves the machine half cleaned."
        ),
        source=f"{_LEARN}/setup-upgrade-and-drivers/fatal-error-occurred-sysprep-machine",
        rules=(Rule(ids=frozenset({NOT_RUNNING})), Rule(kind=refuses)),
        usual_phase=REFUSED,
    ),
    Cause(
        id="not-administrator",
        title="Sysprep was not run by an administrator",
        explanation="The account lacks the privileges that Sysprep needs.",
        remedy=(
            "Run it elevated, as a member of Administrators; not as SYSTEM, which Microsoft does not support."
        ),
        source=(
            "https://learn.microsoft.com/windows-hardware/manufacture/desktop/sysprep--system-preparation--overview"
        ),
        rules=(Rule(message=_PRIVILEGES, kind=fails),),
        usual_phase=START,
    ),
    Cause(
        id="wrong-options",
        title="Sysprep did not take its command line",
        explanation="An option is unknown, or does not go together with another one.",
        remedy=(
            "Give /generalize /oobe with one of /shutdown, /quit and /reboot, /quiet, and /mode:vm where it "
            "is wanted."
        ),
        source=(
            "https://learn.microsoft.com/windows-hardware/manufacture/desktop/sysprep-command-line-options"
        ),
        rules=(
            Rule(
                message=saying(r"^ParseCommands:|\bunable to parse command-?line arguments to sysprep\b"),
                kind=fails,
            ),
        ),
        usual_phase=START,
    ),
)

CAUSES: tuple[Cause, ...] = (*_SPECIFIC, *GENERAL_CAUSES)
