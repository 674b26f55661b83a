# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""A page blob that is read: ranges with their MD5, and nothing of a blob that changed meanwhile."""

from __future__ import annotations

import base64

from ansible_collections.goldenimage.azure.plugins.module_utils._upload.checksum import md5
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.errors import UploadError
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.page_blob import ATTEMPTS, PageBlob


class SourceBlob(PageBlob):
    """See :class:`PageBlob`; not to be shared by threads."""

    # Granting access to a disk anew ends the access that other connections still use.
    expired_codes = ("AuthenticationFailed", "AuthorizationFailure")

    def fetch(self, offset: int, length: int, etag: str) -> tuple[bytes, bytes]:
        """At most 4 MiB of the blob, and their MD5, which is the service's where it tells one.

        :param etag: a blob that has another one is an error; empty takes any
        """
        headers = {
            "x-ms-range": f"bytes={offset}-{offset + length - 1}",
            "x-ms-range-get-content-md5": "true",
        }
        if etag:
            headers["If-Match"] = etag
        what = f"read bytes {offset} and following"
        for _attempt in range(ATTEMPTS):
            answer = self._call("GET", "", headers, what=what)
            check = md5(answer.body)
            told = answer.headers.get("content-md5")
            if len(answer.body) == length and told in {None, base64.b64encode(check).decode()}:
                return answer.body, check
        raise UploadError(f"Could not {what}: what came was damaged on the way (tried {ATTEMPTS} times)")
