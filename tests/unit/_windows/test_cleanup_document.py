# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""docs/windows-traces.md says what the traces say."""

from __future__ import annotations

from ansible_collections.goldenimage.azure.plugins.module_utils._windows.cleanup import places
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.traces import TRACES

from tools.windows_traces_document import DOCUMENT, render


def test_document_is_what_the_traces_say() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == render(), "run make docs"


def test_document_names_every_trace_and_every_place() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for trace in TRACES:
        assert f"| [{trace.id}](#{trace.id}) | {trace.title} | " in text
    for place in (*places("files"), *places("values")):
        assert f"| `{place}` | removed |" in text
