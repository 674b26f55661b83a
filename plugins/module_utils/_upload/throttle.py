# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""A limit on bytes per second that all connections share."""

import threading
import time
from typing import Iterator, Union

from ansible_collections.goldenimage.azure.plugins.module_utils._upload.errors import UploadCancelledError

SLICE = 64 << 10


class Throttle:
    """A token bucket that holds a tenth of a second's bytes, at least one slice.

    :param rate: bytes per second
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._burst = max(rate / 10.0, SLICE) / rate
        self._lock = threading.Lock()
        self._free_at = 0.0

    def paced(self, body: Union[bytes, memoryview], cancel: threading.Event) -> Iterator[memoryview]:
        """The body in slices, each when its turn has come.

        Raises UploadCancelledError when `cancel` is set.
        """
        view = memoryview(body)
        for start in range(0, len(view), SLICE):
            part = view[start : start + SLICE]
            self.wait(len(part), cancel)
            yield part

    def wait(self, count: int, cancel: threading.Event) -> None:
        """Return when `count` bytes may go; raises UploadCancelledError when `cancel` is set."""
        if cancel.wait(self._reserve(count)):
            raise UploadCancelledError

    def _reserve(self, count: int) -> float:
        """Seconds until `count` bytes may go; they are taken from the bucket."""
        with self._lock:
            now = time.monotonic()
            self._free_at = max(self._free_at, now - self._burst) + count / self._rate
            return max(0.0, self._free_at - now)
