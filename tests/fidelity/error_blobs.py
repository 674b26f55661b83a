# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Brings the blob service into the situations of refusals that need no more than a container or a blob.

Query and request headers of these refusals were not kept; they are what the refusal lets conclude.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from tests.fidelity.blob_replay import BlobReplay
from tests.fidelity.comparison import Difference
from tests.fidelity.recording import Recorded

_CONTAINER = {"restype": "container"}
_PAGE_BLOB = {"x-ms-blob-type": "PageBlob", "x-ms-blob-content-length": "0"}

# The etag of a blob that has been written since.
_STALE = {"if-match": '"0x1"'}


class _Refusal(NamedTuple):
    """`depth`: how many parts the path has; `makes` is made before: containers and blobs by their depth."""

    method: str
    depth: int
    code: str
    makes: tuple[int, ...] = ()
    headers: Mapping[str, str] = {}


_REFUSALS = (
    _Refusal("GET", 1, "ContainerNotFound"),
    _Refusal("DELETE", 1, "ContainerNotFound"),
    _Refusal("HEAD", 2, "ContainerNotFound"),
    _Refusal("PUT", 1, "ContainerAlreadyExists", (1,)),
    _Refusal("HEAD", 2, "BlobNotFound", (1,)),
    _Refusal("GET", 2, "BlobNotFound", (1,)),
    _Refusal("DELETE", 2, "BlobNotFound", (1,)),
    _Refusal("GET", 2, "InvalidRange", (1, 2), {"x-ms-range": "bytes=0-511"}),
    *(_Refusal(m, 2, "ConditionNotMet", (1, 2), _STALE) for m in ("GET", "HEAD", "DELETE")),
    _Refusal("PUT", 2, "ConditionNotMet", (1, 2), {**_PAGE_BLOB, **_STALE}),
    _Refusal("DELETE", 1, "ConditionNotMet", (1,), {"if-unmodified-since": "Thu, 01 Jan 2015 00:00:00 GMT"}),
    _Refusal("PUT", 2, "BlobAlreadyExists", (1, 2), {**_PAGE_BLOB, "if-none-match": "*"}),
)


def refused(blobs: BlobReplay, recorded: Recorded, code: str) -> list[Difference] | None:
    """What is different about the refusal; None if the situation is not one of those known here."""
    parts = recorded.path.replace("{op}", "container").strip("/").split("/")
    refusal = next(
        (r for r in _REFUSALS if (r.method, r.depth, r.code) == (recorded.method, min(len(parts), 2), code)),
        None,
    )
    if refusal is None:
        return None
    # One host for each, so that nothing is there but what is made here.
    here = replace(
        recorded,
        host=f"recorded{recorded.number}.blob.core.windows.net",
        path="/" + "/".join(parts),
        request=None,
    )
    for depth in refusal.makes:
        blobs.make(here.host, "/" + "/".join(parts[:1] if depth == 1 else parts), blob=depth > 1)
    query = _CONTAINER if refusal.depth == 1 else {}
    return blobs.run(replace(here, query=query, request_headers=refusal.headers))
