# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Which credential is chosen: azure.azcollection's names and order, AWX's empty strings counted as unset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.credentials import find_credentials
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import (
    CredentialError,
    InvalidInput,
)

OPTIONS = {"client_id": "opt-client", "secret": "opt-secret", "tenant": "opt-tenant"}
ENVIRON = {"AZURE_CLIENT_ID": "env-client", "AZURE_SECRET": "env-secret", "AZURE_TENANT": "env-tenant"}
FILE = """\
[default]
subscription_id = file-sub
client_id = file-client
secret = file%secret
tenant = file-tenant
cloud_environment = AzureChinaCloud

[user]
ad_user = file-user@example.com
password = file-password

[empty]
subscription_id = only
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / ".azure").mkdir()
    (tmp_path / ".azure" / "credentials").write_text(FILE)
    return tmp_path


@pytest.mark.parametrize(
    ("options", "environ", "kind", "client", "source"),
    [
        (OPTIONS, ENVIRON, "secret", "opt-client", "the options"),
        ({}, ENVIRON, "secret", "env-client", "the environment"),
        ({}, {}, "secret", "file-client", "profile default of"),
        ({"profile": "user"}, ENVIRON, "password", None, "profile user of"),
        ({**OPTIONS, "profile": "default"}, ENVIRON, "secret", "file-client", "profile default of"),
        ({}, {**ENVIRON, "AZURE_PROFILE": "user"}, "password", None, "profile user of"),
        (OPTIONS, {"AZURE_PROFILE": "user"}, "secret", "opt-client", "the options"),
        ({**OPTIONS, "auth_source": "env"}, ENVIRON, "secret", "env-client", "the environment"),
        (
            {**OPTIONS, "auth_source": "credential_file"},
            ENVIRON,
            "secret",
            "file-client",
            "profile default of",
        ),
        ({"auth_source": "env"}, {**ENVIRON, "AZURE_PROFILE": "user"}, "password", None, "profile user of"),
        ({"auth_source": "credential_file"}, {"AZURE_PROFILE": "user"}, "password", None, "profile user of"),
        ({**OPTIONS, "auth_source": "cli"}, ENVIRON, "cli", None, "az login"),
        ({"auth_source": "msi"}, {}, "msi", None, "auth_source=msi"),
        ({"auth_source": "msi", "client_id": "mine"}, ENVIRON, "msi", "mine", "auth_source=msi"),
        ({"auth_source": "msi"}, ENVIRON, "msi", "env-client", "auth_source=msi"),
        ({}, {"ANSIBLE_AZURE_AUTH_SOURCE": "msi"}, "msi", None, "auth_source=msi"),
        ({"auth_source": "auto"}, {"ANSIBLE_AZURE_AUTH_SOURCE": "msi"}, "secret", "file-client", "profile"),
        ({}, {"ANSIBLE_AZURE_AUTH_SOURCE": ""}, "secret", "file-client", "profile"),
        # A tenant alone is nobody, neither as an option nor in the environment.
        ({"tenant": "t"}, ENVIRON, "secret", "env-client", "the environment"),
        ({}, {"AZURE_TENANT": "t"}, "secret", "file-client", "profile"),
    ],
)
def test_order_of_places(  # noqa: PLR0917 - the columns of the table
    home: Path, options: dict[str, Any], environ: dict[str, str], kind: str, client: str | None, source: str
) -> None:
    found = find_credentials(options, {"HOME": str(home), **environ})
    assert (found.kind, found.get("client_id")) == (kind, client)
    assert found.source.startswith(source)


def test_without_anything_az_login_is_left(tmp_path: Path) -> None:
    assert find_credentials({}, {"HOME": str(tmp_path)}).kind == "cli"


@pytest.mark.parametrize(
    ("name", "kind", "key"),
    [
        ("AZURE_SECRET", "secret", "secret"),
        ("AZURE_CLIENT_SECRET", "secret", "secret"),
        ("AZURE_X509_CERTIFICATE_PATH", "certificate", "x509_certificate_path"),
        ("AZURE_CLIENT_CERTIFICATE_PATH", "certificate", "x509_certificate_path"),
        ("AZURE_FEDERATED_TOKEN", "oidc_token", "oidc_token"),
        ("AZURE_FEDERATED_TOKEN_FILE", "oidc_token_file", "oidc_token_file_path"),
    ],
)
@pytest.mark.parametrize("tenant", ["AZURE_TENANT", "AZURE_TENANT_ID"])
def test_environment_variables_of_both_families(
    tmp_path: Path, name: str, kind: str, key: str, tenant: str
) -> None:
    found = find_credentials({}, {"HOME": str(tmp_path), "AZURE_CLIENT_ID": "c", tenant: "t", name: "value"})
    assert (found.kind, found.get(key), found.get("tenant")) == (kind, "value", "t")


def test_azcollections_variable_wins_over_azure_identitys_unless_it_is_empty(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), **ENVIRON, "AZURE_CLIENT_SECRET": "second", "AZURE_TENANT_ID": "second"}
    found = find_credentials({}, environ)
    assert (found.get("secret"), found.get("tenant")) == ("env-secret", "env-tenant")
    found = find_credentials({}, {**environ, "AZURE_SECRET": ""})
    assert found.get("secret") == "second"


def test_awx_service_principal(tmp_path: Path) -> None:
    awx = {**ENVIRON, "AZURE_SUBSCRIPTION_ID": "sub"}
    found = find_credentials({}, {"HOME": str(tmp_path), **awx})
    assert (found.kind, found.get("subscription_id")) == ("secret", "sub")


def test_awx_without_client_sets_empty_strings_that_are_no_user(home: Path, tmp_path: Path) -> None:
    awx = {"AZURE_SUBSCRIPTION_ID": "sub", "AZURE_AD_USER": "", "AZURE_PASSWORD": ""}
    assert find_credentials({}, {"HOME": str(home), **awx}).get("client_id") == "file-client"
    assert find_credentials({}, {"HOME": str(tmp_path / "none"), **awx}).kind == "cli"


def test_empty_options_are_unset(home: Path) -> None:
    options = {
        "client_id": "",
        "secret": " ",
        "tenant": None,
        "profile": "",
        "ad_user": "",
        "auth_source": None,
    }
    assert find_credentials(options, {"HOME": str(home), **ENVIRON}).get("client_id") == "env-client"


@pytest.mark.parametrize(
    ("options", "environ", "subscription", "cloud"),
    [
        ({}, {}, "file-sub", "AzureChinaCloud"),
        ({"subscription_id": "opt"}, {"AZURE_SUBSCRIPTION_ID": "env"}, "opt", "AzureChinaCloud"),
        ({}, {"AZURE_SUBSCRIPTION_ID": "env"}, "file-sub", "AzureChinaCloud"),
        ({"profile": "user"}, {"AZURE_SUBSCRIPTION_ID": "env"}, "env", None),
        ({**OPTIONS}, {"AZURE_SUBSCRIPTION_ID": "env", "AZURE_CLOUD_ENVIRONMENT": "x"}, "env", "x"),
        ({**OPTIONS, "cloud_environment": "opt"}, {"AZURE_CLOUD_ENVIRONMENT": "x"}, None, "opt"),
        ({"auth_source": "cli"}, {"AZURE_SUBSCRIPTION_ID": "env"}, "env", None),
    ],
)
def test_the_place_is_an_option_or_the_credentials_or_the_environments(
    home: Path, options: dict[str, Any], environ: dict[str, str], subscription: str | None, cloud: str | None
) -> None:
    found = find_credentials(options, {"HOME": str(home), **environ})
    assert (found.get("subscription_id"), found.get("cloud_environment")) == (subscription, cloud)


def test_a_credential_is_not_mixed_from_two_places(home: Path) -> None:
    with pytest.raises(CredentialError) as caught:
        find_credentials({"client_id": "opt-client"}, {"HOME": str(home), **ENVIRON})
    assert "from the options has a client_id but no secret (AZURE_SECRET)" in str(caught.value)
    assert "tenant (AZURE_TENANT)" in str(caught.value)


def test_a_percent_sign_in_the_profile_is_kept(home: Path) -> None:
    assert find_credentials({}, {"HOME": str(home)}).get("secret") == "file%secret"


def test_white_space_around_a_secret_is_kept_and_around_an_id_is_not(tmp_path: Path) -> None:
    found = find_credentials({"client_id": " c ", "secret": " s ", "tenant": "t\n"}, {"HOME": str(tmp_path)})
    assert dict(found.values) == {"client_id": "c", "secret": " s ", "tenant": "t"}


@pytest.mark.parametrize(
    ("options", "environ", "sentence"),
    [
        ({"profile": "nobody"}, {}, "has no profile 'nobody'; it has: default, user, empty."),
        ({"profile": "empty"}, {}, "has neither client_id nor ad_user."),
        ({"secret": "s"}, {}, "The option secret is given without client_id."),
        ({"ad_user": "u"}, {}, "has an ad_user but no password."),
        ({"client_id": "c", "secret": "s"}, {}, "has a client_id but no tenant (AZURE_TENANT)."),
        ({"auth_source": "env"}, {}, "neither AZURE_CLIENT_ID nor AZURE_AD_USER is set."),
        (
            {},
            {"ANSIBLE_AZURE_AUTH_SOURCE": "mis"},
            "is 'mis'. Use one of auto, cli, credential_file, env, msi",
        ),
    ],
)
def test_what_is_missing_is_said(
    home: Path, options: dict[str, Any], environ: dict[str, str], sentence: str
) -> None:
    with pytest.raises((CredentialError, InvalidInput)) as caught:
        find_credentials(options, {"HOME": str(home), **environ})
    assert sentence in str(caught.value)


def test_a_profile_asked_for_without_a_file(tmp_path: Path) -> None:
    with pytest.raises(CredentialError, match="does not exist"):
        find_credentials({"profile": "x"}, {"HOME": str(tmp_path)})


@pytest.mark.parametrize(
    "text", ["secret = hunter2\n", "[default]\nhunter2\n", "[default]\nx=hunter2\nx=hunter2\n"]
)
def test_a_damaged_profile_file_is_named_but_not_quoted(tmp_path: Path, text: str) -> None:
    (tmp_path / ".azure").mkdir()
    (tmp_path / ".azure" / "credentials").write_text(text)
    with pytest.raises(InvalidInput) as caught:
        find_credentials({}, {"HOME": str(tmp_path)})
    assert "is no credentials file" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
