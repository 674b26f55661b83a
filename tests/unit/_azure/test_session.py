# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Signing in and connecting, over real HTTPS."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import (
    AzureError,
    CredentialError,
    InvalidInput,
    MissingLibrary,
    NotFound,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import (
    AzureSession,
    open_session,
)

from tests.unit._azure.scripted_azure import (
    CLIENT,
    SECRET,
    SUBSCRIPTION,
    TENANT,
    Answer,
    Asked,
    ScriptedAzure,
    make_certificate,
)

Connect = Callable[..., AzureSession]
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg"
API = "2021-04-01"
UTILS = "ansible_collections.goldenimage.azure.plugins.module_utils"


def say(session: AzureSession) -> str:
    """What a user reads when this session asks for something."""
    with pytest.raises(AzureError) as caught:
        session.arm.get(GROUP, API)
    text = str(caught.value)
    assert "\n" not in text
    assert "Traceback" not in text
    assert SECRET not in text
    return text


def test_a_service_principal_with_its_secret(azure: ScriptedAzure, connect: Connect) -> None:
    azure.respond = lambda _asked: Answer(body={"id": GROUP})
    session = connect()
    assert session.arm.get(GROUP, API) == {"id": GROUP}
    assert session.compute.images.get("rg", "i") == {"id": GROUP}
    assert session.subscription_id == SUBSCRIPTION
    assert azure.sign_ins[0]["scope"][0].split()[0] == f"{azure.url}/arm/.default"
    assert azure.asked[0].headers["Authorization"] == "Bearer token-1"
    assert azure.asked[0].headers["User-Agent"].startswith("ansible-goldenimage.azure")
    assert azure.tokens == 1
    assert session.warnings == []


def test_a_service_principal_with_its_certificate(
    azure: ScriptedAzure, connect: Connect, tmp_path: Path
) -> None:
    azure.respond = lambda _asked: Answer(body={"id": GROUP})
    certificate = make_certificate(tmp_path, client=True)
    connect(secret=None, x509_certificate_path=str(certificate)).arm.get(GROUP, API)
    assert "client_assertion" in azure.sign_ins[0]


def test_an_encrypted_certificate_needs_its_password(connect: Connect, tmp_path: Path) -> None:
    certificate = str(make_certificate(tmp_path, client=True, password=b"pass phrase"))
    connect(secret=None, x509_certificate_path=certificate, password="pass phrase")
    for password in (None, "wrong"):
        with pytest.raises(CredentialError) as caught:
            connect(secret=None, x509_certificate_path=certificate, password=password)
        assert "its private key is encrypted, and password is wrong or missing" in str(caught.value)
        assert "wrong phrase" not in str(caught.value)


def test_a_certificate_that_is_none(connect: Connect, tmp_path: Path) -> None:
    (tmp_path / "x.pem").write_text("-----BEGIN nothing")
    with pytest.raises(CredentialError, match="Give a PEM file with certificate and private key"):
        connect(secret=None, x509_certificate_path=str(tmp_path / "x.pem"))
    with pytest.raises(InvalidInput, match=r"missing\.pem cannot be read: No such file"):
        connect(secret=None, x509_certificate_path=str(tmp_path / "missing.pem"))
    elliptic = make_certificate(tmp_path)
    with pytest.raises(CredentialError, match="its private key is no RSA key"):
        connect(secret=None, x509_certificate_path=str(elliptic))


def test_an_oidc_token_and_its_file(azure: ScriptedAzure, connect: Connect, tmp_path: Path) -> None:
    azure.respond = lambda _asked: Answer(body={"id": GROUP})
    connect(secret=None, oidc_token="header.from.option").arm.get(GROUP, API)
    (tmp_path / "token").write_text("header.from.file")
    connect(secret=None, oidc_token_file_path=str(tmp_path / "token")).arm.get(GROUP, API)
    assert [form["client_assertion"] for form in azure.sign_ins] == [
        ["header.from.option"],
        ["header.from.file"],
    ]


