# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Microsoft.MarketplaceOrdering: the terms of images with a plan, accepted once for each subscription.

Every GET signs the terms anew; a PUT has to carry one of these signatures. Signatures end with the server's
operation key, not after a time.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import uuid
from collections.abc import Mapping
from typing import Any

from tests.local_azure.azure import LocalAzure
from tests.local_azure.call import Call, Reply, properties_of
from tests.local_azure.clock import now, storage_time, wire_time
from tests.local_azure.errors import ArmError
from tests.local_azure.kinds import Verb, json_object, method_not_allowed
from tests.local_azure.providers.marketplace import marketplace_catalogue as catalogue
from tests.local_azure.providers.marketplace.marketplace_catalogue import NotOfferedError
from tests.local_azure.providers.marketplace.marketplace_purchases import PlanName, decide, decisions
from tests.local_azure.store import Json

_NAMESPACE = "Microsoft.MarketplaceOrdering"
_TYPE = f"{_NAMESPACE}/offertypes"
_ROOT = r"microsoft\.marketplaceordering"
_ONE = rf"{_ROOT}/offertypes/[^/]+/publishers/[^/]+/offers/[^/]+/plans/[^/]+/agreements/current"
_NEW = rf"{_ROOT}/agreements/[^/]+/offers/[^/]+/plans/[^/]+"
_TERMS = ("publisher", "product", "plan", "retrieveDatetime")


class MarketplaceAgreements:
    """`(publisher, offer, plan)` are always spelled as in the catalogue."""

    def __init__(self, azure: LocalAzure) -> None:
        self._azure = azure
        self._key = base64.b64decode(azure.settings.operation_key)

    def verbs(self) -> Mapping[str, Verb]:
        return {
            _ONE: self._current,
            rf"{_ROOT}/agreements": self._list,
            _NEW: self._shown,
            rf"{_NEW}/sign": self._sign,
            rf"{_NEW}/cancel": self._cancel,
        }

    # The older way: read the terms, send them back with `accepted` set.

    async def _current(self, call: Call) -> Reply:
        if call.method == "GET":
            names = self._known(call.names[1:4])
            return Reply(200, self._body(call, names, self._accepted(call.subscription, names)))
        if call.method != "PUT":
            raise method_not_allowed(call)
        names = self._known(call.names[1:4])
        given = properties_of(json_object(call))
        signed = self._signature(given)
        if not isinstance(given.get("signature"), str) or given["signature"] != signed:
            raise ArmError(
                400,
                "BadRequest",
                "The signature of the terms is not valid. Read the agreement again and send it back as it "
                "is.",
            )
        accepted = given.get("accepted") is True
        decide(self._azure, call.subscription, names, accepted=accepted)
        body = self._body(call, names, accepted, given)
        # Azure repeats the type where the offer type belongs.
        body["id"] = body["id"].replace("/offerTypes/VirtualMachine/", f"/offerTypes/{_TYPE}/")
        return Reply(200, body)

    # The newer way: sign and cancel.

    async def _list(self, call: Call) -> Reply:
        if call.method != "GET":
            raise method_not_allowed(call)
        plans = decisions(self._azure, call.subscription)
        return Reply(200, [self._body(call, name, accepted) for name, accepted in plans.items()])

    async def _shown(self, call: Call) -> Reply:
        if call.method != "GET":
            raise method_not_allowed(call)
        names = self._known(call.names)
        return Reply(200, self._body(call, names, self._accepted(call.subscription, names)))

    async def _sign(self, call: Call) -> Reply:
        return self._changed(call, accepted=True)

    async def _cancel(self, call: Call) -> Reply:
        return self._changed(call, accepted=False)

    def _changed(self, call: Call, *, accepted: bool) -> Reply:
        if call.method != "POST":
            raise method_not_allowed(call)
        names = self._known(call.names[:3])
        decide(self._azure, call.subscription, names, accepted=accepted)
        return Reply(200, self._body(call, names, accepted))

    # Shapes.

    def _accepted(self, subscription: str, name: PlanName) -> bool:
        return decisions(self._azure, subscription).get(name, False)

    def _known(self, names: tuple[str, ...]) -> PlanName:
        publisher, offer, plan = names[:3]
        try:
            image = catalogue.versions(publisher, offer, plan)[-1]
            if image.plan is None:
                raise NotOfferedError(plan, publisher=False)
        except NotOfferedError:
            raise ArmError(
                400,
                "BadRequest",
                f"Offer with PublisherId: {publisher}, OfferId: {offer}, PlanId: {plan} not found.",
            ) from None
        return image.publisher, image.offer, image.sku

    def _body(self, call: Call, names: PlanName, accepted: bool, given: Json | None = None) -> Json:
        publisher, offer, plan = names
        path = f"/subscriptions/{call.subscription}/providers/{_NAMESPACE}/offerTypes/VirtualMachine"
        moment, retrieved = wire_time(now()), storage_time(now())
        terms = "https://storeordersprodsn.blob.core.windows.net"
        properties: Json = {
            "publisher": publisher,
            "product": offer,
            "plan": plan,
            "licenseTextLink": f"{terms}/legalterms/{_digest('legal', *names)}.txt",
            "privacyPolicyLink": f"https://{re.sub('[^a-z0-9-]', '', publisher.lower())}.example/privacy",
            "marketplaceTermsLink": f"{terms}/marketplaceterms/{_digest('terms')}.txt",
            "retrieveDatetime": given["retrieveDatetime"] if given else retrieved,
            "signature": "",
            "accepted": accepted,
        }
        properties["signature"] = given["signature"] if given else self._signature(properties)
        author = {
            "By": str(uuid.uuid5(uuid.NAMESPACE_URL, _NAMESPACE)),
            "ByType": "ManagedIdentity",
            "At": moment,
        }
        return {
            "id": f"{path}/publishers/{publisher}/offers/{offer}/plans/{plan}/agreements/current",
            "name": plan,
            "type": _TYPE,
            "properties": properties,
            "systemData": {
                f"{verb}{k}": v for verb in ("created", "lastModified") for k, v in author.items()
            },
        }

    def _signature(self, properties: Mapping[str, Any]) -> str:
        """Over the terms and when they were read, not over what is answered to them."""
        text = "\n".join(str(properties.get(key)) for key in _TERMS)
        digest = hmac.new(self._key, text.encode(), hashlib.sha512).digest()
        return base64.b32encode(digest).decode().rstrip("=")


def _digest(*parts: str) -> str:
    return base64.b32encode(hashlib.sha256("/".join(parts).encode()).digest()).decode().rstrip("=")
