# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Finding and removing traces."""

from typing import Iterable, List, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._guest.guest import Guest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import GuestError
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.trace import Trace


class Found(NamedTuple):
    """One trace at one path."""

    id: str
    path: str
    detail: str


class Removal(NamedTuple):
    """What was removed, and sentences about what could not be."""

    removed: List[Found]
    failures: List[str]


def find(guest: Guest, traces: Iterable[Trace]) -> List[Found]:
    """Everything these traces name on a guest, nothing changed."""
    return [
        Found(trace.id, printable(hit.path), hit.detail)
        for trace in traces
        for _place, hit in trace.find(guest)
    ]


def remove(guest: Guest, traces: Iterable[Trace]) -> Removal:
    """Remove these traces; one that cannot be removed does not keep the others from it."""
    done = Removal([], [])
    for trace in traces:
        try:
            hits = list(trace.find(guest))
        except GuestError as error:
            done.failures.append("{0}: {1}".format(trace.id, error))
            continue
        for place, hit in hits:
            try:
                place.clean(guest, hit)
                done.removed.append(Found(trace.id, printable(hit.path), hit.detail))
            except GuestError as error:
                done.failures.append("{0}: {1}".format(trace.id, error))
    return done


def printable(path: str) -> str:
    """A path whose bytes are no UTF-8 as text that can be shown and stored."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
