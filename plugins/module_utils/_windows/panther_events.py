# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What the lines of a run say about its providers and its phases.

Sysprep runs providers, functions of libraries, in this order: those that may still refuse (validation of
cleanup, then of generalize), which change nothing, then cleanup and generalize, each first Windows' own
(internal) and then those that other software has registered below Setup\\SysPrepExternal (external). The
first that fails ends the run. Source: Microsoft, "How Sysprep works" and "Sysprep Provider Developer's
Guide"; message numbers from logs.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._windows.panther_lines import (
    ERROR,
    UNSAID,
    Line,
)

START, REFUSED, COMPLETE, UNKNOWN = "start", "refused", "complete", "unknown"
VALIDATE_CLEANUP, VALIDATE_GENERALIZE = "validate-cleanup", "validate-generalize"
CLEANUP, GENERALIZE, SPECIALIZE = "cleanup", "generalize", "specialize"
#: Windows Setup, when a machine made of the image starts for the first time.
SETUP = "setup"

# Message numbers.
HALTING, NOT_RUNNING, DIALOG_CLOSED = 0xF0070, 0xF0073, 0xF0043
# "Hit failure while": generalize, cleanup, validation.
_LAST_ERRORS = frozenset({0xF00A8, 0xF00AE, 0xF00D8})

_LIBRARY = r"(?P<path>[^',;\n]+?\.(?:dll|exe))"
_BY_METHOD = rf"'(?P<function>\w+)' (?:from|in) {_LIBRARY}"
_BY_ENTRY = rf"'{_LIBRARY},\s*(?P<function>\w+)'"
_PROVIDER = (re.compile(_BY_METHOD, re.IGNORECASE), re.compile(_BY_ENTRY, re.IGNORECASE))
_LOAD = re.compile(rf"could not load (?:the )?(?:dll|library|module)\s*:?\s*'?{_LIBRARY}", re.IGNORECASE)
_NO_FUNCTION = re.compile(
    rf"could not (?:find|get|locate)\b.{{0,60}}\b(?:entry ?point|proc\w*|function)\b.*?{_LIBRARY}",
    re.IGNORECASE,
)

_BEGINS = re.compile(r"\bexecuting method '|; executing it", re.IGNORECASE)
_SUCCEEDS = re.compile(r"\bsuccessfully executed '", re.IGNORECASE)
_FAILS = re.compile(r"\bfailure occurred while executing\b", re.IGNORECASE)
_HALTS = re.compile(r"halting sysprep execution|\bWinMain:\s?Hit failure while\b", re.IGNORECASE)
_ENDS = re.compile(r"\bWinMain:\s?Hit failure while\b|\bdialog box returned FALSE\b", re.IGNORECASE)
# "The virtual machine is in an invalid state" is said by hypervisors and clouds, for other reasons.
_REFUSES = re.compile(
    r"\bNot running DLLs\b|\bRun\w*Dlls\b.*\bmachine is in an invalid state\b"
    r"|\bmachine is in an invalid state\b.*(?:\brecorded state\b|\b0x(?:8007)?0*1f\b)",
    re.IGNORECASE,
)
_TAGGED = re.compile(r"\bFCreateTagFile:\s?Successfully created tag file\b", re.IGNORECASE)
_REGISTRY_ACTION = re.compile(
    r"\bActionPlatform::(?P<action>\w+): Error from Reg\w+(?: (?:for|on) value (?P<value>.+?))?"
    r"(?: under key (?P<key>.+?))?;",
    re.IGNORECASE,
)
# Failing, where a line does not say its level.
_FAILING = re.compile(
    r"\bfail(?:ed|ure)\b|\berror (?:in|from|occurred|while)\b|\bERROR:|\bhalting\b"
    r"|\bnot provisioned\b|\bNot running DLLs\b|\binvalid state\b|\brequires? a (?:re)?boot\b"
    r"|\bcannot\b|\bcould not\b|\bunable to\b|\bwill not run\b"
    r"|\bdoes not have\b|\breturned FALSE\b|\bMalformed command line\b|\bBitLocker is on\b|\bFVE_E_\w"
    r"|\bdwRet = (?!0x0+\b|0\b)|\bhr = 0x[89c]",
    re.IGNORECASE,
)

_KIND = r"(?P<kind>cleanup|generalize|specialize)"
_PREVALIDATES = re.compile(rf"\bpre-?valid\w*\b.{{0,20}}?\b{_KIND}\b", re.IGNORECASE)
_PROCESSES = re.compile(
    rf"\bprocess\w*\b.{{0,20}}?\b{_KIND}\b'?(?: (?P<side>internal|external))?.{{0,5}} provider",
    re.IGNORECASE,
)
_ACTIONS = re.compile(rf"\bSysprepSession::(?P<how>Validate|Execute)\w*\b.*\\{_KIND}\.xml\b", re.IGNORECASE)
_ENTRYPOINT = re.compile(rf"\\Setup\\+Sysprep(?P<side>External)?\\+{_KIND}\b", re.IGNORECASE)
# Programs of Windows Setup, and answer file passes that are not Sysprep's.
_IN_SETUP = re.compile(
    r"\[(?:windeploy|oobeldr|msoobe|audit)\.exe\]"
    r"|\bfor pass \[(?:windowsPE|offlineServicing|specialize|auditSystem|auditUser|oobeSystem)\]",
    re.IGNORECASE,
)
_PHASE_NUMBER = re.compile(r"\baction file for phase (?P<number>[13])\b", re.IGNORECASE)
_OPTION = re.compile(r"\bcommand line option '(?P<option>\w+)'", re.IGNORECASE)
_KINDS = {"3": CLEANUP, "1": GENERALIZE}


