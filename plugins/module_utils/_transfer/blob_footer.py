# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Whether a page blob holds a fixed VHD, by the footer behind its disk."""

from __future__ import annotations

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.vhd_footer import (
    FIXED,
    FOOTER_SIZE,
    FooterError,
    parse_footer,
)


def check_blob_size(name: str, blob_size: int) -> None:
    """Raise InvalidInput for a blob that has no room for a disk and a footer, in bytes."""
    if blob_size <= FOOTER_SIZE:
        raise InvalidInput(f"{name} holds no VHD: it has {blob_size} bytes.")


def check_footer(footer: bytes, name: str, blob_size: int) -> None:
    """Raise InvalidInput unless the last 512 bytes of a blob are the footer of a fixed VHD of its size.

    :param name: what the blob is, for the message
    """
    size = blob_size - FOOTER_SIZE
    try:
        found = parse_footer(footer)
    except FooterError as error:
        raise InvalidInput(f"{name} holds no VHD: {error}.") from None
    if found.disk_type != FIXED or found.current_size != size:
        raise InvalidInput(
            f"{name} holds no sound fixed VHD: its footer is of type {found.disk_type} for"
            f" {found.current_size} bytes, but {size} bytes stand before it."
        )
