# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""What guest_generalize and its role refuse, in real ansible-playbook runs.

Always in check mode, because what is refused here is the machine that runs the tests; those below guests/ go
through with it on a guest.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.integration.plays import CHECKOUT, Player, PlayResult


@pytest.fixture(scope="module")
def ansible(tmp_path_factory: pytest.TempPathFactory) -> Player:
    return Player(tmp_path_factory.mktemp("plays"), {})


def run_playbook(ansible: Player, tmp_path: Path, host: str, **variables: Any) -> PlayResult:
    inventory = tmp_path / "inventory"
    inventory.write_text(f"target {host}\n")
    return ansible(
        CHECKOUT / "playbooks" / "generalize_linux.yml",
        check=True,
        env={"ANSIBLE_INVENTORY": str(inventory)},
        generalize_linux_hosts="target",
        **variables,
    )


def test_host_that_was_not_named_is_refused(ansible: Player) -> None:
    cases = [{"confirm": ""}, {"confirm": "some-other-host"}, {}]
    results = ansible.each("guest_generalize", cases, check=True)
    assert [result.failed for result in results] == [True, True, True]
    assert not any(result.changed for result in results)
    assert "confirmation is 'some-other-host', but this host is" in results[1].msg
    assert "nothing was changed" in results[0].msg
    assert "missing required arguments: confirm" in results[2].msg


def test_role_refuses_hosts_that_are_no_linux_without_touching_them(ansible: Player, tmp_path: Path) -> None:
    run = run_playbook(
        ansible,
        tmp_path,
        "ansible_connection=winrm ansible_host=192.0.2.1",
        linux_generalize_confirm="target",
    )
    run.failed_with("target is managed through winrm", "nothing was changed")


def test_role_needs_the_confirmation(ansible: Player, tmp_path: Path) -> None:
    run_playbook(ansible, tmp_path, "ansible_connection=local").failed_with("linux_generalize_confirm")


def test_hosts_that_are_not_in_the_inventory_are_named(ansible: Player) -> None:
    playbook = CHECKOUT / "playbooks" / "generalize_linux.yml"
    for named in ("", "nowhere"):
        run = ansible(playbook, check=True, linux_generalize_confirm="x", generalize_linux_hosts=named)
        run.failed_with("generalize_linux_hosts is", "Nothing was changed")
