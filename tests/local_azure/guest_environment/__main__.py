# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""One guest's environment: python -m tests.local_azure.guest_environment DIRECTORY LISTENER...

Runs in a network namespace of its own as long as the guest does. LISTENER are descriptors of sockets that the
host's namespace listens with. Says "ready" on standard output when QEMU may be started.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from pathlib import Path

from aiohttp import web

from tests.guests.lab.machine import MEDIA_DRIVE
from tests.guests.lab.qmp import Qmp, QmpError
from tests.local_azure.guest_environment.address_service import start_dnsmasq
from tests.local_azure.guest_environment.cable import lay_cable
from tests.local_azure.guest_environment.forwarding import forward
from tests.local_azure.guest_environment.host_plugin import PORT, HostPlugin
from tests.local_azure.guest_environment.metadata_service import MetadataService
from tests.local_azure.guest_environment.network_namespace import (
    METADATA_SERVICE,
    WIRE_SERVER,
    enter,
    open_guest_side,
)
from tests.local_azure.guest_environment.record import CABLE, MEDIA, Environment, load_environment
from tests.local_azure.guest_environment.reports import Reports
from tests.local_azure.guest_environment.wire_server import WireServer

_PLUG_SECONDS = 60


def _eject(directory: Path) -> None:
    """Take the provisioning media out, as Azure does; what is on it is not kept."""
    with contextlib.suppress(OSError, QmpError), Qmp(directory / "vm.qmp") as qmp:
        qmp.execute("eject", id=MEDIA_DRIVE, force=True)
    (directory / MEDIA).unlink(missing_ok=True)


class _Media:
    """Ejects the media once, in a thread: QEMU may be slow to answer."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._work: asyncio.Future[None] | None = None

    def provisioned(self) -> None:
        if self._work is None:
            self._work = asyncio.get_running_loop().run_in_executor(None, _eject, self._directory)

    async def settled(self) -> None:
        if self._work is not None:
            await self._work


async def _serve(directory: Path, environment: Environment, reports: Reports) -> list[web.AppRunner]:
    metadata = MetadataService(directory, environment)
    runners = []
    for application, address, port in (
        (WireServer(environment, reports).application(metadata.routes()), WIRE_SERVER, 80),
        (HostPlugin(environment, reports).application(), WIRE_SERVER, PORT),
        (metadata.application(), METADATA_SERVICE, 80),
    ):
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, address, port).start()
        runners.append(runner)
    return runners


async def _run(directory: Path, environment: Environment, listeners: list[socket.socket]) -> None:
    media = _Media(directory)
    runners = await _serve(directory, environment, Reports(directory, media.provisioned))
    for listener, port in zip(listeners, environment.forwards, strict=True):
        await forward(listener, environment.address, port)
    cable = await lay_cable(Path(CABLE), open_guest_side())
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.wait_for(cable.plugged.wait(), _PLUG_SECONDS)
    await cable.unplugged.wait()
    for runner in runners:
        await runner.cleanup()
    await media.settled()


def main() -> None:
    directory = Path(sys.argv[1])
    listeners = [socket.socket(fileno=int(descriptor)) for descriptor in sys.argv[2:]]
    os.chdir(directory)
    environment = load_environment(directory)
    enter(environment)
    dnsmasq = start_dnsmasq(environment)
    signal.signal(signal.SIGTERM, lambda *_unused: sys.exit(0))
    try:
        asyncio.run(_run(directory, environment, listeners))
    finally:
        dnsmasq.kill()
        dnsmasq.wait()


if __name__ == "__main__":
    main()
