# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The demo's report: JSON for programs, a page of text for people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.demo.born_machines import Machine
from tests.demo.phases import Phases

# What the report says of a machine; the rest of what was looked at shows in the problems.
_MACHINE_KEYS = ("name", "machine_id", "host_key_fingerprints", "hostname", "admin_user", "data_disk_file")


def _machine(machine: Machine) -> dict[str, Any]:
    facts = machine._asdict()
    return {key: facts[key] for key in _MACHINE_KEYS}


def write_report(path: Path, report: dict[str, Any], phases: Phases) -> None:
    """Write the report; sizes in bytes, times in seconds. What a failed run did not reach is null."""
    content = {
        "ok": not report["problems"],
        "problems": report["problems"],
        "image_ids": report.get("image_ids", {}),
        "vms": [_machine(machine) for machine in report.get("machines", [])],
        "traces_left": report.get("traces_left"),
        "bytes_read": report.get("bytes_read"),
        "bytes_sent": report.get("bytes_sent"),
        "seconds": {**phases.seconds, "total": phases.total},
    }
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _mebibytes(size: int | None) -> str:
    return "nothing" if size is None else f"{size / 2**20:.1f} MiB"


def print_report(report: dict[str, Any], phases: Phases, path: Path) -> None:
    """Print the same for a person."""
    lines = [f"{kind:<12} {image}" for kind, image in report.get("image_ids", {}).items()]
    for machine in report.get("machines", []):
        lines += [
            f"{machine.name:<12} host name {machine.hostname}, machine-id {machine.machine_id}",
            f"{'':<12} login as {machine.admin_user}, file on the data disk: {machine.data_disk_file!r}",
            *(f"{'':<12} host key {fingerprint}" for fingerprint in machine.host_key_fingerprints),
        ]
    lines.append(f"{'traces left':<12} {report.get('traces_left', 'not known')}")
    read, sent = _mebibytes(report.get("bytes_read")), _mebibytes(report.get("bytes_sent"))
    lines.append(f"{'disks':<12} {read} read, {sent} sent")
    times = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in phases.seconds.items())
    lines.append(f"{'time':<12} {phases.total:.0f} s ({times})")
    lines += [f"{'PROBLEM':<12} {problem}" for problem in report["problems"]]
    print("\n" + "\n".join(lines))
    print(f"\n{'FAILED' if report['problems'] else 'All checks passed.'} Report: {path}")
