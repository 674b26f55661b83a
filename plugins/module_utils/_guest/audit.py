# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""What a guest still tells about the machine and its people, by the definitions that the remover uses, and
what would keep it from booting on Azure."""

from typing import Dict, Iterable, Iterator, List, NamedTuple, Sequence

from ansible_collections.goldenimage.azure.plugins.module_utils._guest.checks import CHECKS, problems
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.disk_root import DiskRoot
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.guest import Guest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.removal import find, printable
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.trace import SEVERITIES, Trace
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.traces import UNCLEAN

UNREAD = "unread-file-system"
SWAPPED = "swap-volume"
# Ids that only the auditor has; they can be waived as those of traces can.
OWN_IDS = (UNCLEAN, UNREAD, SWAPPED) + tuple(check.id for check in CHECKS)
TRACE, BOOT = "trace", "boot"

_UNCLEAN_REASON = (
    "Its journal holds changes that the files do not show yet, so the audit may be of an older state; "
    "shut the guest down cleanly."
)
_UNREAD_REASON = "What is in it was not looked at, so nothing is said about it."
_SWAPPED_REASON = (
    "Memory that was swapped out can hold passwords and keys; switch it off, overwrite it with zeros and "
    "make it anew with mkswap."
)
_ROWS_PER_ID = 10


class Finding(NamedTuple):
    """One trace at one place, or one problem with booting on Azure: `about` is "trace" or "boot". Never holds
    content of a file."""

    id: str
    path: str
    severity: str
    reason: str
    detail: str
    about: str = TRACE

    def as_result(self) -> Dict[str, str]:
        """The finding as plain data."""
        return dict(self._asdict())


def audit(guest: Guest, traces: Iterable[Trace], waived: Sequence[str] = ()) -> List[Finding]:
    """The traces that are left, the most severe first.

    :param waived: ids of traces that may be there
    """
    known = {trace.id: trace for trace in traces if trace.id not in waived}
    findings = [
        Finding(found.id, found.path, known[found.id].severity, known[found.id].reason, found.detail)
        for found in find(guest, known.values())
    ]
    if isinstance(guest.root, DiskRoot):
        findings.extend(item for item in _of_disk(guest.root) if item.id not in waived)
    return in_order(findings)


def audit_boot(guest: Guest, waived: Sequence[str] = ()) -> List[Finding]:
    """What would keep the guest from booting or being set up on Azure, the most severe first."""
    return in_order(
        Finding(
            check.id,
            printable(problem.path),
            problem.severity or check.severity,
            check.reason,
            printable(problem.detail),
            BOOT,
        )
        for check, problem in problems(guest, waived)
    )


def in_order(findings: Iterable[Finding]) -> List[Finding]:
    """The most severe first, then by id and path."""
    return sorted(findings, key=lambda item: (-SEVERITIES.index(item.severity), item.id, item.path))


def _of_disk(root: DiskRoot) -> Iterator[Finding]:
    for point, tree in sorted(root.file_systems.items()):
        if tree.needs_recovery:
            yield Finding(UNCLEAN, point, "error", _UNCLEAN_REASON, "journal not replayed")
    for unread in root.unread:
        severity = "info" if unread.foreseen else "warning"
        yield Finding(UNREAD, unread.where, severity, _UNREAD_REASON, unread.reason)
    for where in root.swapped:
        yield Finding(SWAPPED, where, "warning", _SWAPPED_REASON, "pages of memory")


def at_least(findings: Iterable[Finding], severity: str) -> List[Finding]:
    """The findings of a severity or above."""
    return [item for item in findings if SEVERITIES.index(item.severity) >= SEVERITIES.index(severity)]


def count_bad(findings: Iterable[Finding], about: str) -> int:
    """How many findings about "trace" or "boot" an image should not have; remarks of severity "info" do not
    count."""
    return sum(item.about == about for item in at_least(findings, "warning"))


def as_table(findings: Sequence[Finding]) -> str:
    """The findings for people: severity, id, path and detail in columns; long lists of one id are cut."""
    if not findings:
        return "no findings"
    rows = [("SEVERITY", "FINDING", "PATH", "DETAIL")]
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
