# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# Private to this collection; it may change without notice.
# ruff: noqa: PLC0415 - azure-core is imported where it is used, so that its absence can be reported
"""Plain Azure Resource Manager requests by resource id, for everything that is not Microsoft.Compute."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urljoin

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import (
    AzureError,
    importing,
    no_json,
    translated,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import (
    Waiter,
    failed_answer,
    json_of,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import is_resource_id

if TYPE_CHECKING:
    from azure.core.rest import HttpRequest, HttpResponse
    from azure.mgmt.core import ARMPipelineClient

# A missing resource, as opposed to a missing group or subscription around it.
_ABSENT = frozenset({None, "ResourceNotFound", "NotFound", "ParentResourceNotFound"})


def is_absence(error: AzureError) -> bool:
    """Whether a 404 says that the resource itself is not there."""
    return error.status == 404 and error.code in _ABSENT


def _named(path: str) -> str:
    """A path as a user reads it: the type's last part and the name, or the whole path."""
    if not is_resource_id(path):
        return path
    kind, name = path.rstrip("/").split("/")[-2:]
    return f"{kind}/{name}"


class Arm:
    """GET, PUT, PATCH, DELETE and POST on resource ids; bodies and results are wire-shaped dicts."""

    def __init__(self, client: ARMPipelineClient[HttpRequest, HttpResponse], base_url: str) -> None:
        self._client = client
        self._base_url = base_url.rstrip("/") + "/"

    def _request(
        self, method: str, path: str, api_version: str, body: Mapping[str, Any] | None
    ) -> HttpRequest:
        with importing("azure-core"):
            from azure.core.rest import HttpRequest
        url = urljoin(self._base_url, quote(path.lstrip("/"), safe="/-._~!$&'()*+,;=:@"))
        headers = {"Accept": "application/json"}
        if body is None:
            return HttpRequest(method, url, params={"api-version": api_version}, headers=headers)
        return HttpRequest(method, url, params={"api-version": api_version}, headers=headers, json=dict(body))

    def _query(self, path: str, api_version: str, query: Mapping[str, str]) -> HttpRequest:
        """A GET with more in its query, for example ``{"$expand": "instanceView"}``."""
        request = self._request("GET", path, api_version, None)
        request.url += "".join(f"&{quote(name, safe='$')}={quote(value)}" for name, value in query.items())
        return request

    def _send(self, action: str, request: HttpRequest) -> HttpResponse:
        with translated(action):
            response = self._client.send_request(request)
        if response.status_code >= 400:
            raise failed_answer(action, response)
        return response

    def _follow(self, action: str, request: HttpRequest, waiter: Waiter) -> Any:
        first = self._send(action, request)

        def send(poll: HttpRequest) -> HttpResponse:
            return self._client.send_request(poll, retry_total=0)

        return waiter.follow(action, first, send)

    def get(self, resource_id: str, api_version: str, **query: str) -> dict[str, Any] | None:
        """The resource; None when it is not there. Raises NotFound when its group or subscription is
        missing."""
        request = self._query(resource_id, api_version, query)
        action = f"read {_named(resource_id)}"
        try:
            body = json_of(self._send(action, request))
        except AzureError as error:
            if is_absence(error):
                return None
            raise
        if not isinstance(body, dict):
            raise no_json(action)
        return body

    def list(self, path: str, api_version: str, **query: str) -> list[dict[str, Any]]:
        """All items of a collection, over all pages (``nextLink``); bare JSON arrays are taken as well."""
        with importing("azure-core"):
            from azure.core.rest import HttpRequest
        action = f"list {_named(path)}"
        items: list[dict[str, Any]] = []
        request = self._query(path, api_version, query)
        while True:
            body = json_of(self._send(action, request))
            if isinstance(body, list):
                return items + body
            if not isinstance(body, dict):
                raise no_json(action)
            items += body.get("value") or []
            following = body.get("nextLink")
            if not following:
                return items
            request = HttpRequest("GET", following, headers={"Accept": "application/json"})

    def put(
        self, resource_id: str, body: Mapping[str, Any], api_version: str, waiter: Waiter
    ) -> dict[str, Any]:
        """Create or replace; returns the final resource, or the first answer when the waiter does not
        wait."""
        request = self._request("PUT", resource_id, api_version, body)
        return self._follow(f"create or update {_named(resource_id)}", request, waiter) or {}

    def patch(
        self, resource_id: str, body: Mapping[str, Any], api_version: str, waiter: Waiter
    ) -> dict[str, Any]:
        """Update parts of a resource; returns it as `put` does."""
        request = self._request("PATCH", resource_id, api_version, body)
        return self._follow(f"update {_named(resource_id)}", request, waiter) or {}

    def delete(self, resource_id: str, api_version: str, waiter: Waiter) -> bool:
        """Delete; False when it, or the group it would be in, was not there."""
        action = f"delete {_named(resource_id)}"
        try:
            first = self._send(action, self._request("DELETE", resource_id, api_version, None))
        except AzureError as error:
            if is_absence(error) or error.code == "ResourceGroupNotFound":
                return False
            raise
        waiter.follow(action, first, lambda poll: self._client.send_request(poll, retry_total=0))
        return first.status_code != 204

    def post(self, id_and_verb: str, body: Mapping[str, Any] | None, api_version: str, waiter: Waiter) -> Any:
        """An action such as ``.../storageAccounts/s/listKeys``; returns what it answers, None when
        nothing."""
        resource, _slash, verb = id_and_verb.rstrip("/").rpartition("/")
        action = f"run {verb} on {_named(resource)}"
        return self._follow(action, self._request("POST", id_and_verb, api_version, body), waiter)
