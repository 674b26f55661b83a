# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What Azure checks in the body of a new virtual machine before it does anything."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from tests.local_azure.call import Call, properties_of
from tests.local_azure.errors import ArmError, invalid_value, missing_parameter
from tests.local_azure.providers.compute.machine_sizes import MachineSize, size_of
from tests.local_azure.providers.compute.vm_sizes import vm_sizes
from tests.local_azure.store import Json

# The names documented as not allowed for the administrator of a Linux or Windows machine.
_FORBIDDEN_NAMES = frozenset(
    """
    administrator admin user user1 test user2 test1 user3 admin1 1 123 a actuser adm admin2 aspnet
    backup console david guest john owner root server sql support support_388945a0 sys test2 test3 user4
    user5
    """.split()  # noqa: SIM905 - a list of forty strings says the same in forty lines
)
_NOT_IN_LINUX_NAME = re.compile(r"[`~!@#$%^&*()=+_\[\]{}\\|;:.'\",<>/?\s]")
_NOT_IN_WINDOWS_NAME = re.compile(r"[`~!@#$%^&*()=+_\[\]{}\\|;:.'\",<>/?\s]")
_KEY = re.compile(r"^(ssh-rsa|ssh-ed25519|ecdsa-sha2-nistp(256|384|521)) [A-Za-z0-9+/]+={0,3}(\s|$)")
_MAX_CUSTOM_DATA = 87380


def check_size(properties: Json, location: str) -> MachineSize:
    name = (properties.get("hardwareProfile") or {}).get("vmSize")
    if name is None:
        raise missing_parameter("hardwareProfile.vmSize")
    size = size_of(name)
    if size is None:
        known = ",".join(offered.name for offered in vm_sizes().values())
        raise invalid_value(
            "vmSize",
            f"The value {name} provided for the VM size is not valid. The valid sizes in the current region "
            f"are: {known}. Find out more on the available VM sizes in each region at "
            "https://aka.ms/azure-regions.",
        )
    if size.restricted:
        raise ArmError(
            409,
            "SkuNotAvailable",
            "The requested VM size for resource 'Following SKUs have failed for Capacity Restrictions: "
            f"{size.name}' is currently not available in location '{location}'. Please try another size or "
            "deploy to a different location or different zone. See https://aka.ms/azureskunotavailable for "
            "details.",
        )
    return size


def check_os_profile(call: Call, properties: Json, os_type: str) -> Json:
    """The osProfile as shown: without password and custom data, with Azure's defaults."""
    profile = properties.get("osProfile")
    if not isinstance(profile, dict):
        raise missing_parameter("osProfile")
    user = profile.get("adminUsername")
    if user is None:
        raise missing_parameter("adminUsername")
    _check_user(user, os_type)
    computer = profile.get("computerName") or call.name
    _check_computer_name(computer, os_type)
    _check_custom_data(profile.get("customData"))
    password = profile.get("adminPassword")
    if password is not None:
        _check_password(password, os_type)
    shown: Json = {"computerName": computer, "adminUsername": user}
    if os_type == "Windows":
        if password is None:
            raise missing_parameter("adminPassword")
        if profile.get("linuxConfiguration"):
            raise _not_allowed("osProfile.linuxConfiguration")
        given = profile.get("windowsConfiguration") or {}
        shown["windowsConfiguration"] = {
            "provisionVMAgent": given.get("provisionVMAgent", True),
            "enableAutomaticUpdates": given.get("enableAutomaticUpdates", True),
            "patchSettings": {
                "patchMode": "AutomaticByOS",
                "assessmentMode": "ImageDefault",
                **(given.get("patchSettings") or {}),
            },
            **{k: given[k] for k in ("timeZone", "winRM", "additionalUnattendContent") if given.get(k)},
        }
    else:
        if profile.get("windowsConfiguration"):
            raise _not_allowed("osProfile.windowsConfiguration")
        shown["linuxConfiguration"] = _linux(profile, user, password)
    shown |= {
        "secrets": profile.get("secrets") or [],
        "allowExtensionOperations": profile.get("allowExtensionOperations", True),
        "requireGuestProvisionSignal": True,
    }
    return shown


def _not_allowed(path: str) -> ArmError:
    return invalid_value(path, f"Parameter '{path}' is not allowed.")


def _check_user(user: Any, os_type: str) -> None:
    if not isinstance(user, str) or not user:
        raise missing_parameter("adminUsername")
    longest = 20 if os_type == "Windows" else 64
    if len(user) > longest:
        raise invalid_value(
            "adminUsername",
            f"The Admin Username specified is longer than the {longest} characters that are allowed.",
        )
    if user.endswith(".") or re.search(r"[\\/\"\[\]:|<>+=;,?*@&\s]", user):
        raise invalid_value(
            "adminUsername",
            "The Admin Username specified cannot end with a '.' or contain the following characters: "
            '\\ / " [ ] : | < > + = ; , ? * @ & space.',
        )
    if user.lower() in _FORBIDDEN_NAMES:
        raise invalid_value("adminUsername", "The Admin Username specified is not allowed.")


