# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Several connections at once, one thread each, that end together.

More connections fill a line on which every answer takes its time. Where the processors are the limit, more
threads than processors only take time from each other. So a few begin, and others join in as long as the
processors are idle.
"""

import os
import threading
import time
from collections import deque
from typing import Callable, Deque, Generic, List, Optional, TypeVar

from ansible_collections.goldenimage.azure.plugins.module_utils._upload.errors import UploadCancelledError
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.page_blob import PageBlob

# How long to wait for a thread whose connection was just aborted.
_LAST_SECONDS = 5
# How often to see whether more connections are wanted, and below which share of the processors' time.
_GROW_EVERY = 0.05
_IDLE = 0.5
# One processor, too, can have a disk read, data sent and answers awaited at the same time.
_LEAST = 2

Blob = TypeVar("Blob", bound=PageBlob)


class Workers(Generic[Blob]):
    """Threads that share a job, each with a connection of its own.

    Threads, because reading, hashing and sending release the interpreter lock.

    :param open_blob: makes a client with a connection of its own, that stops when the given event is set
    :param most: how many there are at most
    :param name: what the threads are called, with a number behind
    """

    def __init__(self, open_blob: Callable[[threading.Event], Blob], most: int, name: str) -> None:
        self._cancel = threading.Event()
        self._error: Optional[Exception] = None
        self._lock = threading.Lock()
        self._name = name
        self.blobs: List[Blob] = [open_blob(self._cancel) for _number in range(most)]

    @property
    def cancelled(self) -> threading.Event:
        """Set when one has failed or the run was interrupted: nothing new is to be begun."""
        return self._cancel

    def run(self, do: Callable[[Blob], None], tick: Callable[[], None], every: float) -> None:
        """Have each thread do the job, and return when all have; each connection is closed then.

        The first failure ends all of them, and is raised. After an interruption, too, no thread goes on.

        :param do: all that one thread does; it returns when there is no more to do, or `cancelled` is set
        :param tick: called by the calling thread every so many seconds; what it raises ends the job
        """
        threads = [
            threading.Thread(
                target=self._guarded, args=(do, blob), daemon=True, name="{0}-{1}".format(self._name, number)
            )
            for number, blob in enumerate(self.blobs)
        ]
        try:
            self._run(threads, tick, every)
        except BaseException:
            # Interrupted or killed: nothing may go on writing when the caller cleans up.
            self._cancel.set()
            self._abort()
            for thread in threads:
                if thread.is_alive():
                    thread.join(_LAST_SECONDS)
            raise
        if self._error is not None:
            raise self._error

    def _guarded(self, do: Callable[[Blob], None], blob: Blob) -> None:
        """The life of one thread."""
        try:
            do(blob)
        except UploadCancelledError:
            return
        # The boundary of a thread: whatever ends it, the others and the user must know.
        except Exception as error:  # noqa: BLE001
            self._fail(error)
        finally:
            blob.close()

    def _fail(self, error: Exception) -> None:
        """Keep the first error; what fails after it fails because of it."""
        with self._lock:
            if self._error is None and not self._cancel.is_set():
                self._error = error
        self._cancel.set()

    def _run(self, threads: List[threading.Thread], tick: Callable[[], None], every: float) -> None:
        load = _Load()
        resting = deque(threads)
        _start(resting, max(load.processors, _LEAST) + 1)
        deadline = time.monotonic() + every
        while True:
            thread = next((each for each in threads if each.is_alive()), None)
            if thread is None:
                return
            growing = bool(resting) and not self._cancel.is_set()
            pause = max(0.0, deadline - time.monotonic())
            thread.join(min(pause, _GROW_EVERY) if growing else pause)
            if growing and load.is_low():
                _start(resting, len(threads) - len(resting))
            if time.monotonic() >= deadline:
                if self._cancel.is_set():
                    # One has failed for good; the others need not wait for answers that do not matter.
                    self._abort()
                tick()
                deadline = time.monotonic() + every

    def _abort(self) -> None:
        for blob in self.blobs:
            blob.abort()


def _start(resting: Deque[threading.Thread], count: int) -> None:
    while resting and count:
        resting.popleft().start()
        count -= 1


class _Load:
    """How busy this process keeps the processors that it may use."""

    def __init__(self) -> None:
        try:
            self.processors = len(os.sched_getaffinity(0))
        except AttributeError:  # not Linux
            self.processors = os.cpu_count() or 1
        self._since = time.monotonic()
        self._used = time.process_time()

    def is_low(self) -> bool:
        """Whether it was idle for most of the time since it was last asked, at least `_GROW_EVERY` ago."""
        now, used = time.monotonic(), time.process_time()
        if now - self._since < _GROW_EVERY:
            return False
        share = (used - self._used) / (now - self._since) / self.processors
        self._since, self._used = now, used
        return share < _IDLE
