# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What a version is to be made of: its sources looked up, and as Azure's requests name them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.parallel import in_parallel
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.version_facts import source_of
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.version_request import (
    DiskRequest,
    VersionRequest,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_facts import SourceFacts
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_lookup import SourceLookup
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_names import (
    COMMUNITY,
    VHD_BLOB,
    VIRTUAL_MACHINE,
    GalleryImage,
    PublicGalleryImage,
    SourceName,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.sources import account_of_blob

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

_DIGEST_LENGTH = 32
_WHOLE = "whole"
_MEMBERS = {VIRTUAL_MACHINE: "virtualMachineId", COMMUNITY: "communityGalleryImageId"}


@dataclass(frozen=True)
class Material:
    """`facts` describe all of it, for the rules; `sources` each by option. `storage` is the storage profile
    of a request; `identity` is another when a source was replaced by one of the same name."""

    facts: SourceFacts
    sources: Mapping[str, SourceFacts]
    storage: dict[str, Any]
    identity: str | None

    @property
    def luns(self) -> list[int]:
        """The LUNs of the data disks that the version will have."""
        named = self.storage.get("dataDiskImages")
        if named is not None or "osDiskImage" in self.storage:
            return [int(disk["lun"]) for disk in named or []]
        return [disk.lun for disk in self.facts.data_disks if disk.lun is not None]

    @property
    def reference(self) -> str:
        """The source, or that of the operating system's disk."""
        return self.facts.pinned or self.facts.reference or self.facts.name


def find_material(session: AzureSession, request: VersionRequest, location: str) -> Material:
    """Look the sources up, the latest of a gallery in that region. Raises NotFound for one that is not there,
    InvalidInput for one that cannot be named in a request."""
    lookup = SourceLookup(
        session, location=request.location or location, terms=False, verify_tls=session.verifies_tls
    )
    storage: dict[str, Any]
    if request.source is not None:
        facts = lookup.describe(request.source)
        member = _MEMBERS.get(facts.kind, "id")
        storage = {"source": {member: facts.pinned or str(request.source)}}
        return Material(facts, {"source": facts}, storage, _digest({_WHOLE: facts.identity}))
    found = in_parallel(lambda disk: lookup.describe(disk.source), request.disks)
    wired = in_parallel(
        lambda pair: _disk_image(session, *pair), list(zip(request.disks, found, strict=True))
    )
    storage = {"osDiskImage": wired[0]}
    if len(wired) > 1:
        pairs = zip(request.disks[1:], wired[1:], strict=True)
        storage["dataDiskImages"] = [{"lun": disk.lun, **image} for disk, image in pairs]
    data = [
        replace(facts.os_disk, lun=disk.lun)
        for disk, facts in zip(request.disks[1:], found[1:], strict=True)
        if facts.os_disk is not None
    ]
    identities = {_place(disk): facts.identity for disk, facts in zip(request.disks, found, strict=True)}
    return Material(
        replace(found[0], data_disks=tuple(data)),
        {disk.option: facts for disk, facts in zip(request.disks, found, strict=True)},
        storage,
        _digest(identities),
    )


def _place(disk: DiskRequest) -> str:
    return "os" if disk.lun is None else str(disk.lun)


def _disk_image(session: AzureSession, disk: DiskRequest, facts: SourceFacts) -> dict[str, Any]:
    wire: dict[str, Any] = {"hostCaching": disk.caching} if disk.caching else {}
    if disk.source.kind != VHD_BLOB:
        return {"source": {"id": facts.id or str(disk.source)}, **wire}
    account = account_of_blob(session, str(disk.source))
    if account is None:
        raise InvalidInput(
            f"{disk.option}: no storage account of the subscription has {disk.source}.",
            remedy="Azure reads a blob by its storage account: copy it into one of this subscription (module"
            " disk_copy), or correct the URL.",
        )
    return {"source": {"uri": str(disk.source), "storageAccountId": account["id"]}, **wire}


def _digest(identities: Mapping[str, str | None]) -> str | None:
    """None when a source is known by its name alone."""
    if not all(identities.values()):
        return None
    lines = sorted(f"{place}={identity}".lower() for place, identity in identities.items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:_DIGEST_LENGTH]


def named_sources(request: VersionRequest, material: Material | None) -> dict[str, str | None]:
    """What a version made of these would name as its sources: by "whole", "os" or LUN, in lower case.

    None where only Azure knows, and has not been asked: which version the latest one is.
    """
    if material is not None:
        return made_of(material.storage)
    if request.source is not None:
        return {_WHOLE: _pinned(request.source)}
    return {_place(disk): str(disk.source).casefold() for disk in request.disks}


def _pinned(source: SourceName) -> str | None:
    latest = isinstance(source, (GalleryImage, PublicGalleryImage)) and source.version is None
    return None if latest else str(source).casefold()


def made_of(storage: Mapping[str, Any]) -> dict[str, str | None]:
    """What the storage profile of a version names as its sources, in the same form."""
    whole = source_of(storage.get("source"))
    if whole:
        return {_WHOLE: whole.casefold()}
    system = source_of((storage.get("osDiskImage") or {}).get("source"))
    named: dict[str, str | None] = {"os": system.casefold() if system else None}
    for disk in storage.get("dataDiskImages") or []:
        source = source_of(disk.get("source"))
        named[str(disk["lun"])] = source.casefold() if source else None
    return named
