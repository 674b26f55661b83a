# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""cloud-init and the Azure Linux Agent configured together, so that each thing is done by one of them.

Whoever provisions makes the account, the host name and the host keys, and has the temporary disk. The agent
handles extensions in any case. Facts: the articles on Linux images for Azure (create-upload-generic,
using-cloud-init), and the settings in the README of WALinuxAgent.
"""

import json
import re
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ansible_collections.goldenimage.azure.plugins.module_utils._guest.guest import Guest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import GuestError
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.changes import (
    FileChange,
    change_of,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.denied_drivers import plan_allowed
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.renderers import (
    DHCP_CLIENTS,
    has_dhcp_client,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.settings import (
    joined,
    read_settings,
    with_settings,
)

AGENT_FILE = "/etc/waagent.conf"
# Read after the files of installers and packages: 99-installer.cfg, 90_dpkg.cfg.
CLOUD_FILE = "/etc/cloud/cloud.cfg.d/99_azure.cfg"
CLOUD_DISABLED = "/etc/cloud/cloud-init.disabled"
_DETECTION_FILE = "/etc/cloud/ds-identify.cfg"
# Ubuntu's installers leave the network of the machine that they ran on in cloud-init's settings.
_INSTALLER_NETWORK = tuple(
    "/etc/cloud/cloud.cfg.d/" + name
    for name in (
        "50-curtin-networking.cfg",
        "90-installer-network.cfg",
        "subiquity-disable-cloudinit-networking.cfg",
    )
)
_SETTING = re.compile(r"^[\s{]*[\"']?(datasource_list|network|datasource)[\"']?\s*:")
# Further in it is a part of another setting, as in system_info.
_NETWORK = re.compile(r"^(\{\s*)?[\"']?network[\"']?\s*:")
_DEFAULT_MOUNT_POINT = "/mnt"
_MEDIUM = "udf"  # the file system of Azure's provisioning medium, which hardened machines forbid


class Provisioning(NamedTuple):
    """What is wanted.

    :param by: "cloud-init" or "waagent"
    :param agent: the Azure Linux Agent is part of the image
    :param datasources: what cloud-init looks for its instance in
    :param network_by_cloud_init: cloud-init writes the network configuration of each new machine
    :param mount_point: of the temporary disk
    :param agent_swap_mib: size of the swap file that the agent makes on it; only with "waagent"
    :param telemetry: cloud-init reports its stages to the host
    """

    by: str
    agent: bool
    datasources: Tuple[str, ...]
    network_by_cloud_init: bool
    mount_point: str
    agent_swap_mib: int
    telemetry: bool


def plan_provisioning(guest: Guest, wanted: Provisioning) -> List[FileChange]:
    """What has to be changed. Raises GuestError when one of both is missing, or both cannot be reconciled."""
    _check(guest, wanted)
    files: Dict[str, Optional[str]] = {}
    if wanted.agent:
        files[AGENT_FILE] = _agent_text(guest, wanted)
    if wanted.by == "cloud-init":
        files.update({CLOUD_FILE: _cloud_text(wanted), CLOUD_DISABLED: None, _DETECTION_FILE: None})
        if wanted.network_by_cloud_init:
            files.update(dict.fromkeys(_INSTALLER_NETWORK))
    elif guest.has_program("cloud-init"):
        files.update({CLOUD_DISABLED: "", CLOUD_FILE: None})
    changes = [
        change
        for path, text in files.items()
        # A network can have a password, as netplan's wireless ones do.
        for change in change_of(guest.tree, path, text, secret=path in _INSTALLER_NETWORK)
    ]
    return changes + plan_allowed(guest.tree, [_MEDIUM])


def _check(guest: Guest, wanted: Provisioning) -> None:
    if wanted.by == "cloud-init" and not guest.has_program("cloud-init"):
        raise GuestError("cloud-init is not installed; install it, or have waagent provision the machines")
    if wanted.by == "waagent" and not wanted.agent:
        raise GuestError("waagent is to provision the machines, but the image is to do without it")
    if wanted.agent and guest.root.stat(AGENT_FILE) is None:
        raise GuestError("{0} is missing; install the Azure Linux Agent".format(AGENT_FILE))
    if not re.match(r"^(/[A-Za-z0-9._-]+)+$", wanted.mount_point):
        raise GuestError("{0!r} is no path to mount the temporary disk at".format(wanted.mount_point))
    if wanted.by == "cloud-init":
        _check_overrides(guest, wanted)
        # It asks Azure before any program has set up the network.
        if not has_dhcp_client(guest):
            raise GuestError(
                "cloud-init has no DHCP client to reach Azure with: none of {0} is installed; install the "
                "one its package names".format(", ".join(DHCP_CLIENTS))
            )


def _check_overrides(guest: Guest, wanted: Provisioning) -> None:
    """Of two files that say where an instance is described, cloud-init takes the last in order of names; a
    network in any of them it takes instead of Azure's."""
    for path in ["/etc/cloud/cloud.cfg"] + guest.root.glob("/etc/cloud/cloud.cfg.d/*.cfg"):
        if path == CLOUD_FILE or (wanted.network_by_cloud_init and path in _INSTALLER_NETWORK):
            continue
        says_the_same = not wanted.network_by_cloud_init and guest.disables_cloud_init_network(path)
        for line in guest.lines(path):
            found = _SETTING.match(line) if path > CLOUD_FILE else None
            if found is not None and not (found.group(1) == "network" and says_the_same):
                raise GuestError(
                    "{0}: sets {1}, and cloud-init reads it after {2}; remove the line, or give the "
                    "file a name that sorts in front".format(path, found.group(1), CLOUD_FILE)
                )
            if wanted.network_by_cloud_init and _NETWORK.match(line):
                raise GuestError(
                    "{0}: sets network, which cloud-init takes instead of what Azure tells it; remove it, or "
                    "have the image configure the network".format(path)
                )


def _agent_text(guest: Guest, wanted: Provisioning) -> str:
    lines = guest.lines(AGENT_FILE)
    own = wanted.by == "waagent"
    values = {
        "Provisioning.Agent": wanted.by,
        "ResourceDisk.Format": _yes(own),
        "ResourceDisk.EnableSwap": _yes(own and wanted.agent_swap_mib > 0),
        "ResourceDisk.SwapSizeMB": str(wanted.agent_swap_mib if own else 0),
        "ResourceDisk.MountPoint": wanted.mount_point,
    }
    # Agents before 2.2.45 know these instead of Provisioning.Agent.
    given = read_settings(lines)
    older = {"Provisioning.Enabled": _yes(own), "Provisioning.UseCloudInit": _yes(not own)}
    values.update({key: value for key, value in older.items() if key in given})
    return joined(with_settings(lines, values))


def _cloud_text(wanted: Provisioning) -> str:
    network = wanted.network_by_cloud_init
    settings: Dict[str, Any] = {
        "datasource_list": list(wanted.datasources),
        "datasource": {"Azure": {"apply_network_config": network}},
    }
    if not network:
        settings["network"] = {"config": "disabled"}
    if wanted.mount_point != _DEFAULT_MOUNT_POINT:
        settings["mounts"] = [["ephemeral0", wanted.mount_point]]
    if wanted.telemetry:
        settings["reporting"] = {"logging": {"type": "log"}, "telemetry": {"type": "hyperv"}}
    lines = ["{0}: {1}\n".format(key, json.dumps(value)) for key, value in settings.items()]
    return "#cloud-config\n# Written by the Ansible role goldenimage.azure.linux_prepare.\n" + "".join(lines)


def _yes(value: bool) -> str:
    return "y" if value else "n"
