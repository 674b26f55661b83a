# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What the faults of one request mean for code deep inside that request: operations, tokens, the log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class OperationFate:
    """How operations started by the request end: with an error, or after `seconds` (None: as usual).

    `failing_region` is a region that replication does not come to, and the reason that is given.
    """

    error: dict[str, Any] | None = None
    seconds: float | None = None
    failing_region: tuple[str, str] | None = None


#: Of the operations that the request starts.
operation_fate: ContextVar[OperationFate | None] = ContextVar("operation_fate", default=None)
#: Seconds that the tokens which the request asks for are valid; None for as long as usual.
token_lifetime: ContextVar[int | None] = ContextVar("token_lifetime", default=None)
#: What stands in the log of exchanges beside a request that a fault has touched.
exchange_mark: ContextVar[dict[str, Any] | None] = ContextVar("exchange_mark", default=None)


@contextmanager
def fated(
    *, mark: dict[str, Any], operation: OperationFate | None = None, lifetime: int | None = None
) -> Iterator[None]:
    """Everything done inside belongs to a request that a fault has touched."""
    marked, fate, life = exchange_mark.set(mark), operation_fate.set(operation), token_lifetime.set(lifetime)
    try:
        yield
    finally:
        exchange_mark.reset(marked)
        operation_fate.reset(fate)
        token_lifetime.reset(life)
