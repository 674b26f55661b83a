# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""azure-img-utils' own upload, its blob client given to it: peer_img_utils.py DISK URL."""

import sys
from urllib.parse import urlsplit

from azure.storage.blob import BlobServiceClient
from azure_img_utils.azure_image import AzureImage  # type: ignore[import-not-found]

disk, url = sys.argv[1:]
parts = urlsplit(url)
account, container, blob = parts.path.strip("/").split("/")
image = AzureImage(container=container, storage_account=account)
service = BlobServiceClient(f"{parts.scheme}://{parts.netloc}/{account}?{parts.query}")
vars(image)["_blob_service_client"] = service
image.upload_image_blob(disk, blob_name=blob, max_workers=8, max_attempts=1)
