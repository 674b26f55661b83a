# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The running host, and every check that has to pass before it is changed."""

import json
import os
import platform
import re
import shutil
import subprocess
from typing import NamedTuple, Optional, Sequence, Tuple

from ansible_collections.goldenimage.azure.plugins.module_utils._guest.distributions import FAMILIES
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.firmware import azure_ids
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.guest import Guest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.places import paths
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import GuestError

# In memory, so that nothing of it gets into the image.
STATE_DIR = "/run/goldenimage-generalize"
JOB_FILE = STATE_DIR + "/job.json"

_SMBIOS_UUID = "/sys/class/dmi/id/product_uuid"
_ACCOUNT_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_.-]{0,31}\$?$")
# The last two are Flatcar's.
_AGENT_DIRECTORIES = ":".join(
    ["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/sbin", "/usr/local/bin"]
    + ["/oem/bin", "/usr/share/oem/bin"]
)
_KEY_UNITS = (
    "/{usr/lib,lib,etc}/systemd/system/*ssh{,d}{-,_}keygen*",
    "/{usr/lib,lib,etc}/systemd/system/regenerate*ssh*",
    # SUSE's unit runs it before the server; Flatcar's unit has a name of its own.
    "/usr/sbin/sshd-gen-keys-start",
    "/{usr/lib,etc}/systemd/system/sshkeys.service",
)


class Identity(NamedTuple):
    """Who a host is; `names` are all names it is known by, `distribution` the os-release(5) id, `vm_ids` what
    Azure's id of it can be."""

    hostname: str
    machine_id: str
    names: Tuple[str, ...]
    distribution: str
    vm_ids: Tuple[str, ...] = ()


def identify(guest: Guest) -> Identity:
    """The identity of the running host; one that an unfinished last step has begun to take away counts."""
    hostname = platform.node()
    machine_id = "".join(guest.lines("/etc/machine-id")[:1]).strip()
    names = [hostname] + [line.strip() for line in guest.lines("/etc/hostname")[:1]]
    earlier = _earlier_job()
    if earlier is not None:
        names.extend(earlier.names)
        machine_id = machine_id or earlier.machine_id
    kept = []
    for name in names:
        if name and name.partition(".")[0] != "localhost" and name not in kept:
            kept.append(name)
    distribution = guest.os_release().get("ID", "")
    return Identity(kept[0] if kept else hostname, machine_id, tuple(kept), distribution, _vm_ids())


def _vm_ids(path: str = _SMBIOS_UUID) -> Tuple[str, ...]:
    try:
        with open(path, encoding="ascii") as file:
            return azure_ids(file.read())
    except (OSError, ValueError):
        return ()


def _earlier_job() -> Optional[Identity]:
    try:
        if os.stat(JOB_FILE).st_uid != 0:
            return None
        with open(JOB_FILE, encoding="utf-8") as file:
            job = json.load(file)
        names = tuple(str(name) for name in job["hostnames"])
        return Identity(names[0] if names else "", str(job["machine_id"]), names, "")
    except (OSError, ValueError, KeyError, TypeError):
        return None


def check_platform() -> None:
    """Refuse what is no Linux."""
    if platform.system() != "Linux":
        raise GuestError(
            "this host runs {0}, not Linux; only Linux guests can be generalized this way".format(
                platform.system() or "an unknown system"
            )
        )


def check_distribution(guest: Guest, identity: Identity) -> None:
    """Refuse distributions the traces were not made for; what derives from a known one is taken for it."""
    if guest.family is None:
        name = guest.os_release().get("PRETTY_NAME") or identity.distribution or "an unknown distribution"
        raise GuestError(
            "{0} runs {1}; supported distributions are {2}".format(
                identity.hostname, name, "; ".join(family.title for family in FAMILIES)
            )
        )


def check_confirmed(identity: Identity, confirm: str) -> None:
    """Refuse unless the user named this very host."""
    wanted = confirm.strip().lower()
    accepted = {name.lower() for name in identity.names} | {
        n.lower().partition(".")[0] for n in identity.names
    }
    if identity.machine_id:
        accepted.add(identity.machine_id.lower())
    accepted.update(identity.vm_ids)
    if not wanted or wanted not in accepted:
        raise GuestError(
            "confirmation is {0!r}, but this host is {1!r} with machine id {2}; nothing was changed. If this "
            "is the host to take the identity of, give its host name, machine id or Azure's id of it".format(
                confirm, identity.hostname, identity.machine_id or "(none)"
            )
        )


def check_vm(identity: Identity, vm_id: str) -> None:
    """Refuse a host that is not the virtual machine with this id in Azure; an empty id is any machine's."""
    wanted = vm_id.strip().lower()
    if wanted and wanted not in identity.vm_ids:
        raise GuestError(
            "the virtual machine that was named has the id {0} in Azure, and the firmware of this host, "
            "{1!r}, tells {2}; nothing was changed. One of both is another machine: correct its name, or "
            "leave the virtual machine out".format(
                vm_id, identity.hostname, " or ".join(identity.vm_ids) or "none"
            )
        )


def check_accounts(guest: Guest, names: Sequence[str]) -> None:
    """Refuse names that are no accounts of people; those that do not exist any more are fine."""
    for name in names:
        if not _ACCOUNT_NAME.match(name):
            raise GuestError("{0!r} is no account name".format(name))
    for account in guest.passwd():
        if account.name in names and (account.uid == 0 or account.name == "root"):
            raise GuestError(
                "account {0!r} has user id 0 and cannot be removed; leave it out, its password and "
                "keys go anyway".format(account.name)
            )


def find_agent(guest: Guest) -> str:
    """The path of waagent, which must answer."""
    agent = shutil.which("waagent", path=_AGENT_DIRECTORIES)
    if agent is None:
        package = "" if guest.family is None else " " + guest.family.agent_package
        raise GuestError(
            "the Azure Linux Agent (waagent) is not installed, so nothing can deprovision this host; install "
            "package{0}, or set agent to none".format(package)
        )
    try:
        done = subprocess.run(
            [agent, "-version"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise GuestError("{0} -version does not work: {1}".format(agent, error)) from None
    if done.returncode:
        lines = done.stdout.decode("utf-8", "replace").strip().splitlines() or ["no output"]
        raise GuestError(
            "{0} -version failed with exit status {1}: {2}".format(agent, done.returncode, lines[-1])
        )
    return agent


def check_new_host_keys(guest: Guest, agent: bool) -> None:
    """Refuse to remove SSH host keys where nothing would make new ones: nobody could log in any more."""
    if guest.root.stat("/usr/sbin/sshd") is None:
        return
    cloud_init = (
        guest.has_program("cloud-init") and guest.root.lstat("/etc/cloud/cloud-init.disabled") is None
    )
    settings = [line.replace(" ", "").lower() for line in guest.lines("/etc/waagent.conf")]
    # Agents before 2.2.45 are told by the last one; later ones regard it only without the one in front.
    chosen = any(line.startswith("provisioning.agent=") for line in settings)
    by_agent = (
        agent
        and "provisioning.regeneratesshhostkeypair=n" not in settings
        and "provisioning.agent=cloud-init" not in settings
        and "provisioning.agent=disabled" not in settings
        and (chosen or "provisioning.enabled=n" not in settings)
    )
    if not (cloud_init or by_agent or any(paths(guest, _KEY_UNITS))):
        raise GuestError(
            "nothing on this host would make new SSH host keys after its own are gone; install cloud-init, "
            "or exclude the trace ssh-host-keys"
        )
