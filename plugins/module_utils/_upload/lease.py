# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The lease by which one upload keeps all others off a blob (REST reference, "Lease Blob")."""

import threading
import time
from types import TracebackType
from typing import Callable, Optional, Type
from uuid import UUID

from ansible_collections.goldenimage.azure.plugins.module_utils._upload.errors import (
    UploadCancelledError,
    UploadError,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.page_blob import PageBlob

SECONDS = 60  # the longest that ends by itself: what a killed upload leaves locked
_RENEW_EVERY = 20.0


class Lease:
    """A context manager that holds the lease of a blob and renews it by a thread of its own.

    A lease that is lost ends the upload by itself, because every request names it; the thread only ends then.

    :param upload: the upload's id, 32 hexadecimal digits: whoever goes on with it takes its lease over
    :param open_blob: makes a client with a connection of its own
    """

    def __init__(self, upload: str, open_blob: Callable[[threading.Event], PageBlob]) -> None:
        self.id = str(UUID(upload))
        self._open_blob = open_blob
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._renew, daemon=True, name="lease")

    def __enter__(self) -> "Lease":
        blob = self._open_blob(threading.Event())
        try:
            blob.acquire_lease(self.id, SECONDS)
        finally:
            blob.close()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self._ended.set()
        self._thread.join(5)
        blob = self._open_blob(threading.Event())
        try:
            blob.release_lease(self.id)
        except UploadError:
            return  # it ends by itself in a minute
        finally:
            blob.close()

    def _renew(self) -> None:
        due = time.monotonic() + _RENEW_EVERY
        while not self._ended.wait(max(0.0, due - time.monotonic())):
            due = time.monotonic() + _RENEW_EVERY
            blob = self._open_blob(self._ended)
            try:
                blob.renew_lease(self.id)
            except UploadCancelledError:
                return
            except UploadError as error:
                if error.status in (404, 409, 412):
                    return  # lost: the next page will say so
            finally:
                blob.close()
