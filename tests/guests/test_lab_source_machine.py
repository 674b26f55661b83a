# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The demo's source machine: used, with data on a second disk; two disk files once it is off."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.demo import source_machine
from tests.guests.lab.programs import run_program


# `make demo` begins with the same.
@pytest.mark.thorough
def test_source_machine_has_traces_and_data_and_leaves_two_disk_files(
    guests_cache: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    source = source_machine.start_source_machine(tmp_path, said.append, guests_cache)
    try:
        seen = source.look()
        assert seen.hostname == source.hostname
        assert seen.data_mounted
        assert seen.data_disk_file == source.data_content
        assert "correct-horse-battery" in source.guest.run("cat ~/.bash_history")
        assert "backup.example.net" in source.guest.run("cat ~/.ssh/known_hosts")
        assert source.guest.run("sudo -n id -u") == "0\n"
        assert source.guest.sudo("which waagent cloud-init python3 | wc -l") == "3\n"
        source.guest.sudo("systemd-run --on-active=1 systemctl poweroff")
        source.wait_off(120)
    finally:
        source.stop()
    assert said
    for disk in (source.os_disk, source.data_disk):
        facts = json.loads(run_program(["qemu-img", "info", "--output=json", str(disk)]))
        assert facts["format"] == "qcow2"
        assert "backing-filename" not in facts
        run_program(["qemu-img", "check", str(disk)])
