# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What a cause of a failed Sysprep is, and when a line of a log is evidence of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._windows.panther_codes import (
    codes_in,
    last_error_in,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.panther_events import (
    Provider,
    provider_in,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.panther_lines import Line

STATED, INFERRED = "stated", "inferred"


class Setting(NamedTuple):
    """What is known of the failure beside the line: the provider that failed, where the log names one, and
    the phase.
    """

    provider: Provider | None
    phase: str


class Rule(NamedTuple):
    """When a line is evidence. All that is given must hold; a rule must give a message, a number or a kind.

    `message`: what the text has; `ids`: Sysprep's numbers of the message; `kind`: what the line must be;
    `modules`, `functions`: bare names in lower case, of the provider that the line names, or of the one that
    failed; `codes`: one of the line's codes, whole or as the low word that is left of it; `phases`: the
    failure's phase.
    """

    message: re.Pattern[str] | None = None
    ids: frozenset[int] = frozenset()
    kind: Callable[[Line], bool] | None = None
    modules: frozenset[str] = frozenset()
    functions: frozenset[str] = frozenset()
    codes: frozenset[int] = frozenset()
    phases: frozenset[str] = frozenset()

    def holds(self, line: Line, setting: Setting) -> bool:
        """Whether the line is evidence."""
        if self.message is not None and not self.message.search(line.text):
            return False
        if self.ids and line.id not in self.ids:
            return False
        if self.kind is not None and not self.kind(line):
            return False
        if self.phases and setting.phase not in self.phases:
            return False
        return self._provider_fits(line, setting) and self._code_fits(line)

    def _provider_fits(self, line: Line, setting: Setting) -> bool:
        provider = provider_in(line) or setting.provider
        if self.modules and (provider is None or provider.module not in self.modules):
            return False
        return not self.functions or (provider is not None and provider.function.lower() in self.functions)

    def _code_fits(self, line: Line) -> bool:
        if not self.codes:
            return True
        found = {value for _logged, value in codes_in(line.text)}
        found.update(value for value in [last_error_in(line.text)] if value)
        return bool(found & self.codes)


class Cause(NamedTuple):
    """A cause with its remedy.

    `modules`: the libraries whose failure it may explain, empty for any; where the log says that another one
    failed, it is not this cause. `usual_phase`: where it happens, for logs that do not say. `stated`: the
    log itself names it; otherwise it is inferred from provider and code. `source`: where that is documented
    or was found out. A `general` cause counts only where no other one does. `hangs`: a log that ends in one
    of the modules tells it as well.
    """

    id: str
    title: str
    explanation: str
    remedy: str
    source: str
    rules: tuple[Rule, ...]
    modules: frozenset[str] = frozenset()
    usual_phase: str = ""
    stated: bool = True
    general: bool = False
    hangs: bool = False

    def explains(self, line: Line, setting: Setting) -> bool:
        """Whether the line is evidence of this cause, and the failed provider does not speak against it."""
        failed = setting.provider
        if self.modules and failed is not None and failed.module not in self.modules:
            return False
        return any(rule.holds(line, setting) for rule in self.rules)


def saying(pattern: str) -> re.Pattern[str]:
    """A message, in whatever case."""
    return re.compile(pattern, re.IGNORECASE)


def shortened(*codes: int) -> frozenset[int]:
    """The codes in each form that they take in a log: whole, low word, Win32 error made of that."""
    words = {code & 0xFFFF for code in codes}
    return frozenset(codes) | words | {0x80070000 | word for word in words}
