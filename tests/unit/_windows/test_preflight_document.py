# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""docs/windows-preflight.md says what the rules say."""

from __future__ import annotations

from ansible_collections.goldenimage.azure.plugins.module_utils._windows.preflight import RULES
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.server_roles import SERVER_ROLES

from tools.preflight_document import DOCUMENT, render


def test_document_is_what_the_rules_say() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == render(), "run make docs"


def test_document_names_every_finding_with_its_remedy_and_every_role() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for rule in RULES:
        assert f"### {rule.id}\n\n{rule.what}\n\n- **Remedy**: {rule.remedy}\n" in text
    for role in SERVER_ROLES:
        assert f"| {role.name} | " in text
