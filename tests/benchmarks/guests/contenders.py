# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Ways to make an image of a used machine, each as its users run it: as tasks of Ansible, or on the disk."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import Any, NamedTuple

from tests.benchmarks.guests.used_machine import ACCOUNT, HOSTNAME
from tests.integration.plays import CHECKOUT

Task = dict[str, Any]

_OFF: Task = {
    "name": "Switch off",
    "ansible.builtin.shell": "nohup sh -c 'sleep 1; systemctl poweroff' > /dev/null 2>&1 &",
}

OURS = "linux_generalize"
TASK_BY_TASK = "one task per trace, as image-builder does"


class Contender(NamedTuple):
    """`tasks` run on the guest (None: our playbook); `offline` is a command for the disk, which follows."""

    title: str
    tasks: tuple[Task, ...] | None = ()
    offline: tuple[str, ...] = ()

    def is_here(self) -> bool:
        """Whether what it needs is installed."""
        return not self.offline or shutil.which(self.offline[0]) is not None

    def play(self) -> list[Task]:
        """The play for a guest, which ends with switching it off."""
        return [
            {
                "name": self.title,
                "hosts": "guest",
                "gather_facts": False,
                "become": True,
                "tasks": [*(self.tasks or ()), _OFF],
            }
        ]


def _shell(name: str, command: str) -> Task:
    return {"name": name, "ansible.builtin.shell": command}


def _absent(path: str) -> Task:
    return {"name": f"Remove {path}", "ansible.builtin.file": {"path": path, "state": "absent"}}


def _emptied(path: str) -> Task:
    return {"name": f"Empty {path}", "ansible.builtin.copy": {"dest": path, "content": "", "mode": "0644"}}


def _found(what: str, paths: Sequence[str], patterns: Sequence[str], **more: Any) -> list[Task]:
    """A task that finds files and one that removes each of them."""
    name = what.replace(" ", "_")
    search = {"paths": list(paths), "patterns": list(patterns), "hidden": True, **more}
    return [
        {"name": f"Find {what}", "ansible.builtin.find": search, "register": name},
        {
            "name": f"Remove {what}",
            "ansible.builtin.file": {"path": "{{ item.path }}", "state": "absent"},
            "loop": f"{{{{ {name}.files }}}}",
            "loop_control": {"label": "{{ item.path }}"},
        },
    ]


def one_task_per_trace(user: str) -> tuple[Task, ...]:
    """The traces that the role sysprep of kubernetes-sigs/image-builder removes on Debian, a task or two for
    each, as that role does; written for this comparison."""
    tasks = [
        _absent("/var/lib/apt/lists"),
        _shell("Clean the package cache", "apt-get clean"),
        _emptied("/etc/machine-id"),
        _emptied("/etc/hostname"),
        {"name": "Set the host name", "ansible.builtin.hostname": {"name": "localhost.local"}},
        _shell("Reset the hosts file", "printf '127.0.0.1 localhost\\n::1 localhost\\n' > /etc/hosts"),
        *(_emptied(path) for path in ("/var/log/wtmp", "/var/log/lastlog", "/var/log/btmp")),
        _absent("/var/lib/cloud"),
        _absent("/var/log/cloud-init.log"),
        _absent("/var/log/cloud-init-output.log"),
        *(_absent(path) for path in ("/var/run/cloud-init", "/var/lib/dhcp", "/var/lib/systemd/random-seed")),
        *_found("temporary files", ["/tmp", "/var/tmp"], ["*"], file_type="any"),  # noqa: S108
        *_found("netplan files", ["/etc/netplan"], ["*.yaml"]),
        *_found("host keys", ["/etc/ssh"], ["ssh_host_*"]),
        _absent("/root/.ssh/authorized_keys"),
        _absent(f"/home/{user}/.ssh/authorized_keys"),
        _shell("Rotate the journal", "journalctl --rotate"),
        _shell("Remove the archived journal", "journalctl -m --vacuum-time=1s"),
        *_found("rotated logs", ["/var/log"], ["*.gz", "*.[0-9]"], recurse=True),
        {
            "name": "Find logs",
            "ansible.builtin.find": {"paths": ["/var/log"], "patterns": ["*.log"], "recurse": True},
            "register": "logs",
        },
        {
            "name": "Empty logs",
            "ansible.builtin.command": {"cmd": "truncate -s 0 {{ item.path }}"},
            "loop": "{{ logs.files }}",
            "loop_control": {"label": "{{ item.path }}"},
        },
        _absent("/root/.bash_history"),
        _absent(f"/home/{user}/.bash_history"),
    ]
    return tuple(tasks)


def contenders(user: str) -> dict[str, Contender]:
    """All ways by name; `user` is the account that Ansible logs in with."""
    waagent = _shell("Deprovision", "waagent -deprovision+user -force")
    clean = _shell("Clean", "cloud-init clean --logs --machine-id")
    documented = (
        _shell("Clean", "cloud-init clean --logs --seed"),
        _shell("Deprovision", "waagent -deprovision+user -force"),
        _shell("Forget", "rm -f /root/.bash_history"),
    )
    return {
        "nothing": Contender("nothing (switched off)"),
        "waagent": Contender("`waagent -deprovision+user` alone", (waagent,)),
        "cloud-init": Contender("`cloud-init clean --logs --machine-id` alone", (clean,)),
        "documented": Contender("Azure's documented order: cloud-init clean, waagent, history", documented),
        "per-trace": Contender(TASK_BY_TASK, one_task_per_trace(user)),
        "virt-sysprep": Contender("virt-sysprep on the disk", (), ("virt-sysprep", "--quiet", "-a")),
        "ours": Contender(OURS, None),
    }


PLAYBOOK = CHECKOUT / "playbooks" / "generalize_linux.yml"
OPTIONS: dict[str, Any] = {
    "generalize_linux_hosts": "guest",
    "linux_generalize_confirm": HOSTNAME,
    "linux_generalize_accounts": [ACCOUNT],
    "linux_generalize_wait_timeout": 1800,
}
