# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What of the recordings is not held against the local Azure, and why."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tests.fidelity.recording import ARM_HOSTS, Recorded, operation_key


class Outside(NamedTuple):
    """What images are not made with. `types` is searched in paths and in types of templates."""

    types: str
    reason: str


_OUTSIDE = (
    Outside(r"Microsoft\.KeyVault/", "Key Vault is a service of its own"),
    Outside(r"Microsoft\.ResourceGraph/", "Resource Graph is a service of its own"),
    Outside(r"Microsoft\.Compute/virtualMachineScaleSets", "images are not made of scale sets"),
    Outside(r"Microsoft\.Compute/hostGroups/", "where a machine is placed says nothing of its image"),
    Outside(
        r"Microsoft\.Compute/locations/[^/]+/publishers/(?!Acronis\.Backup/|Microsoft\.)[^/]+"
        r"/artifacttypes/vmextension/types/$",
        "of Azure's many publishers without extensions few are offered",
    ),
    Outside(r"Microsoft\.Compute/locations/[^/]+/logAnalytics/", "no log of requests is written for users"),
    Outside(r"Microsoft\.Compute/galleries/[^/]+/applications/", "applications in galleries are no images"),
    Outside(r"Microsoft\.Network/loadBalancers/", "a machine that becomes an image serves nobody"),
)


class Changed(NamedTuple):
    """What Azure shows at `place` in some recordings and in newer ones of the same requests does not."""

    provider: str
    place: str
    reason: str


_CHANGED = (
    Changed(
        "Microsoft.Network/networkInterfaces",
        "$.properties.enableAcceleratedNetworking",
        "shown in 2023 even if not asked for, no more in 2024",
    ),
    Changed(
        "Microsoft.Compute/disks",
        "$.properties.faultDomain",
        "shown in March 2020 while a disk is updated, no more in 2021, whichever version is asked",
    ),
)
_LATER = "the recorder put it before the making of a resource that it shows"
_OTHERS = "it lists what others made in the recording's subscription"
_SILENT = "the machine's agent had not reported yet; here one without a guest does at once"
_READ = "the service itself still reads the snapshot that it made a version of, for as long as it likes"
# The message of an agent whose status nobody has seen yet.
_UNHEARD = '"VM status blob is found but not yet populated."'
_READ_SNAPSHOT = re.compile(
    r'"id": "([^"]+/Microsoft\.Compute/snapshots/[^/"]+)", "type".*"diskState": "ActiveSAS"', re.IGNORECASE
)
_OPENS = "/begingetaccess"
_GROUP = re.compile(r"/resourcegroups/([^/]+)", re.IGNORECASE)


class Exclusions:
    """Judges the exchanges of one recording."""

    def __init__(self, exchanges: Sequence[Recorded]) -> None:
        #: Paths of deployments of things that are outside, and why they are.
        self._deployments: dict[str, str] = {}
        #: Where in the recording each resource is made.
        self._made: dict[str, int] = {}
        #: Where in the recording access to each snapshot is first asked for.
        self._opened: dict[str, int] = {}
        #: The operations of what is outside, and why it is.
        self._operations: dict[str, str] = {}
        self._groups = {name.lower() for e in exchanges for name in _GROUP.findall(e.path)}
        for position, exchange in enumerate(exchanges):
            path = exchange.path.lower()
            if exchange.method == "POST" and path.endswith(_OPENS):
                self._opened.setdefault(path.removesuffix(_OPENS), position)
            if exchange.method == "PUT" and exchange.status == 201 and exchange.provider:
                self._made.setdefault(path, position)
            reason = next((r for t in _template_types(exchange.request) if (r := _outside(t))), None)
            if reason is not None:
                self._deployments[path] = reason
            outside = _outside(exchange.path)
            if outside is not None:
                keys = (operation_key(url)[0] for url in exchange.operation_urls())
                self._operations.update(dict.fromkeys(keys, outside))

    def reason(self, position: int, exchange: Recorded) -> str | None:
        """Why the exchange at `position` does not count; None if it does."""
        if exchange.host not in ARM_HOSTS and ".blob." not in exchange.host:
            return f"{exchange.host} is neither Resource Manager nor the blob service"
        path = exchange.path.lower()
        deployed = next((r for p, r in self._deployments.items() if f"{path}/".startswith(f"{p}/")), None)
        polled = self._operations.get(operation_key(path)[0])
        outside = _outside(exchange.path)
        shown = self._shown_too_early(position, exchange) or self._shows_others(exchange)
        return deployed or polled or outside or shown or self._shows_a_moment(position, exchange)

    def _shows_a_moment(self, position: int, exchange: Recorded) -> str | None:
        """What the service does by itself for a while, unseen by any operation."""
        text = json.dumps(exchange.body)
        if exchange.provider == "Microsoft.Compute/virtualMachines" and _UNHEARD in text:
            return _SILENT
        shown = _READ_SNAPSHOT.search(text)
        return _READ if shown and self._opened.get(shown[1].lower(), position) >= position else None

    def _shows_others(self, exchange: Recorded) -> str | None:
        """A list of a whole subscription with resources of groups that the recording knows nothing of."""
        if not isinstance(exchange.body, Mapping) or _GROUP.search(exchange.path):
            return None
        listed = exchange.body.get("value")
        ids = [str(e.get("id")) for e in listed if isinstance(e, Mapping)] if isinstance(listed, list) else []
        groups = {name.lower() for resource_id in ids for name in _GROUP.findall(resource_id)}
        return _OTHERS if groups - self._groups else None

    def _shown_too_early(self, position: int, exchange: Recorded) -> str | None:
        """A resource's answer that names one which is made later in the same recording."""
        if exchange.method != "GET" or not exchange.provider or exchange.status != 200:
            return None
        text = json.dumps(exchange.body).lower()
        later = (path for path, made in self._made.items() if made > position)
        return _LATER if any(f'"{path}"' in text or f'"{path}/' in text for path in later) else None


def changed_since(exchange: Recorded, place: str) -> bool:
    """Whether Azure has changed what it shows there, so that recordings contradict each other."""
    return any(c.provider == exchange.provider and c.place == place for c in _CHANGED)


def _outside(text: str) -> str | None:
    return next((o.reason for o in _OUTSIDE if re.search(o.types, f"{text}/", re.IGNORECASE)), None)


def _template_types(request: Any) -> list[str]:
    """The types of the resources in a deployment's template."""
    properties = request.get("properties") if isinstance(request, Mapping) else None
    template = properties.get("template") if isinstance(properties, Mapping) else None
    resources = template.get("resources") if isinstance(template, Mapping) else None
    return [str(r.get("type")) for r in resources or () if isinstance(r, Mapping)]
