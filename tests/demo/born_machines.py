# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Looks at the machines that were born from the image, over SSH, and judges what it sees."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from tests.guests.lab.ssh import SshGuest

# One round trip: every answer is one JSON object.
LOOK = r"""
import glob, json, os, pwd, socket, subprocess, sys

account, data_file = sys.argv[1:3]
prints = [
    subprocess.check_output(["ssh-keygen", "-lf", name], text=True).split()[1]
    for name in sorted(glob.glob("/etc/ssh/ssh_host_*_key.pub"))
]
users = {entry.pw_name for entry in pwd.getpwall()}
print(json.dumps({
    "hostname": socket.gethostname(),
    "machine_id": open("/etc/machine-id").read().strip(),
    "host_key_fingerprints": prints,
    "admin_user": pwd.getpwuid(os.getuid()).pw_name,
    "old_account": account in users or os.path.exists("/home/" + account),
    "data_mounted": os.path.ismount(os.path.dirname(data_file)),
    "data_disk_file": open(data_file).read() if os.path.exists(data_file) else None,
    "provisioned_by": open("/run/cloud-init/cloud-id").read().strip(),
}))
"""


class Machine(NamedTuple):
    """What one machine says of itself; fingerprints as ssh-keygen prints them (SHA256:...).

    `provisioned_by` is the data source that cloud-init got the machine's account from.
    """

    name: str
    machine_id: str
    host_key_fingerprints: list[str]
    hostname: str
    admin_user: str
    data_disk_file: str | None
    data_mounted: bool
    old_account: bool
    provisioned_by: str


def look_at(name: str, guest: SshGuest, account: str, data_file: str) -> Machine:
    """Ask the machine `name`; `account` is the one that must be gone, `data_file` a path on the data disk."""
    answer = json.loads(guest.run(f"python3 - {account} {data_file}", stdin=LOOK))
    return Machine(name=name, **answer)


def _identity_problems(machine: Machine, others: Sequence[Machine]) -> list[str]:
    problems = []
    for other in others:
        if machine.machine_id == other.machine_id:
            problems.append(f"{machine.name} has the machine-id of {other.name}")
        shared = set(machine.host_key_fingerprints) & set(other.host_key_fingerprints)
        if shared:
            problems.append(f"{machine.name} has SSH host keys of {other.name}: {', '.join(sorted(shared))}")
        if machine.hostname == other.hostname:
            problems.append(f"{machine.name} has the host name of {other.name}")
    return problems


def problems_of(
    machines: Sequence[Machine], source: Machine, admin_user: str, data_content: str
) -> list[str]:
    """Everything that is wrong with `machines`, in sentences; `source` is the machine they came from."""
    problems = []
    for position, machine in enumerate(machines):
        problems += _identity_problems(machine, [source, *machines[:position]])
        if not machine.machine_id or not machine.host_key_fingerprints:
            problems.append(f"{machine.name} has no identity of its own")
        if machine.hostname != machine.name:
            problems.append(f"{machine.name} calls itself {machine.hostname}")
        if machine.admin_user != admin_user:
            problems.append(f"{machine.name} let in {machine.admin_user} instead of {admin_user}")
        if machine.provisioned_by != "azure":
            problems.append(
                f"{machine.name} was not provisioned as on Azure, but by {machine.provisioned_by}"
            )
        if machine.old_account:
            problems.append(f"{machine.name} still has the account of its source")
        if not machine.data_mounted:
            problems.append(f"{machine.name} did not mount its data disk")
        if machine.data_disk_file != data_content:
            problems.append(f"{machine.name} does not have the file on its data disk")
    return problems
