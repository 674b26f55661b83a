# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Virtual environments for strangers' clients, made on demand below the build folder."""

from __future__ import annotations

import fcntl
import os
import subprocess
import venv
from collections.abc import Callable
from pathlib import Path

BUILD = Path(__file__).resolve().parents[2] / ".build"
_INSTALL_SECONDS = 1800


# A program's own variables, and one that would have every start of a client compile its modules again.
_NOT_INHERITED = ("AZURE_", "ARM_", "ANSIBLE_", "PYTHONDONTWRITEBYTECODE")


def inherited() -> dict[str, str]:
    """What a client may know of this process's variables."""
    return {name: text for name, text in os.environ.items() if not name.startswith(_NOT_INHERITED)}


class ClientEnvironment:
    """The virtual environment `name`; `content` says what is in it, and another content makes it anew.

    `fill` is called with the environment when it is made. Sessions that need it at the same time wait for the
    one that makes it.
    """

    def __init__(
        self, name: str, content: str, fill: Callable[[ClientEnvironment], None], build: Path = BUILD
    ) -> None:
        self.folder = build / name
        self._content = content
        self._fill = fill

    def program(self, name: str) -> Path:
        return self.folder / "bin" / name

    def ensure(self) -> None:
        """Make it unless it is there. RuntimeError with pip's last words when that fails."""
        self.folder.mkdir(parents=True, exist_ok=True)
        stamp = self.folder / "installed"
        with (self.folder / "lock").open("w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if stamp.exists() and stamp.read_text(encoding="utf-8") == self._content:
                return
            stamp.unlink(missing_ok=True)
            venv.create(self.folder, clear=False, with_pip=True)
            self._fill(self)
            stamp.write_text(self._content, encoding="utf-8")

    def pip(self, verb: str, *arguments: str) -> None:
        done = subprocess.run(
            [self.program("python"), "-m", "pip", verb, "--quiet", "--disable-pip-version-check", *arguments],
            capture_output=True,
            text=True,
            timeout=_INSTALL_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            what = " ".join(arguments)
            raise RuntimeError(f"pip {verb} {what} failed: {done.stderr.strip()[-2000:]}")
