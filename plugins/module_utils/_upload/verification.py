# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Whether what was sent has arrived."""

import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Deque, Optional

from ansible_collections.goldenimage.azure.plugins.module_utils._upload.checksum import md5
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.engine import OpenBlob
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.errors import UploadError
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.page_blob import PageBlob
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.plan import (
    ContentDigest,
    Plan,
    pieces_of,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.ranges import Ranges, first_difference
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.scan import Piece

CONTENT_DIFFERS = "ContentDiffers"


def verify_ranges(plan: Plan, blob: PageBlob) -> None:
    """Compare what the service says was written with the plan; a difference raises :class:`UploadError`.

    The data itself was checked by the service: every request carried its MD5.
    """
    difference = first_difference(plan.written, Ranges(blob.page_ranges()))
    if difference is not None:
        raise UploadError(
            "The uploaded disk is not what was sent: {0}. Something else wrote to it; "
            "upload it again.".format(difference)
        )


def verify_content(plan: Plan, open_blob: OpenBlob, connections: int) -> None:
    """Read everything back that was sent and compare its digest; a difference raises :class:`UploadError`.

    Holds at most one piece per connection in memory.
    """
    cancel = threading.Event()
    idle: Deque[PageBlob] = deque(open_blob(cancel) for _number in range(connections))
    blobs = list(idle)
    digest = ContentDigest(plan.virtual_size)

    def read(offset: int, length: int) -> Piece:
        blob = idle.pop()
        try:
            return Piece(offset, length, md5(blob.get_pages(offset, length)))
        finally:
            idle.append(blob)

    waiting: Deque["Future[Piece]"] = deque()
    pool = ThreadPoolExecutor(max_workers=connections)
    try:
        for piece in pieces_of(plan.ranges):
            waiting.append(pool.submit(read, *piece))
            if len(waiting) > 2 * connections:
                digest.add(waiting.popleft().result())
        while waiting:
            digest.add(waiting.popleft().result())
        footer: Optional[bytes] = blobs[0].get_pages(plan.virtual_size, len(plan.footer))
    except BaseException:
        cancel.set()
        for blob in blobs:
            blob.abort()
        raise
    finally:
        for future in waiting:
            future.cancel()
        pool.shutdown()
        for blob in blobs:
            blob.close()
    if footer != plan.footer or digest.digest().hex() != plan.content_sha256:
        raise UploadError(
            "The uploaded disk, read back, is not what was sent; something else wrote to it.",
            code=CONTENT_DIFFERS,
        )
