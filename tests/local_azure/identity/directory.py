# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Who and what there is before anything is created: tenants, their subscriptions, and who may sign in."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


class IdentityFileError(Exception):
    """The state directory's identity.json does not say what it has to; the message says what to do."""


@dataclass(frozen=True)
class Subscription:
    id: str
    name: str


@dataclass(frozen=True)
class Tenant:
    id: str
    name: str
    domain: str
    subscriptions: tuple[Subscription, ...]


@dataclass(frozen=True)
class Principal:
    """A service principal or the managed identity; it starts with the built-in `role` on `scopes`."""

    tenant_id: str
    client_id: str
    object_id: str
    client_secret: str
    role: str
    scopes: tuple[str, ...]


#: For what the local Azure does on its own account; holds every right and can never sign in.
NOBODY = Principal("", "", "", "", "", ())


@dataclass(frozen=True)
class Identity:
    """`tenants[0]` is the home tenant with two subscriptions; the second tenant has one.

    `owner` owns the home tenant's subscriptions, `reader` may read the first of them, `stranger` owns the
    second tenant's, and `managed` is the identity behind the managed identity endpoint.
    """

    tenants: tuple[Tenant, ...]
    owner: Principal
    reader: Principal
    stranger: Principal
    managed: Principal
    identity_header: str

    @property
    def principals(self) -> tuple[Principal, ...]:
        return (self.owner, self.reader, self.stranger, self.managed)

    @property
    def home(self) -> Tenant:
        return self.tenants[0]

    # The home tenant's first subscription and its owner: what a client without further wishes uses.

    @property
    def tenant_id(self) -> str:
        return self.home.id

    @property
    def subscription_id(self) -> str:
        return self.home.subscriptions[0].id

    @property
    def client_id(self) -> str:
        return self.owner.client_id

    @property
    def object_id(self) -> str:
        return self.owner.object_id

    @property
    def client_secret(self) -> str:
        return self.owner.client_secret

    def tenant(self, tenant_id: str) -> Tenant | None:
        return next((t for t in self.tenants if t.id == tenant_id.lower()), None)

    def tenant_of(self, subscription_id: str) -> Tenant | None:
        """The tenant that a subscription belongs to."""
        wanted = subscription_id.lower()
        return next((t for t in self.tenants if any(s.id == wanted for s in t.subscriptions)), None)

    def client(self, client_id: str) -> Principal | None:
        """Of those who sign in with a secret; the managed identity cannot."""
        clients = (self.owner, self.reader, self.stranger)
        return next((p for p in clients if p.client_id == client_id.lower()), None)

    def principal(self, object_id: str) -> Principal | None:
        return next((p for p in self.principals if p.object_id == object_id.lower()), None)

    def stored(self) -> dict[str, Any]:
        """As it stands in identity.json; `identity_from` reads it."""
        return asdict(self)


def random_identity() -> Identity:
    """A new one for a new state directory."""
    return _identity(str(uuid.uuid4()), str(uuid.uuid4()), _credentials(), secrets.token_hex(16))


def identity_from(stored: dict[str, Any]) -> Identity:
    """Reads what `stored` wrote, and the form of before, which had one subscription and one principal."""
    try:
        if "subscription_id" in stored:
            own = {k: stored[k] for k in ("client_id", "object_id", "client_secret")}
            return _identity(stored["tenant_id"], stored["subscription_id"], own, stored["identity_header"])
        tenants = tuple(
            Tenant(**{**t, "subscriptions": tuple(Subscription(**s) for s in t["subscriptions"])})
            for t in stored["tenants"]
        )
        principals = {
            name: Principal(**{**stored[name], "scopes": tuple(stored[name]["scopes"])})
            for name in ("owner", "reader", "stranger", "managed")
        }
        return Identity(tenants, **principals, identity_header=stored["identity_header"])
    except (KeyError, TypeError) as error:
        raise IdentityFileError(
            f"identity.json does not have the form of this version ({error!r}): remove the state directory "
            "to start anew, or give another one with --state-dir."
        ) from error


def _credentials() -> dict[str, str]:
    return {
        "client_id": str(uuid.uuid4()),
        "object_id": str(uuid.uuid4()),
        # Not with a dash in front: command lines would take it for an option.
        "client_secret": f"L{secrets.token_urlsafe(30)}",
    }


def _identity(tenant: str, subscription: str, owner: dict[str, str], header: str) -> Identity:
    """Everything but the named parts is random."""
    other = str(uuid.uuid4())
    home = Tenant(
        tenant,
        "goldenimage.azure",
        "goldenimage.localhost",
        (
            Subscription(subscription, "goldenimage.azure local subscription"),
            Subscription(str(uuid.uuid4()), "goldenimage.azure second subscription"),
        ),
    )
    elsewhere = Tenant(
        other, "Another tenant", "another.localhost", (Subscription(str(uuid.uuid4()), "Another tenant's"),)
    )
    return Identity(
        (home, elsewhere),
        owner=Principal(tenant, **owner, role="Owner", scopes=_paths(home.subscriptions)),
        reader=Principal(tenant, **_credentials(), role="Reader", scopes=_paths(home.subscriptions[:1])),
        stranger=Principal(other, **_credentials(), role="Owner", scopes=_paths(elsewhere.subscriptions)),
        managed=Principal(tenant, **_credentials(), role="Contributor", scopes=_paths(home.subscriptions)),
        identity_header=header,
    )


def _paths(subscriptions: Sequence[Subscription]) -> tuple[str, ...]:
    return tuple(f"/subscriptions/{s.id}" for s in subscriptions)
