# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""What a copy is made of: a managed disk, a snapshot, or a page blob, looked up and checked."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Union

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import (
    InvalidInput,
    NotFound,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import (
    ResourceId,
    is_resource_id,
    normalize_location,
    parse_resource_id,
    resource_id,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.vhd_footer import FOOTER_SIZE
from ansible_collections.goldenimage.azure.plugins.module_utils._image.disk_state import (
    check_access,
    check_content,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.names import (
    check_disk_name,
    check_resource_group_name,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.sources import account_of_blob
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.blob_footer import check_footer
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.blob_state import STATE, check_state
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.blob_target import (
    BlobRequest,
    find_source_url,
    sas_target,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.disk_request import SECTOR_SIZES
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.failures import reported
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.source import (
    CONTENT,
    attached_at,
    known_content,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.connection import BlobUrl
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.page_blob import PageBlob

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

_COLLECTIONS = {"disk": "disks", "snapshot": "snapshots"}
_WORDS = {"disk": "managed disk", "snapshot": "snapshot"}
_INHERITED = ("osType", "hyperVGeneration", "supportedCapabilities")
_DIGEST_LENGTH = 32


class SourceRequest(NamedTuple):
    """The source as the user names it: a disk or snapshot by name or id (`kind`, `name`), or a blob."""

    kind: str
    name: str
    resource_group: str | None
    blob: BlobRequest | None

    def check(self) -> None:
        """Refuse what cannot be named like that; raises InvalidInput."""
        if self.blob is not None:
            with reported():
                self.blob.check()
                if self.blob.sas_url:
                    sas_target(self.blob)
            return
        option = f"source.{self.kind}_name"
        if not is_resource_id(self.name):
            check_disk_name(option, self.name)
            if not self.resource_group:
                raise InvalidInput(
                    f"{option} is a name, but nothing says in which resource group it is.",
                    remedy="Set source.resource_group, or give the id.",
                )
            check_resource_group_name(self.resource_group)
            return
        kind = parse_resource_id(self.name).resource_type.lower()
        if kind != f"microsoft.compute/{_COLLECTIONS[self.kind]}":
            raise InvalidInput(f"{option}: {self.name} is no {_WORDS[self.kind]}.")

    def id(self, subscription: str) -> ResourceId:
        """The id of the disk or snapshot."""
        if is_resource_id(self.name):
            return parse_resource_id(self.name)
        group = self.resource_group or ""
        collection = _COLLECTIONS[self.kind]
        return parse_resource_id(resource_id(subscription, group, "Microsoft.Compute", collection, self.name))


@dataclass(frozen=True)
class Source:
    """What is copied.

    `kind`: disk, snapshot or blob; `id`: of the resource, or the blob's URL without a SAS; `identity`: a
    digest that is another whenever the content may be; `virtual_size`: bytes without the VHD footer;
    `content_sha256`: what is known of the content from its upload, None without it.
    """

    kind: str
    id: str
    identity: str
    virtual_size: int
    content_sha256: str | None

    @property
    def name(self) -> str:
        """For messages."""
        return f"{self.kind} {self.id.rpartition('/')[2]}"

    def facts(self) -> dict[str, Any]:
        """The returned value `source`."""
        return {
            "kind": self.kind,
            "id": self.id,
            "size_bytes": self.virtual_size,
            "content_sha256": self.content_sha256,
        }


@dataclass(frozen=True)
class ResourceSource(Source):
    """A managed disk or a snapshot; `resource` as Azure shows it."""

    resource: Mapping[str, Any]

    @property
    def properties(self) -> Mapping[str, Any]:
        """What Azure says of it."""
        found: Mapping[str, Any] = self.resource["properties"]
        return found

    @property
    def location(self) -> str:
        """Its region."""
        return normalize_location(self.resource["location"])

    @property
    def incremental(self) -> bool:
        """Whether it is an incremental snapshot, which alone can be copied to another region."""
        return bool(self.properties.get("incremental"))

    def check_readable(self, *, resumed: bool) -> None:
        """Refuse what Azure gives no access to, or somebody else has access to; raises InvalidInput.

        :param resumed: whether that access may be what an earlier run has left
        """
        check_access(f"source: {self.name}", self.kind, self.resource, own=resumed)


@dataclass(frozen=True)
class BlobSource(Source):
    """A page blob with a VHD; `url` has the SAS that permits to read it."""

    url: BlobUrl
    etag: str


@dataclass(frozen=True)
class ImportSource(Source):
    """A page blob of which Azure makes a disk or snapshot; `account`: id of its storage account."""

    account: str
    location: str
    incremental: bool = False


#: What a disk or snapshot is made of.
Original = Union[ResourceSource, ImportSource]  # noqa: UP007 - ansible-test's pylint takes no | here


def inherited(source: Original) -> dict[str, Any]:
    """The properties that a disk or snapshot made of the source has from it."""
    properties = source.properties if isinstance(source, ResourceSource) else {}
    return {name: properties[name] for name in _INHERITED if name in properties}


def sku_of_disk(source: Original) -> str | None:
    """The kind of storage of a managed disk; None for anything else."""
    if not isinstance(source, ResourceSource) or source.kind != "disk":
        return None
    return str((source.resource.get("sku") or {}).get("name") or "") or None


def _sector_size(source: Original) -> int | None:
    """Bytes of the logical sectors of a disk or snapshot; None where Azure does not say."""
    properties = source.properties if isinstance(source, ResourceSource) else {}
    found = (properties.get("creationData") or {}).get("logicalSectorSize")
    return None if found is None else int(found)


def creation_data(source: Original, option: str, made_of: str, sku: str | None = None) -> dict[str, Any]:
    """The creationData of a disk or snapshot.

    :param option: Azure's createOption
    :param made_of: id of the disk or snapshot that it is made of, or the source's id
    :param sku: kind of storage of a disk; where its sectors may have several sizes, they get the source's
    """
    if option == "Import" and isinstance(source, ImportSource):
        creation: dict[str, Any] = {
            "createOption": option,
            "sourceUri": made_of,
            "storageAccountId": source.account,
        }
    else:
        creation = {"createOption": option, "sourceResourceId": made_of}
    if sku in SECTOR_SIZES:
        creation["logicalSectorSize"] = _sector_size(source) or SECTOR_SIZES[sku]
    return creation


def importable(session: AzureSession, blob: BlobSource) -> ImportSource:
    """The blob as what Azure imports; raises InvalidInput for one that it refuses."""
    account = account_of_blob(session, blob.id)
    if account is None:
        raise InvalidInput(
            f"source: {blob.id} is in no storage account of subscription {session.subscription_id}; of other"
            " blobs Azure makes no disk or snapshot.",
            remedy="Copy it to a blob in such an account first.",
        )
    endpoint = account["properties"]["primaryEndpoints"]["blob"].rstrip("/")
    _container, _slash, name = blob.id[len(endpoint) + 1 :].partition("/")
    if "/" in name or not name.lower().endswith(".vhd"):
        raise InvalidInput(
            f"source: of {blob.id} Azure makes no disk or snapshot: its name has to end in .vhd and must have"
            " no slash.",
            remedy="Copy it to a blob of another name first.",
        )
    return ImportSource(
        kind=blob.kind,
        id=blob.id,
        identity=blob.identity,
        virtual_size=blob.virtual_size,
        content_sha256=blob.content_sha256,
        account=str(account["id"]),
        location=normalize_location(account["location"]),
    )


def _digest(*parts: object) -> str:
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:_DIGEST_LENGTH]


def find_resource(session: AzureSession, request: SourceRequest) -> ResourceSource:
    """Look a disk or snapshot up; raises NotFound, or InvalidInput for one that cannot be copied now."""
    found = request.id(session.subscription_id)
    compute = session.compute_in(found.subscription)
    collection = compute.disks if request.kind == "disk" else compute.snapshots
    resource = collection.get(found.resource_group, found.name)
    if resource is None:
        raise NotFound(
            f"source: there is no {_WORDS[request.kind]} {found.name} in resource group"
            f" {found.resource_group}.",
            code="ResourceNotFound",
            remedy="Correct its name or source.resource_group.",
        )
    properties = resource["properties"]
    what = f"source: {request.kind} {found.name}"
    check_content(what, resource)
    if properties.get("provisioningState", "Succeeded") != "Succeeded":
        raise InvalidInput(
            f"{what} cannot be copied now, its provisioning state is {properties['provisioningState']}."
        )
    size = int(properties.get("diskSizeBytes") or int(properties.get("diskSizeGB") or 0) << 30)
    return ResourceSource(
        kind=request.kind,
        id=str(resource["id"]),
        identity=_digest(
            str(resource["id"]).lower(), properties.get("uniqueId"), size, attached_at(resource)
        ),
        virtual_size=size,
        content_sha256=known_content(resource),
        resource=resource,
    )


def find_blob(
    session: AzureSession | None,
    request: BlobRequest,
    waiter: Waiter,
    context: ssl.SSLContext,
    *,
    verify_tls: bool,
) -> BlobSource:
    """Look a blob up; raises NotFound, or InvalidInput for one that is no whole VHD."""
    if session is None:
        url = sas_target(request).url
    else:
        url = find_source_url(session, request, waiter, verify_tls=verify_tls)
    with reported():
        blob = PageBlob(url, context)
        try:
            facts = blob.facts()
            if facts is None:
                raise NotFound(
                    f"source: there is no blob {url}.", code="BlobNotFound", remedy="Correct its name."
                )
            if facts.kind != "PageBlob" or facts.size <= FOOTER_SIZE:
                raise InvalidInput(
                    f"source: {url} is no page blob with a disk, but a {facts.kind} of {facts.size} bytes."
                )
            check_state(f"source: {url}", facts.metadata)
            footer = blob.get_pages(facts.size - FOOTER_SIZE, FOOTER_SIZE)
            check_footer(footer, f"source: {url}", facts.size)
        finally:
            blob.close()
    return BlobSource(
        kind="blob",
        id=str(url),
        identity=_digest(url, facts.etag, facts.size),
        virtual_size=facts.size - FOOTER_SIZE,
        content_sha256=facts.metadata.get(CONTENT) if STATE in facts.metadata else None,
        url=url,
        etag=facts.etag,
    )
