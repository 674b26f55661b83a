# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Writes logs in the forms that Sysprep's are found in: by Windows, by Configuration Manager, on a console,
as quotations, on web pages, in the answers of tools.

A log is a list of messages; each form renders the same messages. They were written by hand after the
documented formats, not captured on a Windows.
"""

from __future__ import annotations

import html
import json
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

INFO, WARNING, ERROR = "Info", "Warning", "Error"
BEGAN = datetime(2025, 11, 3, 9, 15, 0)
SYSTEM32 = "C:\\Windows\\System32"
_RULER = "=" * 56


class Message(NamedTuple):
    """`id` is Sysprep's number of the message, 0 for none; it comes `after` seconds."""

    level: str
    text: str
    id: int = 0
    after: float = 0
    component: str = "SYSPRP"


class Provider(NamedTuple):
    """A function of a library."""

    library: str
    function: str

    @property
    def path(self) -> str:
        return f"{SYSTEM32}\\{self.library}"


OPK = Provider("spopk.dll", "Sysprep_Clean_Validate_Opk")
BITLOCKER = Provider("BdeSysprep.dll", "ValidateBitLockerState")
APPX = Provider("AppxSysprep.dll", "SysprepGeneralizeValidate")
APPX_REMOVAL = Provider("AppxSysprep.dll", "SysprepGeneralize")


def beginning(*options: str) -> Iterator[Message]:
    """How every run begins."""
    yield Message(INFO, _RULER)
    yield Message(INFO, "===          Beginning of a new sysprep run          ===")
    yield Message(INFO, _RULER)
    yield Message(INFO, f"Initialized SysPrep log at {SYSTEM32}\\Sysprep\\Panther", 0x0F004E)
    yield Message(INFO, "ValidatePrivileges:User has required privileges to sysprep machine", 0x0F0054)
    tag = f"{SYSTEM32}\\Sysprep\\Sysprep_succeeded.tag"
    yield Message(INFO, f"FCreateTagFile:Tag file {tag} does not already exist", 0x0F007E)
    for option in options or ("GENERALIZE", "OOBE", "QUIT", "QUIET"):
        yield Message(INFO, f"ParseCommands:Found supported command line option '{option}'", 0x0F005F)


def validating(kind: str) -> Iterator[Message]:
    """The beginning of the validation of `cleanup` or `generalize`."""
    yield Message(INFO, f"WinMain:Pre-validing '{kind}' internal providers.", 0x0F00D7, 1)
    yield from _session("Validate", kind)


def executing(kind: str) -> Iterator[Message]:
    """The beginning of the work of Windows' own providers of `cleanup` or `generalize`."""
    yield Message(INFO, f"WinMain:Processing '{kind}' internal provider request.", 0, 1)
    yield from _session("Execute", kind)


def _session(how: str, kind: str) -> Iterator[Message]:
    number = {"cleanup": 3, "generalize": 1}[kind]
    file = f"{SYSTEM32}\\Sysprep\\ActionFiles\\{kind.capitalize()}.xml"
    yield Message(INFO, f"RunDlls:Running platform actions specified in action file for phase {number}", 0, 1)
    yield Message(INFO, f"SysprepSession::{how}: Beginning action execution from {file}")


def begun(provider: Provider) -> Message:
    text = f"ActionPlatform::LaunchModule: Executing method '{provider.function}' from {provider.path}"
    return Message(INFO, text, 0, 1)


def done(provider: Provider) -> Iterator[Message]:
    """A provider that ends well."""
    yield begun(provider)
    text = f"ActionPlatform::LaunchModule: Successfully executed '{provider.function}' from {provider.path}"
    yield Message(INFO, text, 0, 1)


def failed(provider: Provider, kind: str, how: str, code: str, *said: Message) -> Iterator[Message]:
    """One of Windows' own providers begins, says something, and fails; the run ends. `how`: Validate or
    Execute.
    """
    yield begun(provider)
    yield from said
    failure = f"Failure occurred while executing '{provider.function}' from {provider.path}; dwRet = {code}"
    yield Message(ERROR, f"ActionPlatform::LaunchModule: {failure}", 0, 1)
    yield from session_failed(kind, how, code)


