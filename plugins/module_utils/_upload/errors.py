# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Failures of an upload, told without the signature that gave access."""

import re
from typing import Optional

_SIGNATURE = re.compile(r"(?i)\b(sig=)[^&\s\"'<]+")


def without_signature(text: str) -> str:
    """The text with the signature of any SAS in it replaced."""
    return _SIGNATURE.sub(r"\1...", text)


class UploadError(Exception):
    """The upload cannot go on. `code` is the blob service's error code, `status` the HTTP status."""

    def __init__(
        self,
        message: str,
        code: Optional[str] = None,
        status: Optional[int] = None,
        request_id: Optional[str] = None,
    ) -> None:
        super().__init__(without_signature(message))
        self.message = without_signature(message)
        self.code = code
        self.status = status
        self.request_id = request_id


class UploadCancelledError(Exception):
    """Another part of the same upload has failed, so this one stops."""
