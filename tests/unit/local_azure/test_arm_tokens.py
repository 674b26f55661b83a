# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Signing in as Entra lets a service principal do it."""

from __future__ import annotations

import base64
import time
import uuid
from typing import Any

import jwt
import pytest
import requests
from azure.identity import CertificateCredential, ClientAssertionCredential
from cryptography.hazmat.primitives import serialization

from tests.unit.local_azure.arm_server import Arm

_ARM = "https://management.azure.com/.default"


def ask(arm: Arm, *, tenant: str | None = None, v1: bool = False, **changes: Any) -> requests.Response:
    """A token request that succeeds unless `changes` spoil it; None takes a field away."""
    identity = arm.settings.identity
    form: dict[str, Any] = {
        "grant_type": "client_credentials",
        "client_id": identity.client_id,
        "client_secret": identity.client_secret,
        "resource" if v1 else "scope": "https://management.azure.com/" if v1 else _ARM,
        **changes,
    }
    url = f"{arm.settings.url}/{tenant or identity.tenant_id}/oauth2/{'' if v1 else 'v2.0/'}token"
    return arm.http.post(url, data={k: v for k, v in form.items() if v is not None}, timeout=30)


def refusal(answer: requests.Response) -> tuple[int, str, int]:
    body = answer.json()
    (number,) = body["error_codes"]
    assert body["error_description"].startswith(f"AADSTS{number}: ")
    assert {"trace_id", "correlation_id", "timestamp", "error_uri"} <= set(body)
    return answer.status_code, body["error"], number


def test_token_is_a_signed_jwt_of_the_service_principal(arm: Arm) -> None:
    identity = arm.settings.identity
    answer = ask(arm).json()
    assert answer["token_type"] == "Bearer"
    assert answer["expires_in"] == 3599
    keys = arm.http.get(f"{arm.settings.url}/{identity.tenant_id}/discovery/v2.0/keys", timeout=30).json()
    key = jwt.PyJWK(keys["keys"][0])
    claims = jwt.decode(
        answer["access_token"], key, algorithms=["RS256"], audience="https://management.azure.com"
    )
    assert claims["iss"] == f"https://sts.windows.net/{identity.tenant_id}/"
    assert (claims["oid"], claims["appid"]) == (identity.object_id, identity.client_id)
    assert claims["exp"] > time.time()


def test_storage_token_has_the_audience_the_blob_service_wants(arm: Arm) -> None:
    token = arm.token("https://storage.azure.com/.default")
    assert jwt.decode(token, options={"verify_signature": False})["aud"] == "https://storage.azure.com"


def test_first_version_endpoint_answers_with_texts(arm: Arm) -> None:
    answer = ask(arm, v1=True).json()
    assert answer["resource"] == "https://management.azure.com/"
    assert int(answer["expires_on"]) > time.time()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"client_secret": "wrong"}, (401, "invalid_client", 7000215)),
        ({"client_secret": None}, (401, "invalid_client", 7000218)),
        ({"client_id": str(uuid.uuid4())}, (400, "unauthorized_client", 700016)),
        ({"client_id": None}, (400, "invalid_request", 900144)),
        ({"tenant": str(uuid.uuid4())}, (400, "invalid_request", 90002)),
        ({"grant_type": "password"}, (400, "unsupported_grant_type", 70003)),
        ({"grant_type": None}, (400, "invalid_request", 900144)),
        ({"scope": None}, (400, "invalid_request", 900144)),
        ({"scope": "https://example.org/.default"}, (400, "invalid_resource", 500011)),
    ],
)
def test_bad_sign_ins_fail_as_at_entra(
    arm: Arm, changes: dict[str, Any], expected: tuple[int, str, int]
) -> None:
    answer = ask(arm, **changes)
    assert refusal(answer) == expected
    assert arm.settings.identity.client_secret not in answer.text


def test_discovery_of_an_unknown_tenant_says_so(arm: Arm) -> None:
    url = f"{arm.settings.url}/{uuid.uuid4()}/v2.0/.well-known/openid-configuration"
    answer = arm.http.get(url, timeout=30)
    assert refusal(answer) == (400, "invalid_tenant", 90002)


def test_registered_certificate_signs_in(arm: Arm, monkeypatch: pytest.MonkeyPatch) -> None:
    identity = arm.settings.identity
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(arm.settings.state_dir / "ca.pem"))
    credential = CertificateCredential(
        identity.tenant_id,
        identity.client_id,
        str(arm.settings.state_dir / "service-principal.pem"),
        authority=arm.settings.url,
        disable_instance_discovery=True,
    )
    token = credential.get_token(_ARM).token
    assert arm.send("GET", "", headers={"Authorization": f"Bearer {token}"}).status_code == 200


def test_federated_token_signs_in(arm: Arm, monkeypatch: pytest.MonkeyPatch) -> None:
    identity = arm.settings.identity
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(arm.settings.state_dir / "ca.pem"))
    credential = ClientAssertionCredential(
        identity.tenant_id,
        identity.client_id,
        (arm.settings.state_dir / "federated-token").read_text,
        authority=arm.settings.url,
        disable_instance_discovery=True,
    )
    token = credential.get_token(_ARM).token
    assert arm.send("GET", "", headers={"Authorization": f"Bearer {token}"}).status_code == 200


def test_assertions_of_strangers_are_refused(arm: Arm) -> None:
    identity = arm.settings.identity
    stranger = (arm.settings.state_dir / "federation.key").read_bytes()
    key = serialization.load_pem_private_key(stranger, None)
    kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    soon = int(time.time()) + 60

    def attempt(claims: dict[str, Any]) -> tuple[int, str, int]:
        assertion = jwt.encode(claims, key, algorithm="RS256")  # type: ignore[arg-type]
        answer = ask(arm, client_secret=None, client_assertion_type=kind, client_assertion=assertion)
        return refusal(answer)

    assert attempt({"iss": identity.client_id, "exp": soon}) == (401, "invalid_client", 700027)
    assert attempt({"iss": "https://example.org", "exp": soon}) == (401, "invalid_client", 700211)
    federated = {"iss": f"{arm.settings.url}/federation", "aud": "api://AzureADTokenExchange"}
    assert attempt({**federated, "exp": soon - 120}) == (401, "invalid_client", 700024)
    answer = ask(arm, client_secret=None, client_assertion_type=kind, client_assertion="nonsense")
    assert refusal(answer) == (400, "invalid_request", 50027)


def test_managed_identity_needs_its_header(arm: Arm) -> None:
    url = f"{arm.settings.url}/msi/token?api-version=2019-08-01&resource=https://management.azure.com/"
    assert arm.http.get(url, timeout=30).status_code == 401
    header = {"X-IDENTITY-HEADER": arm.settings.identity.identity_header}
    answer = arm.http.get(url, headers=header, timeout=30).json()
    token = answer["access_token"]
    assert arm.send("GET", "", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    other = arm.http.get(f"{url}&client_id={uuid.uuid4()}", headers=header, timeout=30)
    assert other.status_code == 400


def test_secret_is_not_guessable(arm: Arm) -> None:
    random = arm.settings.identity.client_secret.removeprefix("L")
    assert len(base64.urlsafe_b64decode(random)) >= 30
