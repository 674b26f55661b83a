# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Frozen guests: copies are there quickly, run side by side and have nothing to do with one another."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.guests.conftest import DebianGuest
from tests.guests.lab.frozen import ThawedGuest


@pytest.mark.thorough
def test_two_thawed_copies_run_side_by_side_and_share_nothing(thaw_guest: Callable[..., ThawedGuest]) -> None:
    first, second = thaw_guest(name="first"), thaw_guest(name="second")
    first.ssh.write("/etc/only-here", "first")
    assert second.ssh.run("test -e /etc/only-here && echo shared || echo own") == "own\n"
    numbers = [guest.ssh.run("head -c 16 /dev/urandom | od -An -tx1") for guest in (first, second)]
    assert numbers[0] != numbers[1]
    assert first.machine.pid != second.machine.pid


def test_thawed_guest_is_settled_and_knows_the_time(debian_guest: DebianGuest) -> None:
    assert debian_guest.ssh.run("systemctl is-system-running") == "running\n"
    assert debian_guest.ssh.run("test -d /sys/firmware/efi && echo uefi || echo bios") == "bios\n"
    assert debian_guest.ssh.run("cloud-init status").strip() == "status: done"
    assert abs(float(debian_guest.ssh.run("date +%s.%N")) - time.time()) < 5


def test_thawed_guest_powers_itself_off_and_leaves_its_disk(debian_guest: DebianGuest) -> None:
    debian_guest.ssh.sudo("systemd-run --on-active=1 systemctl poweroff")
    assert debian_guest.thawed.machine.wait_off(120)
    assert not debian_guest.thawed.machine.is_running()
    assert debian_guest.thawed.disks[0].path.stat().st_size > 0
