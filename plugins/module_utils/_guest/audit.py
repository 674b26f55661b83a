# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""What a guest still tells about the machine and its people, by the definitions that the remover uses."""

from typing import Dict, Iterable, List, NamedTuple, Sequence

from ansible_collections.goldenimage.azure.plugins.module_utils._guest.disk_root import Ext4Root
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.guest import Guest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.removal import find
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.trace import SEVERITIES, Trace
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.traces import UNCLEAN

_UNCLEAN_REASON = (
    "Its journal holds changes that the files do not show yet, so the audit may be of an older state; "
    "shut the guest down cleanly."
)
_ROWS_PER_ID = 10


class Finding(NamedTuple):
    """One trace at one place. Never holds content of a file."""

    id: str
    path: str
    severity: str
    reason: str
    detail: str

    def as_result(self) -> Dict[str, str]:
        """The finding as plain data."""
        return dict(self._asdict())


def audit(guest: Guest, traces: Iterable[Trace], waived: Sequence[str] = ()) -> List[Finding]:
    """The findings, the most severe first.

    :param waived: ids of traces that may be there
    """
    known = {trace.id: trace for trace in traces if trace.id not in waived}
    findings = [
        Finding(found.id, found.path, known[found.id].severity, known[found.id].reason, found.detail)
        for found in find(guest, known.values())
    ]
    if isinstance(guest.root, Ext4Root) and UNCLEAN not in waived:
        findings.extend(
            Finding(UNCLEAN, point, "error", _UNCLEAN_REASON, "journal not replayed")
            for point, volume in sorted(guest.root.file_systems.items())
            if volume.needs_recovery
        )
    return sorted(findings, key=lambda item: (-SEVERITIES.index(item.severity), item.id, item.path))


def at_least(findings: Iterable[Finding], severity: str) -> List[Finding]:
    """The findings of a severity or above."""
    return [item for item in findings if SEVERITIES.index(item.severity) >= SEVERITIES.index(severity)]


def traces_left(findings: Iterable[Finding]) -> int:
    """How many findings an image should not have; remarks of severity "info" do not count."""
    return len(at_least(findings, "warning"))


def as_table(findings: Sequence[Finding]) -> str:
    """The findings for people: severity, id, path and detail in columns; long lists of one id are cut."""
    if not findings:
        return "no traces"
    rows = [("SEVERITY", "TRACE", "PATH", "DETAIL")]
    shown: Dict[str, int] = {}
    for item in findings:
        shown[item.id] = shown.get(item.id, 0) + 1
        if shown[item.id] <= _ROWS_PER_ID:
            rows.append((item.severity, item.id, item.path, item.detail))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [
        "  ".join([row[column].ljust(widths[column]) for column in range(3)] + [row[3]]).rstrip()
        for row in rows
    ]
    lines.extend(
        "{0} more of {1}".format(count - _ROWS_PER_ID, trace_id)
        for trace_id, count in shown.items()
        if count > _ROWS_PER_ID
    )
    return "\n".join(lines)
