# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

from __future__ import annotations

import pytest
from ansible_collections.goldenimage.azure.plugins.plugin_utils.progress import label, sentence


@pytest.mark.parametrize(
    ("progress", "expected"),
    [
        ({"phase": "reading", "done": 16 * 10**9, "total": 32 * 10**9}, "looked at 50 % of 32000 MB of data"),
        ({"done": 0, "total": 10**9, "sent": 0, "seconds": 0.0}, "sent 0 MB, 0 % of 1000 MB of data"),
        (
            {"done": 25 * 10**7, "total": 10**9, "sent": 2 * 10**8, "seconds": 25.0},
            "sent 200 MB, 25 % of 1000 MB of data, 8.0 MB/s, 1 min 15 s left",
        ),
        (
            {"done": 75 * 10**7, "total": 10**9, "sent": 10**8, "resumed": 5 * 10**8, "seconds": 10.0},
            "sent 100 MB, 75 % of 1000 MB of data, 10.0 MB/s, 10 s left",
        ),
        (
            {"done": 10**9, "total": 10**9, "sent": 10**9, "seconds": 50.0},
            "sent 1000 MB, 100 % of 1000 MB of data, 20.0 MB/s, 0 s left",
        ),
        ({"phase": "checking", "done": 3 * 10**9, "total": 4 * 10**9}, "checked 75 % of 4000 MB of data"),
        (
            {"phase": "receiving", "done": 5 * 10**8, "total": 10**9, "sent": 5 * 10**8, "seconds": 25.0},
            "received 500 MB, 50 % of 1000 MB of data, 20.0 MB/s, 25 s left",
        ),
        (
            {"phase": "copying", "done": 10**9, "total": 4 * 10**9, "sent": 10**9, "seconds": 100.0},
            "copied 1000 MB, 25 % of 4000 MB, 10.0 MB/s, 5 min 0 s left",
        ),
        ({"done": 0, "total": 0, "sent": 0}, "sent 0 MB, 100 % of 0 MB of data"),
    ],
)
def test_progress_is_said_in_one_line(progress: dict[str, object], expected: str) -> None:
    known = {"phase": "sending", "sent": 0, "resumed": 0, "seconds": 0.0}
    assert sentence({**known, **progress}) == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"path": "/var/images/web.raw", "disk_name": "web"}, "web.raw"),
        ({"source": {"disk_name": "web"}, "disk_name": "far"}, "far"),
        ({"snapshot_name": "before-update"}, "before-update"),
        ({"storage_account": "images", "container": "vhds", "blob": "linux/web.vhd"}, "web.vhd"),
        ({"sas_url": "https://images.blob.core.windows.net/vhds/web.vhd?sig=c2VjcmV0/ZQ"}, "web.vhd"),
        ({}, "disk"),
    ],
)
def test_a_line_of_progress_names_the_disk_that_is_made(options: dict[str, object], expected: str) -> None:
    assert label(options) == expected