def session_failed(kind: str, how: str, code: str) -> Iterator[Message]:
    """How a run ends whose session failed with the code, which is a low word or whole."""
    file = f"{SYSTEM32}\\Sysprep\\ActionFiles\\{kind.capitalize()}.xml"
    doing = "validating" if how == "Validate" else "executing"
    yield Message(ERROR, f"SysprepSession::{how}: Error in {doing} actions from {file}; dwRet = {code}")
    yield Message(ERROR, f"RunPlatformActions:Failed while {doing} Sysprep session actions; dwRet = {code}")
    verb, number = ("pre-validate", 0x0F00D8) if how == "Validate" else ("processing", 0x0F00A8)
    yield from _halted(f"{verb} sysprep {kind} internal providers", number, code, "RunDlls")


def registered(provider: Provider, kind: str, side: str) -> Iterator[Message]:
    """A provider that is registered in the registry is found. `side`: "" for Windows' own, External for
    others'.
    """
    if side:
        yield Message(INFO, f"WinMain:Processing '{kind}' external provider request.", 0, 1)
    key = f"SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Setup\\SysPrep{side}\\{kind.capitalize()}"
    what = f"will try to launch '{provider.path},{provider.function}'"
    yield Message(INFO, f"RunRegistryDlls:Found entrypoint in registry at {key}\\{{1}}; {what}", 0x0F008B, 1)
    found = f"LaunchDll:Found '{provider.path},{provider.function}'; executing it"
    yield Message(INFO, found, 0x0F0080)


def launch_failed(provider: Provider, kind: str, side: str, code: str) -> Iterator[Message]:
    """Such a provider fails, and the run ends."""
    yield from registered(provider, kind, side)
    entry = f"'{provider.path},{provider.function}'"
    text = f"LaunchDll:Failure occurred while executing {entry}, returned error code {code}"
    yield Message(ERROR, text, 0x0F0082, 1)
    yield from _launch_halted(kind, side, code)


def not_loaded(provider: Provider, kind: str, side: str, last_error: int) -> Iterator[Message]:
    """The library of such a provider cannot be loaded, and the run ends."""
    yield from registered(provider, kind, side)
    yield Message(ERROR, f"LaunchDll:Could not load DLL {provider.path}[gle=0x{last_error:08x}]", 0x0F0081, 1)
    yield from _launch_halted(kind, side, f"0x{last_error:x}")


def _launch_halted(kind: str, side: str, code: str) -> Iterator[Message]:
    number = 0x0F00AE if kind == "cleanup" else 0x0F00A8
    which = "external" if side else "internal"
    yield from _halted(f"processing sysprep {kind} {which} providers", number, code, "RunExternalDlls")


def _halted(doing: str, number: int, code: str, function: str) -> Iterator[Message]:
    what = "An error occurred while running registry sysprep DLLs, halting sysprep execution."
    yield Message(ERROR, f"{function}:{what} dwRet = {code}", 0x0F0070)
    word = int(code, 16) if code.startswith("0x") else int(code)
    result = word if word > 0xFFFF or word < 0 else 0x80070000 | word
    yield Message(ERROR, f"WinMain:Hit failure while {doing}; hr = 0x{result & 0xFFFFFFFF:08x}", number)


def refused() -> Iterator[Message]:
    """A run after one that was left half-way."""
    why = "either the machine is in an invalid state or we couldn't update the recorded state"
    yield Message(ERROR, f"RunExternalDlls:Not running DLLs; {why}, dwRet = 31", 0x0F0073, 1)
    doing = "processing sysprep cleanup external providers"
    yield Message(ERROR, f"WinMain:Hit failure while {doing}; hr = 0x8007001f", 0x0F00AE)


def ending() -> Iterator[Message]:
    yield Message(INFO, "Shutting down SysPrep log", 0x0F0052)


def success() -> list[Message]:
    """A whole run that succeeds, with the errors that good images have."""
    return [
        *beginning(),
        Message(WARNING, "WinMain: File operations pending"),
        *validating("cleanup"),
        *done(OPK),
        *validating("generalize"),
        *done(BITLOCKER),
        *done(APPX),
        *executing("cleanup"),
        *executing("generalize"),
        *harmless(),
        Message(
            INFO,
            f"FCreateTagFile:Successfully created tag file {SYSTEM32}\\Sysprep\\Sysprep_succeeded.tag",
            0x0F007D,
            5,
        ),
        *ending(),
    ]


