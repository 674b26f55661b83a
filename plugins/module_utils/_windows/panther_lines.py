# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The lines of the logs that Sysprep and Windows Setup write to their Panther folders.

Forms that occur, each also behind a console's own prefix:

- `2025-01-31 10:20:30, Error      [0x0f0082] SYSPRP text`, the bracket being optional;
- the same without a time, as people quote it, or by a program of Windows Setup, `[windeploy.exe] text`;
- `01-31-2025 10:20:30.000 SYSPRP 983152 (0xf0070) text`, as Configuration Manager shows it, without a level;
- `01-31-2025 10:20 : DTC Install error = 0, text`, of %WINDIR%\\DtcInstall.log.

What follows without any of these is the rest of the line before it, unless it begins as a message does.
Web pages and tools hand a log on in one row, escaped as HTML or JSON does, or with typographic quotes; that
is undone.
Source of names and places: Microsoft, "Deployment Troubleshooting and Log Files".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

INFO, WARNING, ERROR, UNSAID = "info", "warning", "error", ""
# A line is rarely longer than 1,000 characters; what is longer is no log, and patterns need not look at it.
_LONGEST = 4000
# A wrapped message has two or three rows.
_MOST_ROWS = 4

_ISO = r"(?P<iso>\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d)(?:[.,]\d{1,7})?"
_US = r"(?P<us>\d\d-\d\d-\d{4} \d\d:\d\d(?::\d\d)?)(?:\.\d{1,7})?"
_LEVEL = r"(?P<level>Info|Warning|Error|Fatal(?: error)?|Perf)\b"
_ID = r"(?:\[(?P<id>0x[0-9a-fA-F]{5,8})\]\s*)"
_SHOWN_ID = r"(?:\d{6,7} \((?P<id>0x[0-9a-fA-F]{5,8})\)\s+)"
_COMPONENT = r"(?:(?P<component>[A-Z][A-Z0-9]{1,9})(?=\s|$)\s*)"
_TEXT = r"(?P<text>.*)$"

_FORMS = tuple(
    re.compile(pattern)
    for pattern in (
        rf"{_ISO}\s*,\s*{_LEVEL}[ \t:]*{_ID}?{_COMPONENT}?{_TEXT}",
        rf"{_US} : DTC Install error = (?P<dtc>-?\d{{1,10}}), {_TEXT}",
        rf"{_US}\s+{_COMPONENT}?{_SHOWN_ID}?{_TEXT}",
        rf"(?:^|[\s,>|:])\W{{0,3}}{_LEVEL}[ \t:]*{_ID}?(?P<component>SYSPRP)\b\s*{_TEXT}",
        rf"(?:^|[\s,>|:])\W{{0,3}}{_LEVEL}[ \t:]*{_ID}{_TEXT}",
        rf"(?:^|[\s,>|:])\W{{0,3}}{_LEVEL}[ \t]+(?P<text>\[\w+\.exe\].*)$",
        rf"(?:^|[\s,>|:])\W{{0,3}}{_LEVEL}[ \t]{{4,}}(?P<text>[A-Z].*)$",
        rf"\b(?P<component>SYSPRP)\b\s+{_SHOWN_ID}{_TEXT}",
        rf"{_ID}?\b(?P<component>SYSPRP)\b\s+{_TEXT}",
        rf"{_ID}{_TEXT}",
    )
)
# The heads by which messages that stand in one row are told apart.
_HEAD = re.compile(
    r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d\s*,\s*(?:Info|Warning|Error|Fatal|Perf)\b"
    r"|\d\d-\d\d-\d{4} \d\d:\d\d:\d\d\.\d{3}\s+SYSPRP\b"
    r"|\b(?:Info|Warning|Error)[ \t]+(?:\[0x[0-9a-fA-F]{5,8}\][ \t]*)?SYSPRP\b"
)
_ESCAPED_END = re.compile(r"\\n$")
# What ConvertTo-Json of Windows PowerShell and web pages make of a few characters.
_PLAIN = {
    "&lt;": "<",
    "&gt;": ">",
    "&amp;": "&",
    "&quot;": '"',
    "&apos;": "'",
    "&#39;": "'",
    "&#x27;": "'",
    "&nbsp;": " ",
    "\\u0026": "&",
    "\\u0027": "'",
    "\\u003c": "<",
    "\\u003e": ">",
    "\u00a0": " ",
    "\u2018": "'",
    "\u2019": "'",
    "\u201c": '"',
    "\u201d": '"',
}
_ESCAPED = re.compile("|".join(map(re.escape, _PLAIN)))
# How a message begins: "WinMain:Hit", "ActionPlatform::LaunchModule: ...", "Package ...", or another
# program's line.
_NAME = r"(?=[\w.-]*(?:[a-z][A-Z]|[A-Z]{3}|[_.-]|\d)|\w+::)[A-Za-z_][\w.-]*(?:::\w*)*"
_MESSAGE = re.compile(rf"^(?:{_NAME} ?:(?![\\/])|Package\s|\d{{4}}-\d\d-\d\d[ T]|==> |\[(?!gle=)[A-Za-z])")


