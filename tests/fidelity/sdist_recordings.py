# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Recordings of Azure from the source archives of azure-mgmt-compute, fetched when they are asked for.

The last archives with recordings are those of 20.0.0; each of the three speaks other api-versions.
"""

from __future__ import annotations

import ast
import fcntl
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import yaml

from tests.fidelity.client_environment import BUILD
from tests.fidelity.recording import Recorded, prepared

VERSIONS = ("20.0.0", "12.0.0", "4.6.2")
_PACKAGE = "azure-mgmt-compute"
_SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"
_FETCH_SECONDS = 600
# CSafeLoader reads ten times as fast.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class FetchError(RuntimeError):
    """The archive could not be had; the message has pip's last words."""


def archive(version: str, folder: Path = BUILD / "sdists") -> Path:
    """The source archive of a version, from the folder or else through pip."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        present = folder / f"{_PACKAGE}-{version}.zip"
        if not present.exists():
            _fetch(version, folder)
    if not present.exists():
        raise FetchError(f"pip fetched no {present.name}")
    return present


def _fetch(version: str, folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--no-binary", ":all:", "--dest", str(folder), f"{_PACKAGE}=={version}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_FETCH_SECONDS, check=False)
    if done.returncode != 0:
        raise FetchError(f"pip download {_PACKAGE}=={version} failed: {done.stderr.strip()[-1000:]}")


def cassettes(version: str) -> dict[str, bytes]:
    """The recordings of a version by the names of their tests."""
    with zipfile.ZipFile(archive(version)) as content:
        names = [n for n in content.namelist() if "/tests/recordings/" in n and n.endswith(".yaml")]
        return {Path(name).stem: content.read(name) for name in sorted(names)}


def read_cassette(content: bytes) -> list[Recorded]:
    """The exchanges of a recording in the form of the others."""
    text = content.decode("utf-8").replace(_SUBSCRIPTION, "{sub}")
    interactions = yaml.load(text, _LOADER)["interactions"]  # noqa: S506 - a safe loader
    return prepared([_recorded(number, entry) for number, entry in enumerate(interactions)])


def _recorded(number: int, entry: Mapping[str, Any]) -> Recorded:
    request, response = entry["request"], entry["response"]
    parts = urlsplit(request["uri"])
    return Recorded(
        number=number,
        method=request["method"],
        host=parts.hostname or "",
        path=unquote(parts.path),
        query=dict(parse_qsl(parts.query)),
        request=_json(_unwrapped(request.get("body"))),
        status=response["status"]["code"],
        headers=dict(_headers(response["headers"])),
        body=_json(response["body"].get("string")),
        request_headers=dict(_headers(request["headers"])),
    )


def _headers(recorded: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in recorded.items():
        yield name.lower(), value[0] if isinstance(value, list) else str(value)


def _unwrapped(body: Any) -> Any:
    """The recorder wrote bytes as Python shows them, some of them several times over."""
    while isinstance(body, str) and body.startswith(("b'", 'b"')):
        body = ast.literal_eval(body).decode("utf-8")
    return body


def _json(text: Any) -> Any:
    if isinstance(text, bytes):
        text = text.decode("utf-8-sig")
    return json.loads(text) if isinstance(text, str) and text.strip() else None
