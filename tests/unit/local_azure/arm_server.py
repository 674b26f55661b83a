# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""A local Azure in a thread of the test process, and a plain HTTP client for it."""

from __future__ import annotations

import asyncio
import copy
import itertools
import threading
import time
from pathlib import Path
from typing import Any

import requests

from tests.local_azure.identity.directory import Principal
from tests.local_azure.server import Server
from tests.local_azure.settings import Pace, Settings, load_or_create

Json = dict[str, Any]
COMPUTE, DISK, GALLERY, NETWORK, STORAGE, RESOURCES = (
    "2024-07-01",
    "2024-03-02",
    "2024-03-03",
    "2024-05-01",
    "2023-05-01",
    "2022-09-01",
)
_VERSIONS = {
    "microsoft.compute/disks": DISK,
    "microsoft.compute/snapshots": DISK,
    "microsoft.compute/galleries": GALLERY,
    "microsoft.compute": COMPUTE,
    "microsoft.network": NETWORK,
    "microsoft.storage": STORAGE,
}
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJWlZwVzDSmCqmjM6eeVoEoCjJdDsxUfC9s6jGy7bGxM someone"
_numbers = itertools.count(1)


class ServerThread:
    """Serves from construction until `stop`."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.server: Server | None = None
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._loop = asyncio.new_event_loop()
        self._ended = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        if not self._started.wait(60) or self._failure is not None:
            raise RuntimeError("the local Azure did not start") from self._failure

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as failure:
            self._failure = failure
            raise
        finally:
            self._started.set()
            self._loop.close()

    async def _serve(self) -> None:
        self.server = Server(self.settings)
        try:
            await self.server.start()
            self._started.set()
            await self._ended.wait()
        finally:
            await self.server.stop()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(60)
        assert not self._thread.is_alive()


def serve(state_dir: Path, pace: Pace) -> ServerThread:
    return ServerThread(load_or_create(state_dir, pace=pace))


class Arm:
    """Requests with the service principal's token and the right api-version."""

    def __init__(self, thread: ServerThread) -> None:
        self.settings = thread.settings
        self.http = requests.Session()
        # The environment's CA bundle would win over ours.
        self.http.trust_env = False
        self.http.verify = str(thread.settings.state_dir / "ca.pem")
        self.subscription = f"/subscriptions/{thread.settings.identity.subscription_id}"
        self._token = self.token()

    def signed_in(self, principal: Principal) -> Arm:
        """The same for another principal."""
        other = copy.copy(self)
        other._token = self.token(principal=principal)
        return other

    def within(self, subscription: str) -> Arm:
        """The same with paths below another subscription."""
        other = copy.copy(self)
        other.subscription = f"/subscriptions/{subscription}"
        return other

    def token(
        self,
        scope: str = "https://management.azure.com/.default",
        principal: Principal | None = None,
    ) -> str:
        holder = principal or self.settings.identity.owner
        answer = self.http.post(
            f"{self.settings.url}/{holder.tenant_id}/oauth2/v2.0/token",
            data={
                "grant_type": "client_credentials",
                "client_id": holder.client_id,
                "client_secret": holder.client_secret,
                "scope": scope,
            },
            timeout=30,
        )
        return str(answer.json()["access_token"])

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        version: str | None = None,
        headers: dict[str, str] | None = None,
        query: str = "",
    ) -> requests.Response:
        """`path` is below the subscription unless it is a whole URL or begins with a slash."""
        url = path
        if not path.startswith("https://"):
            path = path if path.startswith("/") else f"{self.subscription}/{path}"
            url = f"{self.settings.url}{path}?api-version={version or _version(path)}{query}"
        return self.http.request(
            method,
            url,
            json=body,
            headers={"Authorization": f"Bearer {self._token}", **(headers or {})},
            timeout=60,
        )

    def get(self, path: str, query: str = "") -> Json:
        answer = self.send("GET", path, query=query)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def finish(self, answer: requests.Response) -> Json:
        """Waits for the operation of an answer and gives its last status body."""
        url = answer.headers.get("Azure-AsyncOperation")
        assert url, f"{answer.status_code} {answer.text}"
        while True:
            status = self.send("GET", url)
            assert status.status_code == 200, status.text
            body: Json = status.json()
            if body["status"] != "InProgress":
                return body
            time.sleep(0.02)

    def done(self, answer: requests.Response) -> Json:
        """Like `finish`, and wants success."""
        body = self.finish(answer)
        assert body["status"] == "Succeeded", body
        return body

    def make(self, path: str, body: Json) -> Json:
        """PUTs a resource, waits, and gives it as it is then."""
        self.done(self.send("PUT", path, body))
        return self.get(path)

    # Ready-made resources.

    def group(self, location: str = "westus") -> str:
        name = f"group{next(_numbers)}"
        assert self.send("PUT", f"resourceGroups/{name}", {"location": location}).status_code == 201
        return f"resourceGroups/{name}"

    def disk(self, group: str, name: str, location: str = "westus", **properties: Any) -> Json:
        settings = {"diskSizeGB": 1, "creationData": {"createOption": "Empty"}, **properties}
        return self.make(compute(group, "disks", name), {"location": location, "properties": settings})

    def image(self, group: str, name: str, disk: Json, data: Json | None = None, **os_disk: Any) -> Json:
        """A managed image of one disk, with `data` as a data disk at LUN 3 if given."""
        first = {
            "osType": "Linux",
            "osState": "Generalized",
            "managedDisk": {"id": disk["id"]},
            **os_disk,
        }
        data_disks = [{"lun": 3, "managedDisk": {"id": data["id"]}}] if data else []
        properties = {
            "hyperVGeneration": "V2",
            "storageProfile": {"osDisk": first, "dataDisks": data_disks},
        }
        return self.make(
            compute(group, "images", name), {"location": disk["location"], "properties": properties}
        )

    def subnet(self, group: str) -> str:
        properties = {
            "addressSpace": {"addressPrefixes": ["10.0.0.0/16"]},
            "subnets": [{"name": "default", "properties": {"addressPrefix": "10.0.0.0/24"}}],
        }
        network = self.make(
            network_path(group, "virtualNetworks", "net"), {"location": "westus", "properties": properties}
        )
        return str(network["properties"]["subnets"][0]["id"])

    def machine_body(self, image: Json, subnet: str) -> Json:
        """A request that succeeds; tests change it to one that does not."""
        ssh = {"publicKeys": [{"path": "/home/azureuser/.ssh/authorized_keys", "keyData": KEY}]}
        address = {
            "name": "address",
            "sku": {"name": "Standard"},
            "properties": {"deleteOption": "Delete"},
        }
        configuration = {
            "name": "ip",
            "properties": {"subnet": {"id": subnet}, "publicIPAddressConfiguration": address},
        }
        nic = {
            "name": "nic",
            "properties": {"deleteOption": "Delete", "ipConfigurations": [configuration]},
        }
        return {
            "location": "westus",
            "properties": {
                "hardwareProfile": {"vmSize": "Standard_B2s"},
                "storageProfile": {
                    "imageReference": {"id": image["id"]},
                    "osDisk": {"createOption": "FromImage", "deleteOption": "Delete"},
                },
                "osProfile": {
                    "computerName": "host",
                    "adminUsername": "azureuser",
                    "linuxConfiguration": {"disablePasswordAuthentication": True, "ssh": ssh},
                },
                "networkProfile": {
                    "networkApiVersion": "2022-11-01",
                    "networkInterfaceConfigurations": [nic],
                },
            },
        }


def compute(group: str, kind: str, name: str = "") -> str:
    return f"{group}/providers/Microsoft.Compute/{kind}" + (f"/{name}" if name else "")


def network_path(group: str, kind: str, name: str = "") -> str:
    return f"{group}/providers/Microsoft.Network/{kind}" + (f"/{name}" if name else "")


def storage_path(group: str, name: str) -> str:
    return f"{group}/providers/Microsoft.Storage/storageAccounts/{name}"


def _version(path: str) -> str:
    provider = path.lower().partition("/providers/")[2]
    return next((v for k, v in _VERSIONS.items() if provider.startswith(k)), RESOURCES)


def error_of(answer: requests.Response) -> tuple[int, str]:
    """Status and code; the body must be Azure's error envelope."""
    error = answer.json()["error"]
    assert error["message"]
    return answer.status_code, str(error["code"])