class Line(NamedTuple):
    """One message of a log.

    `number` is that of its first row, from 1; `time` is the guest's local time, or None; `level` is one of
    INFO, WARNING, ERROR and UNSAID; `id` is Sysprep's number of the message, 0 where it gives none;
    `component` is SYSPRP, CSI, DTC ... or ""; `text` is the message with its wrapped rows joined by a space.
    """

    log: str
    number: int
    time: datetime | None
    level: str
    id: int
    component: str
    text: str
    raw: str

    def as_evidence(self) -> dict[str, object]:
        """The line as results show it."""
        return {"log": self.log, "line": self.number, "text": self.raw.strip()}


def decode_log(content: bytes) -> str:
    """The text of a log as it lies on a disk: UTF-16 or UTF-8 as its mark says, else UTF-8, else
    Windows-1252.
    """
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def read_lines(text: str | Iterable[str], log: str = "setupact.log") -> list[Line]:
    """The messages of the log named `log`, whose content is text or a list of its rows.

    Never raises for whatever is in there.
    """
    rows = text.splitlines() if isinstance(text, str) else [str(row) for row in text]
    found: list[Line] = []
    joined = 0
    for number, row in enumerate(rows, 1):
        if not row.strip():
            joined = _MOST_ROWS
            continue
        for raw in (part for piece in row.split("\\r\\n") for part in _messages_in(piece)):
            line = _headed(raw, log, number)
            if line is None and found and joined < _MOST_ROWS and not _MESSAGE.match(raw.strip()):
                found[-1] = _continued(found[-1], raw.strip())
                joined += 1
                continue
            found.append(line or Line(log, number, None, UNSAID, 0, "", raw.strip(), raw))
            joined = 1
    return found


def _messages_in(row: str) -> Iterator[str]:
    """The parts of a row that begin with a head of a message; mostly the row as it is."""
    plain = _ESCAPED.sub(lambda match: _PLAIN[match[0]], row.replace("\0", ""))
    inner = [match.start() for match in _HEAD.finditer(plain)][1:]
    for begin, end in pairwise([0, *inner, len(plain)]):
        part = _ESCAPED_END.sub("", plain[begin:end].rstrip()).rstrip()[:_LONGEST]
        if part.strip():
            yield part


def _continued(line: Line, row: str) -> Line:
    return line._replace(text=f"{line.text} {row}", raw=f"{line.raw}\n{row}")


def rows_of(line: Line) -> Iterator[Line]:
    """A line that was wrapped, row by row, as messages of their own."""
    first, *others = line.raw.split("\n")
    yield _headed(first, line.log, line.number) or line._replace(text=first.strip(), raw=first)
    for offset, row in enumerate(others, 1):
        yield line._replace(number=line.number + offset, level=UNSAID, id=0, text=row.strip(), raw=row)


def _headed(raw: str, log: str, number: int) -> Line | None:
    """The row as a message of one of the forms, or None."""
    for form in _FORMS:
        match = form.search(raw)
        if match:
            parts = match.groupdict()
            component = parts.get("component") or ("DTC" if parts.get("dtc") else "")
            return Line(
                log,
                number,
                _time(parts),
                _level(parts),
                int(parts["id"], 16) if parts.get("id") else 0,
                component,
                parts["text"].strip(),
                raw,
            )
    return None


def _time(parts: dict[str, str | None]) -> datetime | None:
    formats = (("iso", ("%Y-%m-%d %H:%M:%S",)), ("us", ("%m-%d-%Y %H:%M:%S", "%m-%d-%Y %H:%M")))
    for name, candidates in formats:
        written = parts.get(name)
        for candidate in candidates if written else ():
            try:
                return datetime.strptime(str(written).replace("T", " "), candidate)
            except ValueError:
                continue
    return None


def _level(parts: dict[str, str | None]) -> str:
    if parts.get("dtc"):
        return INFO if parts["dtc"] == "0" else ERROR
    said = parts.get("level") or ""
    if said.startswith(("Error", "Fatal")):
        return ERROR
    if said == "Warning":
        return WARNING
    return INFO if said else UNSAID
