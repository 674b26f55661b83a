# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Runs a module that moves a disk and, where it runs on this very machine, shows how far it is."""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

_EVERY = 3.0
# What is said of the phases in which nothing goes over the network, and of those in which something does.
_LOCAL = {"reading": "looked at", "checking": "checked"}
_MOVED = {"sending": "sent", "receiving": "received"}
_display = Display()


class ProgressAction(ActionBase):
    """All options go to the module unchanged; results are the module's.

    The module has the options `path` and `progress_file`; `module` is its name.
    """

    module = ""
    _supports_check_mode = True
    _supports_async = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Called by ansible-core."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        arguments = dict(self._task.args)
        with self._progress(arguments):
            result.update(
                self._execute_module(
                    module_name=self.module,
                    module_args=arguments,
                    task_vars=task_vars,
                    wrap_async=self._task.async_val,
                )
            )
        return result

    @contextmanager
    def _progress(self, arguments: dict[str, Any]) -> Iterator[None]:
        """Have the module write its progress into a file, and show what it writes."""
        local = getattr(self._connection, "transport", "") == "local"
        # With become the module runs as somebody who may not write where we can read.
        if not local or self._task.async_val or self._play_context.become or arguments.get("progress_file"):
            yield
            return
        # In Ansible's own temporary folder, which goes even when this process is not let finish.
        # Constants of ansible-core are made when it is imported, mypy does not see them.
        temporary: str = constants.DEFAULT_LOCAL_TMP  # type: ignore[attr-defined]
        folder = Path(tempfile.mkdtemp(prefix="progress-", dir=temporary))
        file = folder / "progress"
        arguments["progress_file"] = str(file)
        name = Path(str(arguments.get("path", ""))).name
        stop = threading.Event()
        follower = threading.Thread(target=_follow, args=(file, name, stop), daemon=True)
        follower.start()
        try:
            yield
        finally:
            stop.set()
            follower.join(2)
            shutil.rmtree(folder, ignore_errors=True)


def _follow(file: Path, name: str, stop: threading.Event) -> None:
    shown = ""
    while not stop.wait(_EVERY):
        line = _last_line(file)
        if line and line != shown:
            shown = line
            _display.display(f"{name}: {sentence(json.loads(line))}")


def _last_line(file: Path) -> str:
    """The last complete line, empty as long as there is none."""
    try:
        lines = file.read_text(encoding="utf-8").split("\n")[:-1]
    except OSError:
        return ""
    return lines[-1] if lines else ""


def sentence(progress: dict[str, Any]) -> str:
    """One line for the user: bytes, percent of the data, MB/s and time left."""
    done, total, seconds = progress["done"], progress["total"], progress["seconds"]
    percent = 100 * done // total if total else 100
    phase = progress["phase"]
    if phase in _LOCAL:
        return f"{_LOCAL[phase]} {percent} % of {total / 1e6:.0f} MB of data"
    text = f"{_MOVED[phase]} {progress['sent'] / 1e6:.0f} MB, {percent} % of {total / 1e6:.0f} MB of data"
    # What an earlier run had moved went by at once and tells nothing of what is left.
    passed = done - progress["resumed"]
    if seconds <= 0 or passed <= 0:
        return text
    minutes, rest = divmod(round((total - done) * seconds / passed), 60)
    left = f"{minutes} min {rest} s" if minutes else f"{rest} s"
    return f"{text}, {progress['sent'] / 1e6 / seconds:.1f} MB/s, {left} left"
