# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""What a trace is."""

from typing import Callable, Iterator, NamedTuple, Optional, Tuple

from ansible_collections.goldenimage.azure.plugins.module_utils._guest.guest import Guest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.places import Hit, Place

SEVERITIES = ("info", "warning", "error")
DEBIAN = ("debian", "ubuntu")


class Trace(NamedTuple):
    """Something that still identifies the machine or a person; remover and auditor both work from this.

    `id` is what users select by; `reason` says why an image should not have it; `severity` is one of
    :data:`SEVERITIES`; `default` is whether it is removed unless excluded; `last` is whether only the last
    step may remove it, because the session or the way back in needs it or a running program writes it again;
    `families` are the os-release(5) ids it was made for; `applies` may say that a guest must keep it.
    """

    id: str
    title: str
    reason: str
    places: Tuple[Place, ...]
    severity: str = "error"
    default: bool = True
    last: bool = False
    families: Tuple[str, ...] = DEBIAN
    applies: Optional[Callable[[Guest], bool]] = None

    def find(self, guest: Guest) -> Iterator[Tuple[Place, Hit]]:
        """Every hit with the place that can remove it; a path is named once."""
        if self.applies is not None and not self.applies(guest):
            return
        seen = set()
        for place in self.places:
            for hit in place.find(guest):
                if hit.path not in seen:
                    seen.add(hit.path)
                    yield place, hit
