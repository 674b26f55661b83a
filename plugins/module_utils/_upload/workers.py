# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Several connections at once, one thread each, that end together."""

import threading
import time
from typing import Callable, Generic, Optional, Sequence, TypeVar

from ansible_collections.goldenimage.azure.plugins.module_utils._upload.errors import UploadCancelledError
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.page_blob import PageBlob

# How long to wait for a thread whose connection was just aborted.
_LAST_SECONDS = 5

Blob = TypeVar("Blob", bound=PageBlob)


class Workers(Generic[Blob]):
    """Threads that share a job, each with a connection of its own.

    Threads, because reading, hashing and sending release the interpreter lock.

    :param open_blob: makes a client with a connection of its own, that stops when the given event is set
    :param name: what the threads are called, with a number behind
    """

    def __init__(self, open_blob: Callable[[threading.Event], Blob], count: int, name: str) -> None:
        self._cancel = threading.Event()
        self._error: Optional[Exception] = None
        self._lock = threading.Lock()
        self._name = name
        self.blobs: Sequence[Blob] = [open_blob(self._cancel) for _number in range(count)]

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
            for thread in threads:
                thread.start()
            self._wait(threads, tick, every)
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

    def _wait(self, threads: Sequence[threading.Thread], tick: Callable[[], None], every: float) -> None:
        deadline = time.monotonic() + every
        for thread in threads:
            while thread.is_alive():
                thread.join(max(0.0, deadline - time.monotonic()))
                if time.monotonic() >= deadline:
                    if self._cancel.is_set():
                        # One has failed for good; the others need not wait for answers that do not matter.
                        self._abort()
                    tick()
                    deadline = time.monotonic() + every

    def _abort(self) -> None:
        for blob in self.blobs:
            blob.abort()
