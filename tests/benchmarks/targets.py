# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Where the disks are uploaded to: our sink, with or without a link before it, and Azurite."""

from __future__ import annotations

import base64
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple

import requests
from azure.storage.blob import BlobServiceClient, ContainerSasPermissions, generate_container_sas

from tests.local_azure.blob_storage.blob_service import AZURITE_PACKAGE, START_SECONDS, node_program

_ACCOUNT, _CONTAINER = "benchmark", "vhds"
LINK_BYTES = 120_000_000  # per second
LINK_LATENCY = 20_000  # microseconds for each request
TARGETS = ("null", "paced", "azurite")


class Counts(NamedTuple):
    """What arrived: Put Page requests with content, bytes of their bodies."""

    puts: int
    put_bytes: int


class Target:
    """A blob service that runs. `pid`: its process; `query`: a SAS for the container."""

    def __init__(self, url: str, pid: int, query: str) -> None:
        self._url = url
        self.pid = pid
        self._query = query

    def blob_url(self, name: str) -> str:
        return f"{self._url}/{_ACCOUNT}/{_CONTAINER}/{name}?{self._query}"

    def counts(self) -> Counts | None:
        """What came since `forget`; None where the service does not tell."""
        return None

    def forget(self, name: str) -> None:
        """Delete the blob after its upload; one that was never created is no error."""
        answer = requests.delete(self.blob_url(name), timeout=30)
        if answer.status_code != requests.codes.not_found:
            answer.raise_for_status()


class SinkTarget(Target):
    """The sink counts, and forgets blobs and counts together."""

    def counts(self) -> Counts:
        told = requests.get(f"{self._url}/-/counts", timeout=30).json()
        return Counts(told["puts"], told["put_bytes"])

    def forget(self, name: str) -> None:
        super().forget(name)
        requests.delete(f"{self._url}/-/counts", timeout=30).raise_for_status()


class NoCompilerError(Exception):
    """The sink is written in C: a server in Python or Node.js would be what is measured."""


def _sink_program(build: Path) -> Path:
    source = Path(__file__).parent / "sink.c"
    program = build / "sink"
    if program.exists() and program.stat().st_mtime >= source.stat().st_mtime:
        return program
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if compiler is None:
        raise NoCompilerError("There is no C compiler (cc, gcc or clang) for tests/benchmarks/sink.c.")
    build.mkdir(parents=True, exist_ok=True)
    subprocess.run([compiler, "-O2", "-pthread", "-o", str(program), str(source)], check=True)
    return program


@contextmanager
def sink(build: Path, *, paced: bool) -> Iterator[SinkTarget]:
    """The sink, on a port of its own, until the end of the block."""
    arguments = [str(LINK_LATENCY), str(LINK_BYTES)] if paced else []
    with subprocess.Popen(
        [_sink_program(build), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        if child.stdout is None:
            raise RuntimeError("the sink's output is a pipe")
        port = int(child.stdout.readline())
        try:
            yield SinkTarget(f"http://127.0.0.1:{port}", child.pid, "sv=2021-12-02&sr=c&sp=racwd&sig=none")
        finally:
            child.terminate()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def azurite(build: Path) -> Iterator[Target]:
    """Azurite as it is released, with data in a folder that is removed at the end of the block."""
    key = base64.b64encode(secrets.token_bytes(32)).decode()
    port = _free_port()
    build.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=build) as folder:
        main = AZURITE_PACKAGE / "dist/src/blob/main.js"
        arguments = ["--location", folder, "--blobHost", "127.0.0.1", "--blobPort", str(port)]
        arguments += ["--skipApiVersionCheck", "--disableTelemetry", "--silent"]
        child = subprocess.Popen(
            [
                node_program(),
                str(main),
                *arguments,
                "--skipApiVersionCheck",
                "--disableTelemetry",
                "--silent",
            ],
            env={**os.environ, "AZURITE_ACCOUNTS": f"{_ACCOUNT}:{key}"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        try:
            _await_port(port, child)
            url = f"http://127.0.0.1:{port}"
            BlobServiceClient(f"{url}/{_ACCOUNT}", credential=key).create_container(_CONTAINER)
            sas = generate_container_sas(
                _ACCOUNT,
                _CONTAINER,
                account_key=key,
                permission=ContainerSasPermissions(read=True, add=True, create=True, write=True, delete=True),
                expiry=datetime.now(timezone.utc) + timedelta(days=1),
            )
            yield Target(url, child.pid, sas)
        finally:
            child.terminate()
            child.wait(30)


def _await_port(port: int, child: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while child.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise RuntimeError("Azurite did not start")


@contextmanager
def target(name: str, build: Path) -> Iterator[Target]:
    """One of TARGETS, started."""
    if name == "azurite":
        with azurite(build) as started:
            yield started
    else:
        with sink(build, paced=name == "paced") as started_sink:
            yield started_sink
