# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Where a page blob is and how its requests are authorized: by account key, by Entra ID, or by a SAS."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import (
    InvalidInput,
    NotFound,
    importing,
    translated,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import resource_id
from ansible_collections.goldenimage.azure.plugins.module_utils._image.names import check_resource_group_name
from ansible_collections.goldenimage.azure.plugins.module_utils._image.resource_groups import group_location
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.connection import (
    BlobUrl,
    parse_blob_url,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.page_blob import (
    Authorize,
    no_authorization,
)

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

_STORAGE_API = "2023-05-01"
_STORAGE_SCOPE = "https://storage.azure.com/.default"
_KEY_SAS_LIFE = timedelta(days=7)
# For one that leaves this machine, or takes the place of one that was refused; there is a next one.
_HANDED_SAS_LIFE = timedelta(hours=4)
# A user delegation key lives seven days at most, and Azure reckons by its own clock.
_DELEGATED_SAS_LIFE = timedelta(days=6)
_RENEW_BEFORE = 300
_ACCOUNT = re.compile(r"[a-z0-9]{3,24}")
_CONTAINER = re.compile(r"(?=.{3,63}$)[a-z0-9]+(-[a-z0-9]+)*|\$root")
_LONGEST_BLOB = 1024


class BlobTarget(NamedTuple):
    """A blob's URL (its query is a SAS, or empty) and what gives the Authorization header.

    `granted` makes a URL with a new SAS that lives for hours; None where nothing entitles to one.
    """

    url: BlobUrl
    authorize: Authorize
    granted: Callable[[], BlobUrl] | None = None


class BlobRequest(NamedTuple):
    """A blob as the user names it: a whole URL with a SAS, or account, container and blob.

    `auth_mode`: "key" looks the account's key up in `resource_group`, "login" uses the session's identity.
    """

    storage_account: str | None
    container: str | None
    blob: str | None
    resource_group: str | None
    auth_mode: str
    sas_url: str | None

    @classmethod
    def of(cls, options: Mapping[str, Any], resource_group: str | None) -> BlobRequest:
        """The blob that the options of these names say, with this group for the account."""
        named = {name: options[name] for name in cls._fields if name != "resource_group"}
        return cls(**named, resource_group=resource_group or None)

    def check(self) -> None:
        """Refuse names that Azure refuses; raises InvalidInput."""
        if self.sas_url:
            return
        if not _ACCOUNT.fullmatch(self.storage_account or ""):
            raise InvalidInput(
                f"storage_account: {self.storage_account!r} is no name of a storage account.",
                remedy="It has 3 to 24 lower-case letters and digits.",
            )
        if not _CONTAINER.fullmatch(self.container or ""):
            raise InvalidInput(
                f"container: {self.container!r} is no name of a blob container.",
                remedy="It has 3 to 63 lower-case letters, digits and single hyphens.",
            )
        blob = self.blob or ""
        if not 0 < len(blob) <= _LONGEST_BLOB or blob.endswith((".", "/")) or blob.startswith("/"):
            raise InvalidInput(
                f"blob: {self.blob!r} is no name of a blob.",
                remedy="It has 1 to 1024 characters, and neither begins with / nor ends with / or a dot.",
            )
        if self.resource_group:
            check_resource_group_name(self.resource_group)
        elif self.auth_mode == "key":
            raise InvalidInput(
                "resource_group is needed to look up the key of the storage account.",
                remedy="Set resource_group, or set auth_mode to login.",
            )


def sas_target(request: BlobRequest) -> BlobTarget:
    """The target of a request that brings its own SAS; needs no session."""
    return BlobTarget(parse_blob_url(request.sas_url or ""), no_authorization)


def find_target(
    session: AzureSession,
    request: BlobRequest,
    waiter: Waiter,
    *,
    read_only: bool = False,
    verify_tls: bool = True,
) -> BlobTarget:
    """Look the storage account up; raises NotFound when the group, account or container is missing.

    :param read_only: whether a SAS that is made of the account's key permits nothing but to read
    :param verify_tls: whether the blob service's certificate is checked when it is asked for a key
    """
    path = f"{request.container}/{quote(request.blob or '')}"

    def by_login(text: str) -> BlobTarget:
        url = parse_blob_url(text)
        return BlobTarget(
            url,
            _Bearer(session),
            lambda: _delegated(session, request, url, _HANDED_SAS_LIFE, verify_tls, read_only=read_only),
        )

    if request.resource_group is None:
        host = f"{request.storage_account}.blob.{session.cloud.storage_suffix}"
        return by_login(f"https://{host}/{path}")
    group_location(session, request.resource_group)
    account = resource_id(
        session.subscription_id,
        request.resource_group,
        "Microsoft.Storage",
        "storageAccounts",
        request.storage_account or "",
    )
    found = session.arm.get(account, _STORAGE_API)
    if found is None:
        raise NotFound(
            f"There is no storage account {request.storage_account} in resource group"
            f" {request.resource_group}.",
            code="ResourceNotFound",
            remedy="Create it first, or correct storage_account or resource_group.",
        )
    _check_container(session, account, request)
    url = f"{found['properties']['primaryEndpoints']['blob'].rstrip('/')}/{path}"
    if request.auth_mode == "login":
        return by_login(url)

    def by_key(life: timedelta) -> BlobUrl:
        keys: Mapping[str, Any] = session.arm.post(f"{account}/listKeys", None, _STORAGE_API, waiter)
        key, expiry = str(keys["keys"][0]["value"]), datetime.now(timezone.utc) + life
        sas = _sas(request, read_only=read_only, expiry=expiry, account_key=key)
        return parse_blob_url(f"{url}?{sas}")

    return BlobTarget(by_key(_KEY_SAS_LIFE), no_authorization, lambda: by_key(_HANDED_SAS_LIFE))


def find_source_url(
    session: AzureSession, request: BlobRequest, waiter: Waiter, *, verify_tls: bool
) -> BlobUrl:
    """The URL, with a SAS that permits nothing but to read the blob, from which the service itself copies."""
    url = find_target(session, request, waiter, read_only=True).url
    if url.query:
        return url
    return _delegated(session, request, url, _DELEGATED_SAS_LIFE, verify_tls, read_only=True)


def _delegated(
    session: AzureSession,
    request: BlobRequest,
    url: BlobUrl,
    life: timedelta,
    verify_tls: bool,
    *,
    read_only: bool = False,
) -> BlobUrl:
    """The URL with a SAS in the name of the session's identity, which can do no more than that may itself."""
    with importing("azure-storage-blob"):
        from azure.storage.blob import BlobServiceClient  # noqa: PLC0415
    account = str(url)[: -len(f"/{request.container}/{quote(request.blob or '')}")]
    now = datetime.now(timezone.utc)
    with (
        translated(f"get a user delegation key of storage account {request.storage_account}"),
        BlobServiceClient(account, session.credential, connection_verify=verify_tls) as client,
    ):
        # Clocks differ.
        key = client.get_user_delegation_key(now - timedelta(minutes=15), now + life)
    sas = _sas(request, read_only=read_only, user_delegation_key=key, expiry=now + life)
    return parse_blob_url(f"{url}?{sas}")


def _check_container(session: AzureSession, account: str, request: BlobRequest) -> None:
    try:
        path = f"{account}/blobServices/default/containers/{request.container}"
        found = session.arm.get(path, _STORAGE_API)
    except NotFound as error:
        if error.code != "ContainerNotFound":
            raise
        found = None
    if found is None:
        raise NotFound(
            f"There is no container {request.container} in storage account {request.storage_account}.",
            code="ContainerNotFound",
            remedy="Create the container first, or correct its name.",
        )


def _sas(request: BlobRequest, *, read_only: bool, expiry: datetime, **signed_by: Any) -> str:
    """A SAS for this one blob, so that the key itself is not used further."""
    with importing("azure-storage-blob"):
        from azure.storage.blob import BlobSasPermissions, generate_blob_sas  # noqa: PLC0415
    write = not read_only
    return generate_blob_sas(
        account_name=request.storage_account or "",
        container_name=request.container or "",
        blob_name=request.blob or "",
        permission=BlobSasPermissions(read=True, create=write, write=write, delete=write),
        expiry=expiry,
        **signed_by,
    )


class _Bearer:
    """The Authorization header of the session's identity, for any number of threads."""

    def __init__(self, session: AzureSession) -> None:
        self._session = session
        self._lock = threading.Lock()
        self._header: dict[str, str] = {}
        self._renew_at = 0.0

    def __call__(self) -> Mapping[str, str]:
        with self._lock:
            if time.time() >= self._renew_at:
                token = self._session.credential.get_token(_STORAGE_SCOPE)
                self._header = {"Authorization": f"Bearer {token.token}"}
                self._renew_at = token.expires_on - _RENEW_BEFORE
            return self._header
