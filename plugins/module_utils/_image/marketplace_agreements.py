# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The legal terms of images with a plan, which a subscription accepts once.

Source: Marketplace Agreements - Get and - Create, api-version 2021-01-01, of Azure's REST reference.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import (
    AzureError,
    InvalidInput,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

_API = "2021-01-01"
_NO_ANSWER = (400, 403, 404, 409)


def _path(session: AzureSession, plan: Mapping[str, str]) -> str:
    return (
        f"/subscriptions/{session.subscription_id}/providers/Microsoft.MarketplaceOrdering/offerTypes/"
        f"virtualmachine/publishers/{plan['publisher']}/offers/{plan['product']}/plans/{plan['name']}"
        "/agreements/current"
    )


def read_agreement(session: AzureSession, plan: Mapping[str, str]) -> dict[str, Any]:
    """The agreement about a plan (publisher, product, name) in wire shape.

    Raises InvalidInput when the Marketplace has no such plan, AzureError otherwise.
    """
    missing = InvalidInput(
        f"plan: the Marketplace has no plan {plan['name']} of offer {plan['product']} by"
        f" {plan['publisher']}.",
        remedy="Take the plan from the image: image_source_info returns it.",
    )
    try:
        found = session.arm.get(_path(session, plan), _API)
    except AzureError as error:
        if error.status == 400:
            raise missing from error
        raise
    if found is None:
        raise missing
    return found


def is_accepted(session: AzureSession, plan: Mapping[str, str]) -> bool | None:
    """Whether the subscription has accepted the terms; None where that cannot be learned."""
    try:
        return bool(read_agreement(session, plan)["properties"].get("accepted"))
    except AzureError as error:
        if isinstance(error, InvalidInput) or error.status in _NO_ANSWER:
            return None
        raise


def answer_agreement(
    session: AzureSession, plan: Mapping[str, str], agreement: Mapping[str, Any], *, accepted: bool
) -> dict[str, Any]:
    """Accept the terms as they were read, or take that back. Returns the agreement as Azure keeps it."""
    body = {**agreement, "properties": {**agreement["properties"], "accepted": accepted}}
    return session.arm.put(_path(session, plan), body, _API, Waiter(True, 120))


def agreement_facts(agreement: Mapping[str, Any]) -> dict[str, Any]:
    """The returned form. `terms_digest` is another one when Azure links to other texts for the plan."""
    properties = agreement["properties"]
    links = {
        "license_text": properties.get("licenseTextLink"),
        "privacy_policy": properties.get("privacyPolicyLink"),
        "marketplace_terms": properties.get("marketplaceTermsLink"),
    }
    # The links name the texts' versions; the signature and the time of reading differ each time.
    digested = "\n".join(f"{name}={link}" for name, link in links.items())
    return {
        "publisher": properties.get("publisher"),
        "product": properties.get("product"),
        "name": properties.get("plan"),
        "accepted": bool(properties.get("accepted")),
        "links": links,
        "terms_digest": hashlib.sha256(digested.encode()).hexdigest(),
        "retrieved": properties.get("retrieveDatetime"),
    }
