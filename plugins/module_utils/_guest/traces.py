# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Every trace, in the order they are removed, and which of them are meant."""

from typing import List, NamedTuple, Sequence, Tuple

from ansible_collections.goldenimage.azure.plugins.module_utils._guest import (
    traces_agents,
    traces_credentials,
    traces_machine,
    traces_network,
    traces_people,
    traces_provisioning,
    traces_software,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.places import Remove
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import GuestError
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.trace import Trace

# People first: removing an account finds its home while /etc/passwd still names it. Logs last: whatever runs
# before may write some.
TRACES: Tuple[Trace, ...] = (
    traces_people.TRACES
    + traces_credentials.TRACES
    + traces_machine.TRACES
    + traces_network.TRACES
    + traces_provisioning.TRACES
    + traces_agents.TRACES
    + traces_software.TRACES
)
EXTRA = "extra"
# Found by the auditor alone: a journal that was not replayed.
UNCLEAN = "unclean-file-system"


class Selection(NamedTuple):
    """What the user wants: ids on top of the defaults, ids taken away, and own paths."""

    include: Tuple[str, ...] = ()
    exclude: Tuple[str, ...] = ()
    extra: Tuple[str, ...] = ()


def selected(selection: Selection) -> List[Trace]:
    """The traces to remove."""
    check(selection)
    return [
        trace
        for trace in TRACES + extra_traces(selection.extra)
        if (trace.default or trace.id in selection.include) and trace.id not in selection.exclude
    ]


def audited(extra: Sequence[str], waived: Sequence[str]) -> List[Trace]:
    """The traces to look for: all, and the user's own paths. `waived` ids must exist."""
    check(Selection(exclude=tuple(name for name in waived if name != UNCLEAN), extra=tuple(extra)))
    return list(TRACES + extra_traces(extra))


def check(selection: Selection) -> None:
    """Refuse unknown ids and paths that would take more than a trace."""
    known = [trace.id for trace in TRACES] + [EXTRA]
    for trace_id in selection.include + selection.exclude:
        if trace_id not in known:
            raise GuestError(
                "there is no trace {0!r}; the traces are: {1}".format(trace_id, ", ".join(sorted(known)))
            )
    for path in selection.extra:
        parts = [part for part in path.split("/") if part]
        if not path.startswith(("/", "~/")) or ".." in parts or "\0" in path:
            raise GuestError(
                "extra trace {0!r}: give an absolute path, or one that begins with ~/".format(path)
            )
        if len(parts) < 2 or not parts[0].strip("*?"):
            raise GuestError(
                "extra trace {0!r}: would remove a directory of the system; name something in it".format(path)
            )


def extra_traces(paths: Sequence[str]) -> Tuple[Trace, ...]:
    """The user's own paths as a trace."""
    if not paths:
        return ()
    reason = "It was named by whoever runs this."
    return (Trace(EXTRA, "Paths named by the user", reason, (Remove(*paths),), last=True),)
