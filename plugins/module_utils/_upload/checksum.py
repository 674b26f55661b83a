# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""MD5, which the blob service checks each body with. It guards against damage, not against attackers."""

import hashlib
from functools import partial
from typing import Any, Callable, Dict, Union

from ansible_collections.goldenimage.azure.plugins.module_utils._upload.errors import UploadError

# In FIPS mode MD5 has to be asked for as a checksum; Python can be told so from 3.9 on, and on RHEL 8.
_AS_CHECKSUM: Dict[str, Any] = {"usedforsecurity": False}


def _find() -> Callable[..., Any]:
    try:
        hashlib.new("md5", b"", **_AS_CHECKSUM)  # noqa: S324 - guards the transport only
    except (TypeError, ValueError):
        return partial(hashlib.new, "md5")
    return partial(hashlib.new, "md5", **_AS_CHECKSUM)


_md5 = _find()


def md5(data: Union[bytes, bytearray, memoryview]) -> bytes:
    """The MD5 of the data, 16 bytes; raises :class:`UploadError` where the host forbids even that."""
    try:
        digest: bytes = _md5(data).digest()
    except ValueError:
        raise UploadError(
            "This host forbids MD5 even as a checksum (FIPS mode with a Python before 3.9); "
            "run the task with a newer Python, see ansible_python_interpreter"
        ) from None
    return digest
