# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Blobs of the local Azure: storage accounts and the page blobs behind managed disks, in a real Azurite.

What Azurite does not refuse although the real service does, azurite/service_rules.js refuses: puts over 4
MiB, writes past a page blob's end, blobs over 8 TiB, and whatever a managed disk's SAS is not for. There is
Put Page From URL as well, page ranges are listed as by the real service, and copies between accounts are
pending for a while (azurite/blob_copies.js). Still missing: incremental copies (501) and page blob tiers.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import secrets
import tempfile
import threading
import uuid
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Literal, NamedTuple

from tests.local_azure.blob_storage import blob_transfer
from tests.local_azure.blob_storage.blob_ranges import Range
from tests.local_azure.blob_storage.blob_service import AzuriteProcess
from tests.local_azure.blob_storage.blob_vhd import FOOTER_SIZE, fixed_footer, parse_footer
from tests.local_azure.blob_storage.blob_wire import (
    BlobAddress,
    BlobError,
    Wire,
    parse_blob_url,
    policy_sas,
    read_sas,
    utc_text,
)

__all__ = ["BlobAddress", "BlobError", "BlobStore", "VhdFacts", "is_hidden_account", "parse_blob_url"]

# With no account at all, Azurite would open its well-known development account.
_INTERNAL_ACCOUNT = "md-internal-0"
_ACCOUNT_NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,22}[a-z0-9]")
_CONTAINER_NAME = re.compile(r"<Container>\s*<Name>([^<]+)</Name>")
# Whoever writes a disk looks at its size and page ranges too; azurite/service_rules.js forbids the rest.
_PERMISSIONS = {"Read": "r", "Write": "rw"}


class VhdFacts(NamedTuple):
    """What the blob's last 512 bytes say: ``disk_type`` 2 is a fixed VHD; ``virtual_size`` is in bytes."""

    exists: bool
    is_page_blob: bool
    size: int
    cookie_ok: bool
    disk_type: int | None
    virtual_size: int | None


def is_hidden_account(name: str) -> bool:
    """True for the accounts that hold managed disks: one container a disk, no user ever sees them."""
    return name.startswith("md-")


