# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""docs/traces.md says what the definitions say."""

from __future__ import annotations

from ansible_collections.goldenimage.azure.plugins.module_utils._guest.traces import TRACES

from tools.traces_document import DOCUMENT, render


def test_document_is_what_the_definitions_say() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == render(), "run make docs"


def test_document_names_every_trace_its_default_and_every_place() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for trace in TRACES:
        removed = "yes" if trace.default else "if included"
        assert f"| [{trace.id}](#{trace.id}) | {trace.title} | {removed} |" in text
        assert trace.reason.partition(" Off: ")[0] in text
        for place in trace.places:
            for pattern in place.patterns:
                assert f"| `{pattern}` |" in text


def test_role_tells_where_the_traces_are_described() -> None:
    readme = (DOCUMENT.parent.parent / "roles/linux_generalize/README.md").read_text(encoding="utf-8")
    assert "docs/traces.md" in readme
