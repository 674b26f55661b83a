# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What tests of capture_vm.yml have in common: a role that pretends to generalize, and a survey's answers."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.integration.cloud import CHECKOUT, LocalAzure

PLAYBOOK = CHECKOUT / "playbooks" / "capture_vm.yml"
# A host that is this machine.
HERE = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}


class Guests:
    """`role` is what generalizes: it notes on which hosts it ran, and fails on demand."""

    def __init__(self, directory: Path) -> None:
        self.trace = directory / "ran-on"
        self.role = directory / "roles" / "pretend"
        (self.role / "tasks").mkdir(parents=True)
        tasks: list[dict[str, Any]] = [
            {
                "name": "Lose the machine",
                "ansible.builtin.set_fact": {
                    "ansible_connection": "ssh",
                    "ansible_host": "127.0.0.1",
                    "ansible_port": 1,
                    "ansible_ssh_common_args": "",
                },
                "when": "pretend_loss | default(false)",
            },
            {
                "name": "Pretend to generalize",
                "ansible.builtin.lineinfile": {
                    "path": str(self.trace),
                    "line": "{{ inventory_hostname }} {{ ansible_host | default('') }}",
                    "create": True,
                    "mode": "0600",
                },
                "failed_when": "pretend_failure | default(false)",
            },
        ]
        (self.role / "tasks" / "main.yml").write_text(json.dumps(tasks), encoding="utf-8")

    def ran_on(self) -> list[str]:
        lines = self.trace.read_text(encoding="utf-8").splitlines() if self.trace.exists() else []
        self.trace.unlink(missing_ok=True)
        return lines


def survey(group: str, guests: Guests, **more: Any) -> dict[str, Any]:
    """As AWX would give it."""
    return {
        "capture_vm_resource_group": group,
        "capture_vm_name": "origin",
        "capture_vm_generalize_role": str(guests.role),
        "capture_vm_twin_variables": HERE,
        "capture_vm_strategy": "twin",
        "capture_vm_backup": "",
        "capture_vm_data_disks": "",
        "capture_vm_tags": "release=1.0, team = shop",
        "vm_capture_check_identity": False,
        "vm_capture_off_timeout": 1,
        "vm_capture_connection_timeout": 20,
        **more,
    }


def twin_groups(azure: LocalAzure) -> list[str]:
    groups = azure.get(f"/subscriptions/{azure.subscription_id}/resourcegroups")["value"]
    return [group["name"] for group in groups if group["name"].startswith("goldenimage-twin-")]
