# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""URLs of the VHD blobs that Azure makes disks and images of, checked before any request.

Azure's refusals: "Understand common error messages when you manage Windows virtual machines in Azure", of its
documentation.
"""

from __future__ import annotations

import ipaddress
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput


class BlobPlace(NamedTuple):
    """Where a blob is: the account's name, the container and the blob's name, without percent signs."""

    account: str
    container: str
    name: str


def is_url(text: str) -> bool:
    return text.lower().startswith(("https://", "http://"))


def checked_blob_url(option: str, url: str) -> str:
    """The URL, if Azure takes a disk from a blob of that name; raises InvalidInput otherwise."""
    blob_place(option, url)
    return url


def blob_place(option: str, url: str) -> BlobPlace:
    """The URL of a VHD blob taken apart; raises InvalidInput for one that Azure takes no disk from.

    :param option: the option that names the blob, with which messages begin
    """
    parts = urlsplit(url)
    if parts.query or parts.fragment:
        # The query may be a signature: it is not repeated.
        raise InvalidInput(
            f"{option}: the URL of the blob has a query, Azure takes it without one.",
            remedy="Give the URL without what follows the question mark.",
        )
    host = parts.hostname or ""
    path = [unquote(part) for part in parts.path.split("/")[1:]]
    account = host.partition(".")[0]
    if _is_address(host) and path:
        account, *path = path  # the account is part of the path where the host is an address
    if len(path) < 2 or not all(path):
        raise InvalidInput(
            f"{option}: {url} does not name a blob.",
            remedy="It looks like https://ACCOUNT.blob.core.windows.net/CONTAINER/NAME.vhd.",
        )
    if len(path) > 2:
        raise InvalidInput(
            f"{option}: the name of the blob in {url} has a slash, Azure refuses that for disks."
        )
    if not path[1].lower().endswith(".vhd"):
        raise InvalidInput(
            f"{option}: the name of the blob in {url} does not end in .vhd, Azure refuses that."
        )
    return BlobPlace(account, path[0], path[1])


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
