# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Runs the playbook prepare_linux.yml on a root tree or a guest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.guests.lab.root_tree import CONNECTIONS
from tests.integration.plays import CHECKOUT, Player, PlayResult

# Findings of the audit that a tree can be free of; it has no disk to boot from.
PROVED = {
    *("azure-network", "azure-agent", "azure-cloud-init", "azure-ssh", "azure-sudo", "azure-clock"),
    "azure-foreign-tools",
}
_AUDIT = {
    "name": "Look what is wrong",
    "hosts": "guest",
    "gather_facts": False,
    "become": True,
    "tasks": [
        {
            "name": "Look at all of it",
            "goldenimage.azure.guest_audit": {"root": "/", "look_for": ["boot"], "fail_on": "never"},
        }
    ],
}


class Preparer:
    """Runs the playbook against one tree or guest, whose line in an inventory is given."""

    def __init__(self, inventory_line: str, work_dir: Path) -> None:
        inventory = work_dir / "inventory"
        inventory.write_text(inventory_line + "\n")
        self.player = Player(work_dir, {})
        self.environ = {
            "ANSIBLE_INVENTORY": str(inventory),
            "ANSIBLE_CONNECTION_PLUGINS": str(CONNECTIONS),
            "ANSIBLE_PIPELINING": "1",
        }
        self.audit_play = work_dir / "audit.yml"
        self.audit_play.write_text(json.dumps([_AUDIT]))

    def __call__(self, *parts: str, **options: Any) -> PlayResult:
        """Run all parts of the role, or those named."""
        environ = {**self.environ, "ANSIBLE_RUN_TAGS": ",".join(parts) or "all"}
        # Packages are installed and an initramfs is made, perhaps on a machine that boots guests meanwhile.
        options.setdefault("timeout", 900)
        playbook = CHECKOUT / "playbooks" / "prepare_linux.yml"
        return self.player(playbook, env=environ, prepare_linux_hosts="guest", **options)

    def audit(self) -> set[str]:
        """Ids of what guest_audit finds that would keep the machine from booting or being set up on Azure."""
        return {found["id"] for found in self.findings()}

    def findings(self) -> list[dict[str, Any]]:
        """All that guest_audit finds of it."""
        played = self.player(self.audit_play, env=self.environ)
        assert played.rc == 0, played.output
        found: list[dict[str, Any]] = played.last["findings"]
        return found


def changed(played: PlayResult) -> list[str]:
    """The tasks that changed something, or would have."""
    assert played.rc == 0, played.output
    return [
        result.task for result in played.results if result.changed and not result.status.startswith("item_")
    ]