def test_a_wrong_secret_is_one_sentence_with_the_code(connect: Connect) -> None:
    assert say(connect(secret="wrong")) == (
        f"Could not sign in to Azure with service principal {CLIENT}: AADSTS7000215: Invalid client secret "
        "provided. "
        "Check secret (AZURE_SECRET): it must be the client secret's value, not its id."
    )


def test_an_unknown_tenant_is_one_sentence_with_the_code(connect: Connect) -> None:
    assert say(connect(tenant="nobody.example.com")) == (
        f"Could not sign in to Azure with service principal {CLIENT}: AADSTS90002: Tenant "
        "'nobody.example.com' not found. Check tenant (AZURE_TENANT)."
    )


def test_a_missing_subscription_names_what_to_set(connect: Connect) -> None:
    with pytest.raises(CredentialError) as caught:
        connect(subscription_id="")
    assert str(caught.value) == (
        "No subscription is set (credential from the options). Set subscription_id, or AZURE_SUBSCRIPTION_ID."
    )


def test_a_subscription_azure_does_not_know(azure: ScriptedAzure, connect: Connect) -> None:
    body = {"error": {"code": "SubscriptionNotFound", "message": "The subscription 'x' could not be found."}}
    azure.respond = lambda _asked: Answer(404, body)
    with pytest.raises(
        NotFound, match=r"Check subscription_id, and that the signed-in identity has a role in it\."
    ):
        connect().arm.get(GROUP, API)


def test_a_subscription_may_be_given_as_an_id(connect: Connect) -> None:
    assert connect(subscription_id=f"/subscriptions/{SUBSCRIPTION}").subscription_id == SUBSCRIPTION


def test_an_unreachable_cloud_is_named(connect: Connect) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(AzureError) as caught:
        connect(cloud_environment=f"https://127.0.0.1:{port}")
    assert str(caught.value) == (
        f"Could not read the endpoints of the cloud at https://127.0.0.1:{port}/metadata/endpoints: "
        f"127.0.0.1:{port} cannot be reached, the connection was refused. "
        "Check the network, HTTPS_PROXY and NO_PROXY, and cloud_environment."
    )


def test_a_sign_in_page_that_cannot_be_reached_is_named(azure: ScriptedAzure, connect: Connect) -> None:
    login = {"authentication": {"loginEndpoint": "https://127.0.0.1:1", "audiences": ["https://arm"]}}
    azure.endpoints = lambda: login  # type: ignore[method-assign]
    assert "127.0.0.1:1 cannot be reached, the connection was refused" in say(connect())


