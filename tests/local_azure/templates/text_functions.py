# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Template functions of text.

Reference: https://learn.microsoft.com/azure/azure-resource-manager/templates/template-functions-string
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, unquote, urljoin

from tests.local_azure.templates.errors import TemplateError

TemplateFunction = Callable[..., Any]
#: The namespace of the name-based UUIDs that guid() makes.
_GUIDS = uuid.UUID("11fb06fb-712d-4ddd-98c7-e71bbd588830")
_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{(\d+)(?:,(-?\d+))?(?::([^}]*))?\}")
_WORD = 0xFFFFFFFF


def as_text(value: Any) -> str:
    """How string() and concat() write a value."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value)
    if value is None:
        return ""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _concat(*values: Any) -> Any:
    if values and all(isinstance(v, list) for v in values):
        return [item for value in values for item in value]
    if any(isinstance(v, (list, dict)) for v in values):
        raise TemplateError("The arguments of 'concat' must be all strings or all arrays.")
    return "".join(as_text(v) for v in values)


def _format(pattern: str, *values: Any) -> str:
    def fill(found: re.Match[str]) -> str:
        if found[1] is None:
            return found[0][0]
        if int(found[1]) >= len(values):
            raise TemplateError(f"The format string '{pattern}' names the missing argument '{found[1]}'.")
        value = values[int(found[1])]
        text = as_text(value)
        if found[3] and isinstance(value, int):
            kind, digits = found[3][0].upper(), int(found[3][1:] or 0)
            text = {"D": f"{value:0{digits}d}", "X": f"{value:0{digits}X}", "N": f"{value:,.{digits}f}"}.get(
                kind, text
            )
        width = int(found[2] or 0)
        return text.rjust(width) if width >= 0 else text.ljust(-width)

    return _PLACEHOLDER.sub(fill, pattern)


def _split(text: str, separators: str | list[str]) -> list[str]:
    wanted = [separators] if isinstance(separators, str) else separators
    return re.split("|".join(re.escape(s) for s in wanted), text) if wanted else [text]


def _substring(text: str, start: int, length: int | None = None) -> str:
    end = len(text) if length is None else start + length
    if start < 0 or end < start or end > len(text):
        raise TemplateError(
            "The 'substring' function: the index and length parameters must refer to a location within the "
            f"string. The index parameter: '{start}', the length parameter: '{end - start}', the length of "
            f"the string parameter: '{len(text)}'."
        )
    return text[start:end]


def _from_base64(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError) as error:
        raise TemplateError(f"The value '{text}' is not base64: {error}.") from None


def _to_base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _from_json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise TemplateError(f"The 'json' function was given text that is not JSON: {error}.") from None


def _from_data_uri(text: str) -> str:
    head, comma, data = text.partition(",")
    if not comma or not head.startswith("data:"):
        raise TemplateError(f"The value '{text}' is not a data URI.")
    return _from_base64(data) if head.endswith(";base64") else unquote(data)


def _pad_left(value: Any, width: int, fill: str = " ") -> str:
    return as_text(value).rjust(width, fill)


def unique_string(*values: str) -> str:
    """Thirteen letters and digits that depend on the values only, the same ones as Azure's."""
    number = _murmur(("-".join(values)).encode())
    alphabet = "abcdefghijklmnopqrstuvwxyz234567"
    digits = ""
    for _unused in range(13):
        digits += alphabet[number >> 59]
        number = (number << 5) & 0xFFFFFFFFFFFFFFFF
    return digits


def _rotate(value: int, by: int) -> int:
    return ((value << by) | (value >> (32 - by))) & _WORD


def _stirred(value: int, first: int, turn: int, second: int) -> int:
    return (_rotate((value * first) & _WORD, turn) * second) & _WORD


def _final(value: int) -> int:
    value = ((value ^ (value >> 16)) * 0x85EBCA6B) & _WORD
    value = ((value ^ (value >> 13)) * 0xC2B2AE35) & _WORD
    return value ^ (value >> 16)


def _murmur(data: bytes) -> int:
    """MurmurHash3 for 32-bit words with 64 bits of result and seed 0."""
    one, two = 0x239B961B, 0xAB0E9789
    high = low = 0
    whole = len(data) // 8 * 8
    for place in range(0, whole, 8):
        low ^= _stirred(int.from_bytes(data[place : place + 4], "little"), one, 15, two)
        low = ((_rotate(low, 19) + high) * 5 + 0x561CCD1B) & _WORD
        high ^= _stirred(int.from_bytes(data[place + 4 : place + 8], "little"), two, 17, one)
        high = ((_rotate(high, 13) + low) * 5 + 0x0BCAA747) & _WORD
    rest = data[whole:]
    low ^= _stirred(int.from_bytes(rest[:4], "little"), one, 15, two)
    high ^= _stirred(int.from_bytes(rest[4:], "little"), two, 17, one)
    low, high = low ^ len(data), high ^ len(data)
    low = (low + high) & _WORD
    high = (high + low) & _WORD
    low, high = _final(low), _final(high)
    low = (low + high) & _WORD
    high = (high + low) & _WORD
    return (high << 32) | low


TEXT_FUNCTIONS: Mapping[str, TemplateFunction] = {
    "base64": _to_base64,
    "base64tojson": lambda text: _from_json(_from_base64(text)),
    "base64tostring": _from_base64,
    "concat": _concat,
    "datauri": lambda text: f"data:text/plain;charset=utf8;base64,{_to_base64(text)}",
    "datauritostring": _from_data_uri,
    "endswith": lambda text, end: text.lower().endswith(end.lower()),
    "format": _format,
    "guid": lambda *values: str(uuid.uuid5(_GUIDS, "-".join(values))),
    "indexof": lambda text, part: (
        text.lower().find(part.lower()) if isinstance(text, str) else _index(text, part)
    ),
    "join": lambda values, between: between.join(as_text(v) for v in values),
    "json": _from_json,
    "lastindexof": lambda text, part: (
        text.lower().rfind(part.lower())
        if isinstance(text, str)
        else (len(text) - 1 - _index(text[::-1], part) if part in text else -1)
    ),
    "newguid": lambda: str(uuid.uuid4()),
    "padleft": _pad_left,
    "replace": lambda text, old, new: text.replace(old, new),
    "split": _split,
    "startswith": lambda text, start: text.lower().startswith(start.lower()),
    "string": as_text,
    "substring": _substring,
    "tolower": lambda text: text.lower(),
    "toupper": lambda text: text.upper(),
    "trim": lambda text: text.strip(),
    "uniquestring": unique_string,
    "uri": urljoin,
    "uricomponent": lambda text: quote(text, safe="-_.!~*'()"),
    "uricomponenttostring": unquote,
}


def _index(values: list[Any], wanted: Any) -> int:
    return values.index(wanted) if wanted in values else -1
