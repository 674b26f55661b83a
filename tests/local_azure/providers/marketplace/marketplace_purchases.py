# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Which plans of the Marketplace a subscription has accepted, and what a machine may be made of without."""

from __future__ import annotations

import uuid

from tests.local_azure.azure import LocalAzure
from tests.local_azure.errors import ArmError
from tests.local_azure.providers.marketplace import marketplace_catalogue as catalogue
from tests.local_azure.store import Json, Resource

#: Publisher, offer and plan as the catalogue spells them.
PlanName = tuple[str, str, str]


def _id(subscription: str) -> str:
    return f"/hidden/agreements/{subscription}"


def decisions(azure: LocalAzure, subscription: str) -> dict[PlanName, bool]:
    """True for the plans whose terms are accepted, False for those cancelled again."""
    known = azure.store.get(_id(subscription))
    if known is None:
        return {}
    split = ((key.split("/"), accepted) for key, accepted in known.hidden["plans"].items())
    return {(publisher, offer, plan): accepted for (publisher, offer, plan), accepted in split}


def decide(azure: LocalAzure, subscription: str, plan: PlanName, *, accepted: bool) -> None:
    """Keeps what the subscription answered to the plan's terms."""
    plans = {"/".join(name): value for name, value in decisions(azure, subscription).items()}
    plans["/".join(plan)] = accepted
    azure.store.put(Resource(_id(subscription), "hidden", "", "agreements", {}, {"plans": plans}))


def check_purchase(azure: LocalAzure, machine_id: str, image_plan: Json | None, plan: Json | None) -> None:
    """Whether a machine with `plan` may be made of an image that needs `image_plan`; ArmError 400 if not.

    Plans have publisher, name and product. A plan that is given has to exist, whatever the image needs.
    """
    subscription = machine_id.split("/")[2]
    if image_plan and not plan:
        raise ArmError(
            400,
            "VMMarketplaceInvalidInput",
            "Creating a virtual machine from Marketplace image or a custom image sourced from a Marketplace "
            f"image requires Plan information in the request. VM: '{machine_id}'.",
        )
    if not plan:
        return
    publisher, offer, sku = (str(plan.get(key) or "") for key in ("publisher", "product", "name"))
    if not catalogue.has_offer(publisher, offer, sku):
        raise _not_purchased(
            f"Offer with PublisherId: {publisher} and OfferId: {offer} not found. If this offer has been "
            "created recently, please allow upto 30 minutes for this offer to be available for Purchase. If "
            "error persists, contact support."
        )
    if image_plan and any(plan.get(key) != value for key, value in image_plan.items()):
        raise ArmError(
            400,
            "VMMarketplaceInvalidInput",
            "Unable to deploy from the Marketplace image or a custom image sourced from Marketplace image. "
            f"The part number in the purchase information for VM '{machine_id.rpartition('/')[2]}' is not as "
            "expected. Beware that the Plan object's properties are case-sensitive.",
        )
    image = catalogue.versions(publisher, offer, sku)[-1]
    name = (image.publisher, image.offer, image.sku)
    if image.plan and not decisions(azure, subscription).get(name):
        raise _not_purchased(
            f"You have not accepted the legal terms on this subscription: '{subscription}' for this plan. "
            "Before the subscription can be used, you need to accept the legal terms of the image. To read "
            "and accept legal terms, use the Azure CLI commands described at "
            "https://go.microsoft.com/fwlink/?linkid=2110637 or the PowerShell commands available at "
            "https://go.microsoft.com/fwlink/?linkid=862451. Alternatively, deploying via the Azure portal "
            "provides a UI experience for reading and accepting the legal terms. Offer details: "
            f"publisher='{image.publisher}' offer = '{image.offer}', sku = '{image.sku}', Correlation Id: "
            f"'{uuid.uuid4()}'."
        )


def _not_purchased(reason: str) -> ArmError:
    return ArmError(
        400,
        "ResourcePurchaseValidationFailed",
        f"User failed validation to purchase resources. Error message: '{reason}'",
    )
