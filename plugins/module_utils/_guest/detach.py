# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Starting the last step so that it outlives the task, its session and the account it came with.

The program is written to /run, which is memory: the same modules that the task runs from, and nothing else.
"""

import ast
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from typing import Dict, List

from ansible_collections.goldenimage.azure.plugins.module_utils._guest import last_step
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.host import STATE_DIR
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.job import (
    ERRORS_FILE,
    Job,
    read_phase,
    write_job,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import GuestError
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.services import UNIT, has_systemd

_PACKAGES = "ansible_collections.goldenimage.azure.plugins.module_utils"
_PROGRAM_DIR = STATE_DIR + "/program"
_START_SECONDS = 30.0


def start(job: Job) -> None:
    """Leave the order and start the last step; returns when it waits for the session to end.

    One that waits already, of a run that was interrupted, is replaced.
    """
    if has_systemd():
        subprocess.run(
            ["systemctl", "stop", UNIT], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
        )
    write_job(job)
    command = [sys.executable or "/usr/bin/python3", "-B", "-s", _write_program()]
    if has_systemd():
        _start_unit(command)
    else:
        _start_daemon(command)
    deadline = time.monotonic() + _START_SECONDS
    while not read_phase():
        if time.monotonic() > deadline:
            raise GuestError("the last step did not start: {0}".format(_errors() or "it says nothing"))
        time.sleep(0.02)


def _write_program() -> str:
    shutil.rmtree(_PROGRAM_DIR, ignore_errors=True)
    for name, source in _sources().items():
        path = os.path.join(_PROGRAM_DIR, *name.split(".")) + ".py"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(source)
    entry = os.path.join(_PROGRAM_DIR, "last_step.py")
    with open(entry, "w", encoding="utf-8") as file:
        file.write("import sys\nfrom {0} import main\nsys.exit(main())\n".format(last_step.__name__))
    return entry


def _sources() -> Dict[str, str]:
    """The modules the last step imports, with their text; what else the task imported is left out."""
    waiting = [last_step.__name__]
    sources: Dict[str, str] = {}
    while waiting:
        name = waiting.pop()
        if name in sources:
            continue
        sources[name] = _source(name)
        for node in ast.walk(ast.parse(sources[name])):
            if not isinstance(node, ast.ImportFrom):
                continue
            origin = str(node.module)
            if origin.rpartition(".")[0] == _PACKAGES:
                waiting.extend("{0}.{1}".format(origin, alias.name) for alias in node.names)
            elif origin.startswith(_PACKAGES + "."):
                waiting.append(origin)
    return sources


def _source(name: str) -> str:
    spec = importlib.util.find_spec(name)
    # The task may run from a zip file, whose loader knows the source just as well as that of a directory.
    get_source = getattr(None if spec is None else spec.loader, "get_source", None)
    source = None if get_source is None else get_source(name)
    if source is None:
        raise GuestError("the source of {0} cannot be read".format(name))
    return str(source)


def _start_unit(command: List[str]) -> None:
    done = subprocess.run(
        [
            "systemd-run",
            "--quiet",
            "--collect",
            "--unit=" + UNIT,
            "--service-type=exec",
            "--property=StandardInput=null",
            "--property=StandardOutput=null",
            "--property=StandardError=file:" + ERRORS_FILE,
            "--property=KillMode=process",
            "--property=OOMScoreAdjust=-900",
            "--property=LimitNOFILE=4096",
            "--setenv=LC_ALL=C.UTF-8",
            "--setenv=HOME=/root",
            *command,
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    if done.returncode:
        raise GuestError(
            "the last step could not be started: {0}".format(done.stderr.decode("utf-8", "replace").strip())
        )


def _start_daemon(command: List[str]) -> None:
    """Without systemd: a grandchild in a session of its own, see daemon(7)."""
    with open(ERRORS_FILE, "w", encoding="utf-8") as errors:
        child = os.fork()
        if child == 0:
            os.chdir("/")
            subprocess.Popen(  # noqa: S603
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
            )
            os._exit(0)
        os.waitpid(child, 0)


def _errors() -> str:
    try:
        with open(ERRORS_FILE, encoding="utf-8", errors="replace") as file:
            return " / ".join(file.read().strip().splitlines()[-3:])
    except OSError:
        return ""
