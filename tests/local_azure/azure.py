# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What the resource providers share: store, operations, blob service and, if wanted, the guests."""

from __future__ import annotations

import base64
import secrets

from tests.local_azure.blob_storage.blobs import BlobStore
from tests.local_azure.guests_host import GuestHost
from tests.local_azure.identity.access import Access
from tests.local_azure.operations import Operations
from tests.local_azure.paging import Paging
from tests.local_azure.settings import Settings
from tests.local_azure.store import Resource, Store


class LocalAzure:
    """Owns the state; the providers hold the behaviour."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        operations: Operations,
        blobs: BlobStore,
        guests: GuestHost | None,
    ) -> None:
        self.settings = settings
        self.store = store
        self.operations = operations
        self.blobs = blobs
        self.guests = guests
        self.paging = Paging(settings)
        self.access = Access(store, settings.identity)

    def group(self, subscription: str, name: str) -> Resource | None:
        """The resource group of that subscription, whatever the case of its name."""
        return self.store.get(group_id(subscription, name))

    def account_keys(self, account: str) -> list[str] | None:
        """Two keys, made when the account is; accounts are known by their name, whatever the subscription."""
        resource = self.store.named("Microsoft.Storage/storageAccounts", account)
        if resource is None:
            return None
        keys: list[str] = resource.hidden["keys"]
        return keys


def group_id(subscription: str, name: str) -> str:
    return f"/subscriptions/{subscription}/resourceGroups/{name}"


def new_account_key() -> str:
    return base64.b64encode(secrets.token_bytes(64)).decode()
