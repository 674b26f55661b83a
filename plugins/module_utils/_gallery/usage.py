# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Which image versions machines and scale sets use, by what these say of their image.

A machine names a version, or a definition together with the exact version that was its latest then. A scale
set makes machines later, too: what it names is in use even where it has none. Which version is a definition's
latest never goes, and so needs no look at who takes the latest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.compute import COMPUTE_API
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.parallel import in_parallel
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.gallery_facts import gallery_facts

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

_PUBLIC = re.compile(r"/(?:Shared|Community)Galleries/([^/]+)/Images/([^/]+)(?:/Versions/([^/]+))?/?", re.I)
_MEMBERS = ("id", "sharedGalleryImageId", "communityGalleryImageId")
# Answers of clouds that have no scale sets.
_NO_SUCH_TYPE = ("InvalidResourceType", "NoRegisteredProviderFound", "InvalidResourceNamespace")


@dataclass
class Usage:
    """Who uses which version of a gallery: by definition and version, in lower case, the users' ids."""

    versions: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def of(self, definition: str, version: str) -> list[str]:
        """Who uses that version by its number."""
        return self.versions.get((definition.casefold(), version.casefold()), [])


def usage_of(gallery: Mapping[str, Any], users: Iterable[tuple[str, Mapping[str, Any] | None]]) -> Usage:
    """Read imageReferences of users, each given with the user's id. `gallery` is in wire shape."""
    facts = gallery_facts(gallery)
    own = f"{facts['id']}/images/".casefold()
    names = {str(facts["unique_name"]).casefold(), *map(str.casefold, facts["sharing"]["public_names"])}
    usage = Usage()
    for user, reference in users:
        named = _named(reference or {}, own, names)
        if named is not None:
            usage.versions.setdefault(named, []).append(user)
    return usage


def _named(reference: Mapping[str, Any], own: str, names: set[str]) -> tuple[str, str] | None:
    """Definition and version that a reference names, or that its latest was; None for another gallery's, and
    for a latest that has not been taken yet."""
    text = next((str(reference[member]).casefold() for member in _MEMBERS if reference.get(member)), "")
    if text.startswith(own):
        definition, _versions, version = text[len(own) :].rstrip("/").partition("/versions/")
    else:
        found = _PUBLIC.fullmatch(text)
        if found is None or found[1] not in names:
            return None
        definition, version = found[2], found[3] or ""
    if version in ("", "latest"):
        version = str(reference.get("exactVersion") or "").casefold()
    return (definition, version) if version else None


def find_usage(session: AzureSession, gallery: Mapping[str, Any], subscriptions: Sequence[str]) -> Usage:
    """Look at all machines and scale sets of the subscriptions. Raises AzureError where they cannot be read:
    what is not seen might be in use."""
    listed = in_parallel(lambda each: _users(session, each), subscriptions)
    return usage_of(gallery, [user for users in listed for user in users])


def _users(session: AzureSession, subscription: str) -> list[tuple[str, Mapping[str, Any] | None]]:
    compute = f"/subscriptions/{subscription}/providers/Microsoft.Compute"
    machines, sets = in_parallel(
        lambda kind: _listed(session, f"{compute}/{kind}"), ("virtualMachines", "virtualMachineScaleSets")
    )
    instances = in_parallel(lambda each: _listed(session, f"{each['id']}/virtualMachines"), sets)
    users = [(str(each["id"]), _reference(each.get("properties"))) for each in machines]
    for scale_set, made in zip(sets, instances, strict=True):
        profile = (scale_set.get("properties") or {}).get("virtualMachineProfile")
        # Machines of one size make the rest of what it uses: they may be of an older version than it names.
        own = [_reference(profile), *(_reference(each.get("properties")) for each in made)]
        users += [(str(scale_set["id"]), reference) for reference in own]
    return users


def _listed(session: AzureSession, path: str) -> list[dict[str, Any]]:
    try:
        return session.arm.list(path, COMPUTE_API)
    except AzureError as error:
        if error.code in _NO_SUCH_TYPE:
            return []
        raise


def _reference(properties: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    storage = (properties or {}).get("storageProfile") or {}
    reference: Mapping[str, Any] | None = storage.get("imageReference")
    return reference
