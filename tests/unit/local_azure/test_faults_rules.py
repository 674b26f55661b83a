# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Profiles of faults: what they may say, what is said about mistakes in them, and when rules fire."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.local_azure.blob_storage import blob_service
from tests.local_azure.faults.effects import EFFECTS
from tests.local_azure.faults.rules import ProfileError, glob_regex, parse_profile, read_profile
from tests.local_azure.faults.schedule import Scheduled, chance

ERROR = {"kind": "error", "status": 503}


def scheduled(seed: int = 1, **match: Any) -> Scheduled:
    rule = {"match": {"service": "arm", **match}, "effect": ERROR}
    return Scheduled(parse_profile({"rules": [rule]}).rules[0], seed)


def fired(rule: Scheduled, count: int = 8) -> list[int]:
    """The numbers of the requests that go wrong."""
    numbers = []
    for number in range(1, count + 1):
        if rule.fires("arm", "GET", "/subscriptions/s", {}):
            rule.injected += 1
            numbers.append(number)
    return numbers


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ({}, [1, 2, 3, 4, 5, 6, 7, 8]),
        ({"nth": 3}, [3]),
        ({"nth": [1, 4]}, [1, 4]),
        ({"every": 3}, [3, 6]),
        ({"every": 2, "times": 2}, [2, 4]),
        ({"method": "PUT"}, []),
        ({"path": "/subscriptions"}, []),
        ({"path": "/SUBSCRIPTIONS/*"}, [1, 2, 3, 4, 5, 6, 7, 8]),
        ({"query": {"comp": "page"}}, []),
        ({"after": 60}, []),
        ({"before": 0}, []),
    ],
)
def test_a_rule_fires_when_it_says(match: dict[str, Any], expected: list[int]) -> None:
    assert fired(scheduled(**match)) == expected


def test_probability_depends_on_nothing_but_seed_name_and_number() -> None:
    first = fired(scheduled(seed=3, probability=0.5), 60)
    assert first == fired(scheduled(seed=3, probability=0.5), 60)
    assert first != fired(scheduled(seed=4, probability=0.5), 60)
    assert 15 < len(first) < 45


def test_the_blob_service_draws_the_same_chances(tmp_path: Path) -> None:
    script = tmp_path / "draw.js"
    schedule = Path(blob_service.LAUNCHER).with_name("schedule.js")
    script.write_text(
        f"const {{ chance }} = require({json.dumps(str(schedule))});"
        "console.log(JSON.stringify([1, 2, 3, 400].map((n) => chance(7, 'Größe', n))));"
    )
    done = subprocess.run([blob_service.node_program(), script], capture_output=True, check=True, text=True)
    assert json.loads(done.stdout) == [chance(7, "Größe", number) for number in (1, 2, 3, 400)]


@pytest.mark.parametrize(
    ("glob", "yes", "no"),
    [
        ("**/images/*", "/a/b/images/i", "/a/images/i/j"),
        ("/acc/*/abcd", "/acc/disk.1/abcd", "/acc/disk/x/abcd"),
        ("/a.b/?", "/a.b/c", "/axb/c"),
    ],
)
def test_globs_stop_at_slashes_unless_doubled(glob: str, yes: str, no: str) -> None:
    assert re.fullmatch(glob_regex(glob), yes)
    assert not re.fullmatch(glob_regex(glob), no)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({}, r"rules\[0\].match: must be a mapping"),
        ({"match": {"service": "disk"}}, r"rules\[0\].match.service: must be one of arm, blob, entra"),
        ({"match": {"service": "arm", "nht": 1}}, r"rules\[0\].match.nht: is not known here"),
        ({"match": {"service": "arm", "nth": 0}}, r"rules\[0\].match.nth: must be a whole number from 1"),
        ({"match": {"service": "arm", "probability": 2}}, r"match.probability: 2 is more than 1"),
        ({"match": {"service": "arm", "nth": 1, "every": 2}}, r"match: only one of nth, every"),
        ({"match": {"service": "arm", "path_regex": "("}}, r"match.path_regex: missing \)"),
        ({"match": {"service": "arm"}, "effect": {"kind": "boom"}}, r"effect.kind: must be one of"),
        ({"match": {"service": "arm"}, "effect": {"kind": "error"}}, r"effect.status: is missing"),
        ({"match": {"service": "arm"}, "effect": {"kind": "error", "status": 200}}, r"200 is less than 400"),
        ({"match": {"service": "blob"}, "effect": {"kind": "hide", "seconds": 1}}, r"hide is only for arm"),
        ({"match": {"service": "arm"}, "effect": ERROR, "naem": 1}, r"rules\[0\].naem: is not known"),
    ],
)
def test_mistakes_are_named_with_their_place(rule: dict[str, Any], message: str) -> None:
    with pytest.raises(ProfileError, match=message):
        parse_profile({"rules": [rule]})


def test_a_profile_is_yaml_or_json(tmp_path: Path) -> None:
    file = tmp_path / "faults.yml"
    file.write_text("seed: 4\nrules:\n- match: {service: arm, nth: 2}\n  effect: {kind: drop}\n")
    profile = read_profile(file)
    assert (profile.seed, profile.rules[0].name) == (4, "rule-1")
    assert profile.rules[0].options == {"when": "before"}
    file.write_text(
        json.dumps({"rules": [{"match": {"service": "arm"}, "effect": {"kind": "drop", "when": 1}}]})
    )
    with pytest.raises(ProfileError, match=r"faults.yml: rules\[0\].effect.when: 1 is not a text"):
        read_profile(file)
    with pytest.raises(ProfileError, match="No such file"):
        read_profile(tmp_path / "missing")


def test_the_documented_profile_and_kinds_are_the_real_ones() -> None:
    text = (Path(__file__).parents[3] / "docs/local-azure.md").read_text(encoding="utf-8")
    section = text.partition("## Faults")[2].partition("## Traffic")[0]
    profile = section.partition("```yaml")[2].partition("```")[0]
    assert len(parse_profile(yaml.safe_load(profile)).rules) == 5
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == set(EFFECTS)
