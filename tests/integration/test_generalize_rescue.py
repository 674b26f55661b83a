# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The rescue of the role linux_generalize, with a machine in Azure that no guest runs in."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

from tests.integration.backups import BackedUp, saved_contents
from tests.integration.cloud import LocalAzure
from tests.integration.machines import golden_image
from tests.integration.plays import Player

NOWHERE = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
HERE = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}


def test_a_machine_whose_connection_is_lost_while_it_is_generalized_is_brought_back(
    azure: LocalAzure, session: AzureSession, play: Player, group: str, tmp_path: Path
) -> None:
    golden_image(azure, group)
    vm = BackedUp(azure, session, group)
    vm("present", backup="before")
    (backup,) = vm.backups()
    inventory = tmp_path / "inventory.yml"
    hosts = {"machine": NOWHERE, "localhost": HERE}
    inventory.write_text(json.dumps({"all": {"hosts": hosts}}), encoding="utf-8")
    rescued = {
        "name": "Generalize it",
        "ansible.builtin.include_role": {
            "name": "goldenimage.azure.linux_generalize",
            "tasks_from": "rescue",
        },
        "vars": {
            "linux_generalize_vm_id": vm.id,
            "linux_generalize_rescue": True,
            # Nothing of this machine could be meant by it.
            "linux_generalize_confirm": "another machine",
            "_linux_generalize_confirmed": "another machine",
            "_linux_generalize_azure_id": "",
            "linux_generalize_backup_result": {"backup": {"name": "before"}},
        },
    }
    playbook = tmp_path / "playbook.yml"
    whole = [{"name": "Rescue", "hosts": "machine", "gather_facts": False, "tasks": [rescued]}]
    playbook.write_text(json.dumps(whole), encoding="utf-8")
    env = {"ANSIBLE_INVENTORY": str(inventory)}
    before = vm.settings()
    mark = azure.mark()
    play(playbook, env=env, check=True).failed_with("The connection was lost", "Nothing was changed.")
    assert azure.writes(mark) == []
    play(playbook, env=env).failed_with("The connection was lost", "was brought back to backup before.")
    assert vm.contents() == saved_contents(backup)
    assert vm.settings() == before
    assert vm.runs()
