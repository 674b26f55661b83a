# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""From the names that shared and community galleries have for others to the gallery itself."""

from __future__ import annotations

from collections.abc import Iterator

from tests.local_azure.azure import LocalAzure
from tests.local_azure.providers.galleries.gallery_kinds import GALLERY
from tests.local_azure.providers.galleries.gallery_sharing import permissions_of
from tests.local_azure.store import Resource

SHARED, COMMUNITY = "SharedGalleries", "CommunityGalleries"


def public_galleries(azure: LocalAzure) -> Iterator[Resource]:
    """Community galleries that have been opened to everybody."""
    for gallery in azure.store.of_type(GALLERY):
        if permissions_of(gallery) == "Community" and community_info(gallery)["communityGalleryEnabled"]:
            yield gallery


def community_info(gallery: Resource) -> dict[str, object]:
    info: dict[str, object] = gallery.properties["sharingProfile"]["communityGalleryInfo"]
    return info


def public_names(gallery: Resource) -> list[str]:
    names = community_info(gallery)["publicNames"]
    return [str(n) for n in names] if isinstance(names, list) else []


def community_gallery(azure: LocalAzure, public_name: str) -> Resource | None:
    wanted = public_name.lower()
    return next((g for g in public_galleries(azure) if wanted in (n.lower() for n in public_names(g))), None)


def shared_galleries(
    azure: LocalAzure, subscription: str, tenant: str, *, by: str = ""
) -> Iterator[Resource]:
    """Galleries shared with the subscription or its tenant, or only `by` one: "subscription", "tenant"."""
    for gallery in azure.store.of_type(GALLERY):
        if permissions_of(gallery) == "Groups" and _is_shared(gallery, subscription, tenant, by):
            yield gallery


def _is_shared(gallery: Resource, subscription: str, tenant: str, by: str) -> bool:
    for group in gallery.properties["sharingProfile"].get("groups") or []:
        ids = [i.lower() for i in group["ids"]]
        if group["type"] == "Subscriptions" and by != "tenant" and subscription.lower() in ids:
            return True
        if group["type"] == "AADTenants" and by != "subscription" and tenant.lower() in ids:
            return True
    return False


def unique_name(gallery: Resource) -> str:
    return str(gallery.properties["identifier"]["uniqueName"])


def shared_gallery(azure: LocalAzure, name: str, subscription: str) -> Resource | None:
    """The gallery of that unique name, if it is shared with the subscription or its tenant."""
    tenant = azure.settings.identity.tenant_of(subscription)
    found = shared_galleries(azure, subscription, tenant.id if tenant else "")
    return next((g for g in found if unique_name(g).lower() == name.lower()), None)


def split_public_id(text: str) -> tuple[str, str, str, str | None] | None:
    """("CommunityGalleries", gallery, definition, version or None) of such an id; None if it is not one."""
    parts = text.strip("/").split("/")
    if len(parts) not in (4, 6) or parts[2].lower() != "images":
        return None
    kind = next((k for k in (SHARED, COMMUNITY) if k.lower() == parts[0].lower()), None)
    if kind is None or (len(parts) == 6 and parts[4].lower() != "versions"):
        return None
    return kind, parts[1], parts[3], parts[5] if len(parts) == 6 else None


def community_version_id(azure: LocalAzure, text: str) -> str | None:
    """The resource id of the version that `/CommunityGalleries/...` names."""
    parts = split_public_id(text)
    gallery = community_gallery(azure, parts[1]) if parts else None
    if parts is None or gallery is None or parts[0] != COMMUNITY or parts[3] is None:
        return None
    return f"{gallery.id}/images/{parts[2]}/versions/{parts[3]}"