def harmless() -> Iterator[Message]:
    """Errors that are found in good images."""
    instance = 'AntiSpywareProduct.instanceGuid="{01234567-89AB-CDEF-0123-456789ABCDEF}"'
    texts = (
        "MRTGeneralize:98 - ERROR: Failed ConnectServer",
        f"MRTGeneralize:107 - ERROR: Failed DeleteInstance {instance} hr=2147749904",
        "Error 0x-2147417850: Failed to re-enable Compat-Gentel custom trigger.[gle=0x0000047e]",
        "setupdigetclassdevs failed with error 0",
        "BCD: BiUpdateEfiEntry failed c000000d",
        "BCD: BiExportBcdObjects failed c000000d",
        "BCD: Failed to export alterations to firmware. Status: c000000d",
        "SPPNP: Failed to queue enumerated driver packages. Err = 0x57",
        "Unable to uninstall device ROOT\\VOLMGR\\0000; error 0xE0000231",
    )
    for text in texts:
        yield Message(ERROR, text, 0, 1)


def _timed(messages: Iterable[Message], began: datetime) -> Iterator[tuple[datetime, Message]]:
    time = began
    for message in messages:
        time += timedelta(seconds=message.after)
        yield time, message


def _windows(messages: Iterable[Message], began: datetime) -> Iterator[str]:
    for time, message in _timed(messages, began):
        number = f"[0x{message.id:06x}]" if message.id else ""
        yield f"{time:%Y-%m-%d %H:%M:%S}, {message.level:<10} {number:<10} {message.component} {message.text}"


def _configuration_manager(messages: Iterable[Message], began: datetime) -> Iterator[str]:
    for time, message in _timed(messages, began):
        number = f"{message.id} (0x{message.id:x}) " if message.id else ""
        yield f"{time:%m-%d-%Y %H:%M:%S}.000 {message.component} {number}{message.text}"


def _undated(messages: Iterable[Message], began: datetime) -> Iterator[str]:
    for row in _windows(messages, began):
        yield row.partition(", ")[2]


def _console(messages: Iterable[Message], began: datetime) -> Iterator[str]:
    for row in _windows(messages, began):
        yield f"2026-01-01T00:00:00Z: ==> builder.image: {row}"


def _quoted(messages: Iterable[Message], began: datetime) -> Iterator[str]:
    for row in _windows(messages, began):
        yield from textwrap.wrap(row, 100, break_long_words=False, break_on_hyphens=False)


def _one_row(messages: Iterable[Message], began: datetime) -> Iterator[str]:
    yield " ".join(_windows(messages, began))


def _web_page(messages: Iterable[Message], began: datetime) -> Iterator[str]:
    for row in _windows(messages, began):
        yield f"<p>{html.escape(row)}</p>"


def _typeset(messages: Iterable[Message], began: datetime) -> Iterator[str]:
    for row in _undated(messages, began):
        opened = "\u2018".join(row.split(" '")) if " '" in row else row
        yield opened.replace("\u2018", " \u2018").replace("'", "\u2019")


def _json(messages: Iterable[Message], began: datetime) -> Iterator[str]:
    text = json.dumps("".join(f"{row}\r\n" for row in _windows(messages, began)))
    yield f'"content": {text},'.replace("'", "\\u0027")


#: How messages become rows, by the name of the form.
FORMS: dict[str, Callable[[Iterable[Message], datetime], Iterator[str]]] = {
    "windows": _windows,
    "configuration-manager": _configuration_manager,
    "undated": _undated,
    "console": _console,
    "quoted": _quoted,
    "one-row": _one_row,
    "web-page": _web_page,
    "typeset": _typeset,
    "json": _json,
}


def render(messages: Iterable[Message], form: str = "windows", began: datetime = BEGAN) -> str:
    """The log as text."""
    return "".join(f"{row}\r\n" for row in FORMS[form](messages, began))


def errors_of(messages: Sequence[Message]) -> list[Message]:
    """What setuperr.log has of it; each keeps its time."""
    kept, waited = [], 0.0
    for message in messages:
        waited += message.after
        if message.level == ERROR:
            kept.append(message._replace(after=waited))
            waited = 0.0
    return kept
