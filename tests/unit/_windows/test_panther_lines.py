# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The forms that lines of Sysprep's logs have."""

from __future__ import annotations

from datetime import datetime

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.panther_lines import (
    ERROR,
    INFO,
    UNSAID,
    WARNING,
    read_lines,
)
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("row", "time", "level", "number", "component"),
    [
        ("2025-11-03 09:15:01, Error      [0x0f0082] SYSPRP what", (9, 15, 1), ERROR, 0xF0082, "SYSPRP"),
        ("2025-11-03 09:15:01, Warning               SYSPRP what", (9, 15, 1), WARNING, 0, "SYSPRP"),
        ("2025-11-03 09:15:01, Info                  CSI    what", (9, 15, 1), INFO, 0, "CSI"),
        ("\ufeff2025-11-03 09:15:01, Info                  SYSPRP what", (9, 15, 1), INFO, 0, "SYSPRP"),
        (
            "2026-01-01T00:00:00Z: ==> x.y: 2025-11-03 09:15:01, Error SYSPRP what",
            (9, 15, 1),
            ERROR,
            0,
            "SYSPRP",
        ),
        ("11-03-2025 09:15:01.250 SYSPRP 983152 (0xf0070) what", (9, 15, 1), UNSAID, 0xF0070, "SYSPRP"),
        ("11-03-2025 09:15:01.250 SYSPRP what", (9, 15, 1), UNSAID, 0, "SYSPRP"),
        ("11-03-2025 09:15 : DTC Install error = 0, what", (9, 15, 0), INFO, 0, "DTC"),
        ("11-03-2025 09:15 : DTC Install error = 5, what", (9, 15, 0), ERROR, 0, "DTC"),
        ("Error [0x0f0073] SYSPRP what", None, ERROR, 0xF0073, "SYSPRP"),
        ("<Date> <Time>, Error [0x0f0073] SYSPRP what", None, ERROR, 0xF0073, "SYSPRP"),
        ("> Date/Time, Error SYSPRP what", None, ERROR, 0, "SYSPRP"),
        ("&lt;Date&gt; &lt;Time&gt;, Error [0x0f0073] SYSPRP what", None, ERROR, 0xF0073, "SYSPRP"),
        ("setupact.log:12:Error SYSPRP what", None, ERROR, 0, "SYSPRP"),
        ("Error:SYSPRP what", None, ERROR, 0, "SYSPRP"),
        ("[0x0f0073] SYSPRP what", None, UNSAID, 0xF0073, "SYSPRP"),
        ("SYSPRP what", None, UNSAID, 0, "SYSPRP"),
        ("2025-13-41 09:15:01, Error SYSPRP what", None, ERROR, 0, "SYSPRP"),
        ("what", None, UNSAID, 0, ""),
    ],
)
def test_a_row_is_read_in_every_form(
    row: str, time: tuple[int, int, int] | None, level: str, number: int, component: str
) -> None:
    (line,) = read_lines(row)
    assert line.time == (datetime(2025, 11, 3, *time) if time else None)
    assert (line.level, line.id, line.component, line.text) == (level, number, component, "what")


def test_messages_in_one_row_are_told_apart() -> None:
    first = "2025-11-03 09:15:01, Info SYSPRP one"
    rows = [
        f"{first} 2025-11-03 09:15:02, Error      [0x0f0082] SYSPRP two",
        f"{first}\\r\\n2025-11-03 09:15:02, Error      [0x0f0082] SYSPRP two",
        f"{first}\\n2025-11-03 09:15:02, Error      [0x0f0082] SYSPRP two\\n",
        "Info SYSPRP one Error [0x0f0082] SYSPRP two",
        "11-03-2025 09:15:01.000 SYSPRP one 11-03-2025 09:15:02.000 SYSPRP 983170 (0xf0082) two",
    ]
    for row in rows:
        assert [(line.id, line.text) for line in read_lines(row)] == [(0, "one"), (0xF0082, "two")], row


def test_characters_that_pages_and_tools_escape_are_read_as_they_were() -> None:
    wanted = "executing 'a.dll' & <b>"
    for text in (
        "executing &#39;a.dll&#39; &amp; &lt;b&gt;",
        "executing \\u0027a.dll\\u0027 \\u0026 \\u003cb\\u003e",
        "executing \u2018a.dll\u2019 & <b>",
    ):
        (line,) = read_lines(f"2025-11-03 09:15:01, Error SYSPRP {text}")
        assert line.text == wanted
    (line,) = read_lines("2025-11-03 09:15:01, Error SYSPRP C:\\new\\rows")
    assert line.text == "C:\\new\\rows"


@pytest.mark.parametrize(
    "head", ["2025-11-03 09:15:01, Error                        ", "Error ", "11-03-2025 09:15:01.000 "]
)
def test_lines_of_windows_setup_are_read_with_the_program_that_wrote_them(head: str) -> None:
    (line,) = read_lines(f"{head}[windeploy.exe] what")
    assert line.text == "[windeploy.exe] what"


def test_last_error_on_the_next_row_belongs_to_the_message() -> None:
    (line,) = read_lines(
        "2025-11-03 09:15:01, Error SYSPRP LaunchDll:Could not load DLL x.dll\n[gle=0x0000007e]"
    )
    assert line.text.endswith("x.dll [gle=0x0000007e]")


def test_a_message_without_a_time_is_not_taken_for_the_rest_of_another() -> None:
    rows = "2025-11-03 09:15:01, Error SYSPRP BCD: failed c000000d\nPackage A_1 was installed for a user"
    assert [line.number for line in read_lines(rows)] == [1, 2]


def test_what_follows_an_empty_row_is_no_rest_of_a_message() -> None:
    assert len(read_lines("2025-11-03 09:15:01, Error SYSPRP one\n\ntwo")) == 2


def test_a_list_of_rows_is_as_good_as_text() -> None:
    rows = ["2025-11-03 09:15:01, Error SYSPRP one", "rest", "WinMain:Hit failure"]
    assert read_lines(rows) == read_lines("\n".join(rows))


@given(st.text())
def test_nothing_that_is_in_a_log_raises(text: str) -> None:
    for line in read_lines(text):
        assert line.number >= 1
