# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""docs/compatibility.md says what the rules say."""

from __future__ import annotations

from ansible_collections.goldenimage.azure.plugins.module_utils._image.compatibility import RULES

from tools.compatibility_document import DOCUMENT, render


def test_document_is_what_the_rules_say() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == render(), "run make docs"


def test_document_names_every_rule_its_severity_and_its_page() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for rule in RULES:
        (line,) = [line for line in text.splitlines() if line.startswith(f"| `{rule.id}` |")]
        assert rule.title in line
        assert f"| {rule.severity} | {rule.told} |" in line
        assert rule.documentation in line
