# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Runs the playbook prepare_linux.yml on a root tree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.guests.lab.root_tree import CONNECTIONS, RootTree
from tests.integration.plays import CHECKOUT, Player, PlayResult


class Preparer:
    """Runs the playbook against one tree."""

    def __init__(self, tree: RootTree, work_dir: Path) -> None:
        self.inventory = work_dir / "inventory"
        self.inventory.write_text(tree.inventory_line + "\n")
        self.player = Player(work_dir, {})

    def __call__(self, *parts: str, **options: Any) -> PlayResult:
        """Run all parts of the role, or those named."""
        environ = {
            "ANSIBLE_INVENTORY": str(self.inventory),
            "ANSIBLE_CONNECTION_PLUGINS": str(CONNECTIONS),
            "ANSIBLE_PIPELINING": "1",
        }
        if parts:
            environ["ANSIBLE_RUN_TAGS"] = ",".join(parts)
        playbook = CHECKOUT / "playbooks" / "prepare_linux.yml"
        return self.player(playbook, env=environ, prepare_linux_hosts="guest", **options)


def changed(played: PlayResult) -> list[str]:
    """The tasks that changed something, or would have."""
    assert played.rc == 0, played.output
    return [
        result.task for result in played.results if result.changed and not result.status.startswith("item_")
    ]
