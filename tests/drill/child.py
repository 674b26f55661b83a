# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Work with the collection's session in a process of its own, which may be killed."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import (
    AzureSession,
    open_session,
)

DONE, FAILED, KILLED, BROKEN = "done", "failed", "killed", "broken"
_LIMIT = 180.0


class Ended(NamedTuple):
    """How it ended; `said` is what the work returned, the error's result, or a traceback."""

    how: str
    said: Any


def in_child(
    work: Callable[[AzureSession], Any],
    environ: Mapping[str, str],
    file: Path,
    kill_after: float | None = None,
) -> Ended:
    """Do the work in a fork of this process, which has no threads. Killed with SIGKILL after some seconds."""
    file.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        _be_child(work, environ, file)
    deadline = time.monotonic() + (_LIMIT if kill_after is None else kill_after)
    while time.monotonic() < deadline:
        pid, _status = os.waitpid(child, os.WNOHANG)
        if pid:
            break
        time.sleep(0.02)
    else:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        if kill_after is None:
            return Ended(BROKEN, f"it did not end within {_LIMIT:g} s")
    if not file.exists():
        return Ended(KILLED, None)
    return Ended(*json.loads(file.read_text(encoding="utf-8")))


def _be_child(work: Callable[[AzureSession], Any], environ: Mapping[str, str], file: Path) -> None:
    ended = Ended(BROKEN, "it ended by itself")
    try:
        with open_session({}, environ) as session:
            ended = Ended(DONE, work(session))
    except AzureError as error:
        ended = Ended(FAILED, error.as_result())
    except BaseException:  # noqa: BLE001 - the boundary of the process: the parent is to tell
        ended = Ended(BROKEN, traceback.format_exc())
    finally:
        part = file.with_suffix(".part")
        part.write_text(json.dumps(ended, default=str), encoding="utf-8")
        part.replace(file)
        sys.stdout.flush()
        os._exit(0)
