# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""What a trace is."""

from typing import Callable, Iterator, NamedTuple, Optional, Tuple

from ansible_collections.goldenimage.azure.plugins.module_utils._guest.guest import Guest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.places import Hit, Place

SEVERITIES = ("info", "warning", "error")


class Trace(NamedTuple):
    """Something that still identifies the machine or a person; remover and auditor both work from this.

    `id` is what users select by; `reason` says why an image should not have it; `severity` is one of
    :data:`SEVERITIES`; `default` is whether it is removed unless excluded; `last` is whether only the last
    step may remove it, because the session or the way back in needs it or a running program writes it again;
    `applies` may say that a guest must keep it. Each of `places` says by itself for which families of
    distributions it is true.
    """

    id: str
    title: str
    reason: str
    places: Tuple[Place, ...]
    severity: str = "error"
    default: bool = True
    last: bool = False
    applies: Optional[Callable[[Guest], bool]] = None

    def find(self, guest: Guest) -> Iterator[Tuple[Place, Hit]]:
        """Every hit with the place that can remove it; a path is named once."""
        if self.applies is not None and not self.applies(guest):
            return
        seen = set()
        for place in self.places:
            if not place.concerns(guest):
                continue
            for hit in place.find(guest):
                if hit.path not in seen:
                    seen.add(hit.path)
                    yield place, hit
