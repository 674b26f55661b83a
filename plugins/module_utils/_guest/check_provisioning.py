# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Whether something on a guest sets it up on Azure: agent, cloud-init, and the way in afterwards."""

import re
from typing import Dict, Iterator, List, Optional

from ansible_collections.goldenimage.azure.plugins.module_utils._guest.check import Check, Problem
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.guest import Guest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.places import expand, paths
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import RootView

_AGENT_CONFIG = ("/etc/waagent.conf", "/usr/share/oem/waagent.conf", "/usr/lib/waagent.conf")
_AGENT_UNITS = "{walinuxagent,waagent}.service"
_CLOUD_UNITS = "{cloud-init-network,cloud-init,cloud-init-main,cloud-config}.service"
_SSH_UNITS = "{ssh,sshd}.{service,socket}"
_UNIT_DIRECTORIES = ("/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
_LIST = re.compile(r"^\s*datasource_list\s*:\s*(\[.*\])?\s*$")
_YES = ("y", "yes", "true")
_FOREIGN = {
    "vmtoolsd": "VMware's tools",
    "qemu-ga": "QEMU's guest agent",
    "VBoxService": "VirtualBox's guest additions",
    "xe-daemon": "Xen's tools",
    "prltoolsd": "Parallels' tools",
}
_CHRONY = (
    *("/etc/chrony.conf", "/etc/chrony/chrony.conf", "/etc/chrony{,/}{conf,sources}.d/*"),
    "/etc/chrony{-,/}azure.conf",  # what the role linux_prepare has chronyd take where that clock is
)
_EMPTY = "/dev/null"


def starts_at_boot(root: RootView, units: str) -> bool:
    """Whether systemd starts one of these units: it is wanted by a target, and not masked."""
    for directory in _UNIT_DIRECTORIES:
        for single in expand(units):
            masked = root.readlink("/etc/systemd/system/" + single) == _EMPTY
            if not masked and root.glob("{0}/*.wants/{1}".format(directory, single)):
                return True
    return False


def _has_cloud_init(guest: Guest) -> bool:
    return guest.has_program("cloud-init") and guest.root.lstat("/etc/cloud/cloud-init.disabled") is None


def _agent_settings(guest: Guest) -> Dict[str, str]:
    """The agent's configuration, names and values in lower case; empty when there is no file."""
    found: Dict[str, str] = {}
    for path in _AGENT_CONFIG:
        for line in guest.lines(path):
            name, equals, value = line.partition("#")[0].partition("=")
            if equals:
                found.setdefault(name.strip().lower(), value.strip().lower())
    return found


def _agent_provisions(guest: Guest) -> bool:
    """Whether the agent itself would set the machine up."""
    settings = _agent_settings(guest)
    kind = settings.get("provisioning.agent", "")
    if kind in {"cloud-init", "disabled"} or settings.get("provisioning.usecloudinit") in _YES:
        return False
    return kind == "waagent" or not _has_cloud_init(guest)


def _has_agent(guest: Guest) -> bool:
    units = [directory + "/" + unit for directory in _UNIT_DIRECTORIES for unit in expand(_AGENT_UNITS)]
    return guest.has_program("waagent") or any(guest.root.stat(path) is not None for path in units)


def _agent(guest: Guest) -> Iterator[Problem]:
    if guest.family is not None and guest.family.id == "flatcar":
        return  # Ignition and an agent from the OEM partition, which only its images for Azure have
    has_agent, has_cloud_init = _has_agent(guest), _has_cloud_init(guest)
    if not has_agent and not has_cloud_init:
        yield Problem("/usr/sbin/waagent", "neither agent nor cloud-init is installed", "error")
        return
    if not has_agent:
        yield Problem("/usr/sbin/waagent", "is not installed: extensions and Run Command will not work")
        return
    if guest.root.listdir("/etc/systemd/system") and not starts_at_boot(guest.root, _AGENT_UNITS):
        severity = "warning" if has_cloud_init else "error"
        yield Problem("/etc/systemd/system", "the agent's unit is not enabled", severity)
    kind = _agent_settings(guest).get("provisioning.agent", "")
    if kind == "cloud-init" and not has_cloud_init:
        yield Problem("/etc/waagent.conf", "leaves provisioning to cloud-init, which is not there", "error")
    elif has_cloud_init and _agent_provisions(guest):
        yield Problem("/etc/waagent.conf", "the agent provisions although cloud-init does")


def _cloud_init(guest: Guest) -> Iterator[Problem]:
    if not _has_cloud_init(guest):
        return
    sources = datasources(guest)
    if sources is not None and "azure" not in [source.lower() for source in sources]:
        yield Problem(
            "/etc/cloud", "datasource_list has {0}, not Azure".format(", ".join(sources) or "nothing")
        )
    if guest.root.listdir("/etc/systemd/system") and not starts_at_boot(guest.root, _CLOUD_UNITS):
        yield Problem("/etc/systemd/system", "cloud-init's units are not enabled")


def datasources(guest: Guest) -> Optional[List[str]]:
    """cloud-init's datasource_list, of the file that is read last; None where it looks for itself."""
    found: Optional[List[str]] = None
    for path in ["/etc/cloud/cloud.cfg"] + guest.root.glob("/etc/cloud/cloud.cfg.d/*.cfg"):
        lines = guest.lines(path)
        for index, line in enumerate(lines):
            match = _LIST.match(line.partition("#")[0])
            if match is None:
                continue
            if match.group(1):
                items = match.group(1)[1:-1].split(",")
            else:
                items = []
                for below in lines[index + 1 :]:
                    if not below.strip().startswith("-"):
                        break
                    items.append(below.strip()[1:])
            found = [item.strip(" \t\"'") for item in items if item.strip()]
    return found


def _way_in(guest: Guest) -> Iterator[Problem]:
    root = guest.root
    if root.stat("/usr/sbin/sshd") is None:
        yield Problem("/usr/sbin/sshd", "no SSH server", "warning")
        return
    if root.listdir("/etc/systemd/system") and not starts_at_boot(root, _SSH_UNITS):
        yield Problem("/etc/systemd/system", "the SSH server is not enabled")
    if root.stat("/etc/ssh/sshd_not_to_be_run") is not None:
        yield Problem("/etc/ssh/sshd_not_to_be_run", "keeps the SSH server from starting")


def _sudo(guest: Guest) -> Iterator[Problem]:
    files = [path for path in ("/etc/sudoers", "/usr/etc/sudoers") if guest.root.stat(path) is not None]
    # The vendor's file counts only where there is none of the administrator's.
    for path in files[:1] + guest.root.glob("/etc/sudoers.d/*"):
        for line in guest.lines(path):
            settings = line.partition("#")[0].replace(",", " ").split()
            if settings[:1] == ["Defaults"] and "targetpw" in settings:
                yield Problem(path, "Defaults targetpw")


def _foreign_tools(guest: Guest) -> Iterator[Problem]:
    for program, name in sorted(_FOREIGN.items()):
        for directory in ("/usr/bin", "/usr/sbin", "/usr/local/bin"):
            if guest.root.stat(directory + "/" + program) is not None:
                yield Problem(directory + "/" + program, name)
                break


def _clock(guest: Guest) -> Iterator[Problem]:
    files = paths(guest, _CHRONY)
    if not any("/dev/ptp" in line.partition("#")[0] for path in files for line in guest.lines(path)):
        yield Problem("/etc/chrony.conf", "no reference clock /dev/ptp_hyperv")


CHECKS = (
    Check(
        "azure-agent",
        "Azure Linux Agent missing, not enabled, or at odds with cloud-init",
        "Azure waits for a report that the machine is ready, and its extensions need the agent.",
        "warning",
        _agent,
    ),
    Check(
        "azure-cloud-init",
        "cloud-init not enabled, or without the data source Azure",
        "cloud-init that does not ask Azure sets up no account and no network.",
        "error",
        _cloud_init,
    ),
    Check("azure-ssh", "SSH server missing or not enabled", "Nobody could log in.", "error", _way_in),
    Check(
        "azure-sudo",
        "sudo with targetpw",
        "With targetpw sudo asks for the password of root, which no machine on Azure has.",
        "warning",
        _sudo,
    ),
    Check(
        "azure-foreign-tools",
        "Tools of other hypervisors",
        "They look for another hypervisor.",
        "info",
        _foreign_tools,
    ),
    Check(
        "azure-clock",
        "chrony without the clock of the host",
        "The host's clock is the most exact source of time on Azure.",
        "info",
        _clock,
    ),
)