class Provider(NamedTuple):
    """A function of a library that Sysprep runs: `module` is the library's bare name in lower case."""

    module: str
    function: str
    path: str

    def __str__(self) -> str:
        return f"{self.path}, {self.function}" if self.function else self.path


class RegistryAction(NamedTuple):
    """A registry change of an action file that was not possible."""

    action: str
    value: str
    key: str


def provider_in(line: Line) -> Provider | None:
    """The provider that the line is about, or None."""
    for pattern in (*_PROVIDER, _LOAD, _NO_FUNCTION):
        match = pattern.search(line.text)
        if match:
            path = match["path"].strip()
            function = match.groupdict().get("function") or ""
            return Provider(re.split(r"[\\/]", path)[-1].lower(), function, path)
    return None


def registry_action_in(line: Line) -> RegistryAction | None:
    match = _REGISTRY_ACTION.search(line.text)
    return RegistryAction(match["action"], match["value"] or "", match["key"] or "") if match else None


def begins(line: Line) -> bool:
    """Whether a provider is started here."""
    return bool(_BEGINS.search(line.text)) and not fails(line)


def succeeds(line: Line) -> bool:
    """Whether a provider has ended well here."""
    return bool(_SUCCEEDS.search(line.text))


def provider_fails(line: Line) -> bool:
    return bool(_FAILS.search(line.text))


def cannot_load(line: Line) -> bool:
    return bool(_LOAD.search(line.text))


def lacks_function(line: Line) -> bool:
    return bool(_NO_FUNCTION.search(line.text))


def halts(line: Line) -> bool:
    """Whether Sysprep says here that it gives up after a provider has failed."""
    return line.id == HALTING or line.id in _LAST_ERRORS or bool(_HALTS.search(line.text))


def ends_in_failure(line: Line) -> bool:
    """Whether this is the last error of a run."""
    return line.id in _LAST_ERRORS or bool(_ENDS.search(line.text))


def refuses(line: Line) -> bool:
    """Whether Sysprep says here that what is recorded of an earlier run does not let it start."""
    return line.id == NOT_RUNNING or bool(_REFUSES.search(line.text))


def tags_success(line: Line) -> bool:
    return bool(_TAGGED.search(line.text))


def is_logged(line: Line) -> bool:
    """Whether the line has anything of the form of a log's: a time, a level, a number or a component."""
    return bool(line.time or line.level or line.id or line.component)


def by_sysprep(line: Line) -> bool:
    """Whether Sysprep or one of its providers wrote the line, as far as it says so."""
    return line.component == "SYSPRP"


def fails(line: Line) -> bool:
    """Whether the line tells of something that went wrong, harmless or not."""
    if line.level == UNSAID:
        return bool(_FAILING.search(line.text))
    return line.level == ERROR


def phase_of(provider: Provider, line: Line) -> str:
    """The phase that a failing provider's name tells, or ""; only actions of Sysprep's own are named by
    rule.
    """
    name = provider.function.lower()
    kind = CLEANUP if "clean" in name else GENERALIZE
    if "validate" in name:
        return f"validate-{kind}"
    if "ActionPlatform::" in line.text and ("clean" in name or "generalize" in name):
        return f"{kind}-internal"
    return ""


def option_in(line: Line) -> str:
    """The option of Sysprep's command line that the line names, in lower case, or ""."""
    match = _OPTION.search(line.text)
    return match["option"].lower() if match else ""


def phase_in(line: Line, before: str) -> str:
    """The phase that the line belongs to, when `before` is that of the line before it."""
    if refuses(line):
        return REFUSED
    if tags_success(line):
        return COMPLETE
    if _IN_SETUP.search(line.text):
        return SETUP
    for pattern in (_PREVALIDATES, _PROCESSES, _ENTRYPOINT, _ACTIONS):
        match = pattern.search(line.text)
        if match:
            return _phase_named(pattern, match)
    match = _PHASE_NUMBER.search(line.text)
    if match and not before.startswith("validate-"):
        return f"{_KINDS[match['number']]}-internal"
    return before


def _phase_named(pattern: re.Pattern[str], match: re.Match[str]) -> str:
    kind = match["kind"].lower()
    if pattern is _PREVALIDATES or (pattern is _ACTIONS and match["how"].lower() == "validate"):
        return f"validate-{kind}"
    side = match["side"] if pattern in (_PROCESSES, _ENTRYPOINT) else None
    return f"{kind}-{(side or 'internal').lower()}"
