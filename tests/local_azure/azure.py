# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What the resource providers share: store, operations, blob service and, if wanted, the guests."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from typing import NamedTuple

from tests.local_azure.access import Access
from tests.local_azure.blobs import BlobStore
from tests.local_azure.guests_host import GuestHost
from tests.local_azure.operations import Operations
from tests.local_azure.paging import Paging
from tests.local_azure.settings import Settings
from tests.local_azure.store import Resource, Store


class Location(NamedTuple):
    name: str
    display_name: str
    #: How Compute spells it in operation URLs.
    compute_name: str


LOCATIONS = tuple(
    Location(display.lower().replace(" ", ""), display, compute or display.lower().replace(" ", ""))
    for display, compute in (
        ("East US", None),
        ("East US 2", None),
        ("East US 2 EUAP", "EastUS2EUAP"),
        ("West US", None),
        ("West US 2", None),
        ("West US 3", None),
        ("Central US", None),
        ("Central US EUAP", "CentralUSEUAP"),
        ("North Central US", None),
        ("South Central US", None),
        ("West Central US", None),
        # Where Azure tries new versions of itself; many recordings come from there.
        ("East US 2 EUAP", "EastUS2EUAP"),
        ("Central US EUAP", "CentralUSEUAP"),
        ("North Europe", None),
        ("West Europe", None),
        ("UK South", None),
        ("France Central", "FranceCentral"),
        ("Germany West Central", "GermanyWestCentral"),
        ("Sweden Central", "SwedenCentral"),
        ("Switzerland North", "SwitzerlandNorth"),
        ("Southeast Asia", None),
        ("Japan East", None),
        ("Australia East", None),
    )
)
_BY_NAME: Mapping[str, Location] = {location.name: location for location in LOCATIONS}


def find_location(text: str) -> Location | None:
    """Knows "East US 2", "eastus2" and "EastUS2" as one place."""
    return _BY_NAME.get(text.replace(" ", "").lower())


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
