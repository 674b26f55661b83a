# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Facts of Windows machines on which nothing speaks against Sysprep, written by hand as collectors answer."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

Answers = dict[str, Any]


def there(value: int | str) -> dict[str, Any]:
    """A value that is in the registry."""
    return {"present": True, "value": value}


def absent() -> dict[str, Any]:
    """A value that is not in the registry."""
    return {"present": False}


def denied() -> dict[str, Any]:
    """A value that may not be read."""
    return {"error": "Requested registry access is not allowed."}


def service(state: str = "Running", start_mode: str = "Auto") -> dict[str, Any]:
    """A service."""
    return {"present": True, "state": state, "start_mode": start_mode}


NO_SERVICE = {"present": False, "state": "", "start_mode": ""}


def package(name: str, version: str = "1.0.0.0", **more: Any) -> dict[str, Any]:
    """A Store package that one account has."""
    return {
        "name": name,
        "full_name": f"{name}_{version}_x64__8wekyb3d8bbwe",
        "family": f"{name}_8wekyb3d8bbwe",
        "version": version,
        "bundle": False,
        "framework": False,
        "resource_package": False,
        "signature": "Store",
        "location": f"C:\\Program Files\\WindowsApps\\{name}",
        "users": [{"user": "builder", "state": "Installed"}],
        **more,
    }


def provisioned(name: str, version: str = "1.0.0.0", resource: str = "") -> dict[str, Any]:
    """A package that every new account gets."""
    return {"package_name": f"{name}_{version}_x64_{resource}_8wekyb3d8bbwe"}


_SERVER: dict[str, Any] = {
    "session": {
        "user": "BUILD\\builder",
        "system": False,
        "elevated": True,
        "processes": ["System", "svchost", "wsmprovhost"],
    },
    "system": {
        "caption": "Microsoft Windows Server 2022 Datacenter",
        "build": 20348,
        "product_type": 3,
        "domain_role": 2,
        "part_of_domain": False,
        "domain": "WORKGROUP",
        "system_root": "C:\\Windows",
    },
    "setup": {
        "image_state": there("IMAGE_STATE_COMPLETE"),
        "image_state_file": there("IMAGE_STATE_COMPLETE"),
        "cleanup_state": there(2),
        "generalization_state": there(7),
        "setup_type": there(0),
        "system_setup_in_progress": there(0),
        "oobe_in_progress": there(0),
        "setup_command_line": there(""),
        "msdtc_sysprep_in_progress": absent(),
        "succeeded_tag": False,
    },
    "restart": {
        "cbs_reboot_pending": False,
        "cbs_reboot_in_progress": False,
        "cbs_packages_pending": False,
        "cbs_sessions_exclusive": there(0),
        "pending_xml": False,
        "update_reboot_required": False,
        "update_post_reboot": False,
        "update_exe_volatile": absent(),
        "server_manager_restart": False,
        "file_renames": 0,
        "active_name": "BUILD",
        "next_name": "build",
        "domain_change": False,
        "installer_in_progress": False,
        "dvd_reboot_signal": False,
        "configuration_manager": False,
    },
    "servicing": {
        "reserve_active_scenario": absent(),
        "reserve_attempted_initialization": absent(),
    },
    "services": {
        "TrustedInstaller": service("Stopped", "Manual"),
        "AppXSvc": service("Stopped", "Manual"),
        "Sense": service("Stopped", "Manual"),
        "RdAgent": service(),
        "WindowsAzureGuestAgent": service(),
        "WindowsAzureTelemetryService": NO_SERVICE,
    },
    "upgrade": {"upgrade_key": False, "source_os": [], "windows_old": False},
    "licensing": {"rearms_left": 1001, "skip_rearm": there(0)},
    "encryption": {
        "available": True,
        "system_drive": "C:",
        "volumes": [{"drive": "C:", "conversion_status": 0, "protection_status": 0}],
    },
    "disk": {"free_bytes": 100 << 30, "size_bytes": 127 << 30},
    "removable_storage": {
        "cdrom_start": there(1),
        "deny_all": absent(),
        "cdrom_deny_read": absent(),
    },
    "leftovers": {"answer_files": [], "unattend_file": absent(), "panther": []},
    "providers": {
        "entries": [
            {
                "phase": "Generalize",
                "entry": "C:\\Windows\\System32\\vendor.dll,Generalize",
                "path": "C:\\Windows\\System32\\vendor.dll",
                "exists": True,
                "hidden": False,
            }
        ]
    },
    "endpoint": {"onboarding_state": absent(), "sense_guid": absent()},
    "dsc": {"key": False, "agent_id": absent(), "configuration": False},
    "join": {"entra": []},
    "accounts": {
        "built_in_administrator": [
            {
                "name": "Administrator",
                "enabled": False,
                "must_change_password": False,
                "password_expires": True,
            }
        ]
    },
    "profiles": {
        "entries": [
            {"sid": "S-1-5-18", "path": "C:\\Windows\\System32\\config\\systemprofile", "exists": True},
            {"sid": "S-1-5-21-1-2-3-1000", "path": "C:\\Users\\builder", "exists": True},
        ]
    },
    "features": {
        "available": True,
        "installed": ["FileAndStorage-Services", "Storage-Services", "NET-Framework-45-Core"],
    },
    "roles": {
        "iis_configuration": False,
        "iis_encrypted_values": 0,
        "wds_initialized": absent(),
        "virtual_switches": 0,
        "radius_clients": 0,
    },
    "appx": {
        "available": True,
        "packages": [
            package("Microsoft.DesktopAppInstaller"),
            package("Microsoft.VCLibs.140.00", framework=True),
            package("Microsoft.LanguagePack", resource_package=True),
            package("Microsoft.Windows.ShellHost", signature="System"),
            package("windows.immersivecontrolpanel", location="C:\\Windows\\ImmersiveControlPanel"),
            package("Left.Behind", users=[{"user": "S-1-5-18", "state": "Staged"}]),
        ],
        "provisioned": [provisioned("Microsoft.DesktopAppInstaller")],
    },
    "appx_staging": {"names": []},
}


def server() -> Answers:
    """The answers of all collectors on a healthy Windows Server 2022."""
    return {name: {"ok": True, "value": deepcopy(value)} for name, value in _SERVER.items()}


def workstation() -> Answers:
    """The answers of all collectors on a healthy Windows 11."""
    answers = server()
    answers["system"]["value"].update(
        caption="Microsoft Windows 11 Enterprise", build=26100, product_type=1, domain_role=0
    )
    answers["features"]["value"] = {"available": False, "installed": []}
    return answers
