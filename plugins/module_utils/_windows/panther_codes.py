# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The error codes in Sysprep's logs, and what is left of them.

A provider's result is handed on as the low word of what went wrong, and the last line of a run makes an
HRESULT of a Win32 error of it. So 0x800F0975 becomes 0x975 and then 0x80070975, and 0x80080005 (a COM server
that did not start) becomes 0x5 and then 0x80070005, which looks as if access had been denied. Only the first
line has the true code. Names are those of winerror.h and ntstatus.h; the arithmetic is HRESULT_FROM_WIN32 of
winerror.h.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._windows.panther_lines import Line

LOGGED, RESTORED, AS_WIN32 = "logged", "restored", "as-win32"

_NUMBER = r"(?P<number>0x-?[0-9a-fA-F]{1,10}|-?\d{1,10}\b(?![a-fA-F])|[0-9a-fA-F]{1,8}\b)"
_TOKENS = tuple(
    re.compile(pattern)
    for pattern in (
        rf"\b(?:dwRet|hr|HRESULT|GLE|Err|[Ss]tatus|rc)\s*[:=]\s*{_NUMBER}",
        rf"(?i)\berror code\s*:?\s*{_NUMBER}",
        rf"\bthread was {_NUMBER}",
        r":\s*(?P<number>0x[0-9a-fA-F]{8})\b",
        r"\((?P<number>0x[0-9a-fA-F]{8})\)",
        r"\b[Ee]rror (?P<number>0x-?[0-9a-fA-F]{1,10})",
        r"\bfailed (?P<number>[0-9a-fA-F]{8})\b",
    )
)
#: What GetLastError said when the line was written: of the failure itself only where a library was loaded.
_LAST_ERROR = re.compile(r"\[gle=(?P<number>0x[0-9a-fA-F]{1,8})\]")

_WIN32 = 0x80070000
_NAMES = {
    0x80070002: ("ERROR_FILE_NOT_FOUND", "file or registry value not found"),
    0x80070003: ("ERROR_PATH_NOT_FOUND", "path not found"),
    0x80070005: ("ERROR_ACCESS_DENIED", "access denied"),
    0x8007000D: ("ERROR_INVALID_DATA", "invalid data"),
    0x8007000E: ("ERROR_OUTOFMEMORY", "out of memory"),
    0x8007001F: (
        "ERROR_GEN_FAILURE",
        "a device failed, or, where no library was run, the recorded state of an earlier run forbids it",
    ),
    0x80070032: ("ERROR_NOT_SUPPORTED", "request not supported"),
    0x80070057: ("ERROR_INVALID_PARAMETER", "invalid parameter"),
    0x80070070: ("ERROR_DISK_FULL", "disk full"),
    0x8007007E: ("ERROR_MOD_NOT_FOUND", "library, or one that it needs, not found"),
    0x8007007F: ("ERROR_PROC_NOT_FOUND", "library does not have the function"),
    0x800700C1: ("ERROR_BAD_EXE_FORMAT", "library is for another processor architecture"),
    0x80070422: ("ERROR_SERVICE_DISABLED", "service is disabled"),
    0x80070490: ("ERROR_NOT_FOUND", "element not found"),
    0x8007139F: ("ERROR_INVALID_STATE", "wrong state for the operation"),
    0x80073CF1: ("ERROR_INSTALL_PACKAGE_NOT_FOUND", "app package not found"),
    0x80073CF2: ("ERROR_INSTALL_INVALID_PACKAGE", "app package not acceptable"),
    0x80073CFA: ("ERROR_REMOVE_FAILED", "app package could not be removed"),
    0x80073D02: ("ERROR_PACKAGES_IN_USE", "app package in use"),
    0x800706BA: ("RPC_S_SERVER_UNAVAILABLE", "service does not answer"),
    0x800708C5: ("NERR_PasswordTooShort", "password against the policy"),
    0x80080005: ("CO_E_SERVER_EXEC_FAILURE", "COM server did not start in time"),
    0x800F0975: ("", "updates or servicing use reserved storage"),
    0x80310039: ("FVE_E_NOT_DECRYPTED", "volume not fully decrypted"),
    0xC000000D: ("STATUS_INVALID_PARAMETER", "invalid parameter"),
    0xC0020017: ("RPC_NT_SERVER_UNAVAILABLE", "service does not answer"),
    0xC004D307: ("", "number of licensing rearms used up"),
}


class Code(NamedTuple):
    """A code as it was logged, the 32-bit number that it stands for, and how that is known.

    `how`: logged whole; restored, by an earlier line of the run that has it whole; as-win32, which holds
    unless it is the low word of something else that was not logged.
    """

    logged: str
    value: int
    how: str

    @property
    def name(self) -> str:
        return _NAMES.get(self.value, ("", ""))[0]

    @property
    def meaning(self) -> str:
        return _NAMES.get(self.value, ("", ""))[1]

    def as_result(self) -> dict[str, str]:
        """The code as results show it."""
        return {
            "logged": self.logged,
            "code": f"0x{self.value:08x}",
            "how": self.how,
            "name": self.name,
            "meaning": self.meaning,
        }


def parse_code(token: str) -> int | None:
    """The number that is written as 0x3cf2, c000000d, 1f, 31 or -1073425657, as 32 bits without sign."""
    text = token.strip().lower()
    try:
        if text.startswith("0x-"):
            number = int(text[2:])
        elif text.startswith("0x") or re.search("[a-f]", text):
            number = int(text, 16)
        else:
            number = int(text)
    except ValueError:
        return None
    return number & 0xFFFFFFFF if -(1 << 31) <= number < (1 << 32) else None


def codes_in(text: str) -> list[tuple[str, int]]:
    """What the line says went wrong, each as it is written and as a number, in the order of the line; no
    zeros.
    """
    found: dict[int, tuple[str, int]] = {}
    for pattern in _TOKENS:
        for match in pattern.finditer(text):
            value = parse_code(match["number"])
            if value:
                found.setdefault(match.start("number"), (match["number"], value))
    return [found[place] for place in sorted(found)]


def last_error_in(text: str) -> int | None:
    """What `[gle=...]` says, or None."""
    match = _LAST_ERROR.search(text)
    return parse_code(match["number"]) if match else None


def low_word(value: int) -> int | None:
    """The word that is left when a code is handed on as a Win32 error; None where nothing was lost on the
    way.
    """
    if value <= 0xFFFF:
        return value
    return value & 0xFFFF if value & 0xFFFF0000 == _WIN32 else None


def restore_codes(lines: Iterable[Line]) -> list[Code]:
    """Every code of the lines once, in order, each as far as the lines before it let it be known."""
    whole: dict[int, int] = {}
    found: dict[int, Code] = {}
    for line in lines:
        for logged, value in codes_in(line.text):
            word = low_word(value)
            if word is None:
                whole.setdefault(value & 0xFFFF, value)
                code = Code(logged, value, LOGGED)
            elif word in whole:
                code = Code(logged, whole[word], RESTORED)
            else:
                code = Code(logged, _WIN32 | word, AS_WIN32 if value <= 0xFFFF else LOGGED)
            found.setdefault(value, code)
    return list(found.values())
