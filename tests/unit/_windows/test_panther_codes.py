# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Codes of Sysprep's logs, and the ones that they are the rest of."""

from __future__ import annotations

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.panther_codes import (
    codes_in,
    parse_code,
    restore_codes,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.panther_lines import read_lines
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("token", "value"),
    [
        ("0x3cf2", 0x3CF2),
        ("-1073425657", 0xC004D307),
        ("2147749904", 0x80041010),
        ("31", 31),
        ("1f", 31),
        ("c000000d", 0xC000000D),
        ("0x-2147417850", 0x80010106),
        ("x", None),
        ("0x1ffffffff", None),
        ("", None),
    ],
)
def test_a_code_is_read_in_every_notation(token: str, value: int | None) -> None:
    assert parse_code(token) == value


@given(st.integers(min_value=0, max_value=0xFFFFFFFF))
def test_signed_and_hexadecimal_are_one_code(value: int) -> None:
    signed = value - (1 << 32) if value & 0x80000000 else value
    assert parse_code(str(signed)) == parse_code(f"0x{value:08X}") == value


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("RunDlls:halting. dwRet = 0x5[gle=0x00000006]", [5]),
        ("WinMain:Hit failure; hr = 0x80070005", [0x80070005]),
        ("returned error code -1073425657", [0xC004D307]),
        ("Exit code of RemoveAllApps thread was 0x3cf2.", [0x3CF2]),
        ("Failed to remove apps for the current user: 0x80073cf2.", [0x80073CF2]),
        ("Turn BitLocker off. (0x80310039)", [0x80310039]),
        ("BCD: BiUpdateEfiEntry failed c000000d", [0xC000000D]),
        ("dwRet = 0x0", []),
        ("dwRet= 1f ", [0x1F]),
        ("ActionFiles\\Generalize.xml", []),
    ],
)
def test_the_codes_of_a_line_are_found(text: str, values: list[int]) -> None:
    assert [value for _logged, value in codes_in(text)] == values


def _restored(*texts: str) -> list[tuple[str, str]]:
    codes = restore_codes(read_lines([f"Error SYSPRP {text}" for text in texts]))
    return [(f"0x{code.value:08x}", code.how) for code in codes]


def test_a_low_word_is_restored_by_the_line_that_has_the_whole_code() -> None:
    assert _restored("x; hr = 0x80080005", "y; dwRet = 0x5", "z; hr = 0x80070005") == [
        ("0x80080005", "logged"),
        ("0x80080005", "restored"),
        ("0x80080005", "restored"),
    ]


def test_a_low_word_alone_is_taken_for_a_win32_error() -> None:
    assert _restored("y; dwRet = 0x422", "z; hr = 0x80070422") == [
        ("0x80070422", "as-win32"),
        ("0x80070422", "logged"),
    ]
