# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Writes docs/compatibility.md from the rules that modules go by.

"make docs" calls it; a test holds the file to what it writes.
"""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.goldenimage.azure.plugins.module_utils._image.compatibility import KIND, RULES, check
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_facts import SourceFacts
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_names import KIND_WORDS, KINDS
from ansible_collections.goldenimage.azure.plugins.module_utils._image.target_facts import (
    TARGETS,
    TargetFacts,
)

from tools.documents import DOCUMENTS, heading

DOCUMENT = DOCUMENTS / "compatibility.md"
_INTRODUCTION = (
    heading("What can be made of what", made_from="plugins/module_utils/_image/compatibility*.py")
    + """\

These rules are asked before anything is written, and by the module `compatibility_check` for whoever wants to
know beforehand. They need no Azure: they go by what is known of source and target. What is not known is not
held against anything, so looking a source up first (`image_source_info`) makes the answer sharper.

"""
)
_RULES = """\
## Rules

- **Severity**: an *error* refuses the task; a *warning* is a loss that should be known.
- **Azure tells**: when Azure itself would. *At once*: it refuses the request. *Later*: its operation fails,
  after minutes or hours. *At birth*: when a machine is made of the result. *Never*: not at all. For some
  kinds of sources it is another time than the table says; `compatibility_check` returns the exact one.

"""


def render() -> str:
    """The whole document."""
    return _INTRODUCTION + "\n".join([*_kinds(), *_rules()]) + "\n"


def _kinds() -> Iterator[str]:
    yield "## Kinds"
    yield ""
    titles = [_words(target) for target in TARGETS]
    yield f"| source | {' | '.join(titles)} |"
    yield f"|---|{'---|' * len(titles)}"
    for kind in KINDS:
        answers = [
            "-" if check(SourceFacts(kind), TargetFacts(target), [KIND]) else "yes" for target in TARGETS
        ]
        yield f"| {KIND_WORDS[kind]} | {' | '.join(answers)} |"
    yield ""


def _rules() -> Iterator[str]:
    yield from _RULES.splitlines()
    yield "| id | what has to hold | for | severity | Azure tells | |"
    yield "|---|---|---|---|---|---|"
    for rule in RULES:
        about = "all" if set(rule.targets) == set(TARGETS) else ", ".join(map(_words, rule.targets))
        page = f"[why]({rule.documentation})"
        yield f"| `{rule.id}` | {rule.title} | {about} | {rule.severity} | {rule.told} | {page} |"


def _words(target: str) -> str:
    return target.replace("_", " ")


if __name__ == "__main__":
    DOCUMENT.write_text(render(), encoding="utf-8")
