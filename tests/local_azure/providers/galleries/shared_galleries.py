# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Galleries that others share with a subscription or its tenant."""

from __future__ import annotations

from collections.abc import Iterator

from tests.local_azure.call import Call
from tests.local_azure.errors import invalid_value
from tests.local_azure.providers.galleries.gallery_ids import (
    SHARED,
    shared_galleries,
    shared_gallery,
    unique_name,
)
from tests.local_azure.providers.galleries.gallery_views import GalleryView, Public
from tests.local_azure.store import Json, Resource


class SharedGalleries(GalleryView):
    segment = SHARED

    def galleries(self, call: Call) -> Iterator[Public]:
        """Those shared with the subscription; with `sharedTo=tenant` those shared with its tenant."""
        shared_to = call.query.get("sharedTo", "").lower()
        if shared_to not in ("", "tenant"):
            raise invalid_value("sharedTo")
        tenant = self._azure.settings.identity.tenant_of(call.subscription)
        by = shared_to or "subscription"
        for gallery in shared_galleries(self._azure, call.subscription, tenant.id if tenant else "", by=by):
            yield Public(gallery, unique_name(gallery))

    def gallery(self, call: Call, name: str) -> Resource | None:
        return shared_gallery(self._azure, name, call.subscription)

    def gallery_body(self, public: Public, *, listed: bool) -> Json:
        del public
        return {} if listed else {"properties": {}}
