# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Fixtures for tests that boot real guests; every test below this directory is marked `guests`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.guests.lab.debian import build_debian
from tests.guests.lab.frozen import DEFAULT_RECIPE, GuestRecipe, ThawedGuest, freeze_guest
from tests.guests.lab.ssh import SshGuest

GUESTS_CACHE = Path(__file__).resolve().parents[2] / ".build" / "guests"
# A cold cache means a build and a boot inside the first test that needs them.
_COLD_SECONDS = 1800


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.guests)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(_COLD_SECONDS))


class DebianGuest(NamedTuple):
    """A running guest, how to reach it, and its line in an Ansible INI inventory."""

    thawed: ThawedGuest
    ssh: SshGuest
    inventory_line: str


@pytest.fixture(scope="session")
def guests_cache() -> Path:
    """Where disks and frozen guests are kept between runs."""
    return GUESTS_CACHE


@pytest.fixture(scope="session")
def build_debian_disk(guests_cache: Path) -> Callable[..., Path]:
    """`build_debian` with the cache filled in; the disk is shared, so start machines from overlays of it."""

    def build(suite: str = "bookworm", **recipe: object) -> Path:
        return build_debian(guests_cache, suite, **recipe)  # type: ignore[arg-type]

    return build


@pytest.fixture
def thaw_guest(guests_cache: Path, tmp_path: Path) -> Iterator[Callable[..., ThawedGuest]]:
    """A function (recipe, name) that gives a fresh guest; all are switched off at the end of the test."""
    guests: list[ThawedGuest] = []

    def thaw(recipe: GuestRecipe = DEFAULT_RECIPE, name: str = "guest") -> ThawedGuest:
        guest = freeze_guest(guests_cache, recipe).thaw(tmp_path / "guests", name)
        guests.append(guest)
        return guest

    yield thaw
    for guest in guests:
        guest.stop()
        for disk in guest.disks:
            disk.path.unlink(missing_ok=True)


@pytest.fixture
def debian_guest(thaw_guest: Callable[..., ThawedGuest]) -> DebianGuest:
    """A Debian 12 guest of the test's own: user `runner` with sudo, cloud-init done, waagent installed."""
    thawed = thaw_guest()
    return DebianGuest(thawed, thawed.ssh, thawed.ssh.inventory_line())
