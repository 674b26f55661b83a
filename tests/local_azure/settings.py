# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What one local Azure is: where its state lives, its ports, who may sign in, and how fast it is."""

from __future__ import annotations

import base64
import json
import os
import secrets
import socket
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.local_azure.identity.directory import Identity, identity_from, random_identity

# Azure gives up after twenty minutes, too.
GUEST_TIMEOUT = 1200.0
DEFAULT_STATE_DIR = Path(__file__).resolve().parents[2] / ".build" / "local-azure"


@dataclass(frozen=True)
class Ports:
    arm: int
    blob: int


@dataclass(frozen=True)
class Pace:
    """How long operations take: Azure's own durations divided by `speed`.

    Azure's Retry-After values are for the patient; others are asked for `retry_after_seconds`.
    """

    speed: float = 100.0
    azure_retry_after: bool = False
    retry_after_seconds: int = 1

    def seconds(self, azure_seconds: float) -> float:
        """How long something lasts here that lasts `azure_seconds` on Azure."""
        return azure_seconds / self.speed

    def retry_after(self, azure: int | None) -> str | None:
        if azure is None:
            return None
        return str(azure if self.azure_retry_after else self.retry_after_seconds)


@dataclass(frozen=True)
class Settings:
    state_dir: Path
    identity: Identity
    ports: Ports
    operation_key: str
    pace: Pace = Pace()
    with_guests: bool = False
    guest_timeout: float = GUEST_TIMEOUT
    #: How many resources a page of any list has; None for as many as Azure's pages have.
    page_size: int | None = None
    #: A profile of faults that is in force from the start, and the seed of faults where none is said.
    faults: Path | None = None
    fault_seed: int | None = None

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.ports.arm}"


def private_file(path: Path, content: str) -> None:
    """Writes a file only its owner can read, in one step, so that a crash never leaves half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".new")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(content)
    partial.replace(path)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def load_or_create(
    state_dir: Path,
    *,
    arm_port: int | None = None,
    pace: Pace | None = None,
    with_guests: bool = False,
    guest_timeout: float = GUEST_TIMEOUT,
    page_size: int | None = None,
    faults: Path | None = None,
    fault_seed: int | None = None,
) -> Settings:
    """Reads the identity and ports of a state directory, or chooses them on the first start."""
    path = state_dir / "identity.json"
    if path.exists():
        stored = json.loads(path.read_text(encoding="utf-8"))
        identity = identity_from(stored["identity"])
    else:
        identity = random_identity()
        stored = {
            "ports": asdict(Ports(arm=free_port(), blob=free_port())),
            "operation_key": base64.b64encode(secrets.token_bytes(32)).decode(),
        }
    stored["identity"] = identity.stored()
    if arm_port is not None:
        stored["ports"]["arm"] = arm_port
    state_dir.mkdir(parents=True, exist_ok=True)
    state_dir.chmod(0o700)
    private_file(path, json.dumps(stored, indent=2) + "\n")
    return Settings(
        state_dir=state_dir,
        identity=identity,
        ports=Ports(**stored["ports"]),
        operation_key=stored["operation_key"],
        pace=pace or Pace(),
        with_guests=with_guests,
        guest_timeout=guest_timeout,
        page_size=page_size,
        faults=faults,
        fault_seed=fault_seed,
    )
