# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The server's end of a PowerShell session: pipelines with their input, and what they hand back."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import psrpcore
from psrpcore.types import HostMethodIdentifier


@dataclass(frozen=True)
class Output:
    """What a pipeline ends with: lines of text, and the exit code of the host."""

    lines: tuple[str, ...] = ()
    rc: int = 0


@dataclass
class _Pipeline:
    server: Any
    script: str = ""
    given: list[str] = field(default_factory=list)
    fragments: list[bytes] = field(default_factory=list)
    done: bool = False


class Shell:
    """A runspace pool. `run` is called with a script and its input, in a thread of its own."""

    def __init__(self, run: Callable[[str, list[str]], Output]) -> None:
        self._run = run
        self._pool = psrpcore.ServerRunspacePool()
        self._changed = threading.Condition()
        self._pipelines: dict[uuid.UUID, _Pipeline] = {}
        self._fragments: list[bytes] = []

    def begin(self, command: uuid.UUID, data: bytes) -> None:
        """A pipeline begins. psrpcore wants to know of it before its first fragment."""
        with self._changed:
            self._pipelines[command] = _Pipeline(psrpcore.ServerPipeline(self._pool, command))
        self.feed(data, command)

    def feed(self, data: bytes, command: uuid.UUID | None = None) -> None:
        """A fragment has come, of a pipeline or of the pool itself."""
        with self._changed:
            payload = psrpcore.PSRPPayload(data, psrpcore.StreamType.default, command)
            self._pool.receive_data(payload)
            while (event := self._pool.next_event()) is not None:
                self._handle(event)
            self._flush()

    def _handle(self, event: Any) -> None:
        if isinstance(event, psrpcore.CreatePipelineEvent):
            pipeline = self._pipelines[event.pipeline_id]
            pipeline.server.start()
            pipeline.script = event.pipeline.commands[0].command_text
            if event.pipeline.no_input:
                self._start(pipeline)
        elif isinstance(event, psrpcore.PipelineInputEvent):
            self._pipelines[event.pipeline_id].given.append(str(event.data))
        elif isinstance(event, psrpcore.EndOfPipelineInputEvent):
            self._start(self._pipelines[event.pipeline_id])

    def _start(self, pipeline: _Pipeline) -> None:
        threading.Thread(target=self._work, args=(pipeline,), daemon=True).start()

    def _work(self, pipeline: _Pipeline) -> None:
        output = self._run(pipeline.script, pipeline.given)
        with self._changed:
            for line in output.lines:
                pipeline.server.write_output(line)
            if output.rc:
                pipeline.server.host_call(HostMethodIdentifier.SetShouldExit, [output.rc])
            pipeline.server.complete()
            pipeline.server.close()
            pipeline.done = True
            self._flush()

    def _flush(self) -> None:
        while (payload := self._pool.data_to_send()) is not None:
            pipeline = self._pipelines.get(payload.pipeline_id) if payload.pipeline_id else None
            (pipeline.fragments if pipeline else self._fragments).append(payload.data)
        self._changed.notify_all()

    def receive(
        self, command: uuid.UUID | None, seconds: float, broken: Callable[[], bool]
    ) -> tuple[list[bytes], bool]:
        """What there is to hand over, and whether the pipeline has ended. Waits for something to come, until
        `seconds` are over or the connection is `broken`."""
        with self._changed:
            pipeline = self._pipelines.get(command) if command else None

            def ready() -> bool:
                waiting = pipeline.fragments if pipeline else self._fragments
                return bool(waiting) or bool(pipeline and pipeline.done) or broken()

            self._changed.wait_for(ready, seconds)
            if pipeline:
                fragments, pipeline.fragments = pipeline.fragments, []
                return fragments, pipeline.done
            fragments, self._fragments = self._fragments, []
            return fragments, False

    def wake(self) -> None:
        """Have those who wait look again."""
        with self._changed:
            self._changed.notify_all()
