# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Fixtures of the captures of real guests: each file has a local Azure and a machine of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guests.capture.captured_machine import BOOT_SECONDS, Births, CapturedMachine, make_places
from tests.guests.lab.frozen import freeze_guest
from tests.integration.cloud import LocalAzure
from tests.integration.watched_cloud import QUICK, watched_cloud


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAzure]:
    options = ("--guests", "--guest-timeout", str(BOOT_SECONDS), *QUICK)
    with watched_cloud(tmp_path_factory.mktemp("azure"), *options) as cloud:
        make_places(cloud)
        yield cloud


@pytest.fixture(scope="module")
def machine(
    azure: LocalAzure, guests_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CapturedMachine]:
    directory = tmp_path_factory.mktemp("machine")
    guest = freeze_guest(guests_cache).thaw(directory)
    try:
        made = CapturedMachine(azure, directory, guest)
    finally:
        guest.stop()
    guest.disks[0].path.unlink()
    yield made
    made.ssh.close()


@pytest.fixture(scope="module")
def births(azure: LocalAzure, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Births]:
    made = Births(azure, tmp_path_factory.mktemp("births"))
    yield made
    made.end()
