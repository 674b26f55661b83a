# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Being stopped half-way must not leave anything behind in Azure."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def interruptible(
    message: str = "The upload was interrupted; what it had created was removed.",
) -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP raise KeyboardInterrupt inside, once: cleaning up is not interrupted again.

    The interrupt leaves as an AzureError with `message`. Only for the main thread.
    """

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        for other in _SIGNALS:
            signal.signal(other, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in _SIGNALS}
    try:
        yield
    except KeyboardInterrupt:
        raise AzureError(message, code="Interrupted") from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
