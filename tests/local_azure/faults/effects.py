# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The kinds of faults there are, for which services, and the options that each takes."""

from __future__ import annotations

from dataclasses import dataclass, field

ANYWHERE = ("arm", "blob", "entra")
NEVER = "never"


@dataclass(frozen=True)
class Option:
    """One option of an effect. A number has limits, a text choices; `word` may stand for a number."""

    type: type[int] | type[float] | type[str]
    default: int | float | str | None = None
    required: bool = False
    least: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()
    word: str | None = None

    def problem(self, value: object) -> str | None:
        """What is wrong with a value; None when nothing is."""
        if self.word is not None and value == self.word:
            return None
        if self.type is str:
            return self._text_problem(value)
        return self._number_problem(value)

    def _text_problem(self, value: object) -> str | None:
        if not isinstance(value, str):
            return "is not a text"
        if self.choices and value not in self.choices:
            return f"is not one of {', '.join(self.choices)}"
        return None

    def _number_problem(self, value: object) -> str | None:
        wanted = (int,) if self.type is int else (int, float)
        if isinstance(value, bool) or not isinstance(value, wanted):
            return "is not a whole number" if self.type is int else "is not a number"
        if self.least is not None and value < self.least:
            return f"is less than {self.least:g}"
        if self.most is not None and value > self.most:
            return f"is more than {self.most:g}"
        return None


@dataclass(frozen=True)
class Effect:
    services: tuple[str, ...]
    options: dict[str, Option] = field(default_factory=dict)


_SECONDS = Option(float, required=True, least=0)
EFFECTS: dict[str, Effect] = {
    # An answer instead of the service's own; the service does nothing.
    "throttle": Effect(ANYWHERE, {"retry_after": Option(int, default=1, least=0)}),
    "error": Effect(
        ANYWHERE,
        {
            "status": Option(int, required=True, least=400, most=599),
            "code": Option(str),
            "message": Option(str),
            "retry_after": Option(int, least=0),
        },
    ),
    "expire_token": Effect(("arm",)),
    "expire_sas": Effect(("blob",)),
    # What happens to the connection.
    "drop": Effect(ANYWHERE, {"when": Option(str, "before", choices=("before", "during", "after"))}),
    "stall": Effect(
        ANYWHERE, {"seconds": _SECONDS, "then": Option(str, "finish", choices=("finish", "drop"))}
    ),
    "trickle": Effect(ANYWHERE, {"bytes_per_second": Option(int, required=True, least=1)}),
    "truncate": Effect(ANYWHERE),
    "corrupt": Effect(ANYWHERE, {"what": Option(str, "answer", choices=("answer", "request"))}),
    # What comes of what was asked for.
    "fail_operation": Effect(
        ("arm",),
        {
            "code": Option(str, "InternalExecutionError"),
            "message": Option(str, "An internal execution error occurred."),
        },
    ),
    "slow_operation": Effect(("arm",), {"seconds": Option(float, required=True, least=0, word=NEVER)}),
    # A gallery's image version comes to all its regions but this one.
    "fail_replication": Effect(
        ("arm",),
        {
            "region": Option(str, required=True),
            "detail": Option(str, "Failed with internal server error."),
        },
    ),
    "hide": Effect(("arm",), {"seconds": _SECONDS}),
    "linger": Effect(("arm",), {"seconds": _SECONDS}),
    "short_tokens": Effect(("entra",), {"seconds": Option(int, required=True, least=1)}),
}
