# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What the documents have in common that "make docs" writes from definitions."""

from __future__ import annotations

from pathlib import Path

DOCUMENTS = Path(__file__).parent.parent / "docs"


def heading(title: str, *, made_from: str) -> str:
    """How such a document begins. `made_from`: the files to edit in its place."""
    return f"""\
<!--
SPDX-License-Identifier: GPL-3.0-or-later
SPDX-FileCopyrightText: The goldenimage.azure authors

Written by "make docs" from {made_from}; do not edit.
-->
# {title}
"""
