# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What is heard from the guest, kept in its directory as it comes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.local_azure.guest_environment.record import AgentStatus, Heard, load_heard, save_heard

# The agent says NotReady with another substatus while it is still at work.
_FAILED = "ProvisioningFailed"


class Reports:
    """`provisioned` is called each time the guest says that its provisioning has ended, well or not."""

    def __init__(self, directory: Path, provisioned: Callable[[], None]) -> None:
        self._directory = directory
        self._provisioned = provisioned
        self._heard = load_heard(directory)

    def health(self, state: str, substatus: str, description: str, reporter: str) -> None:
        if state == "Ready":
            self._keep(self._heard._replace(reported="ready", description="", reporter=reporter))
        elif substatus == _FAILED:
            self._keep(self._heard._replace(reported="failed", description=description, reporter=reporter))
        else:
            return
        self._provisioned()

    def goal_state_fetched(self, reporter: str) -> None:
        """The agent names itself WALinuxAgent; cloud-init fetches the goal state, too, and is no agent."""
        if reporter.startswith("WALinuxAgent") and not self._heard.agent_seen:
            self._keep(self._heard._replace(agent_seen=True))

    def agent(self, status: AgentStatus) -> None:
        self._keep(self._heard._replace(agent=status, agent_seen=True))

    def _keep(self, heard: Heard) -> None:
        self._heard = heard
        save_heard(self._directory, heard)
