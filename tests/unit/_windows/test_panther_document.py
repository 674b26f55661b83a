# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""docs/sysprep-diagnosis.md says what the causes say."""

from __future__ import annotations

from ansible_collections.goldenimage.azure.plugins.module_utils._windows.panther_benign import BENIGN
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.panther_causes import CAUSES

from tests.windows.failures import FAILURES
from tools.sysprep_document import DOCUMENT, render


def test_document_is_what_the_causes_say() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == render(), "run make docs"


def test_document_names_every_cause_with_its_remedy_and_every_harmless_message() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for cause in CAUSES:
        assert f"| [{cause.id}](#{cause.id}) | {cause.title} |" in text
        assert f"- **Remedy**: {cause.remedy}\n- **Source**: {cause.source}\n" in text
    for known in BENIGN:
        assert f"| {known.id} | " in text


def test_document_names_every_phase() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for failure in FAILURES:
        assert f"\n| {failure.phase} | " in text
