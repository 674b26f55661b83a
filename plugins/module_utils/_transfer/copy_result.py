# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""How to copy, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.blob_state import COMPLETE, STATE
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.source import (
    CONTENT,
    RESERVED_TAGS,
    SIZE,
)

#: Tag or metadata of a copy: the identity of its source.
COPY_OF = "goldenimage_copy_of"
OWN_TAGS = (*RESERVED_TAGS, COPY_OF)


class CopyOptions(NamedTuple):
    """`force`: whether something else at the target is replaced; `report` gets bytes done and in all."""

    waiter: Waiter
    force: bool
    check_mode: bool
    report: Callable[[int, int], None]


class Copied(NamedTuple):
    """`facts` describe the target; `before` and `after` are for the diff."""

    changed: bool
    facts: dict[str, Any]
    before: dict[str, Any] | None
    after: dict[str, Any]
    actions: Sequence[str] = ()
    warnings: Sequence[str] = ()


def is_copy(marks: dict[str, str], identity: str, content_sha256: str | None) -> bool:
    """Whether tags or metadata say that what they are of has the source's content."""
    if marks.get(COPY_OF) == identity:
        return True
    return (
        content_sha256 is not None
        and marks.get(CONTENT) == content_sha256
        and marks.get(STATE, COMPLETE) == COMPLETE
    )


def marks_of(identity: str, virtual_size: int, content_sha256: str | None) -> dict[str, str]:
    """The tags or metadata of a complete copy."""
    marks = {COPY_OF: identity, SIZE: str(virtual_size)}
    return marks if content_sha256 is None else {**marks, CONTENT: content_sha256}
