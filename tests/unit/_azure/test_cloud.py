# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Names and metadata of clouds."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.cloud import (
    CHINA,
    PUBLIC,
    US_GOVERNMENT,
    Cloud,
    find_cloud,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError, InvalidInput

BASE = "https://management.local.example.com"


def no_fetch(url: str) -> Any:
    raise AssertionError(f"nothing is to be fetched, but {url} was")


@pytest.mark.parametrize(
    ("name", "cloud"),
    [
        ("AzureCloud", PUBLIC),
        ("AZURE_PUBLIC_CLOUD", PUBLIC),
        ("AzurePublicCloud", PUBLIC),
        ("azurecloud", PUBLIC),
        ("AzureChinaCloud", CHINA),
        ("AZURE_CHINA_CLOUD", CHINA),
        ("AzureUSGovernment", US_GOVERNMENT),
        ("AzureUSGovernmentCloud", US_GOVERNMENT),
        ("AZURE_US_GOV_CLOUD", US_GOVERNMENT),
        ("AZURE_US_GOVERNMENT", US_GOVERNMENT),
    ],
)
def test_spellings_of_the_cli_and_the_sdks(name: str, cloud: Cloud) -> None:
    assert find_cloud(name, no_fetch) == cloud
    assert cloud.well_known


@pytest.mark.parametrize(
    "text", ["Azure", "AzureGermanCloud", "http://management.example.com", "https://", "a.b"]
)
def test_neither_name_nor_https_url_is_refused_without_a_request(text: str) -> None:
    with pytest.raises(InvalidInput, match="cloud_environment"):
        find_cloud(text, no_fetch)


def entry(**more: Any) -> dict[str, Any]:
    login = {
        "loginEndpoint": "https://login.local.example.com/",
        "audiences": ["https://arm.local", "https://b"],
    }
    return {"name": "Local", "authentication": login, "suffixes": {"storage": "blob.local"}, **more}


@pytest.mark.parametrize(
    "metadata", [entry(), [entry()], [entry(resourceManager="https://x"), entry(name="o")]]
)
def test_metadata_as_object_and_as_array(metadata: Any) -> None:
    asked: list[str] = []

    def fetch(url: str) -> Any:
        asked.append(url)
        return metadata

    cloud = find_cloud(f"{BASE}/", fetch)
    assert asked == [f"{BASE}/metadata/endpoints?api-version=2022-09-01"]
    assert cloud == Cloud(
        "Local", "https://login.local.example.com", BASE, "https://arm.local", "blob.local", None, False
    )
    assert cloud.scope == "https://arm.local/.default"


@pytest.mark.parametrize(("named", "tenant"), [("common", None), ("", None), (None, None), ("t-1", "t-1")])
def test_the_tenant_is_that_of_a_cloud_with_only_one(named: str | None, tenant: str | None) -> None:
    login = {"loginEndpoint": "https://login.local", "audiences": ["https://arm.local"], "tenant": named}
    assert find_cloud(BASE, lambda _url: {"authentication": login}).tenant == tenant


def test_the_entry_of_this_resource_manager_is_taken_out_of_several() -> None:
    other = entry(name="Other", resourceManager="https://elsewhere")
    mine = entry(name="Mine", resourceManager=f"{BASE.upper()}/")
    assert find_cloud(BASE, lambda _url: [other, mine]).name == "Mine"


def test_azure_stack_describes_itself_in_an_older_form() -> None:
    asked: list[str] = []

    def fetch(url: str) -> Any:
        asked.append(url)
        if not url.endswith("=1.0"):
            raise AzureError("no such version", status=400)
        return {
            "galleryEndpoint": "https://adminportal.local.azurestack.external:30015/",
            "authentication": {
                "loginEndpoint": "https://adfs.local.azurestack.external/adfs/",
                "audiences": ["https://management.adfs.azurestack.local/0001"],
            },
        }

    cloud = find_cloud("https://management.local.azurestack.external", fetch)
    assert len(asked) == 2
    assert cloud.storage_suffix == "local.azurestack.external"
    assert (cloud.authority, cloud.tenant) == ("https://adfs.local.azurestack.external", "adfs")
    assert not cloud.well_known


def test_an_audience_keeps_its_trailing_slash_in_the_scope() -> None:
    login = {"loginEndpoint": "https://login.microsoftonline.com", "audiences": ["https://arm.example/"]}
    cloud = find_cloud(BASE, lambda _url: {"authentication": login})
    assert cloud.scope == "https://arm.example//.default"
    assert cloud.well_known


@pytest.mark.parametrize(
    "metadata", [None, [], {}, {"authentication": {"loginEndpoint": "http://x"}}, "text", [1]]
)
def test_metadata_without_sign_in_is_refused(metadata: Any) -> None:
    with pytest.raises(InvalidInput, match="names no sign-in endpoint"):
        find_cloud(BASE, lambda _url: metadata)


def test_an_url_that_is_no_resource_manager() -> None:
    def fetch(_url: str) -> Any:
        raise AzureError("not found", status=404)

    with pytest.raises(InvalidInput, match="does not describe itself at /metadata/endpoints"):
        find_cloud(BASE, fetch)


def test_an_unreachable_resource_manager_is_reported_as_such() -> None:
    def fetch(_url: str) -> Any:
        raise AzureError("cannot be reached")

    with pytest.raises(AzureError, match="cannot be reached"):
        find_cloud(BASE, fetch)