def _check_computer_name(name: Any, os_type: str) -> None:
    if not isinstance(name, str):
        raise invalid_value("computerName")
    if os_type == "Windows":
        if len(name) > 15 or name.isdigit() or _NOT_IN_WINDOWS_NAME.search(name):
            raise invalid_value(
                "computerName",
                "Windows computer name cannot be more than 15 characters long, be entirely numeric, or "
                "contain "
                "the following characters: ` ~ ! @ # $ % ^ & * ( ) = + _ [ ] { } \\ | ; : . ' \" , < > / ?.",
            )
    elif len(name) > 64 or _NOT_IN_LINUX_NAME.search(name):
        raise invalid_value(
            "computerName",
            "Linux host name cannot exceed 64 characters in length or contain the following characters: "
            "` ~ ! @ # $ % ^ & * ( ) = + _ [ ] { } \\ | ; : . ' \" , < > / ?.",
        )


def _check_custom_data(data: Any) -> None:
    if data is None:
        return
    try:
        base64.b64decode(str(data), validate=True)
    except (binascii.Error, ValueError):
        valid = False
    else:
        valid = len(str(data)) <= _MAX_CUSTOM_DATA
    if not valid:
        raise invalid_value(
            "customData",
            "Custom data in OSProfile must be in Base64 encoding and with a maximum length of "
            f"{_MAX_CUSTOM_DATA} characters.",
        )


def _check_password(password: Any, os_type: str) -> None:
    shortest, longest = (8, 123) if os_type == "Windows" else (6, 72)
    text = str(password)
    classes = sum(
        bool(re.search(pattern, text))
        for pattern in (r"[a-z]", r"[A-Z]", r"\d", r"[^a-zA-Z0-9]", r"[\x00-\x1f]")
    )
    if not shortest <= len(text) <= longest or classes < 3:
        raise invalid_value(
            "adminPassword",
            f"The supplied password must be between {shortest}-{longest} characters long and must satisfy at "
            "least 3 of password complexity requirements from the following: 1) Contains an uppercase "
            "character 2) Contains a lowercase character 3) Contains a numeric digit 4) Contains a special "
            "character 5) Control characters are not allowed",
        )


def _linux(profile: Json, user: str, password: Any) -> Json:
    given = profile.get("linuxConfiguration") or {}
    keys = (given.get("ssh") or {}).get("publicKeys") or []
    no_password = bool(given.get("disablePasswordAuthentication", password is None))
    if (no_password and not keys) or (password is None and not keys):
        raise invalid_value(
            "linuxConfiguration",
            "Authentication using either SSH or by user name and password must be enabled in Linux profile.",
        )
    if not no_password and password is None:
        raise missing_parameter("adminPassword")
    if no_password and password is not None:
        raise invalid_value(
            "adminPassword",
            "adminPassword may only be given while password authentication is not disabled.",
        )
    home = f"/home/{user}/.ssh/authorized_keys"
    for key in keys:
        if key.get("path") not in (None, home):
            raise invalid_value(
                "linuxConfiguration.ssh.publicKeys.path",
                "Destination path for SSH public keys is currently limited to its default value "
                f"{home} due to a known issue in Linux provisioning agent.",
            )
        if not _KEY.match(str(key.get("keyData") or "")):
            raise invalid_value("linuxConfiguration.ssh.publicKeys.keyData")
    shown: Json = {"disablePasswordAuthentication": no_password}
    if keys:
        shown["ssh"] = {"publicKeys": [{"path": home, "keyData": k["keyData"]} for k in keys]}
    shown |= {
        "provisionVMAgent": given.get("provisionVMAgent", True),
        "patchSettings": {
            "patchMode": "ImageDefault",
            "assessmentMode": "ImageDefault",
            **(given.get("patchSettings") or {}),
        },
    }
    return shown


def check_network_profile(properties: Json) -> Json:
    """Either existing interfaces or ones to be made with the machine."""
    profile = properties.get("networkProfile")
    if not isinstance(profile, dict):
        raise missing_parameter("networkProfile")
    existing = profile.get("networkInterfaces") or []
    inline = profile.get("networkInterfaceConfigurations") or []
    if existing and inline:
        raise invalid_value(
            "networkProfile",
            "Parameters 'networkInterfaces' and 'networkInterfaceConfigurations' cannot be given together.",
        )
    if not existing and not inline:
        raise ArmError(
            400,
            "NetworkInterfaceCountInvalid",
            "A virtual machine needs at least one network interface.",
            target="networkProfile",
        )
    if inline and not profile.get("networkApiVersion"):
        raise missing_parameter("networkProfile.networkApiVersion")
    if sum(bool(properties_of(n).get("primary")) for n in (existing or inline)) > 1:
        raise invalid_value("networkProfile", "More than one network interface is primary.")
    return profile
