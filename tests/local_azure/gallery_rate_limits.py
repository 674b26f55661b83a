# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The buckets of remaining requests that gallery operations draw from, as recorded in 2024."""

from __future__ import annotations

from collections.abc import Sequence

Buckets = tuple[tuple[str, int], ...]
# By what is asked for: a gallery, a definition, a version; then by the method. Sizes for 3 and 30 minutes.
_OWN: tuple[dict[str, tuple[str, int, int]], ...] = (
    {
        "GET": ("GetGallery", 349, 2499),
        "LIST": ("ListGalleryInResourceGroup", 99, 999),
        "PUT": ("CreateUpdateGallery", 49, 299),
        "DELETE": ("DeleteGallery", 49, 299),
    },
    {
        "GET": ("GetGalleryImage", 599, 2999),
        "LIST": ("ListGalleryImagesInGallery", 1499, 9999),
        "PUT": ("CreateUpdateGalleryImage", 149, 749),
        "DELETE": ("DeleteGalleryImage", 49, 299),
    },
    {
        "GET": ("GetGalleryImageVersion", 1999, 9999),
        "LIST": ("ListGalleryImageVersionsInGalleryImage", 1499, 9999),
        "PUT": ("CreateUpdateGalleryImageVersion", 374, 1199),
        "DELETE": ("DeleteGalleryImageVersion", 149, 999),
    },
)
_OF_OTHERS: tuple[dict[str, tuple[str, int, int]], ...] = (
    {"GET": ("GetGallery", 349, 2499), "LIST": ("ListGallery", 149, 999)},
    {"GET": ("GetGalleryArtifact", 599, 2999), "LIST": ("ListGalleryArtifact", 199, 199)},
    {"GET": ("GetGalleryArtifactVersion", 1999, 9999), "LIST": ("ListGalleryArtifactVersion", 799, 3999)},
)
_SHARE = ("PostShareGallery", 9, 59)
_STATUS = ("GetOperationStatus", 4999, 14999)


def gallery_buckets(method: str, tail: Sequence[str]) -> Buckets | None:
    """`tail` is the path behind the provider, in lower case; None for what is no gallery's."""
    if "capsoperations" in tail:
        return _pair(_STATUS)
    if tail[0] == "galleries":
        table, path = _OWN, tail
    elif len(tail) > 2 and tail[2] in ("sharedgalleries", "communitygalleries"):
        table, path = _OF_OTHERS, tail[2:]
    else:
        return None
    if method == "POST":
        return _pair(_SHARE)
    depth, named = divmod(len(path) - 1, 2)
    verb = "LIST" if method == "GET" and not named else {"PATCH": "PUT", "HEAD": "GET"}.get(method, method)
    if depth >= len(table):
        return ()
    return _pair(table[depth].get(verb))


def _pair(bucket: tuple[str, int, int] | None) -> Buckets:
    if bucket is None:
        return ()
    name, short, long = bucket
    return ((f"{name}3Min", short), (f"{name}30Min", long))
