# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The CD-ROM that is in a VM's drive while it is provisioned: ovf-env.xml, with the account of the request.

Format: what cloud-init (sources/helpers/azure.py, OvfEnvXml) and the Azure Linux Agent (protocol/ovfenv.py)
read.
"""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from tests.guests.lab.programs import run_program

#: By this label cloud-init's ds-identify knows the media.
LABEL = "rd_rdfe_stable.161028-1405"
_NAMESPACES = (
    'xmlns="http://schemas.dmtf.org/ovf/environment/1" '
    'xmlns:oe="http://schemas.dmtf.org/ovf/environment/1" '
    'xmlns:wa="http://schemas.microsoft.com/windowsazure" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
)


def ovf_environment(
    *,
    hostname: str,
    user: str,
    password: str | None,
    disable_password_authentication: bool,
    ssh_public_keys: Sequence[tuple[str, str]],
    custom_data: bytes | None,
) -> str:
    """The document. `ssh_public_keys`: path in the guest and OpenSSH line of each."""

    def element(name: str, text: str) -> str:
        return f"<wa:{name}>{escape(text)}</wa:{name}>"

    keys = "".join(
        f"<wa:PublicKey><wa:Fingerprint/>{element('Path', path)}{element('Value', value)}</wa:PublicKey>"
        for path, value in ssh_public_keys
    )
    configuration = [
        element("ConfigurationSetType", "LinuxProvisioningConfiguration"),
        element("HostName", hostname),
        element("UserName", user),
        element("UserPassword", password) if password else "",
        element("DisableSshPasswordAuthentication", str(disable_password_authentication).lower()),
        f"<wa:SSH><wa:PublicKeys>{keys}</wa:PublicKeys></wa:SSH>" if keys else "",
        element("CustomData", base64.b64encode(custom_data).decode()) if custom_data else "",
    ]
    settings = [
        element("KmsServerHostname", "azkms.core.windows.net"),
        element("ProvisionGuestAgent", "true"),
        '<wa:GuestAgentPackageName xsi:nil="true"/>',
        element("RetainWindowsPEPassInUnattend", "true"),
        element("RetainOfflineServicingPassInUnattend", "true"),
        element("PreprovisionedVm", "false"),
        '<wa:PreprovisionedVMType xsi:nil="true"/>',
        element("EnableTrustedImageIdentifier", "false"),
    ]
    return (
        f'<?xml version="1.0" encoding="utf-8"?>\n<Environment {_NAMESPACES}>'
        "<wa:ProvisioningSection><wa:Version>1.0</wa:Version><wa:LinuxProvisioningConfigurationSet>"
        f"{''.join(configuration)}</wa:LinuxProvisioningConfigurationSet></wa:ProvisioningSection>"
        "<wa:PlatformSettingsSection><wa:Version>1.0</wa:Version><wa:PlatformSettings>"
        f"{''.join(settings)}</wa:PlatformSettings></wa:PlatformSettingsSection></Environment>\n"
    )


def write_media(path: Path, document: str) -> None:
    """Write the volume, ISO 9660 with UDF, as a file that only its owner can read."""
    with tempfile.TemporaryDirectory(prefix="provisioning-") as directory:
        (Path(directory) / "ovf-env.xml").write_text(document, encoding="utf-8")
        part = path.with_suffix(".part")
        part.touch(mode=0o600)
        run_program(["genisoimage", "-quiet", "-J", "-r", "-udf", "-V", LABEL, "-o", str(part), directory])
        part.replace(path)
