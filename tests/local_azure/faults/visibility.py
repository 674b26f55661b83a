# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Resources that Azure does not show yet, or shows still: eventual consistency, as long as is wanted."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.local_azure.errors import ArmError, resource_not_found
from tests.local_azure.store import Json, Resource, Store


@dataclass
class _Delay:
    """`resource` is what was deleted; None for one that was made. The clock starts with the first look."""

    seconds: float
    resource: Resource | None = None
    until: float | None = None


class Visibility:
    """Which resources are hidden, and which linger on."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._delays: dict[str, _Delay] = {}

    def hide(self, path: str, seconds: float) -> None:
        """A resource that was made answers 404 for so long, from the first time somebody looks for it."""
        self._delays[path.lower()] = _Delay(seconds)

    def linger(self, path: str, seconds: float) -> None:
        """A resource that is deleted is there for so long after it has gone. To be called before it goes."""
        resource = self._store.get(path)
        if resource is not None:
            self._delays[path.lower()] = _Delay(seconds, resource)

    def clear(self) -> None:
        """Everything is as it is."""
        self._delays.clear()

    def false_view(self, method: str, path: str) -> Json | ArmError | None:
        """What a request gets instead of the truth; None when the truth is due."""
        key = path.lower()
        if method == "DELETE":
            return self._refused_for_child(key)
        delay = self._in_force(key) if method in ("GET", "HEAD") else None
        if delay is None:
            return None
        if delay.resource is not None:
            return delay.resource.body
        parts = path.strip("/").split("/")
        return resource_not_found("/".join([parts[5], *parts[6::2]]), "/".join(parts[7::2]), parts[3])

    def _in_force(self, key: str) -> _Delay | None:
        delay = self._delays.get(key)
        if delay is None:
            return None
        present = self._store.get(key) is not None
        if delay.until is None:
            if present == (delay.resource is not None):
                return None  # not gone yet, or not there yet
            delay.until = self._clock() + delay.seconds
        made_anew = delay.resource is not None and present
        if made_anew or self._clock() >= delay.until:
            del self._delays[key]
            return None
        return delay

    def _refused_for_child(self, key: str) -> ArmError | None:
        for child in [c for c in self._delays if c.rpartition("/")[0].rpartition("/")[0] == key]:
            delay = self._in_force(child)
            if delay is None or delay.resource is None:
                continue
            return ArmError(
                409,
                "CannotDeleteResource",
                "Cannot delete resource while nested resources exist. Some existing nested resource IDs "
                f"include: '{delay.resource.id}'. Please delete all nested resources before deleting this "
                "resource.",
                gateway=True,
            )
        return None
