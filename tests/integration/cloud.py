# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The local Azure of a test session: started, seeded and looked into without any code of the collection."""

from __future__ import annotations

import json
import shlex
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, NamedTuple

CHECKOUT = Path(__file__).parent.parent.parent
WRITES = ("PUT", "POST", "PATCH", "DELETE")
API_VERSIONS = {
    "Microsoft.Compute/disks": "2024-03-02",
    "Microsoft.Compute/snapshots": "2024-03-02",
    "Microsoft.Compute": "2024-07-01",
    "Microsoft.Network": "2024-05-01",
    "Microsoft.Storage": "2024-01-01",
    "Microsoft.MarketplaceOrdering": "2021-01-01",
}
RESOURCE_GROUPS_API = "2024-11-01"


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: Any


class LocalAzure:
    """`env` are the variables to run a client with; `url` is the endpoint of Azure Resource Manager."""

    def __init__(self, state_dir: Path, *options: str) -> None:
        self.state_dir = state_dir
        self._options = options
        self.env: dict[str, str] = {}
        self._token: tuple[str, float] = ("", 0.0)
        # Reading all the authorities takes longer than most requests.
        self._context: ssl.SSLContext | None = None

    def _control(self, verb: str, *options: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "tests.local_azure", verb, "--state-dir", str(self.state_dir), *options],
            cwd=CHECKOUT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, f"local Azure, {verb}: {done.stdout}{done.stderr}"

    def start(self) -> None:
        self._control("start", *self._options)
        text = (self.state_dir / "env").read_text(encoding="utf-8")
        for word in shlex.split(text, comments=True):
            name, separator, value = word.partition("=")
            if separator:
                self.env[name] = value

    def stop(self) -> None:
        self._control("stop")

    @property
    def subscription_id(self) -> str:
        return self.env["AZURE_SUBSCRIPTION_ID"]

    @property
    def url(self) -> str:
        return self.env["AZURE_CLOUD_ENVIRONMENT"].rstrip("/")

    @property
    def secret(self) -> str:
        return self.env["AZURE_SECRET"]

    # What went over the wire.

    def exchanges(self, since: int = 0) -> list[dict[str, Any]]:
        file = self.state_dir / "exchanges.jsonl"
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        return [json.loads(line) for line in lines[since:]]

    def mark(self) -> int:
        """A point in the traffic to count from."""
        return len(self.exchanges())

    def writes(self, since: int) -> list[str]:
        """`METHOD /path` of every request since `since` that could have changed something in Azure."""
        sent = [exchange["liveRequest"] for exchange in self.exchanges(since)]
        return [
            f"{request['method']} {urllib.parse.urlsplit(request['url']).path}"
            for request in sent
            if request["method"] in WRITES and "/subscriptions/" in request["url"].lower()
        ]

    # Looking in and seeding, as any client would.

    def id(self, group: str, kind: str = "", name: str = "") -> str:
        """An id below the subscription: id("rg"), id("rg", "Microsoft.Compute/disks", "d")."""
        base = f"/subscriptions/{self.subscription_id}/resourceGroups/{group}"
        return f"{base}/providers/{kind}/{name}" if kind else base

    def request(self, method: str, path: str, body: Any = None, *, query: str = "") -> Answer:
        """One request, answered whatever the status. `path` is a resource id or an absolute URL."""
        url = (
            path if path.startswith("https:") else f"{self.url}{path}?api-version={_api_version(path)}{query}"
        )
        return self._send(
            method,
            url,
            None if body is None else json.dumps(body).encode(),
            {"Authorization": f"Bearer {self._bearer()}", "Content-Type": "application/json"},
        )

    def get(self, path: str, *, query: str = "") -> Any:
        """The resource, or None when there is none."""
        answer = self.request("GET", path, query=query)
        assert answer.status in (200, 404), answer
        return answer.body if answer.status == 200 else None

    def do(self, method: str, path: str, body: Any = None, *, query: str = "") -> Any:
        """A write, waited for; returns the resource, or what the operation returned."""
        first = self.request(method, path, body, query=query)
        assert first.status < 300, first
        follow = first.headers.get("azure-asyncoperation") or first.headers.get("location")
        if follow is None:
            return first.body
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            poll = self.request("GET", follow)
            assert poll.status < 300, poll
            status = (poll.body or {}).get("status", "Succeeded") if poll.status == 200 else "InProgress"
            if status in ("Failed", "Canceled"):
                raise AssertionError(f"{method} {path}: {poll.body}")
            if status == "Succeeded":
                return self.get(path) if method in ("PUT", "PATCH") else poll.body
            time.sleep(0.1)
        raise AssertionError(f"{method} {path}: did not end in time")

    def put(self, path: str, body: Any) -> Any:
        return self.do("PUT", path, body)

    def group(self, name: str, location: str = "eastus") -> str:
        """Make sure that a resource group exists; returns its name."""
        self.put(self.id(name), {"location": location})
        return name

    def disk(
        self, group: str, name: str, *, location: str = "eastus", size_gb: int = 1, **properties: Any
    ) -> str:
        """An empty managed disk; returns its id."""
        disk_id = self.id(group, "Microsoft.Compute/disks", name)
        wanted = {"creationData": {"createOption": "Empty"}, "diskSizeGB": size_gb, **properties}
        self.put(disk_id, {"location": location, "sku": {"name": "Standard_LRS"}, "properties": wanted})
        return disk_id

    def _bearer(self) -> str:
        token, expires = self._token
        if time.time() < expires:
            return token
        form = {
            "grant_type": "client_credentials",
            "client_id": self.env["AZURE_CLIENT_ID"],
            "client_secret": self.secret,
            "scope": "https://management.azure.com/.default",
        }
        answer = self._send(
            "POST",
            f"{self.url}/{self.env['AZURE_TENANT']}/oauth2/v2.0/token",
            urllib.parse.urlencode(form).encode(),
            {"Content-Type": "application/x-www-form-urlencoded"},
        )
        assert answer.status == 200, answer
        self._token = (answer.body["access_token"], time.time() + 600)
        return str(answer.body["access_token"])

    def _send(self, method: str, url: str, data: bytes | None, headers: dict[str, str]) -> Answer:
        self._context = self._context or ssl.create_default_context(cafile=self.env["SSL_CERT_FILE"])
        request = urllib.request.Request(url, data=data, headers=headers, method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(request, context=self._context, timeout=60) as response:  # noqa: S310
                return _answer(response.status, response.headers, response.read())
        except urllib.error.HTTPError as error:
            with error:
                return _answer(error.code, error.headers, error.read())


def _answer(status: int, headers: Any, content: bytes) -> Answer:
    lowered = {name.lower(): value for name, value in headers.items()}
    return Answer(status, lowered, json.loads(content) if content.strip() else None)


def _api_version(path: str) -> str:
    kind = path.partition("/providers/")[2]
    matching = [
        version for prefix, version in API_VERSIONS.items() if kind.lower().startswith(prefix.lower())
    ]
    return matching[0] if matching else RESOURCE_GROUPS_API
