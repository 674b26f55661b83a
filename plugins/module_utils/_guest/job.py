# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The order that a task leaves to the last step, which runs after the task's own session is over."""

import json
import os
from typing import List, NamedTuple, Optional, Tuple

from ansible_collections.goldenimage.azure.plugins.module_utils._guest.host import JOB_FILE, STATE_DIR
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import GuestError
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.session import Process
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.traces import Selection

REPORT_FILE = STATE_DIR + "/report.json"
ERRORS_FILE = STATE_DIR + "/errors"


class Job(NamedTuple):
    """What to do.

    `agent` is the path of waagent or empty; `caller` and `connection` are what to wait for, at most
    `session_timeout` seconds; `free_space` is one of :data:`free_space.CHOICES`.
    """

    accounts: Tuple[str, ...]
    hostnames: Tuple[str, ...]
    machine_id: str
    selection: Selection
    agent: str
    power_off: bool
    caller: Process
    connection: Optional[Process]
    session_timeout: float
    free_space: str


def write_job(job: Job) -> None:
    """Leave an order; what an earlier one reported goes."""
    os.makedirs(STATE_DIR, mode=0o700, exist_ok=True)
    info = os.lstat(STATE_DIR)
    if info.st_uid != os.geteuid() or info.st_mode & 0o077:
        raise GuestError("{0}: belongs to somebody else or is open to others; remove it".format(STATE_DIR))
    for path in (REPORT_FILE, ERRORS_FILE):
        if os.path.lexists(path):
            os.unlink(path)
    with open(JOB_FILE, "w", encoding="utf-8") as file:
        json.dump(job._asdict(), file)


def read_job() -> Job:
    """The order that was left."""
    with open(JOB_FILE, encoding="utf-8") as file:
        data = json.load(file)
    connection = data["connection"]
    include, exclude, extra = (tuple(part) for part in data["selection"])
    return Job(
        accounts=tuple(data["accounts"]),
        hostnames=tuple(data["hostnames"]),
        machine_id=data["machine_id"],
        selection=Selection(include, exclude, extra),
        agent=data["agent"],
        power_off=data["power_off"],
        caller=Process(*data["caller"]),
        connection=None if connection is None else Process(*connection),
        session_timeout=data["session_timeout"],
        free_space=data["free_space"],
    )


def write_report(phase: str, failures: Optional[List[str]] = None) -> None:
    """Say how far the last step is; only the memory of this host sees it."""
    temporary = REPORT_FILE + ".new"
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump({"phase": phase, "failures": failures or []}, file)
    os.rename(temporary, REPORT_FILE)


def read_phase() -> str:
    """How far the last step is; empty before it has begun."""
    try:
        with open(REPORT_FILE, encoding="utf-8") as file:
            return str(json.load(file)["phase"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
