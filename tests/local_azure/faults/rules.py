# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Rules that say which requests go wrong, and how: read from a profile, with errors that name the place.

A profile is a mapping with `rules`, a list, and perhaps `seed`, a number. docs/local-azure.md describes both.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.local_azure.faults.effects import EFFECTS, Option

SERVICES = ("arm", "blob", "entra")
_MATCH_KEYS = (
    *("service", "method", "path", "path_regex", "query"),
    *("nth", "every", "probability", "times", "after", "before"),
)
_WHEN = ("nth", "every", "probability")


class ProfileError(ValueError):
    """What is wrong with a profile, and where: `rules[2].match.nth: ...`."""


@dataclass(frozen=True)
class Match:
    """Which requests a rule is about. `path` is a regular expression for the whole path, without case.

    `after` and `before` are seconds since the rule came into force; `times` is how often it fires at most.
    """

    service: str
    methods: tuple[str, ...] = ()
    path: str = ".*"
    query: Mapping[str, str] = field(default_factory=dict)
    nth: tuple[int, ...] = ()
    every: int | None = None
    probability: float | None = None
    times: int | None = None
    after: float = 0.0
    before: float | None = None

    def concerns(self, service: str, method: str, path: str, query: Mapping[str, str]) -> bool:
        """Whether the request is one of those that the rule counts."""
        return (
            service == self.service
            and (not self.methods or method.upper() in self.methods)
            and re.fullmatch(self.path, path, re.IGNORECASE) is not None
            and all(query.get(name, "").lower() == value.lower() for name, value in self.query.items())
        )


@dataclass(frozen=True)
class Rule:
    """`options` are the effect's own, with defaults filled in; `given` is the rule as it was written."""

    name: str
    match: Match
    kind: str
    options: Mapping[str, Any]
    given: Mapping[str, Any]


@dataclass(frozen=True)
class Profile:
    rules: tuple[Rule, ...]
    seed: int | None = None


