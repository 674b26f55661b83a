# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Which server roles Sysprep supports, as Microsoft's table "Sysprep support for server roles" states it.

The table ends with Windows Server 2012. For later versions no statement was found, so that its last column
stands for them, and every finding says so. A role that is not supported does not make Sysprep fail; it may
not work in the machines of the image.
"""

from __future__ import annotations

from typing import NamedTuple

SUPPORTED = "supported"
NOT_SUPPORTED = "not supported"
NOT_STATED = "not stated"
LAST_STATED_BUILD = 9200


class ServerRole(NamedTuple):
    """`features`: names of Get-WindowsFeature, any of which is the role.

    `remark`: the condition under which it is supported, or what to do.
    """

    name: str
    features: tuple[str, ...]
    state: str
    remark: str = ""


_REMOVE = "Remove the role, and add it to the machines that are made of the image."

SERVER_ROLES = (
    ServerRole("Active Directory Certificate Services", ("AD-Certificate",), NOT_SUPPORTED, _REMOVE),
    ServerRole("Active Directory Domain Services", ("AD-Domain-Services",), NOT_SUPPORTED, _REMOVE),
    ServerRole("Active Directory Federation Services", ("ADFS-Federation",), NOT_SUPPORTED, _REMOVE),
    ServerRole("Active Directory Lightweight Directory Services", ("ADLDS",), NOT_SUPPORTED, _REMOVE),
    ServerRole("Active Directory Rights Management Services", ("ADRMS",), NOT_SUPPORTED, _REMOVE),
    ServerRole("DHCP Server", ("DHCP",), NOT_SUPPORTED, _REMOVE),
    ServerRole(
        "DNS Server",
        ("DNS",),
        NOT_STATED,
        "The table says that it is not applicable. Remove the role, or try the image.",
    ),
    ServerRole("Fax Server", ("Fax",), NOT_SUPPORTED, _REMOVE),
    ServerRole(
        "Network Policy and Access Services",
        ("NPAS",),
        NOT_SUPPORTED,
        "Remove the role; at the least, remove RADIUS clients and remote RADIUS server groups first.",
    ),
    ServerRole(
        "Routing and Remote Access",
        ("Routing", "DirectAccess-VPN"),
        NOT_STATED,
        "The table says that it is not applicable. Remove the role, or try the image.",
    ),
    ServerRole(
        "Volume Activation Services",
        ("VolumeActivation",),
        NOT_STATED,
        "The table says that it is not applicable. Remove the role, or try the image.",
    ),
    ServerRole("Windows Server Update Services", ("UpdateServices",), NOT_SUPPORTED, _REMOVE),
    ServerRole("Application Server", ("Application-Server",), SUPPORTED),
    ServerRole("File and Storage Services", ("FileAndStorage-Services",), SUPPORTED),
    ServerRole("Hyper-V", ("Hyper-V",), SUPPORTED, "Without virtual switches."),
    ServerRole("Print and Document Services", ("Print-Services",), SUPPORTED),
    ServerRole("Remote Desktop Services", ("Remote-Desktop-Services",), SUPPORTED),
    ServerRole("Web Server (IIS)", ("Web-Server",), SUPPORTED, "Without encrypted credentials."),
    ServerRole("Windows Deployment Services", ("WDS",), SUPPORTED, "Not initialized."),
)

# Roles that the table does not know, and that are known to be tied to their machine.
UNLISTED = {
    "Failover-Clustering": "Failover Clustering",
    "Containers": "Containers",
    "FS-DFS-Replication": "DFS Replication",
}
