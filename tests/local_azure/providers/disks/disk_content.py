# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The bytes behind managed disks, snapshots and images: page blobs in accounts nobody sees."""

from __future__ import annotations

import asyncio
import secrets
from typing import Literal

from tests.local_azure.azure import LocalAzure, new_account_key
from tests.local_azure.blob_storage import vhd
from tests.local_azure.blob_storage.blob_vhd import FOOTER_SIZE
from tests.local_azure.blob_storage.blobs import BlobAddress, BlobError, parse_blob_url
from tests.local_azure.errors import ArmError, invalid_value
from tests.local_azure.store import Resource
from tests.local_azure.threads import in_thread

_ACCOUNT = "md-local"
_UPLOAD_ACCOUNT = "md-impexp-local"


class DiskContent:
    """One page blob for each disk, named as on Azure: the blob is always `abcd`."""

    def __init__(self, azure: LocalAzure) -> None:
        self._azure = azure
        self._blobs = azure.blobs

    def new_address(self, *, upload: bool = False) -> BlobAddress:
        return BlobAddress(_UPLOAD_ACCOUNT if upload else _ACCOUNT, secrets.token_hex(6), "abcd")

    async def _ready(self, address: BlobAddress) -> None:
        account = address.account
        known = self._azure.store.get(f"/hidden/{account}")
        if known is None:
            known = Resource(f"/hidden/{account}", "hidden", "", account, {}, {"key": new_account_key()})
            self._azure.store.put(known)
        await in_thread(self._blobs.ensure_account, account, known.hidden["key"])

    async def empty(self, address: BlobAddress, size: int) -> None:
        """A disk of zeros with its footer."""
        await self.for_upload(address, size + FOOTER_SIZE)
        await in_thread(self._blobs.write_vhd_footer, address)

    async def for_upload(self, address: BlobAddress, blob_size: int) -> None:
        await self._ready(address)
        await in_thread(self._blobs.create_page_blob, address, blob_size)

    async def copy(self, source: BlobAddress, target: BlobAddress) -> None:
        await self._ready(target)
        await in_thread(self._blobs.copy, source, target)

    async def grow(self, address: BlobAddress, old: int, new: int) -> None:
        if new > old:
            await in_thread(self._blobs.resize, address, new + FOOTER_SIZE)

    async def write_text(self, address: BlobAddress, content: bytes) -> None:
        """What the platform itself writes for a user to read: logs."""
        await self._ready(address)
        await in_thread(self._blobs.write_block_blob, address, content)

    async def delete(self, resource: Resource) -> None:
        """Removes what the resource's hidden part names: one blob, or an image's several."""
        for stored in (resource.hidden.get("blob"), *resource.hidden.get("blobs", {}).values()):
            if stored:
                await in_thread(self._blobs.delete, BlobAddress(*stored))

    async def grant(self, address: BlobAddress, access: Literal["Read", "Write"], seconds: int) -> str:
        return await in_thread(self._blobs.grant, address, access, seconds)

    async def revoke(self, address: BlobAddress) -> None:
        await in_thread(self._blobs.revoke, address)

    async def uploaded_size(self, address: BlobAddress) -> int:
        """Bytes of the disk that was uploaded; InvalidVhd when it is no fixed VHD."""
        url = f"{self._blobs.endpoint}{address.path}"
        return await in_thread(vhd.disk_size, self._blobs, address, "abcd", url, importing=False)

    async def imported(self, url: str, name: str, target: str) -> tuple[BlobAddress, int]:
        """The user's blob behind a URL and its disk size; `target` is the property that named it."""
        address = self._blob_address(url, target)
        try:
            size: int = await asyncio.to_thread(
                vhd.disk_size, self._blobs, address, name, url, importing=True
            )
        except BlobError as error:
            raise ArmError(
                400, "InvalidParameter", f"The source blob {url} is not accessible.", target="disks"
            ) from error
        return address, size

    def account_of(self, url: str) -> str:
        """The name of the storage account in a blob's URL, of this machine's or of Azure's form."""
        own = self._blobs.endpoint + "/"
        if url.startswith(own):
            return url.removeprefix(own).partition("/")[0]
        return url.removeprefix("https://").partition("/")[0].partition(".blob.")[0]

    def _blob_address(self, url: str, target: str) -> BlobAddress:
        plain = url.partition("?")[0]
        base = self._blobs.endpoint + "/"
        host, _unused, path = plain.removeprefix("https://").partition("/")
        account = host.partition(".blob.")[0]
        if not plain.startswith(base):
            known = {r.name for r in self._azure.store.of_type("Microsoft.Storage/storageAccounts")}
            if account not in known or not path:
                raise invalid_value(target, f"The source blob {url} is not accessible.")
            plain = f"{base}{account}/{path}"
        try:
            address = parse_blob_url(plain)
        except ValueError:
            raise invalid_value(target) from None
        if "/" in address.blob:
            raise invalid_value(
                target,
                f"The blob name in URL {url} contains a slash. This is presently not supported for disks.",
            )
        if not address.blob.lower().endswith(".vhd"):
            raise invalid_value(target, f"Blob name in URL {url} must end with '.vhd' extension.")
        return address
