# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""azure_rm_storageblob's own upload, with nothing of ARM around it: peer_azcollection.py DISK URL."""

import importlib
import sys
from typing import Any, NoReturn
from urllib.parse import urlsplit

from azure.storage.blob import BlobServiceClient

# The collection is there only in the environment that this is run in.
storageblob: Any = importlib.import_module(
    "ansible_collections.azure.azcollection.plugins.modules.azure_rm_storageblob"
)


class Module(storageblob.AzureRMStorageBlob):  # type: ignore[misc]
    """The module's class; what would sign in and look the account up is not called."""

    def __init__(self, options: dict[str, Any], service: BlobServiceClient) -> None:
        unset = ("content_type", "content_encoding", "content_language", "content_disposition")
        self.__dict__.update(dict.fromkeys((*unset, "cache_control", "content_md5", "tags", "container_obj")))
        self.__dict__.update(options, blob_service_client=service, check_mode=False)
        self.results = {"changed": False, "actions": []}

    def fail(self, msg: str, **_details: object) -> NoReturn:
        raise SystemExit(msg)

    def get_blob(self) -> dict[str, Any]:
        """The real one turns the properties into a result."""
        client = self.blob_service_client.get_blob_client(container=self.container, blob=self.blob)
        return {"size": client.get_blob_properties().size}


def main() -> None:
    disk, url = sys.argv[1:]
    parts = urlsplit(url)
    account, container, blob = parts.path.strip("/").split("/")
    service = BlobServiceClient(f"{parts.scheme}://{parts.netloc}/{account}?{parts.query}")
    options = {"container": container, "blob": blob, "src": disk, "blob_type": "page", "force": False}
    Module(options, service).upload_blob()


if __name__ == "__main__":
    main()
