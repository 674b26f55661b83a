# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

from __future__ import annotations

from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.copy_progress import CopyProgress
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.plan import Progress


class Clock:
    """Goes on by ten seconds from one look to the next."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 10.0
        return self.now


def told(*looks: tuple[int, int]) -> list[Progress]:
    reports: list[Progress] = []
    progress = CopyProgress(reports.append, Clock())
    for done, total in looks:
        progress(done, total)
    return reports


def test_what_was_copied_before_the_first_look_says_nothing_of_the_speed() -> None:
    assert told((60, 100), (80, 100)) == [Progress(60, 100, 0, 60, 0.0), Progress(80, 100, 20, 60, 10.0)]


def test_the_next_of_several_copies_is_told_of_by_itself() -> None:
    assert told((10, 100), (100, 100), (0, 100), (50, 100)) == [
        Progress(10, 100, 0, 10, 0.0),
        Progress(100, 100, 90, 10, 10.0),
        Progress(0, 100, 0, 0, 0.0),
        Progress(50, 100, 50, 0, 10.0),
    ]


def test_nothing_is_said_of_a_copy_that_was_not_waited_for() -> None:
    assert told((100, 100), (20, 100), (100, 100), (100, 100), (100, 100)) == [
        Progress(20, 100, 0, 20, 0.0),
        Progress(100, 100, 80, 20, 10.0),
    ]
