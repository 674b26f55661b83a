# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Facts of Windows machines on which nothing speaks against Sysprep, as collectors answer.

What each collector answers is in a file of its own in 'collected', tied to the collector by its digest.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

COLLECTED = Path(__file__).parent / "collected"

Answers = dict[str, Any]


def there(value: int | str) -> dict[str, Any]:
    """A value that is in the registry."""
    return {"present": True, "value": value}


def absent() -> dict[str, Any]:
    """A value that is not in the registry."""
    return {"present": False}


def denied() -> dict[str, Any]:
    """A value that may not be read."""
    return {"error": "Requested registry access is not allowed."}


def service(state: str = "Running", start_mode: str = "Auto") -> dict[str, Any]:
    """A service."""
    return {"present": True, "state": state, "start_mode": start_mode}


NO_SERVICE = {"present": False, "state": "", "start_mode": ""}


def package(name: str, version: str = "1.0.0.0", **more: Any) -> dict[str, Any]:
    """A Store package that one account has."""
    return {
        "name": name,
        "full_name": f"{name}_{version}_x64__8wekyb3d8bbwe",
        "family": f"{name}_8wekyb3d8bbwe",
        "version": version,
        "bundle": False,
        "framework": False,
        "resource_package": False,
        "signature": "Store",
        "location": f"C:\\Program Files\\WindowsApps\\{name}",
        "users": [{"user": "builder", "state": "Installed"}],
        **more,
    }


def provisioned(name: str, version: str = "1.0.0.0", resource: str = "") -> dict[str, Any]:
    """A package that every new account gets."""
    return {"package_name": f"{name}_{version}_x64_{resource}_8wekyb3d8bbwe"}


def _server() -> Iterator[tuple[str, Any]]:
    for path in sorted(COLLECTED.glob("*.yml")):
        yield from yaml.safe_load(path.read_text(encoding="utf-8"))["answers"].items()


_SERVER = dict(_server())


def server() -> Answers:
    """The answers of all collectors on a healthy Windows Server 2022."""
    return {name: {"ok": True, "value": deepcopy(value)} for name, value in _SERVER.items()}


def workstation() -> Answers:
    """The answers of all collectors on a healthy Windows 11."""
    answers = server()
    answers["system"]["value"].update(
        caption="Microsoft Windows 11 Enterprise", build=26100, product_type=1, sku=4, domain_role=0
    )
    answers["features"]["value"] = {"available": False, "installed": []}
    return answers


def multi_session() -> Answers:
    """The answers of all collectors on a healthy Windows 11 multi-session, which calls itself a server."""
    answers = workstation()
    answers["system"]["value"].update(
        caption="Microsoft Windows 11 Enterprise multi-session", product_type=3, sku=175, domain_role=2
    )
    return answers
