# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""A machine of the guest lab as a virtual machine of the local Azure."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Sequence

from tests.guests.lab.machine import Machine
from tests.guests.lab.qmp import QmpError

_QUIT_SECONDS = 15


class LastingMachine(Machine):
    """Goes on running when the process that started it ends, and keeps every write that reached its disks."""

    def kill(self) -> None:
        """Pull the guest's plug, not QEMU's: killed, it would lose writes that the guest has seen done."""
        if self.is_running():
            with contextlib.suppress(OSError, QmpError):
                self.qmp("quit")
            self.wait_off(_QUIT_SECONDS)
        super().kill()

    def _spawn(self, command: Sequence[str], log: int) -> subprocess.Popen[bytes]:
        # The lab has every machine killed with its starter, by a program put in front of QEMU. A VM in the
        # cloud does not stop because its control plane is restarted.
        return super()._spawn(command[command.index("qemu-system-x86_64") :], log)
