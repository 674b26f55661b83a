# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The lists of Microsoft.Resources: groups, and resources of every type, in pages and filtered."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from tests.local_azure.azure import LocalAzure
from tests.local_azure.call import Call, Reply
from tests.local_azure.errors import ArmError, resource_group_not_found
from tests.local_azure.paging import GENERAL_PAGE
from tests.local_azure.store import Json, Resource

GROUP = "Microsoft.Resources/resourceGroups"
_TERM = re.compile(r"(\w+) eq '((?:[^']|'')*)'")
_BRIEF = ("id", "name", "type", "location", "zones", "plan", "tags", "sku", "kind", "identity", "managedBy")
_IN_BATCHES_OF = 200

Test = Callable[[Resource], bool]


class ResourceLists:
    def __init__(self, azure: LocalAzure) -> None:
        self._azure = azure

    async def groups(self, call: Call) -> Reply:
        """Filtered by tagName and tagValue."""
        return self._page(call, GROUP, _matching(_terms(call, ("tagname", "tagvalue"))), lambda g: g.body)

    async def resources(self, call: Call) -> Reply:
        """Filtered by resourceType, name, location, resourceGroup, tagName and tagValue."""
        if call.resource_group and self._azure.group(call.subscription, call.resource_group) is None:
            raise resource_group_not_found(call.resource_group)
        terms = _terms(call, ("resourcetype", "name", "location", "resourcegroup", "tagname", "tagvalue"))
        matches = _matching(terms)
        return self._page(call, terms.get("resourcetype"), lambda r: _is_listed(r) and matches(r), _brief)

    def _page(
        self, call: Call, resource_type: str | None, test: Test, show: Callable[[Resource], Json]
    ) -> Reply:
        def fetch(after: int, limit: int) -> Sequence[tuple[int, Resource]]:
            found: list[tuple[int, Resource]] = []
            group = call.resource_group or None
            while len(found) < limit:
                batch = self._azure.store.page(resource_type, group, call.subscription, after, _IN_BATCHES_OF)
                found += [(place, resource) for place, resource in batch if test(resource)]
                if len(batch) < _IN_BATCHES_OF:
                    break
                after = batch[-1][0]
            return found[:limit]

        return Reply(200, self._azure.paging.page(call, fetch, show, GENERAL_PAGE), compact=True, paged=True)


def _is_listed(resource: Resource) -> bool:
    """Groups, deployments, what is part of another resource, and rights and locks are not."""
    namespace, _unused, kind = resource.type.partition("/")
    return "/" not in kind and namespace not in ("Microsoft.Resources", "Microsoft.Authorization")


def _brief(resource: Resource) -> Json:
    return {k: resource.body[k] for k in _BRIEF if k in resource.body}


def _terms(call: Call, known: Sequence[str]) -> dict[str, str]:
    """The `$filter`: comparisons joined by "and"; their names in small letters."""
    text = call.query.get("$filter", "").strip()
    terms: dict[str, str] = {}
    for part in re.split(r" and (?=(?:[^']*'[^']*')*[^']*$)", text, flags=re.IGNORECASE) if text else ():
        term = _TERM.fullmatch(part.strip())
        if term is None or term[1].lower() not in known:
            raise ArmError(
                400,
                "InvalidFilterInQueryString",
                f"Invalid $filter '{text}' specified in the query string.",
                gateway=True,
            )
        terms[term[1].lower()] = term[2].replace("''", "'")
    return terms


def _matching(terms: dict[str, str]) -> Test:
    plain = {k: v.lower() for k, v in terms.items()}

    def test(resource: Resource) -> bool:
        tags = {k.lower(): v for k, v in (resource.body.get("tags") or {}).items()}
        tag, value = plain.get("tagname"), terms.get("tagvalue")
        return (
            plain.get("name", resource.name.lower()) == resource.name.lower()
            and plain.get("location", resource.location) == resource.location
            and plain.get("resourcegroup", resource.resource_group.lower()) == resource.resource_group.lower()
            and (tag is None or tag in tags)
            and (value is None or value in ([tags.get(tag)] if tag else tags.values()))
        )

    return test
