# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Shows how far a module is that moves a disk or publishes an image."""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from ansible import constants
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

_EVERY = 3.0
# What is said of the phases in which nothing goes over the network, and of those in which something does.
_LOCAL = {"reading": "looked at", "checking": "checked"}
_MOVED = {"sending": "sent", "receiving": "received", "copying": "copied"}
# What says which of several disks a line is about, the first that is given.
_NAMES = ("path", "disk_name", "snapshot_name", "blob", "definition")
_display = Display()


class ProgressAction(ActionBase):
    """Runs a module of the same options; where that runs on this very machine, shows how far it is.

    The module has the option `progress_file`; `module` is its name.
    """

    module = ""
    _supports_check_mode = True
    _supports_async = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Called by ansible-core."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        result.update(self.work(task_vars or {}))
        return result

    def work(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        """What the task does, and its results."""
        return self.run_shown(dict(self._task.args), task_vars)

    def run_shown(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Run the module; its results."""
        with self._progress(arguments):
            done: dict[str, Any] = self._execute_module(
                module_name=self.module,
                module_args=arguments,
                task_vars=task_vars,
                wrap_async=self._task.async_val,
            )
        return done

    def is_local(self) -> bool:
        """Whether the task runs on this very machine."""
        return getattr(self._connection, "transport", "") == "local"

    @contextmanager
    def _progress(self, arguments: dict[str, Any]) -> Iterator[None]:
        """Have the module write its progress into a file, and show what it writes."""
        # With become the module runs as somebody who may not write where we can read.
        hidden = self._task.async_val or self._play_context.become or arguments.get("progress_file")
        if not self.is_local() or hidden:
            yield
            return
        # In Ansible's own temporary folder, which goes even when this process is not let finish.
        # Constants of ansible-core are made when it is imported, mypy does not see them.
        temporary: str = constants.DEFAULT_LOCAL_TMP  # type: ignore[attr-defined]
        folder = Path(tempfile.mkdtemp(prefix="progress-", dir=temporary))
        file = folder / "progress"
        arguments["progress_file"] = str(file)

        def read() -> str:
            with suppress(OSError):
                # A line that is not complete yet is left for the next look.
                return "\n".join(file.read_text(encoding="utf-8").split("\n")[:-1][-1:])
            return ""

        try:
            with followed(label(arguments), read):
                yield
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def followed(name: str, read: Callable[[], str]) -> Iterator[None]:
    """Show, every few seconds, the line of progress that `read` gives; empty as long as there is none."""
    stop = threading.Event()
    follower = threading.Thread(target=_follow, args=(name, read, stop), daemon=True)
    follower.start()
    try:
        yield
    finally:
        stop.set()
        follower.join(2)


def _follow(name: str, read: Callable[[], str], stop: threading.Event) -> None:
    shown = ""
    while not stop.wait(_EVERY):
        line = read().strip()
        if line and line != shown:
            shown = line
            with suppress(ValueError):
                _display.display(f"{name}: {sentence(json.loads(line))}")


def label(arguments: Mapping[str, Any]) -> str:
    """What a line of progress begins with, of a module's options: the last part of a name or URL."""
    given = [str(arguments[name]) for name in _NAMES if arguments.get(name)]
    if not given and arguments.get("sas_url"):
        # Its query is a secret.
        given = [urlsplit(str(arguments["sas_url"])).path]
    return PurePosixPath(given[0]).name if given else "disk"


def sentence(progress: dict[str, Any]) -> str:
    """One line for the user: bytes, percent of the data, MB/s and time left; or each region's percent."""
    if progress["phase"] == "replicating":
        return ", ".join(
            f"{each['region']} {each['state']}"
            + (f" {each['progress']} %" if each["state"] == "Replicating" else "")
            for each in progress["regions"]
        )
    done, total, seconds = progress["done"], progress["total"], progress["seconds"]
    percent = 100 * done // total if total else 100
    phase = progress["phase"]
    if phase in _LOCAL:
        return f"{_LOCAL[phase]} {percent} % of {total / 1e6:.0f} MB of data"
    text = f"{_MOVED[phase]} {progress['sent'] / 1e6:.0f} MB, {percent} % of {total / 1e6:.0f} MB"
    # Of a copy within Azure nobody knows how much the disk holds.
    if phase != "copying":
        text += " of data"
    # What an earlier run had moved went by at once and tells nothing of what is left.
    passed = done - progress["resumed"]
    if seconds <= 0 or passed <= 0:
        return text
    minutes, rest = divmod(round((total - done) * seconds / passed), 60)
    left = f"{minutes} min {rest} s" if minutes else f"{rest} s"
    return f"{text}, {progress['sent'] / 1e6 / seconds:.1f} MB/s, {left} left"
