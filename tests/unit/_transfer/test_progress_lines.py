# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

from __future__ import annotations

import pytest
from ansible_collections.goldenimage.azure.plugins.action.disk_upload import sentence


@pytest.mark.parametrize(
    ("progress", "expected"),
    [
        (
            {"phase": "reading", "done": 16 << 30, "total": 32 << 30, "seconds": 0},
            "looked at 50 % of 34.4 GB for data",
        ),
        ({"phase": "sending", "done": 0, "total": 10**9, "seconds": 0.0}, "sent 0 of 1000 MB (0 %)"),
        (
            {"phase": "sending", "done": 25 * 10**7, "total": 10**9, "seconds": 25.0},
            "sent 250 of 1000 MB (25 %), 10.0 MB/s, 1 min 15 s left",
        ),
        (
            {"phase": "sending", "done": 10**9, "total": 10**9, "seconds": 50.0},
            "sent 1000 of 1000 MB (100 %), 20.0 MB/s, 0 s left",
        ),
    ],
)
def test_progress_is_said_in_one_line(progress: dict[str, object], expected: str) -> None:
    assert sentence(progress) == expected
