# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Exchanges that keep every contract; tests plant their defects into copies of them."""

from __future__ import annotations

import copy
from typing import Any
from urllib.parse import urlencode

from tests.contract.exchange import Exchange, exchange_from

SUBSCRIPTION = "/subscriptions/11111111-2222-3333-4444-555555555555"
GROUP = f"{SUBSCRIPTION}/resourceGroups/rg"
COMPUTE = f"{GROUP}/providers/Microsoft.Compute"
IMAGE = f"{COMPUTE}/images/golden"
DISK = f"{COMPUTE}/disks/data"
MACHINE = f"{COMPUTE}/virtualMachines/vm"
COMPUTE_VERSION, DISK_VERSION = "2024-07-01", "2024-03-02"
OPERATION = f"{SUBSCRIPTION}/providers/Microsoft.Compute/locations/eastus/DiskOperations/0000-1111"

JSON = {"Content-Type": "application/json; charset=utf-8"}

IMAGE_REQUEST: dict[str, Any] = {
    "location": "eastus",
    "tags": {"team": "images"},
    "properties": {
        "hyperVGeneration": "V2",
        "storageProfile": {
            "osDisk": {
                "osType": "Linux",
                "osState": "Generalized",
                "managedDisk": {"id": f"{COMPUTE}/disks/os"},
                "caching": "ReadWrite",
                "diskSizeGB": 30,
            },
            "dataDisks": [{"lun": 0, "managedDisk": {"id": DISK}}],
        },
    },
}
IMAGE_ANSWER: dict[str, Any] = {
    "id": IMAGE,
    "name": "golden",
    "type": "Microsoft.Compute/images",
    **IMAGE_REQUEST,
    "properties": {**IMAGE_REQUEST["properties"], "provisioningState": "Succeeded"},
}
DISK_REQUEST: dict[str, Any] = {
    "location": "eastus",
    "sku": {"name": "Standard_LRS"},
    "properties": {"creationData": {"createOption": "Upload", "uploadSizeBytes": 1073742336}},
}
DISK_ANSWER: dict[str, Any] = {
    "id": DISK,
    "name": "data",
    "type": "Microsoft.Compute/disks",
    **DISK_REQUEST,
    "properties": {
        **DISK_REQUEST["properties"],
        "diskState": "ReadyToUpload",
        "provisioningState": "Succeeded",
        "timeCreated": "2024-08-26T05:58:14.9256607+00:00",
    },
}
MACHINE_ANSWER: dict[str, Any] = {
    "id": MACHINE,
    "name": "vm",
    "type": "Microsoft.Compute/virtualMachines",
    "location": "eastus",
    "properties": {
        "vmId": "99999999-8888-7777-6666-555555555555",
        "hardwareProfile": {"vmSize": "Standard_D2s_v5"},
        "osProfile": {"computerName": "vm", "adminUsername": "admin"},
        "provisioningState": "Succeeded",
    },
}
ERROR: dict[str, Any] = {"error": {"code": "ResourceNotFound", "message": "The Resource was not found."}}


def operation_url(*, monitor: bool = False, signature: str = "abc%3D") -> str:
    monitored = "&monitor=true" if monitor else ""
    return f"https://127.0.0.1:8443{OPERATION}?p=1234{monitored}&api-version={DISK_VERSION}&s={signature}"


def accepted(**headers: str) -> dict[str, str]:
    """The headers of an asynchronous operation's first answer."""
    urls = {"Azure-AsyncOperation": operation_url(), "Location": operation_url(monitor=True)}
    return {**JSON, **urls, **headers}


def exchange(
    method: str,
    path: str,
    *,
    version: str | None = COMPUTE_VERSION,
    query: dict[str, str] | None = None,
    request: Any = None,
    status: int = 200,
    headers: dict[str, str] | None = None,
    body: Any = None,
) -> Exchange:
    """Bodies are copied, so that a test may change what it was given. A whole URL may stand for the path."""
    asked = {**(query or {}), **({"api-version": version} if version else {})}
    url = path if path.startswith("https:") else f"https://127.0.0.1:8443{path}?{urlencode(asked)}"
    return exchange_from(
        {
            "liveRequest": {"method": method, "url": url, "headers": {}, "body": copy.deepcopy(request)},
            "liveResponse": {
                "statusCode": status,
                "headers": JSON if headers is None else headers,
                "body": copy.deepcopy(body),
            },
        }
    )


# None is a body too: none at all.
_USUAL: Any = object()


def _or(usual: Any, given: Any) -> Any:
    return usual if given is _USUAL else given


def image_created(request: Any = _USUAL, answer: Any = _USUAL, **changes: Any) -> Exchange:
    shape: dict[str, Any] = {"status": 201, "headers": accepted(), **changes}
    return exchange(
        "PUT", IMAGE, request=_or(IMAGE_REQUEST, request), body=_or(IMAGE_ANSWER, answer), **shape
    )


def image_read(answer: Any = _USUAL, **changes: Any) -> Exchange:
    return exchange("GET", IMAGE, body=_or(IMAGE_ANSWER, answer), **changes)


def images_listed(answer: Any, **changes: Any) -> Exchange:
    return exchange("GET", f"{COMPUTE}/images", body=answer, **changes)


def disk_created(request: Any = _USUAL, answer: Any = _USUAL, **changes: Any) -> Exchange:
    shape: dict[str, Any] = {"status": 202, "headers": accepted(), "version": DISK_VERSION, **changes}
    return exchange("PUT", DISK, request=_or(DISK_REQUEST, request), body=_or(DISK_ANSWER, answer), **shape)


def access_granted(**changes: Any) -> Exchange:
    request = {"access": "Write", "durationInSeconds": 3600}
    shape: dict[str, Any] = {"status": 202, "headers": accepted(), "version": DISK_VERSION, **changes}
    return exchange("POST", f"{DISK}/beginGetAccess", request=request, **shape)


def access_revoked(**changes: Any) -> Exchange:
    shape: dict[str, Any] = {"status": 202, "headers": accepted(), "version": DISK_VERSION, **changes}
    return exchange("POST", f"{DISK}/endGetAccess", **shape)


def machine_read(answer: Any = _USUAL, **changes: Any) -> Exchange:
    return exchange("GET", MACHINE, body=_or(MACHINE_ANSWER, answer), **changes)


def status_polled(body: Any, *, url: str | None = None, **changes: Any) -> Exchange:
    return exchange("GET", url or operation_url(), body=body, **changes)


def status_body(status: str, **members: Any) -> dict[str, Any]:
    ended = {} if status == "InProgress" else {"endTime": "2024-08-26T05:58:15.1+00:00"}
    return {"startTime": "2024-08-26T05:58:14.9+00:00", **ended, "status": status, "name": "0000", **members}


def changed(body: dict[str, Any], path: str, value: Any = None, *, remove: bool = False) -> dict[str, Any]:
    """A copy of `body` in which the member at a/b/0/c is another, new, or gone."""
    result = copy.deepcopy(body)
    *parents, last = [int(part) if part.isdigit() else part for part in path.split("/")]
    place: Any = result
    for part in parents:
        place = place[part]
    if remove:
        del place[last]
    else:
        place[last] = value
    return result