def test_an_untrusted_certificate_names_the_cure(
    azure: ScriptedAzure, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with pytest.raises(AzureError) as caught:
        connect()
    assert (
        f"{azure.url.removeprefix('https://')} cannot be reached, its TLS certificate is not trusted"
        in str(caught.value)
    )
    assert "REQUESTS_CA_BUNDLE" in str(caught.value)


def test_certificates_can_be_ignored_with_a_warning(
    azure: ScriptedAzure, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    azure.respond = lambda _asked: Answer(body={"id": GROUP})
    session = connect(cert_validation_mode="ignore")
    assert session.arm.get(GROUP, API) == {"id": GROUP}
    assert session.compute.images.get("rg", "i") == {"id": GROUP}
    assert "cert_validation_mode=ignore" in session.warnings[0]


def test_an_unknown_validation_mode_is_refused(connect: Connect) -> None:
    with pytest.raises(InvalidInput, match="Use validate or ignore"):
        connect(cert_validation_mode="perhaps")


def test_a_proxy_from_the_environment_is_used(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    with pytest.raises(
        AzureError, match=r"127\.0\.0\.1:1 cannot be reached, the proxy did not let the connection"
    ):
        connect()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    connect()


def test_a_token_azure_refuses_is_renewed_once_and_the_request_repeated(
    azure: ScriptedAzure, connect: Connect
) -> None:
    expired = {"error": {"code": "ExpiredAuthenticationToken", "message": "The access token expiry ..."}}

    def only_second(asked: Asked) -> Answer:
        good = asked.headers["Authorization"] == "Bearer token-2"
        return Answer(body={"id": GROUP}) if good else Answer(401, expired, {"WWW-Authenticate": "Bearer"})

    azure.respond = only_second
    session = connect()
    assert session.arm.get(GROUP, API) == {"id": GROUP}
    assert session.compute.images.get("rg", "i") == {"id": GROUP}
    assert azure.tokens == 2


def test_a_token_that_is_never_accepted_is_an_error_about_the_credential(
    azure: ScriptedAzure, connect: Connect
) -> None:
    body = {
        "error": {
            "code": "InvalidAuthenticationTokenTenant",
            "message": "The access token is from the wrong issuer.",
        }
    }
    azure.respond = lambda _asked: Answer(401, body)
    assert "wrong issuer (HTTP 401). Sign in to the tenant that owns the subscription" in say(connect())
    assert len(azure.asked) == 2


def test_a_missing_right_is_said_with_azures_words(azure: ScriptedAzure, connect: Connect) -> None:
    body = {
        "error": {"code": "AuthorizationFailed", "message": "The client 'c' does not have authorization."}
    }
    azure.respond = lambda _asked: Answer(403, body)
    assert say(connect()) == (
        "Could not read resourceGroups/rg: AuthorizationFailed: The client 'c' does not have authorization "
        "(HTTP 403). Give the signed-in identity a role with that permission, such as Contributor."
    )


@pytest.mark.parametrize("kind", ["application/json", "text/html"])
def test_an_answer_that_is_no_json_is_said_to_be_none(
    azure: ScriptedAzure, connect: Connect, kind: str
) -> None:
    page = Answer(200, b"<html>Log in to the hotel's network</html>", {"Content-Type": kind})
    azure.respond = lambda _asked: page
    session = connect()
    for ask in (
        lambda: session.arm.get(GROUP, API),
        lambda: session.arm.list(f"{GROUP}/resources", API),
        lambda: session.compute.images.get("rg", "i"),
        lambda: session.compute.images.list("rg"),
    ):
        with pytest.raises(AzureError, match="the answer is no JSON of Azure's"):
            ask()


@pytest.mark.parametrize(
    ("library", "blocked", "use"),
    [
        ("azure-identity", "azure.identity", lambda connect: connect()),
        ("azure-mgmt-compute", "azure.mgmt.compute", lambda connect: connect().compute),
        ("azure-mgmt-core", "azure.mgmt.core", lambda connect: connect().arm),
    ],
)
def test_a_missing_package_is_named(
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    library: str,
    blocked: str,
    use: Callable[[Connect], Any],
) -> None:
    for name in list(sys.modules):
        if name == blocked or name.startswith(f"{blocked}."):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, blocked, None)
    with pytest.raises(MissingLibrary) as caught:
        use(connect)
    assert caught.value.library == library
    assert "ImportError" in caught.value.traceback or "ModuleNotFoundError" in caught.value.traceback


def test_modules_can_be_imported_without_any_azure_package() -> None:
    code = (
        "import sys\n"
        "class Block:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('azure', 'msal', 'requests'):\n"
        "            raise ModuleNotFoundError(name, name=name)\n"
        "sys.meta_path.insert(0, Block())\n"
        f"from {UTILS} import _module\n"
        f"from {UTILS}._azure.session import open_session\n"
        f"from {UTILS}._azure.errors import MissingLibrary\n"
        "try:\n"
        "    open_session({'client_id': 'c', 'secret': 's', 'tenant': 't', 'subscription_id': 'x'}, {})\n"
        "except MissingLibrary as error:\n"
        "    print(error.library)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.stdout.strip(), done.stderr) == ("azure-core", "")


AZ = """#!/bin/sh
echo "$*" >> "$0.calls"
case "$*" in
  "account show"*) {account} ;;
  "cloud show"*) echo '{{"endpoints": {{"resourceManager": "{url}/"}}}}' ;;
  "account get-access-token"*) echo '{{"accessToken": "cli-token", "expires_on": 4102444800}}' ;;
  *) exit 2 ;;
esac
"""
SIGNED_IN = """echo '{{"id": "{subscription}", "environmentName": "Scripted", "tenantId": "t"}}'"""


@pytest.fixture
def az(
    tmp_path: Path, azure: ScriptedAzure, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], dict[str, str]]:
    def install(account: str) -> dict[str, str]:
        program = tmp_path / "bin" / "az"
        program.parent.mkdir()
        program.write_text(AZ.format(account=account, url=azure.url))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        path = f"{program.parent}:{os.environ['PATH']}"
        monkeypatch.setenv("PATH", path)
        return {"HOME": str(tmp_path), "PATH": path}

    return install


def test_az_login_gives_token_subscription_and_cloud(
    azure: ScriptedAzure, az: Callable[[str], dict[str, str]], tmp_path: Path
) -> None:
    azure.respond = lambda _asked: Answer(body={"id": GROUP})
    with open_session({}, az(SIGNED_IN.format(subscription=SUBSCRIPTION))) as session:
        assert session.subscription_id == SUBSCRIPTION
        assert session.cloud.resource_manager == azure.url
        assert session.arm.get(GROUP, API) == {"id": GROUP}
    assert azure.asked[0].headers["Authorization"] == "Bearer cli-token"
    assert "cloud show --name Scripted" in (tmp_path / "bin" / "az.calls").read_text()


def test_az_is_not_asked_for_what_is_given(
    azure: ScriptedAzure, az: Callable[[str], dict[str, str]], tmp_path: Path
) -> None:
    given = {"subscription_id": "given", "cloud_environment": azure.url}
    with open_session(given, az(SIGNED_IN.format(subscription=SUBSCRIPTION))) as session:
        assert session.subscription_id == "given"
    assert not (tmp_path / "bin" / "az.calls").exists()


@pytest.mark.parametrize(
    ("account", "sentence"),
    [
        (
            "echo \"ERROR: Please run 'az login' to setup account.\" >&2; exit 1",
            "nobody is signed in to the Azure CLI",
        ),
        ("echo 'ERROR: out of order' >&2; exit 1", "az account show failed: out of order"),
        ("echo hello", "az account show did not answer in JSON"),
    ],
)
def test_what_is_wrong_with_az_is_said(
    az: Callable[[str], dict[str, str]], account: str, sentence: str
) -> None:
    with pytest.raises(CredentialError) as caught:
        open_session({}, az(account))
    assert sentence in str(caught.value)


def test_no_credential_anywhere_lists_the_ways_to_give_one(tmp_path: Path) -> None:
    with pytest.raises(CredentialError) as caught:
        open_session({}, {"HOME": str(tmp_path), "PATH": str(tmp_path)})
    assert str(caught.value).startswith(
        "No Azure credential was found, and the Azure CLI (az) is not installed."
    )
    for name in ("AZURE_CLIENT_ID", "AZURE_SECRET", "~/.azure/credentials", "az login", "auth_source=msi"):
        assert name in str(caught.value)


def test_tenant_and_secret_are_those_of_the_profile(azure: ScriptedAzure, tmp_path: Path) -> None:
    azure.respond = lambda _asked: Answer(body={"id": GROUP})
    (tmp_path / ".azure").mkdir()
    (tmp_path / ".azure" / "credentials").write_text(
        f"[test]\nclient_id={CLIENT}\nsecret={SECRET}\ntenant={TENANT}\nsubscription_id={SUBSCRIPTION}\n"
        f"cloud_environment={azure.url}\n"
    )
    with open_session({"profile": "test"}, {"HOME": str(tmp_path)}) as session:
        assert session.arm.get(GROUP, API) == {"id": GROUP}
    assert azure.sign_ins[0]["client_secret"] == [SECRET]
