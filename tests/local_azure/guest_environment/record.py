# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What the host and a guest's environment tell each other, in files of the guest's directory.

Files outlive both: the server may be restarted while the guest runs, and the guest may report meanwhile.
"""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any, Literal, NamedTuple

Json = dict[str, Any]

#: The socket that QEMU plugs the guest's network interface into; relative to the guest's directory.
CABLE = "vm.net"
MEDIA = "provisioning.iso"


class Environment(NamedTuple):
    """What an environment has to be: one guest's network and identity.

    `mac` as 00:0d:3a:.., `prefix` as 10.0.0.0/24; `forwards` are the guest's ports that the inherited
    listeners lead to, in their order; `identity_socket` is where the server gives out tokens, relative to the
    guest's directory.
    """

    vm_id: str
    vm_name: str
    computer_name: str
    location: str
    mac: str
    address: str
    prefix: str
    forwards: tuple[int, ...]
    identity_socket: str

    @property
    def container_id(self) -> str:
        return str(uuid.uuid5(uuid.UUID(self.vm_id), "container"))

    @property
    def deployment_id(self) -> str:
        return str(uuid.uuid5(uuid.UUID(self.vm_id), "deployment"))

    @property
    def instance_id(self) -> str:
        """What the wire server calls the machine."""
        return f"{self.deployment_id}._{self.vm_name}"

    @property
    def domain(self) -> str:
        """The DNS suffix of the virtual network, as Azure's own name resolution has them."""
        return f"{uuid.uuid5(uuid.UUID(self.vm_id), 'domain').hex[:24]}.ax.internal.cloudapp.net"


class AgentStatus(NamedTuple):
    """What the guest agent says of itself in its status report; `time` is when it was received."""

    version: str
    status: str
    message: str
    computer_name: str
    os_name: str
    os_version: str
    time: str


class ProvisioningReport(NamedTuple):
    """How the provisioning of a guest ended.

    `silent`: nothing was heard in time, with `agent_seen` when an agent at least asked for its goal state;
    `stopped`: the guest was off before it had reported. `description` is the guest's own text on failure.
    """

    outcome: Literal["ready", "failed", "silent", "stopped"]
    description: str = ""
    agent_seen: bool = False


class Heard(NamedTuple):
    """Everything that was heard from a guest so far. `reported`: the last report on its provisioning."""

    reported: Literal["ready", "failed"] | None = None
    description: str = ""
    reporter: str = ""
    agent_seen: bool = False
    agent: AgentStatus | None = None


def save_environment(directory: Path, environment: Environment) -> None:
    _write(directory / "environment.json", environment._asdict())


def load_environment(directory: Path) -> Environment:
    record = _read(directory / "environment.json") or {}
    return Environment(**{**record, "forwards": tuple(record["forwards"])})


def save_instance(directory: Path, document: Json) -> None:
    """Keep what the instance metadata service says of the machine, in the shape of its newest version."""
    _write(directory / "instance.json", document)


def load_instance(directory: Path) -> Json:
    return _read(directory / "instance.json") or {}


def save_heard(directory: Path, heard: Heard) -> None:
    agent = heard.agent._asdict() if heard.agent else None
    _write(directory / "heard.json", {**heard._asdict(), "agent": agent})


def load_heard(directory: Path) -> Heard:
    record = _read(directory / "heard.json")
    if record is None:
        return Heard()
    agent = AgentStatus(**record["agent"]) if record["agent"] else None
    return Heard(**{**record, "agent": agent})


def _write(path: Path, content: Json) -> None:
    part = path.with_suffix(".part")
    part.touch(mode=0o600)
    part.write_text(json.dumps(content))
    part.replace(path)


def _read(path: Path) -> Json | None:
    try:
        content: Json = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    return content
