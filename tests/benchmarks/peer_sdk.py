# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""azure-storage-blob's upload_blob, as its documentation shows it: peer_sdk.py DISK URL."""

import sys
from pathlib import Path

from azure.storage.blob import BlobClient, BlobType

disk, url = sys.argv[1:]
with Path(disk).open("rb") as data:
    BlobClient.from_blob_url(url).upload_blob(
        data, blob_type=BlobType.PAGEBLOB, length=Path(disk).stat().st_size, max_concurrency=8
    )
