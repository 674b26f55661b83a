# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Disks to upload, and a look at what arrived."""

from __future__ import annotations

import os
import ssl
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

from tests.integration.cloud import LocalAzure
from tests.integration.plays import Player, PlayResult, TaskResult

MIB = 1 << 20
BIOS_BOOT = "21686148-6449-6E6F-744E-656564454649"
EFI_SYSTEM = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
DISKS = "Microsoft.Compute/disks"


def raw_disk(path: Path, *, size: int = 24 * MIB, boot: str = BIOS_BOOT, filled: int = 3 * MIB) -> Path:
    """A sparse raw disk with a GPT, boot code, and random data behind it."""
    with path.open("wb") as file:
        file.truncate(size)
        file.seek(4 * MIB)
        block = os.urandom(MIB)
        for _unused in range(filled // MIB):
            file.write(block)
    script = f"label: gpt\nsize=1MiB, type={boot}\nsize=8MiB, type=linux\n"
    subprocess.run(
        ["/sbin/sfdisk", "--quiet", path], input=script, check=True, text=True, capture_output=True
    )
    with path.open("r+b") as file:
        file.write(b"\xeb\x63" + b"\x90" * 400)
    return path


def converted(source: Path, target: Path, *options: str) -> Path:
    """What qemu-img makes of a raw disk."""
    subprocess.run(["qemu-img", "convert", "-f", "raw", *options, source, target], check=True)
    return target


def download(azure: LocalAzure, url: str) -> bytes:
    context = ssl.create_default_context(cafile=azure.env["SSL_CERT_FILE"])
    with urllib.request.urlopen(url, context=context, timeout=60) as answer:  # noqa: S310
        content: bytes = answer.read()
    return content


def disk_content(azure: LocalAzure, group: str, name: str) -> bytes:
    """Everything on a managed disk, without the VHD footer."""
    disk = azure.id(group, DISKS, name)
    granted = azure.do("POST", f"{disk}/beginGetAccess", {"access": "Read", "durationInSeconds": 600})
    url = granted.get("accessSAS") or granted["properties"]["output"]["accessSAS"]
    try:
        return download(azure, url)[:-512]
    finally:
        azure.do("POST", f"{disk}/endGetAccess")


class Tasks:
    """Several uploads in one playbook run; none of them ends it. `results` by task name afterwards."""

    def __init__(self, play: Player, **common: Any) -> None:
        self._play = play
        self._common = common
        self._tasks: list[dict[str, Any]] = []

    def add(self, name: str, *, keywords: dict[str, Any] | None = None, **options: Any) -> Tasks:
        """A task; `options` override the common ones, None takes one out."""
        given = {key: value for key, value in {**self._common, **options}.items() if value is not None}
        task = {"name": name, "goldenimage.azure.disk_upload": given, "ignore_errors": True}
        self._tasks.append({**task, **(keywords or {})})
        return self

    def run(self, **run_options: Any) -> PlayResult:
        """Run them; a traceback anywhere is a failure of the test."""
        run = self._play(self._tasks, **run_options)
        assert "Traceback" not in run.output, run.output
        assert len(run.results) == len(self._tasks), run.output
        return run


def succeeded(run: PlayResult, name: str) -> TaskResult:
    """The result of a task that must not have failed."""
    result = run.tasks[name]
    assert not result.failed, result.msg
    return result


def refused(run: PlayResult, name: str, *words: str) -> TaskResult:
    """The result of a task that must have failed with these words in its message."""
    result = run.tasks[name]
    assert result.failed, f"{name} did not fail"
    for word in words:
        assert word in result.msg, f"{name}: {word!r} is not in {result.msg!r}"
    return result
