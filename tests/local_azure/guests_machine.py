# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""A machine of the guest lab that goes on running when the process that started it ends."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from tests.guests.lab.machine import Machine


class LastingMachine(Machine):
    """A VM in the cloud does not stop because its control plane is restarted."""

    def _spawn(self, command: Sequence[str], log: int) -> subprocess.Popen[bytes]:
        # The lab has every machine killed with its starter, by a program put in front of QEMU.
        return super()._spawn(command[command.index("qemu-system-x86_64") :], log)
