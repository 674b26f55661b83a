# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""How far Azure is with a copy, for somebody who follows it."""

from __future__ import annotations

import time
from collections.abc import Callable

from ansible_collections.goldenimage.azure.plugins.module_utils._upload.plan import Progress, Report


class CopyProgress:
    """Gets bytes done and in all each time that somebody looks at the copy, and reports what that means.

    What is done at the first look was copied before, by an earlier run for instance, and tells nothing of how
    fast it goes. Where less is done than before, the next of several copies has begun. One that is whole at
    the first look was not waited for, and nothing is said of it.
    """

    def __init__(self, report: Report, clock: Callable[[], float] = time.monotonic) -> None:
        self._report = report
        self._clock = clock
        self._began = 0.0
        self._before = 0
        # None: no copy is under way.
        self._last: int | None = None

    def __call__(self, done: int, total: int) -> None:
        """Take note of a look; a function of the shape that CopyOptions.report has."""
        now = self._clock()
        if self._last is None or done < self._last:
            if done >= total:
                return
            self._began, self._before = now, done
        self._report(Progress(done, total, done - self._before, self._before, now - self._began))
        self._last = done if done < total else None
