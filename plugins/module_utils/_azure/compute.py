# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# Private to this collection; it may change without notice.
"""Microsoft.Compute resources by means of azure-mgmt-compute, with Azure's own (wire-shaped) JSON on both
sides.

The SDK's models differ between its releases; from 38 on, its operations send dicts unchanged. Bodies
therefore go out as bytes and answers come back through callbacks, so that every release sends and returns the
same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.arm import is_absence
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import (
    AzureError,
    no_json,
    translated,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import (
    OperationPolling,
    Waiter,
    json_of,
)

# The versions of Azure's API whose shapes this collection is written and tested for.
COMPUTE_API = "2024-07-01"
DISK_API = "2024-03-02"

_VERBS = {
    "beginGetAccess": "begin_grant_access",
    "endGetAccess": "begin_revoke_access",
    "capture": "begin_capture",
    "convertToManagedDisks": "begin_convert_to_managed_disks",
    "deallocate": "begin_deallocate",
    "generalize": "generalize",
    "instanceView": "instance_view",
    "powerOff": "begin_power_off",
    "reapply": "begin_reapply",
    "redeploy": "begin_redeploy",
    "restart": "begin_restart",
    "retrieveBootDiagnosticsData": "retrieve_boot_diagnostics_data",
    "runCommand": "begin_run_command",
    "start": "begin_start",
}


def _raw(pipeline_response: Any, _deserialized: Any, _headers: Any) -> Any:
    """The ``cls`` callback of SDK operations: the answer's JSON instead of a model."""
    return json_of(pipeline_response.http_response)


def _as_bytes(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body).encode("utf-8")


class ComputeResources:
    """One collection, for example all images: ``session.compute.images``."""

    def __init__(self, operations: Any, noun: str, api_version: str) -> None:
        self._operations = operations
        self._noun = noun
        self._api_version = api_version

    def get(self, resource_group: str, name: str, **query: Any) -> dict[str, Any] | None:
        """The resource; None when it is not there. Raises NotFound when the resource group is missing.

        ``query`` as the SDK names it, for example ``expand="instanceView"``.
        """
        action = f"read {self._noun} {name} in resource group {resource_group}"
        try:
            with translated(action):
                resource = self._operations.get(
                    resource_group, name, api_version=self._api_version, cls=_raw, **query
                )
        except AzureError as error:
            if is_absence(error):
                return None
            raise
        if not isinstance(resource, dict):
            raise no_json(action)
        return resource

    def list(self, resource_group: str | None = None) -> list[dict[str, Any]]:
        """All of the resource group, or of the subscription, over all pages."""
        operations = self._operations
        where = f" in resource group {resource_group}" if resource_group else ""
        pages: list[dict[str, Any]] = []

        def keep(pipeline_response: Any) -> None:
            if pipeline_response.http_response.status_code == 200:
                pages.append(json_of(pipeline_response.http_response) or {})

        options = {"api_version": self._api_version, "raw_response_hook": keep}
        if hasattr(operations, "list_by_resource_group"):
            of_group, of_subscription = operations.list_by_resource_group, operations.list
        else:
            of_group, of_subscription = operations.list, operations.list_all
        with translated(f"list {self._noun}s{where}"):
            paged = of_group(resource_group, **options) if resource_group else of_subscription(**options)
            for _page in paged.by_page():
                pass
        return [item for page in pages for item in page.get("value") or []]

    def put(self, resource_group: str, name: str, body: Mapping[str, Any], waiter: Waiter) -> dict[str, Any]:
        """Create or replace; returns the final resource, or the first answer when the waiter does not
        wait."""
        action = f"create or update {self._noun} {name} in resource group {resource_group}"
        return self._write("begin_create_or_update", action, resource_group, name, body, waiter)

    def update(
        self, resource_group: str, name: str, body: Mapping[str, Any], waiter: Waiter
    ) -> dict[str, Any]:
        """Change parts of the resource (PATCH); returns it as `put` does."""
        action = f"update {self._noun} {name} in resource group {resource_group}"
        return self._write("begin_update", action, resource_group, name, body, waiter)

    def _write(  # noqa: PLR0917 - put and update pass on what they got
        self,
        method: str,
        action: str,
        resource_group: str,
        name: str,
        body: Mapping[str, Any],
        waiter: Waiter,
    ) -> dict[str, Any]:
        polling = OperationPolling(waiter, action)
        with translated(action):
            getattr(self._operations, method)(
                resource_group,
                name,
                _as_bytes(body),
                content_type="application/json",
                api_version=self._api_version,
                polling=polling,
            )
        return polling.resource() or {}

    def delete(self, resource_group: str, name: str, waiter: Waiter, **query: Any) -> bool:
        """Delete; False when it, or its resource group, was not there."""
        action = f"delete {self._noun} {name} in resource group {resource_group}"
        polling = OperationPolling(waiter, action)
        try:
            with translated(action):
                self._operations.begin_delete(
                    resource_group, name, api_version=self._api_version, polling=polling, **query
                )
        except AzureError as error:
            if is_absence(error) or error.code == "ResourceGroupNotFound":
                return False
            raise
        return polling.first_status != 204

    def action(
        self,
        resource_group: str,
        name: str,
        verb: str,
        body: Mapping[str, Any] | None,
        waiter: Waiter,
        **query: Any,
    ) -> Any:
        """Run one of Azure's actions on the resource, for example "deallocate"; returns its output, often
        None.

        ``query`` as the SDK names it, for example ``skip_shutdown=False`` of "powerOff".
        """
        method = _VERBS[verb]
        action = f"run {verb} on {self._noun} {name} in resource group {resource_group}"
        arguments: list[Any] = [resource_group, name]
        options: dict[str, Any] = {"api_version": self._api_version, **query}
        if body is not None:
            arguments.append(_as_bytes(body))
            options["content_type"] = "application/json"
        with translated(action):
            if not method.startswith("begin_"):
                return getattr(self._operations, method)(*arguments, cls=_raw, **options)
            polling = OperationPolling(waiter, action)
            getattr(self._operations, method)(*arguments, polling=polling, **options)
        return polling.resource()


class Compute:
    """The collections of Microsoft.Compute this collection works with."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.images = ComputeResources(client.images, "image", COMPUTE_API)
        self.virtual_machines = ComputeResources(client.virtual_machines, "virtual machine", COMPUTE_API)
        self.disks = ComputeResources(client.disks, "disk", DISK_API)
        self.snapshots = ComputeResources(client.snapshots, "snapshot", DISK_API)

    def disks_of(self, api_version: str) -> ComputeResources:
        """The disks by another version of Azure's API, for what the usual one does not know."""
        return ComputeResources(self._client.disks, "disk", api_version)
