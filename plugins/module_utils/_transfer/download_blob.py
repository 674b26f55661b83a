# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""A page blob that is read: ranges with their MD5, and nothing of a blob that changed meanwhile."""

from __future__ import annotations

import base64
from typing import NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.vhd_footer import FOOTER_SIZE
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.blob_footer import (
    check_blob_size,
    check_footer,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.checksum import md5
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.errors import UploadError
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.exchange import Response
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.page_blob import ATTEMPTS, PageBlob

# The hosts that managed disks are exported from take fewer headers than a storage account does.
_REFUSED_HEADER = ("UnsupportedHeader", "InvalidHeaderValue")


class Came(NamedTuple):
    """Bytes that were read, and their MD5. `checked`: the service told the same one."""

    data: bytes
    md5: bytes
    checked: bool


class SourceBlob(PageBlob):
    """See :class:`PageBlob`; not to be shared by threads."""

    # Granting access to a disk anew ends the access that other connections still use.
    expired_codes = ("AuthenticationFailed", "AuthorizationFailure")

    _tells_md5 = True

    def fetch(self, offset: int, length: int, etag: str) -> Came:
        """At most 4 MiB of the blob, which is as much as the service tells an MD5 of (REST reference, "Get
        Blob"); raises UploadError, also for a blob that is shorter.

        :param etag: a blob that has another one is an error; empty takes any
        """
        what = f"read bytes {offset} and following"
        for _attempt in range(ATTEMPTS):
            answer = self._get(offset, length, etag, what)
            check = md5(answer.body)
            told = answer.headers.get("content-md5") if self._tells_md5 else None
            if len(answer.body) == length and told in {None, base64.b64encode(check).decode()}:
                return Came(answer.body, check, told is not None)
        raise UploadError(f"Could not {what}: what came was damaged on the way (tried {ATTEMPTS} times)")

    def _get(self, offset: int, length: int, etag: str, what: str) -> Response:
        headers = {"x-ms-range": f"bytes={offset}-{offset + length - 1}"}
        if etag:
            headers["If-Match"] = etag
        if not self._tells_md5:
            return self._call("GET", "", headers, what=what)
        try:
            return self._call("GET", "", {**headers, "x-ms-range-get-content-md5": "true"}, what=what)
        except UploadError as error:
            if error.status != 400 or error.code not in _REFUSED_HEADER:
                raise
        self._tells_md5 = False
        return self._call("GET", "", headers, what=what)


def read_footer(blob: SourceBlob, name: str, blob_size: int, etag: str) -> bytes:
    """The 512 bytes behind the disk in a blob; raises InvalidInput for a blob that is no fixed VHD.

    :param name: what the blob is, for the message
    """
    check_blob_size(name, blob_size)
    footer = blob.fetch(blob_size - FOOTER_SIZE, FOOTER_SIZE, etag).data
    check_footer(footer, name, blob_size)
    return footer
