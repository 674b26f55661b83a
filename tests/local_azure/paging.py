# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Long lists in pages, each with a link to the next one."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from tests.local_azure.call import Call
from tests.local_azure.errors import ArmError, invalid_value
from tests.local_azure.settings import Settings
from tests.local_azure.store import Json

T = TypeVar("T")
_TOKEN = "$skiptoken"
#: Resources of a provider on a page; groups and the list of all resources have more.
PROVIDER_PAGE = 50
GENERAL_PAGE = 1000


class Paging:
    """A link's token is signed with what it continues, and is refused with anything else."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._key = base64.b64decode(settings.operation_key)

    def size(self, call: Call, usual: int) -> int:
        """How many a page has; `$top` asks for fewer of those lists that know it."""
        most = self._settings.page_size or usual
        wanted = call.query.get("$top")
        if wanted is None or usual == PROVIDER_PAGE:
            return most
        if not wanted.isascii() or not wanted.isdigit() or not 0 < int(wanted) <= GENERAL_PAGE:
            raise ArmError(
                400,
                "InvalidTopQueryStringValue",
                f"The '$top' query string value '{wanted}' is invalid. It must be between '1' and "
                f"'{GENERAL_PAGE}'.",
                gateway=True,
            )
        return min(most, int(wanted))

    def start(self, call: Call) -> int:
        """Behind which place the page begins; 0 for the first page."""
        token = next((v for k, v in call.query.items() if k.lower() == _TOKEN), None)
        if token is None:
            return 0
        try:
            place, signature = json.loads(base64.urlsafe_b64decode(token.encode()))
            if isinstance(place, int) and hmac.compare_digest(str(signature), self._signature(call, place)):
                return place
        except ValueError:
            pass
        raise invalid_value(_TOKEN)

    def link(self, call: Call, place: int) -> str:
        """The next page, behind `place`."""
        query = {k: v for k, v in call.query.items() if k.lower() != _TOKEN}
        content = json.dumps([place, self._signature(call, place)]).encode()
        query["$skiptoken"] = base64.urlsafe_b64encode(content).decode()
        return f"{self._settings.url}{quote(call.path)}?{urlencode(query, safe='$')}"

    def _signature(self, call: Call, place: int) -> str:
        text = "\n".join([call.path.lower(), call.query.get("$filter", ""), str(place)])
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()[:32]

    def page(
        self,
        call: Call,
        fetch: Callable[[int, int], Sequence[tuple[int, T]]],
        show: Callable[[T], Any],
        usual: int,
    ) -> Json:
        """The body of one page. `fetch` gives up to so many things behind a place, with their places."""
        size = self.size(call, usual)
        found = fetch(self.start(call), size + 1)
        body: Json = {"value": [show(thing) for _place, thing in found[:size]]}
        if len(found) > size:
            body["nextLink"] = self.link(call, found[size - 1][0])
        return body

    def slice(self, call: Call, whole: Sequence[Any], usual: int) -> Json:
        """The body of one page of a list that is there as a whole."""
        numbered = list(enumerate(whole, 1))
        return self.page(
            call, lambda after, limit: numbered[after : after + limit], lambda thing: thing, usual
        )
