# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Puts a VHD into a storage account of the local Azure, with Azure's own SDK."""

from __future__ import annotations

import struct
import uuid

from azure.storage.blob import BlobServiceClient

from tests.integration.cloud import LocalAzure

MEBIBYTE = 1024 * 1024


def fixed_vhd_footer(size: int) -> bytes:
    """The last 512 bytes of a fixed VHD of `size` bytes ("Virtual Hard Disk Image Format Specification")."""
    cylinders, heads, sectors = size // 512 // (16 * 63), 16, 63
    fields = struct.pack(
        ">8sIIQI4sI4sQQHBBI",
        b"conectix",
        2,
        0x00010000,
        0xFFFFFFFFFFFFFFFF,
        0,
        b"test",
        0x00010000,
        b"Wi2k",
        size,
        size,
        cylinders,
        heads,
        sectors,
        2,
    )
    rest = bytes(16) + bytes(428)
    checksum = ~sum(fields + rest) & 0xFFFFFFFF
    return fields + struct.pack(">I", checksum) + rest


def page_blob(azure: LocalAzure, group: str, container: str, name: str, *, mebibytes: int) -> str:
    """Make a storage account with one empty VHD in it; returns the blob's URL."""
    account = f"st{uuid.uuid4().hex[:16]}"
    account_id = azure.id(group, "Microsoft.Storage/storageAccounts", account)
    azure.put(account_id, {"location": "eastus", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}})
    endpoint = azure.get(account_id)["properties"]["primaryEndpoints"]["blob"].rstrip("/")
    with _service(azure, account_id, endpoint) as service:
        service.create_container(container)
    url = f"{endpoint}/{container}/{name}"
    put_page_blob(azure, group, url, mebibytes=mebibytes)
    return url


def put_page_blob(azure: LocalAzure, group: str, url: str, *, mebibytes: int = 20, vhd: bool = True) -> None:
    """Make, or make anew, an empty blob of an account of the group; without `vhd` it has no footer."""
    endpoint, container, name = url.rsplit("/", 2)
    account_id = azure.id(group, "Microsoft.Storage/storageAccounts", endpoint.rpartition("/")[2])
    size = mebibytes * MEBIBYTE
    with _service(azure, account_id, endpoint) as service:
        blob = service.get_blob_client(container, name)
        blob.create_page_blob(size + 512)
        if vhd:
            blob.upload_page(fixed_vhd_footer(size), offset=size, length=512)


def _service(azure: LocalAzure, account_id: str, endpoint: str) -> BlobServiceClient:
    key = azure.request("POST", f"{account_id}/listKeys").body["keys"][0]["value"]
    return BlobServiceClient(endpoint, credential=key, connection_verify=azure.env["SSL_CERT_FILE"])
