# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Whether a blob that the service has copied is its source."""

from __future__ import annotations

import ssl

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.vhd_footer import FOOTER_SIZE
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.blob_footer import check_footer
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.connection import BlobUrl
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.errors import UploadError
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.page_blob import PageBlob
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.ranges import Ranges
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.verification import CONTENT_DIFFERS

_PIECE = 4 << 20


def verify_copy(source_url: BlobUrl, target: PageBlob, size: int, context: ssl.SSLContext) -> None:
    """Compare size, footer and written ranges; a difference raises UploadError.

    The service copies no pages that hold nothing but zeros: what is written in the source alone is read.

    :param size: with the VHD footer
    """
    facts = target.facts()
    if facts is None or facts.size != size:
        raise _differs(target, f"it has {facts.size if facts else 0} bytes, not {size}")
    footer = target.get_pages(size - FOOTER_SIZE, FOOTER_SIZE)
    check_footer(footer, f"The copy {target.url}", size)
    source = PageBlob(source_url, context)
    try:
        wanted, found = Ranges(source.page_ranges()), Ranges(target.page_ranges())
        for start, end in found.without(wanted):
            raise _differs(target, f"bytes {start} to {end} are written, which are not in the source")
        for start, end in wanted.without(found):
            _check_zeros(source, target, start, end)
    finally:
        source.close()


def _check_zeros(source: PageBlob, target: PageBlob, start: int, end: int) -> None:
    for offset in range(start, end, _PIECE):
        if any(source.get_pages(offset, min(_PIECE, end - offset))):
            raise _differs(target, f"data from byte {offset} on is missing")


def _differs(target: PageBlob, how: str) -> UploadError:
    return UploadError(f"The copy {target.url} is not its source: {how}", code=CONTENT_DIFFERS)
