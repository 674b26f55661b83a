# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""A host of plain files, with programs that are functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ansible_collections.goldenimage.azure.plugins.module_utils._guest.live_root import LiveRoot
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import GuestError
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.programs import Programs

Program = Callable[[Sequence[str]], str]


class Host(Programs):
    """A tree below `top` and its programs; `calls` is what was run."""

    def __init__(self, top: Path, programs: dict[str, Program] | None = None) -> None:
        self.top = top
        self.root = LiveRoot(str(top))
        self.programs = programs or {}
        self.calls: list[list[str]] = []

    def find(self, name: str) -> str | None:
        return f"/usr/sbin/{name}" if name in self.programs else None

    def run(self, arguments: Sequence[str], timeout: float = 900.0) -> str:
        assert timeout > 0
        self.calls.append(list(arguments))
        return self.programs[arguments[0].rpartition("/")[2]](arguments)

    def write(self, path: str, text: str) -> None:
        """Put a text file in place."""
        target = self.top / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def read(self, path: str) -> str:
        """The content of a text file."""
        return (self.top / path.lstrip("/")).read_text()


def blkid(devices: dict[str, dict[str, str]]) -> Program:
    """A blkid that knows these devices."""

    def told(arguments: Sequence[str]) -> str:
        if arguments[-1] not in devices:
            raise GuestError(f"blkid failed with exit status 2: {arguments[-1]}")
        return "".join(f"{key}={value}\n" for key, value in devices[arguments[-1]].items())

    return told