class BlobStore:
    """A blob service with any number of storage accounts. Methods are synchronous and thread-safe.

    All data is in ``state_dir/blobs`` and comes back after a restart. Azurite saves its index every five
    seconds and when it is stopped; a killed one may forget the last seconds.
    """

    def __init__(
        self, state_dir: Path, certificate: Path, key: Path, port: int, *, speed: float = 100.0
    ) -> None:
        """``certificate`` (PEM, chain allowed) must name 127.0.0.1; ``key`` is its private key.

        ``speed``: how much quicker than on Azure blobs are copied.
        """
        self._data_dir = state_dir / "blobs"
        self._data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._accounts_file = self._data_dir / "accounts.json"
        self._accounts = self._load_accounts()
        self._keys = {name: keys[0] for name, keys in self._accounts.items()}
        self._azurite = AzuriteProcess(self._data_dir, port, certificate, key, speed)
        self._wire = Wire(port, certificate, self._keys)
        self._lock = threading.RLock()
        self.endpoint = f"https://127.0.0.1:{port}"

    # Process

    @property
    def pid(self) -> int | None:
        """Azurite's process id while it runs."""
        return self._azurite.pid

    def start(self) -> None:
        """Start Azurite and wait until it answers; nothing happens when it runs already."""
        with self._lock:
            self._azurite.start(self._accounts)

    def stop(self) -> None:
        """End Azurite, its state saved; nothing happens when it is not running."""
        with self._lock:
            self._wire.close()
            self._azurite.stop()

    def set_faults(self, rules: list[dict[str, Any]], log: Path) -> None:
        """Let requests of clients go wrong by these rules, until others are set or the service stops."""
        self._azurite.set_faults(rules, log)

    def fault_counts(self) -> dict[str, dict[str, int]]:
        """By rule, how many requests it counted (`matched`) and how many went wrong (`injected`)."""
        return self._azurite.fault_counts()

    # Accounts and containers

    def ensure_account(self, name: str, key_base64: str, second_key_base64: str | None = None) -> None:
        """Make the account exist with these keys, at once. Works before ``start`` too."""
        if not _ACCOUNT_NAME.fullmatch(name):
            raise ValueError(f"{name!r} cannot be the name of a storage account")
        keys = [key_base64] if second_key_base64 is None else [key_base64, second_key_base64]
        for one in keys:
            try:
                base64.b64decode(one, validate=True)
            except binascii.Error:
                raise ValueError(f"The key for storage account {name} is not base64") from None
        with self._lock:
            if self._accounts.get(name) != keys:
                self._accounts[name] = keys
                self._keys[name] = key_base64
                self._publish_accounts()

    def key(self, account: str) -> str | None:
        """The account's first key in base64; None when there is no such account."""
        return self._keys.get(account)

    def remove_account(self, name: str) -> None:
        """Remove the account with all its containers; nothing happens when it does not exist."""
        with self._lock:
            if name not in self._accounts:
                return
            for container in self.list_containers(name):
                self.delete_container(name, container)
            del self._accounts[name], self._keys[name]
            self._publish_accounts()

    def create_container(self, account: str, container: str) -> bool:
        """Create a container; False when it was there."""
        query = {"restype": "container"}
        return self._wire.request("PUT", f"/{account}/{container}", query=query, accept=(409,)).status == 201

    def list_containers(self, account: str) -> list[str]:
        """Names of the account's containers."""
        answer = self._wire.request("GET", f"/{account}/", query={"comp": "list"})
        return _CONTAINER_NAME.findall(answer.body.decode())

    def delete_container(self, account: str, container: str) -> bool:
        """Delete a container with all its blobs; False when it was not there."""
        path = f"/{account}/{container}"
        return self._wire.request("DELETE", path, query={"restype": "container"}, accept=(404,)).status == 202

    # Blobs

    def url(self, address: BlobAddress) -> str:
        """The blob's URL, without any right to use it."""
        return self.endpoint + address.path

    def create_page_blob(self, address: BlobAddress, size: int) -> None:
        """Create a blob of ``size`` bytes, all zero and using no space, with its container if need be."""
        self.create_container(address.account, address.container)
        headers = {"x-ms-blob-type": "PageBlob", "x-ms-blob-content-length": str(size)}
        self._wire.request("PUT", address.path, headers=headers)

    def size(self, address: BlobAddress) -> int | None:
        """The blob's length in bytes; None when it does not exist."""
        answer = self._wire.request("HEAD", address.path, accept=(404,))
        return None if answer.status == 404 else int(answer.headers["content-length"])

    def copy(self, source: BlobAddress, target: BlobAddress) -> None:
        """Make ``target`` an independent copy of ``source``, page ranges kept.

        Takes no time and no space.
        """
        self.create_container(target.account, target.container)
        url = self.url(source)
        if source.account != target.account:
            expiry = datetime.now(timezone.utc) + timedelta(minutes=5)
            url += "?" + read_sas(self._keys[source.account], source, expiry)
        answer = self._wire.request("PUT", target.path, headers={"x-ms-copy-source": url})
        if answer.headers.get("x-ms-copy-status") != "success":
            raise BlobError(f"The copy of {source.path} to {target.path} did not succeed", answer.status)

    def resize(self, address: BlobAddress, size: int) -> None:
        """Give the blob ``size`` bytes: cut, or continued with zeros. A VHD footer at its end moves along."""
        facts = self.inspect_vhd(address)
        if facts.cookie_ok:
            blob_transfer.clear_pages(self._wire, address, facts.size - FOOTER_SIZE, FOOTER_SIZE)
        headers = {"x-ms-blob-content-length": str(size)}
        self._wire.request("PUT", address.path, query={"comp": "properties"}, headers=headers)
        if facts.cookie_ok:
            self.write_vhd_footer(address)

    def write_vhd_footer(self, address: BlobAddress) -> None:
        """Make the blob's last 512 bytes the footer of a fixed VHD as large as the bytes before them."""
        size = self.size(address) or 0
        self.write(address, size - FOOTER_SIZE, fixed_footer(size - FOOTER_SIZE))

    def delete(self, address: BlobAddress) -> None:
        """Delete the blob, if it exists; in a hidden account its container goes with it."""
        if is_hidden_account(address.account):
            self.delete_container(address.account, address.container)
        else:
            self._wire.request("DELETE", address.path, accept=(404,))

    def read(self, address: BlobAddress, offset: int, length: int) -> bytes:
        """A part of the blob's content."""
        content = bytearray(length)
        self._wire.read_range(address.path, offset, memoryview(content))
        return bytes(content)

    def write(self, address: BlobAddress, offset: int, content: bytes) -> None:
        """Write pages; offset and length are multiples of 512, at most 4 MiB."""
        blob_transfer.write_pages(self._wire, address, offset, content)

    def write_block_blob(self, address: BlobAddress, content: bytes) -> None:
        """Make the blob, with its container if need be, an ordinary one of that content."""
        self.create_container(address.account, address.container)
        self._wire.request("PUT", address.path, headers={"x-ms-blob-type": "BlockBlob"}, body=content)

    def written_ranges(self, address: BlobAddress) -> list[Range]:
        """``(offset, length)`` of what has been written, merged."""
        return blob_transfer.written_ranges(self._wire, address)

    def fingerprint(self, address: BlobAddress) -> str:
        """Equal for two blobs only if their content is; a copy has its source's until one is written to."""
        return self._azurite.layout(*address)

    # Access

    def grant(self, address: BlobAddress, access: Literal["Read", "Write"], seconds: int) -> str:
        """URL with a SAS for the blob, as a managed disk's beginGetAccess gives.

        Rights and end are in a stored access policy of the container, so the URL shows only ``si=`` and can
        be revoked. The policy replaces those that the container had.
        """
        policy_id = str(uuid.uuid4())
        expiry = utc_text(datetime.now(timezone.utc) + timedelta(seconds=seconds))
        policy = (
            f"<SignedIdentifier><Id>{policy_id}</Id><AccessPolicy>"
            f"<Expiry>{expiry}</Expiry><Permission>{_PERMISSIONS[access]}</Permission>"
            "</AccessPolicy></SignedIdentifier>"
        )
        self._set_policies(address, policy)
        return f"{self.url(address)}?{policy_sas(self._keys[address.account], address, policy_id)}"

    def revoke(self, address: BlobAddress) -> None:
        """End what ``grant`` gave: its URL answers 403 from now on. No error when nothing was granted."""
        self._set_policies(address, "")

    def _set_policies(self, address: BlobAddress, policies: str) -> None:
        body = f'<?xml version="1.0" encoding="utf-8"?><SignedIdentifiers>{policies}</SignedIdentifiers>'
        self._wire.request(
            "PUT",
            f"/{address.account}/{address.container}",
            query={"restype": "container", "comp": "acl"},
            headers={"content-type": "application/xml"},
            body=body.encode(),
        )

    # Disks

    def inspect_vhd(self, address: BlobAddress) -> VhdFacts:
        """What stands in the blob's VHD footer."""
        answer = self._wire.request("HEAD", address.path, accept=(404,))
        if answer.status == 404:
            return VhdFacts(False, False, 0, False, None, None)
        size = int(answer.headers["content-length"])
        is_page_blob = answer.headers["x-ms-blob-type"] == "PageBlob"
        tail = self.read(address, size - FOOTER_SIZE, FOOTER_SIZE) if size >= FOOTER_SIZE else b""
        footer = parse_footer(tail)
        if footer is None:
            return VhdFacts(True, is_page_blob, size, False, None, None)
        return VhdFacts(True, is_page_blob, size, True, footer.disk_type, footer.virtual_size)

    def export_raw(self, address: BlobAddress, path: Path) -> None:
        """Write the disk in the blob to a sparse raw file, without its VHD footer."""
        blob_transfer.export_raw(self._wire, address, path)

    def import_raw(self, path: Path, address: BlobAddress, base: Path | None = None) -> int:
        """Make the disk in the blob equal to a raw file of the same size; returns the bytes sent.

        The VHD footer stays. ``base`` is a raw file with the blob's present content, if there is one; without
        it the blob is read first. ValueError when the sizes differ.
        """
        if base is not None:
            return blob_transfer.import_raw(self._wire, path, address, base)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".import-") as scratch:
            present = Path(scratch) / "present.raw"
            self.export_raw(address, present)
            return blob_transfer.import_raw(self._wire, path, address, present)

    # State

    def _load_accounts(self) -> dict[str, list[str]]:
        try:
            accounts: dict[str, list[str]] = json.loads(self._accounts_file.read_text())
        except FileNotFoundError:
            accounts = {_INTERNAL_ACCOUNT: [base64.b64encode(secrets.token_bytes(64)).decode()]}
        return accounts

    def _publish_accounts(self) -> None:
        part = self._accounts_file.with_suffix(".part")
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(self._accounts, file)
        part.replace(self._accounts_file)
        if self._azurite.pid is not None:
            self._azurite.set_accounts(self._accounts)
