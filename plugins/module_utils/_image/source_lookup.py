# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Completes the name of a source into a description: what it is, exactly which one, and what it can be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import NotFound
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import normalize_location
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.snake_case import to_snake
from ansible_collections.goldenimage.azure.plugins.module_utils._image.resource_groups import region_of
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_bytes import (
    describe_blob,
    describe_file,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_facts import (
    SourceFacts,
    facts_result,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_galleries import (
    describe_gallery,
    describe_public,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_marketplace import (
    describe_marketplace,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_names import (
    ArmResource,
    DiskFile,
    GalleryImage,
    MarketplaceImage,
    PublicGalleryImage,
    SourceName,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_parsing import SourceParser
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_resources import (
    describe_resource,
)

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession


class SourceLookup:
    """Looks sources up for one place: names alone are of its resource group, `latest` is that of its region.

    Without `location` the region is the resource group's, which is asked only where a region is needed.
    """

    def __init__(
        self,
        session: AzureSession,
        *,
        resource_group: str | None = None,
        location: str | None = None,
        terms: bool = True,
        blob_auth_mode: str = "key",
        verify_tls: bool = True,
    ) -> None:
        self._session = session
        self._group = resource_group or None
        self._location = normalize_location(location) if location else None
        self._terms = terms
        self._blob_auth_mode = blob_auth_mode
        self._verify_tls = verify_tls

    def parse(self, given: object, option: str = "source") -> SourceName:
        """The source that a text or dictionary names. Raises InvalidInput when it names none."""
        return SourceParser(self._session.subscription_id, self._group, option).parse(given)

    def describe(self, source: SourceName, option: str = "source") -> SourceFacts:
        """Everything that is known of a source. Raises NotFound when it is not there.

        :param option: the option that names it, with which messages begin
        """
        try:
            return self._describe(source)
        except NotFound as error:
            error.message = f"{option}: {error.message}"
            raise

    def _describe(self, source: SourceName) -> SourceFacts:
        if isinstance(source, MarketplaceImage):
            return describe_marketplace(self._session, source, self._region(), terms=self._terms)
        if isinstance(source, PublicGalleryImage):
            return describe_public(self._session, source, self._region())
        if isinstance(source, GalleryImage):
            return describe_gallery(self._session, source, self._location)
        if isinstance(source, ArmResource):
            return describe_resource(self._session, source)
        if isinstance(source, DiskFile):
            return describe_file(source)
        return describe_blob(
            self._session, source, auth_mode=self._blob_auth_mode, verify_tls=self._verify_tls
        )

    def _region(self) -> str:
        if self._location is None:
            self._location = region_of(self._session, {"resource_group": self._group})
        return self._location


def described(facts: SourceFacts, subscription: str) -> dict[str, Any]:
    """The returned form of a source: its facts, and the imageReferences of what was asked for and is meant.

    The references are in snake_case; null of what is no image.
    """
    parser = SourceParser(subscription)
    asked, exact = (parser.parse(text).reference for text in (facts.reference, facts.pinned))
    return {
        **facts_result(facts),
        "image_reference": to_snake(exact) if exact else None,
        "asked_image_reference": to_snake(asked) if asked else None,
    }
