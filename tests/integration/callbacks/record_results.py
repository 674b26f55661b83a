# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Writes what every task of a run returned to the file RECORD_RESULTS names, one JSON object per line."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: record_results
type: notification
short_description: Write what every task returned to a file
description: Appends one JSON object per task and host to the file that the variable RECORD_RESULTS names.
author: The goldenimage.azure authors
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "record_results"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._file = Path(os.environ["RECORD_RESULTS"])

    def _append(self, record: dict[str, Any]) -> None:
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record, default=str) + "\n")

    def _task(self, status: str, result: Any) -> None:
        self._append(
            {
                "kind": "task",
                "status": status,
                "task": result._task.get_name(),
                "action": result._task.action,
                "host": result._host.get_name(),
                "result": result._result,
            }
        )

    def v2_runner_on_ok(self, result: Any) -> None:
        self._task("ok", result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._task("ignored" if ignore_errors else "failed", result)

    def v2_runner_on_skipped(self, result: Any) -> None:
        self._task("skipped", result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._task("unreachable", result)

    def v2_runner_item_on_ok(self, result: Any) -> None:
        self._task("item_ok", result)

    def v2_runner_item_on_failed(self, result: Any) -> None:
        self._task("item_failed", result)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        self._append(
            {
                "kind": "stats",
                "hosts": {host: stats.summarize(host) for host in stats.processed},
                "custom": stats.custom,
            }
        )
