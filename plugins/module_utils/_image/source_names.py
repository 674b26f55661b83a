# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The names that sources have: what a build, an image or a virtual machine starts from, in any spelling.

Each class is one kind of source. Its text is its canonical spelling, which `source_parsing` reads back as
the same source. Names of galleries, definitions and versions: "Naming rules and restrictions for Azure
resources"; ids in others' galleries: "Share images using a community gallery", both of Azure's documentation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import (
    parse_resource_id,
    resource_id,
)

MARKETPLACE = "marketplace"
COMMUNITY = "community_gallery"
SHARED = "shared_gallery"
GALLERY = "gallery"
MANAGED_IMAGE = "managed_image"
MANAGED_DISK = "managed_disk"
SNAPSHOT = "snapshot"
VIRTUAL_MACHINE = "virtual_machine"
VHD_BLOB = "vhd_blob"
DISK_FILE = "disk_file"
KINDS = (
    MARKETPLACE,
    COMMUNITY,
    SHARED,
    GALLERY,
    MANAGED_IMAGE,
    MANAGED_DISK,
    SNAPSHOT,
    VIRTUAL_MACHINE,
    VHD_BLOB,
    DISK_FILE,
)
#: How a sentence names a source of each kind.
KIND_WORDS = {
    MARKETPLACE: "Marketplace image",
    COMMUNITY: "community gallery image",
    SHARED: "shared gallery image",
    GALLERY: "gallery image",
    MANAGED_IMAGE: "managed image",
    MANAGED_DISK: "managed disk",
    SNAPSHOT: "snapshot",
    VIRTUAL_MACHINE: "virtual machine",
    VHD_BLOB: "VHD blob",
    DISK_FILE: "disk file",
}
LATEST = "latest"
COMPUTE = "Microsoft.Compute"
#: What comes first in the ids that shared and community galleries have for others.
PUBLIC_SEGMENTS = {SHARED: "SharedGalleries", COMMUNITY: "CommunityGalleries"}
_PUBLIC_MEMBERS = {SHARED: "sharedGalleryImageId", COMMUNITY: "communityGalleryImageId"}


@dataclass(frozen=True)
class MarketplaceImage:
    """An image of the Azure Marketplace; `version` may be "latest"."""

    kind: ClassVar[str] = MARKETPLACE
    publisher: str
    offer: str
    sku: str
    version: str = LATEST

    def __str__(self) -> str:
        return ":".join((self.publisher, self.offer, self.sku, self.version))

    @property
    def reference(self) -> dict[str, Any]:
        """The imageReference of Azure's requests."""
        return {
            "publisher": self.publisher,
            "offer": self.offer,
            "sku": self.sku,
            "version": self.version,
        }


@dataclass(frozen=True)
class PublicGalleryImage:
    """An image in somebody else's gallery: `kind` says whether it is shared with us or with everybody.

    `gallery` is the unique or public name; `version` None stands for the latest.
    """

    kind: str
    gallery: str
    definition: str
    version: str | None = None

    def __str__(self) -> str:
        return (
            f"/{PUBLIC_SEGMENTS[self.kind]}/{self.gallery}/Images/{self.definition}"
            f"/Versions/{self.version or LATEST}"
        )

    @property
    def reference(self) -> dict[str, Any]:
        """The imageReference of Azure's requests."""
        return {_PUBLIC_MEMBERS[self.kind]: str(self)}


@dataclass(frozen=True)
class GalleryImage:
    """An image in a gallery that we may read by its resource id; `version` None stands for the latest."""

    kind: ClassVar[str] = GALLERY
    subscription: str
    resource_group: str
    gallery: str
    definition: str
    version: str | None = None

    @property
    def definition_id(self) -> str:
        return resource_id(
            self.subscription,
            self.resource_group,
            COMPUTE,
            "galleries",
            self.gallery,
            "images",
            self.definition,
        )

    def __str__(self) -> str:
        return self.definition_id + (f"/versions/{self.version}" if self.version else "")

    @property
    def reference(self) -> dict[str, Any]:
        """The imageReference of Azure's requests."""
        return {"id": str(self)}


@dataclass(frozen=True)
class ArmResource:
    """A managed image, managed disk, snapshot or virtual machine, by its id."""

    kind: str
    id: str

    def __str__(self) -> str:
        return self.id

    @property
    def name(self) -> str:
        return parse_resource_id(self.id).name

    @property
    def resource_group(self) -> str:
        return parse_resource_id(self.id).resource_group

    @property
    def subscription(self) -> str:
        return parse_resource_id(self.id).subscription

    @property
    def reference(self) -> dict[str, Any] | None:
        """The imageReference of Azure's requests; None of what is no image."""
        return {"id": self.id} if self.kind == MANAGED_IMAGE else None


@dataclass(frozen=True)
class VhdBlob:
    """A page blob with a fixed VHD, by its URL without a query."""

    kind: ClassVar[str] = VHD_BLOB
    url: str

    def __str__(self) -> str:
        return self.url

    @property
    def reference(self) -> dict[str, Any] | None:
        """A blob is no image."""
        return None


@dataclass(frozen=True)
class DiskFile:
    """A disk file on the host that the task runs on; the path begins with / or a dot or ~."""

    kind: ClassVar[str] = DISK_FILE
    path: str

    def __str__(self) -> str:
        return self.path

    @property
    def reference(self) -> dict[str, Any] | None:
        """A file is no image."""
        return None


#: What a text or dictionary can name.
SourceName: TypeAlias = (
    "MarketplaceImage | PublicGalleryImage | GalleryImage | ArmResource | VhdBlob | DiskFile"
)
