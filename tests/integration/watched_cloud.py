# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""A local Azure for tests whose traffic the session judges at its end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.contract.session_traffic import watch_exchanges
from tests.integration.cloud import LocalAzure

#: Options of one in which nothing is waited for that is not tested.
QUICK = ("--speed", "500", "--retry-after", "0")


@contextmanager
def watched_cloud(state_dir: Path, *options: str) -> Iterator[LocalAzure]:
    """Start one with these options of `python -m tests.local_azure start`, and stop it at the end."""
    cloud = LocalAzure(state_dir, *options)
    watch_exchanges(cloud.state_dir / "exchanges.jsonl")
    try:
        cloud.start()
        yield cloud
    finally:
        cloud.stop()