def read_profile(path: Path) -> Profile:
    """A YAML or JSON file. ProfileError: it cannot be read, or says what no rule can say."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ProfileError(f"{path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ProfileError(f"{path}: {error}") from None
    try:
        return parse_profile(content)
    except ProfileError as error:
        raise ProfileError(f"{path}: {error}") from None


def parse_profile(content: object, taken: Sequence[str] = ()) -> Profile:
    """`taken` are names that rules have already; a rule without a name gets one from its place."""
    known = _mapping(content, "the profile", ("seed", "rules"))
    seed = known.get("seed")
    if seed is not None and not _is_whole(seed):
        raise ProfileError(f"seed: {json.dumps(seed)} is not a whole number")
    entries = known.get("rules")
    if not isinstance(entries, list) or not entries:
        raise ProfileError("rules: a list with at least one rule is missing")
    names = list(taken)
    rules = []
    for place, entry in enumerate(entries):
        rule = _rule(entry, f"rules[{place}]", f"rule-{len(names) + 1}")
        if rule.name in names:
            raise ProfileError(f"rules[{place}].name: there is a rule {rule.name!r} already")
        names.append(rule.name)
        rules.append(rule)
    return Profile(tuple(rules), seed)


def _rule(entry: object, place: str, default_name: str) -> Rule:
    given = _mapping(entry, place, ("name", "match", "effect"))
    name = given.get("name", default_name)
    if not isinstance(name, str) or not name:
        raise ProfileError(f"{place}.name: {json.dumps(name)} is not a name")
    match = _match(given.get("match"), f"{place}.match")
    kind, options = _effect(given.get("effect"), f"{place}.effect", match.service)
    return Rule(name, match, kind, options, given)


def _match(entry: object, place: str) -> Match:
    given = _mapping(entry, place, _MATCH_KEYS)
    service = given.get("service")
    if service not in SERVICES:
        raise ProfileError(f"{place}.service: must be one of {', '.join(SERVICES)}")
    if sum(key in given for key in _WHEN) > 1:
        raise ProfileError(f"{place}: only one of {', '.join(_WHEN)} can be given")
    if "path" in given and "path_regex" in given:
        raise ProfileError(f"{place}: only one of path, path_regex can be given")
    return Match(
        service=str(service),
        methods=tuple(text.upper() for text in _texts(given, "method", place)),
        path=_path(given, place),
        query=_query(given.get("query", {}), f"{place}.query"),
        nth=_wholes(given, "nth", place),
        every=_number(given, "every", place, Option(int, least=1)),
        probability=_number(given, "probability", place, Option(float, least=0, most=1)),
        times=_number(given, "times", place, Option(int, least=1)),
        after=_number(given, "after", place, Option(float, least=0)) or 0.0,
        before=_number(given, "before", place, Option(float, least=0)),
    )


def _effect(entry: object, place: str, service: str) -> tuple[str, dict[str, Any]]:
    if not isinstance(entry, Mapping) or entry.get("kind") not in EFFECTS:
        raise ProfileError(f"{place}.kind: must be one of {', '.join(EFFECTS)}")
    kind = str(entry["kind"])
    effect = EFFECTS[kind]
    if service not in effect.services:
        raise ProfileError(f"{place}.kind: {kind} is only for {', '.join(effect.services)}")
    given = _mapping(entry, place, ("kind", *effect.options))
    options = {}
    for name, option in effect.options.items():
        value = given.get(name, option.default)
        if value is None and option.required:
            raise ProfileError(f"{place}.{name}: is missing")
        problem = None if value is None else option.problem(value)
        if problem:
            raise ProfileError(f"{place}.{name}: {json.dumps(value)} {problem}")
        options[name] = value
    return kind, options


def _mapping(value: object, place: str, keys: Sequence[str]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ProfileError(f"{place}: must be a mapping with {', '.join(keys)}")
    unknown = [str(key) for key in value if key not in keys]
    if unknown:
        raise ProfileError(f"{place}.{unknown[0]}: is not known here; known are {', '.join(keys)}")
    return value


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(given: Mapping[str, Any], name: str, place: str, option: Option) -> Any:
    value = given.get(name)
    problem = None if value is None else option.problem(value)
    if problem:
        raise ProfileError(f"{place}.{name}: {json.dumps(value)} {problem}")
    return value


def _listed(given: Mapping[str, Any], name: str) -> list[Any]:
    value = given.get(name, [])
    return value if isinstance(value, list) else [value]


def _texts(given: Mapping[str, Any], name: str, place: str) -> list[str]:
    values = _listed(given, name)
    if not all(isinstance(value, str) for value in values):
        raise ProfileError(f"{place}.{name}: must be a text or a list of texts")
    return values


def _wholes(given: Mapping[str, Any], name: str, place: str) -> tuple[int, ...]:
    values = _listed(given, name)
    if not all(_is_whole(value) and value >= 1 for value in values):
        raise ProfileError(f"{place}.{name}: must be a whole number from 1 on, or a list of such")
    return tuple(values)


def _query(value: object, place: str) -> dict[str, str]:
    if not isinstance(value, Mapping) or not all(isinstance(text, str) for text in value.values()):
        raise ProfileError(f"{place}: must be a mapping of query parameters to texts")
    return {str(name): text for name, text in value.items()}


def _path(given: Mapping[str, Any], place: str) -> str:
    for name, translate in (("path", glob_regex), ("path_regex", str)):
        if name not in given:
            continue
        text = given[name]
        if not isinstance(text, str) or not text:
            raise ProfileError(f"{place}.{name}: {json.dumps(text)} is not a path")
        pattern = translate(text)
        try:
            re.compile(pattern)
        except re.error as error:
            raise ProfileError(f"{place}.{name}: {error}") from None
        return pattern
    return ".*"


def glob_regex(glob: str) -> str:
    """`*` is anything within one part of a path, `**` anything at all, `?` one character of a part.

    The result means the same to Python and to JavaScript.
    """
    pieces = re.split(r"(\*\*|\*|\?)", glob)
    wild = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    return "".join(wild.get(piece) or re.sub(r"([^\w/ ~-])", r"\\\1", piece) for piece in pieces)
