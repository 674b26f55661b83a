# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The local Azure as a process of its own: what `run` does, and `start` in the background."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal

from tests.local_azure.control import ControlError, pid_file, process_start_time, running_pid
from tests.local_azure.server import PortTakenError, Server
from tests.local_azure.settings import Settings, private_file


async def _serve(settings: Settings) -> None:
    server = Server(settings)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    try:
        await server.start()
        await ended.wait()
    finally:
        await server.stop()


def run(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT."""
    if running_pid(settings.state_dir) is not None:
        raise ControlError(f"A local Azure with state directory {settings.state_dir} runs already.")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    record = {"pid": os.getpid(), "started": process_start_time(os.getpid())}
    private_file(pid_file(settings.state_dir), json.dumps(record))
    try:
        asyncio.run(_serve(settings))
    except PortTakenError as error:
        raise ControlError(str(error)) from error
    finally:
        pid_file(settings.state_dir).unlink(missing_ok=True)
