# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Galleries that their publishers have opened to everybody."""

from __future__ import annotations

from tests.local_azure.call import Call
from tests.local_azure.providers.galleries.gallery_ids import (
    COMMUNITY,
    community_gallery,
    community_info,
)
from tests.local_azure.providers.galleries.gallery_views import GalleryView, Public
from tests.local_azure.store import Json, Resource

_DISCLAIMER = "https://aka.ms/community-gallery-disclaimer"
_METADATA = ("publisherUri", "publisherContact", "eula", "publicNames")


class CommunityGalleries(GalleryView):
    """There is no list of them: who knows a public name may look behind it."""

    segment = COMMUNITY

    def gallery(self, call: Call, name: str) -> Resource | None:
        del call
        return community_gallery(self._azure, name)

    def gallery_body(self, public: Public, *, listed: bool) -> Json:
        """The metadata stand twice, as Azure has them."""
        del listed
        info = community_info(public.gallery)
        metadata = {key: info[key] for key in _METADATA}
        properties = {"communityMetadata": metadata, "disclaimer": _DISCLAIMER}
        return {"properties": properties, "communityMetadata": metadata}

    def definition_properties(self, definition: Resource) -> Json:
        """Nobody learns the publisher's own identifiers."""
        hidden = {"publisher": "", "offer": "", "sku": ""}
        return {
            "disclaimer": _DISCLAIMER,
            **super().definition_properties(definition),
            "identifier": hidden,
        }

    def version_properties(self, version: Resource) -> Json:
        return {"disclaimer": _DISCLAIMER, **super().version_properties(version)}
