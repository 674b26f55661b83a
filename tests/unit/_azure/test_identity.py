# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The credential of azure-identity that is made for each kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import azure.identity
import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.cloud import (
    PUBLIC,
    US_GOVERNMENT,
    Cloud,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.credentials import (
    Credentials,
    find_credentials,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import CredentialError
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.identity import token_credential
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import open_session
from azure.core.credentials import AccessToken

CUSTOM = Cloud("Mine", "https://login.mine", "https://arm.mine", "https://arm.mine", "mine", None, False)
PRINCIPAL = {"client_id": "c", "tenant": "t"}


class Recorder:
    """Stands for a credential class and keeps how it was made."""

    made: tuple[tuple[Any, ...], dict[str, Any]]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        type(self).made = (arguments, options)

    def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:
        return AccessToken("t", 0)


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> dict[str, type[Recorder]]:
    """Every credential class replaced by a recorder of the same name."""
    names = (
        "ClientSecretCredential",
        "ClientAssertionCredential",
        "WorkloadIdentityCredential",
        "ManagedIdentityCredential",
        "AzureCliCredential",
        "UsernamePasswordCredential",
    )
    recorders = {name: type(name, (Recorder,), {}) for name in names}
    for name, recorder in recorders.items():
        monkeypatch.setattr(azure.identity, name, recorder, raising=False)
    return recorders


def make(kind: str, values: dict[str, str], cloud: Cloud = PUBLIC) -> None:
    token_credential(Credentials(kind, "a test", values), cloud, verify=True)


def test_a_known_cloud_is_discovered_and_a_custom_one_is_not(recorded: dict[str, type[Recorder]]) -> None:
    for cloud, off in ((PUBLIC, False), (US_GOVERNMENT, False), (CUSTOM, True)):
        make("secret", {**PRINCIPAL, "secret": "s"}, cloud)
        arguments, options = recorded["ClientSecretCredential"].made
        assert arguments == ("t", "c", "s")
        assert (options["authority"], options["disable_instance_discovery"]) == (cloud.authority, off)


@pytest.mark.parametrize(
    ("text", "off"), [("true", True), ("True", True), ("1", True), ("false", False), ("no", False)]
)
def test_instance_discovery_can_be_switched_off(
    recorded: dict[str, type[Recorder]], text: str, off: bool
) -> None:
    make("secret", {**PRINCIPAL, "secret": "s", "disable_instance_discovery": text})
    assert recorded["ClientSecretCredential"].made[1]["disable_instance_discovery"] is off


def test_false_given_as_an_option_wins_over_the_environment(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "AZURE_DISABLE_INSTANCE_DISCOVERY": "true"}
    options = {**PRINCIPAL, "secret": "s", "disable_instance_discovery": False}
    assert find_credentials(options, environ).get("disable_instance_discovery") == "False"


def test_ad_fs_has_its_own_authority_and_tenant(recorded: dict[str, type[Recorder]]) -> None:
    values = {"client_id": "c", "secret": "s", "adfs_authority_url": "https://adfs.mine/adfs/"}
    make("secret", values)
    arguments, options = recorded["ClientSecretCredential"].made
    assert arguments == ("adfs", "c", "s")
    assert (options["authority"], options["disable_instance_discovery"]) == ("https://adfs.mine", True)


def test_the_tenant_of_a_cloud_with_only_one(recorded: dict[str, type[Recorder]]) -> None:
    make("secret", {"client_id": "c", "secret": "s"}, CUSTOM._replace(tenant="adfs"))
    assert recorded["ClientSecretCredential"].made[0] == ("adfs", "c", "s")


@pytest.mark.parametrize(
    ("values", "options"),
    [
        ({}, {"client_id": None}),
        ({"client_id": "c"}, {"client_id": "c"}),
        ({"client_id": "/subscriptions/s/x"}, {"identity_config": {"resource_id": "/subscriptions/s/x"}}),
    ],
)
def test_managed_identities(
    recorded: dict[str, type[Recorder]], values: dict[str, str], options: dict[str, Any]
) -> None:
    make("msi", values)
    assert recorded["ManagedIdentityCredential"].made == ((), options)


def test_an_oidc_token_is_the_assertion(recorded: dict[str, type[Recorder]]) -> None:
    make("oidc_token", {**PRINCIPAL, "oidc_token": "header.x.y"})
    arguments, _options = recorded["ClientAssertionCredential"].made
    assert arguments[:2] == ("t", "c")
    assert arguments[2]() == "header.x.y"


def test_an_oidc_token_file(recorded: dict[str, type[Recorder]], tmp_path: Path) -> None:
    (tmp_path / "token").write_text("x")
    make("oidc_token_file", {**PRINCIPAL, "oidc_token_file_path": str(tmp_path / "token")})
    options = recorded["WorkloadIdentityCredential"].made[1]
    assert (options["tenant_id"], options["client_id"]) == ("t", "c")
    assert options["token_file_path"] == str(tmp_path / "token")


def test_a_user_with_a_password(recorded: dict[str, type[Recorder]]) -> None:
    make("password", {"ad_user": "u@example.com", "password": "p"})
    arguments, options = recorded["UsernamePasswordCredential"].made
    assert arguments == ("04b07795-8ddb-461a-bbee-02f9e1bf7b46", "u@example.com", "p")
    assert options["tenant_id"] == "organizations"


def test_a_user_with_a_password_is_warned(recorded: dict[str, type[Recorder]], tmp_path: Path) -> None:
    assert recorded
    options = {"ad_user": "u", "password": "p", "subscription_id": "s"}
    with open_session(options, {"HOME": str(tmp_path)}) as session:
        assert "multi-factor authentication" in session.warnings[0]


def test_an_azure_identity_without_password_sign_in_is_said_to_be_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(azure.identity, "UsernamePasswordCredential", raising=False)
    with pytest.raises(
        CredentialError, match=r"no longer signs in with ad_user and password\. Use a service principal"
    ):
        make("password", {"ad_user": "u", "password": "p"})


@pytest.mark.parametrize(("values", "tenant"), [({}, ""), ({"tenant": "t"}, "t")])
def test_az_login_in_a_tenant(
    recorded: dict[str, type[Recorder]], values: dict[str, str], tenant: str
) -> None:
    make("cli", values)
    assert recorded["AzureCliCredential"].made[1]["tenant_id"] == tenant
