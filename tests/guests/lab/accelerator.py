# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Which accelerator runs guests on this host, found out by running something: /dev/kvm may exist and fail."""

from __future__ import annotations

import functools
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Literal

_PORT = 0x501
_VALUE = 0x10
# isa-debug-exit ends QEMU with (value << 1) | 1.
_EXIT_STATUS = (_VALUE << 1) | 1
_SECONDS = 2.0


def boot_sector() -> bytes:
    """A 512-byte MBR boot sector that writes `_VALUE` to port `_PORT` and halts."""
    code = (
        b"\xba" + _PORT.to_bytes(2, "little")  # mov dx, port
        + b"\xb0" + bytes([_VALUE])  # mov al, value
        + b"\xee"  # out dx, al
        + b"\xfa\xf4"  # cli; hlt
    )  # fmt: skip
    return code.ljust(510, b"\0") + b"\x55\xaa"


def runs_under(accelerator: str, cpu: str, seconds: float = _SECONDS) -> bool:
    """True when a guest with that accelerator and CPU model executes its boot sector within `seconds`."""
    with tempfile.NamedTemporaryFile(prefix="boot-sector-") as sector:
        sector.write(boot_sector())
        sector.flush()
        command = [
            *("qemu-system-x86_64", "-machine", "pc", "-accel", accelerator, "-cpu", cpu, "-m", "64"),
            *("-nodefaults", "-display", "none", "-no-reboot", "-boot", "c"),
            *("-drive", f"file={sector.name},format=raw,if=ide,snapshot=on"),
            *("-device", f"isa-debug-exit,iobase={_PORT:#x},iosize=4"),
        ]
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False
            )
        except subprocess.TimeoutExpired:
            return False
    return done.returncode == _EXIT_STATUS


@functools.lru_cache(maxsize=1)
def accelerator() -> Literal["kvm", "tcg"]:
    """`kvm` when it really runs guests here, else `tcg` (emulation). Asked once per process."""
    device = Path("/dev/kvm")
    if device.exists() and os.access(device, os.R_OK | os.W_OK) and runs_under("kvm", "host"):
        return "kvm"
    return "tcg"
