# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Names and times the steps of the demo."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Phases:
    """The steps so far, with the seconds each took (`seconds`, by name)."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._began = time.monotonic()

    @contextmanager
    def phase(self, name: str, title: str) -> Iterator[None]:
        """Announce a step and take its time, also when it fails."""
        began = time.monotonic()
        print(f"\n=== {title}", flush=True)
        try:
            yield
        finally:
            self.seconds[name] = round(time.monotonic() - began, 1)
            print(f"=== {title}: {self.seconds[name]} s", flush=True)

    def say(self, text: str) -> None:
        """One line of progress, with the seconds since the start."""
        print(f"    [{time.monotonic() - self._began:5.0f} s] {text}", flush=True)

    @property
    def total(self) -> float:
        return round(time.monotonic() - self._began, 1)
