# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# Private to this collection; it may change without notice.
"""Which Azure: the public cloud, a sovereign one, or one that is described by its resource manager's
metadata.

Sources: https://learn.microsoft.com/cli/azure/manage-clouds-azure-cli,
https://learn.microsoft.com/azure-stack/user/azure-stack-rest-api-use (metadata of Azure Stack Hub).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError, InvalidInput

# Metadata in the form of the public cloud, then in that of Azure Stack Hub.
_METADATA_VERSIONS = ("2022-09-01", "1.0")


class Cloud(NamedTuple):
    """Endpoints of one Azure. URLs are without a trailing slash; ``storage_suffix`` is such as
    core.windows.net.

    ``tenant`` is set where the cloud has only one (AD FS). ``well_known`` is False where Microsoft's list of
    authorities cannot know this one, so that instance discovery has to be off.
    """

    name: str
    authority: str
    resource_manager: str
    audience: str
    storage_suffix: str
    tenant: str | None = None
    well_known: bool = True

    @property
    def scope(self) -> str:
        """The OAuth scope for tokens to the resource manager."""
        return f"{self.audience}/.default"


PUBLIC = Cloud(
    "AzureCloud",
    "https://login.microsoftonline.com",
    "https://management.azure.com",
    "https://management.azure.com",
    "core.windows.net",
)
CHINA = Cloud(
    "AzureChinaCloud",
    "https://login.chinacloudapi.cn",
    "https://management.chinacloudapi.cn",
    "https://management.chinacloudapi.cn",
    "core.chinacloudapi.cn",
)
US_GOVERNMENT = Cloud(
    "AzureUSGovernment",
    "https://login.microsoftonline.us",
    "https://management.usgovcloudapi.net",
    "https://management.usgovcloudapi.net",
    "core.usgovcloudapi.net",
)

# Spellings of the Azure CLI, the SDKs, Terraform and older Ansible content, compared without case, "_" and
# "-".
_SPELLINGS = {
    "azurecloud": PUBLIC,
    "azurepubliccloud": PUBLIC,
    "azurepublic": PUBLIC,
    "public": PUBLIC,
    "azurechinacloud": CHINA,
    "azurechina": CHINA,
    "china": CHINA,
    "azureusgovernment": US_GOVERNMENT,
    "azureusgovernmentcloud": US_GOVERNMENT,
    "azureusgovcloud": US_GOVERNMENT,
    "azureusgov": US_GOVERNMENT,
    "azuregovernment": US_GOVERNMENT,
    "usgovernment": US_GOVERNMENT,
}
_KNOWN_AUTHORITIES = frozenset(cloud.authority for cloud in (PUBLIC, CHINA, US_GOVERNMENT)) | {
    "https://login.windows.net",
    "https://login.partner.microsoftonline.cn",
}

Fetch = Callable[[str], Any]


def named_cloud(name: str) -> Cloud | None:
    """The cloud of that name in any usual spelling; None when there is none."""
    return _SPELLINGS.get(name.replace("_", "").replace("-", "").casefold())


def is_well_known_authority(url: str) -> bool:
    """Whether Microsoft Entra ID's instance discovery knows the authority."""
    return url.rstrip("/").casefold() in _KNOWN_AUTHORITIES


def find_cloud(name_or_url: str, fetch: Fetch) -> Cloud:
    """The cloud of that name, or the one whose resource manager has that URL.

    ``fetch`` gets an URL and returns decoded JSON, or raises AzureError (with ``status`` when there was an
    answer).
    """
    text = name_or_url.strip()
    cloud = named_cloud(text)
    if cloud is not None:
        return cloud
    parts = urlsplit(text)
    if not parts.scheme and "." not in text:
        raise InvalidInput(
            f"cloud_environment '{text}' is no cloud this collection knows.",
            remedy="Use AzureCloud, AzureChinaCloud, AzureUSGovernment or a resource manager's https URL.",
        )
    if parts.scheme != "https" or not parts.netloc or parts.query or parts.fragment:
        raise InvalidInput(
            f"cloud_environment '{text}' is no https URL of a resource manager.",
            remedy="It reads https://management.example.com; tokens are not sent without TLS.",
        )
    base = text.rstrip("/")
    return _from_metadata(base, _metadata(base, fetch))


def _metadata(base: str, fetch: Fetch) -> Any:
    refusal: AzureError | None = None
    for version in _METADATA_VERSIONS:
        try:
            return fetch(f"{base}/metadata/endpoints?api-version={version}")
        except AzureError as error:
            if error.status not in (400, 404):
                raise
            refusal = refusal or error
    raise InvalidInput(
        f"cloud_environment '{base}' does not describe itself at /metadata/endpoints (HTTP "
        f"{refusal.status if refusal else 'error'}).",
        remedy="Give the URL of a resource manager, not of its portal or sign-in page.",
    )


def _entry(base: str, metadata: Any) -> Mapping[str, Any]:
    """The description of this cloud: the only one, or the one of several with this resource manager."""
    if isinstance(metadata, Mapping):
        return metadata
    entries = [item for item in metadata if isinstance(item, Mapping)] if isinstance(metadata, list) else []
    for item in entries:
        if str(item.get("resourceManager", "")).rstrip("/").casefold() == base.casefold():
            return item
    return entries[0] if entries else {}


def _from_metadata(base: str, metadata: Any) -> Cloud:
    entry = _entry(base, metadata)
    found = entry.get("authentication")
    authentication: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
    login = str(authentication.get("loginEndpoint") or "").rstrip("/")
    audiences = authentication.get("audiences")
    audience = (
        str(audiences[0])
        if isinstance(audiences, Sequence) and not isinstance(audiences, str) and audiences
        else ""
    )
    if urlsplit(login).scheme != "https" or not audience:
        raise InvalidInput(
            f"cloud_environment '{base}' names no sign-in endpoint and audience at /metadata/endpoints.",
            remedy="Give the URL of an Azure resource manager.",
        )
    tenant = str(authentication.get("tenant") or "") or None
    if tenant == "common":
        tenant = None
    if login.casefold().endswith("/adfs"):
        # AD FS has one tenant, whose name is in the place of the tenant id.
        login, tenant = login[: -len("/adfs")], "adfs"
    suffixes = entry.get("suffixes")
    storage = str(suffixes.get("storage") or "") if isinstance(suffixes, Mapping) else ""
    return Cloud(
        name=str(entry.get("name") or base),
        authority=login,
        resource_manager=base,
        audience=audience,
        storage_suffix=storage.lstrip(".") or _storage_suffix_of(base),
        tenant=tenant,
        well_known=is_well_known_authority(login),
    )


def _storage_suffix_of(base: str) -> str:
    """Azure Stack Hub: the resource manager is management.REGION.FQDN, storage is below REGION.FQDN."""
    return (urlsplit(base).hostname or "").partition(".")[2]
