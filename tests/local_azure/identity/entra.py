# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Microsoft Entra ID as far as a service principal needs it: discovery and client credentials."""

from __future__ import annotations

import hmac
import uuid
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.local_azure.certificates import self_signed
from tests.local_azure.clock import now
from tests.local_azure.faults.fate import token_lifetime
from tests.local_azure.identity.directory import Principal, Tenant
from tests.local_azure.identity.tokens import LIFETIME, Tokens, load_or_create_key
from tests.local_azure.settings import Settings, private_file

_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
# Names that stand for whatever tenant the user is of: clients that sign out look them up.
_ANY_TENANT = ("organizations", "common")
FEDERATED_SUBJECT = "system:serviceaccount:local:goldenimage"
_FEDERATED_AUDIENCE = "api://AzureADTokenExchange"
_RESOURCES = (
    "https://storage.azure.com",
    "https://graph.microsoft.com",
    "https://vault.azure.net",
)


class EntraError(Exception):
    def __init__(self, status: int, error: str, number: int, text: str) -> None:
        super().__init__(text)
        self.status, self.error, self.number, self.text = status, error, number, text

    def body(self) -> dict[str, Any]:
        trace, correlation = str(uuid.uuid4()), str(uuid.uuid4())
        timestamp = now().strftime("%Y-%m-%d %H:%M:%SZ")
        return {
            "error": self.error,
            "error_description": f"AADSTS{self.number}: {self.text} Trace ID: {trace} "
            f"Correlation ID: {correlation} Timestamp: {timestamp}",
            "error_codes": [self.number],
            "timestamp": timestamp,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": f"https://login.microsoftonline.com/error?code={self.number}",
        }


class Entra:
    """Also makes the service principal's certificate and a federated token on the first start."""

    def __init__(self, settings: Settings, tokens: Tokens) -> None:
        self._settings = settings
        self._tokens = tokens
        self.client_certificate = settings.state_dir / "service-principal.pem"
        self.federated_token = settings.state_dir / "federated-token"
        self._certificate = _client_certificate(self.client_certificate)
        self._federation_key = load_or_create_key(settings.state_dir / "federation.key")
        self._write_federated_token()

    @property
    def thumbprint(self) -> str:
        """SHA-1 of the client certificate, the form in which Entra lists certificates."""
        return self._certificate.fingerprint(hashes.SHA1()).hex().upper()  # noqa: S303

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/{tenant}/v2.0/.well-known/openid-configuration", self._discovery),
            web.get("/{tenant}/.well-known/openid-configuration", self._discovery),
            web.get("/common/discovery/instance", self._instances),
            web.get("/{tenant}/discovery/v2.0/keys", self._keys),
            web.get("/{tenant}/discovery/keys", self._keys),
            web.post("/{tenant}/oauth2/v2.0/token", self._token),
            web.post("/{tenant}/oauth2/token", self._token),
        ]

    @property
    def _federation_issuer(self) -> str:
        return f"{self._settings.url}/federation"

    def _write_federated_token(self) -> None:
        claims = {
            "iss": self._federation_issuer,
            "sub": FEDERATED_SUBJECT,
            "aud": _FEDERATED_AUDIENCE,
            "exp": now() + timedelta(days=7),
        }
        private_file(self.federated_token, jwt.encode(claims, self._federation_key, algorithm="RS256"))

    async def _discovery(self, request: web.Request) -> web.Response:
        tenant = request.match_info["tenant"]
        try:
            home = self._settings.identity.home
            issuer = home if tenant in _ANY_TENANT else self._tenant(tenant)
        except EntraError as error:
            return web.json_response({**error.body(), "error": "invalid_tenant"}, status=400)
        base = f"{self._settings.url}/{tenant}"
        version = "/v2.0" if "/v2.0/" in request.path else ""
        return web.json_response(
            {
                "issuer": f"{base}{version}" if version else f"https://sts.windows.net/{issuer.id}/",
                "authorization_endpoint": f"{base}/oauth2{version}/authorize",
                "token_endpoint": f"{base}/oauth2{version}/token",
                "device_authorization_endpoint": f"{base}/oauth2{version}/devicecode",
                "jwks_uri": f"{base}/discovery{version}/keys",
                "token_endpoint_auth_methods_supported": [
                    "client_secret_post",
                    "private_key_jwt",
                    "client_secret_basic",
                ],
                "response_modes_supported": ["query", "fragment", "form_post"],
                "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
                "scopes_supported": ["openid", "profile", "email", "offline_access"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "tenant_region_scope": None,
                "cloud_instance_name": "127.0.0.1",
            }
        )

    async def _instances(self, request: web.Request) -> web.Response:
        endpoint = request.query.get("authorization_endpoint", "")
        tenant = endpoint.removeprefix(self._settings.url).strip("/").split("/")[0]
        host = self._settings.url.removeprefix("https://")
        return web.json_response(
            {
                "tenant_discovery_endpoint": f"{self._settings.url}/{tenant}/v2.0"
                "/.well-known/openid-configuration",
                "api-version": "1.1",
                "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
            }
        )

    async def _keys(self, _request: web.Request) -> web.Response:
        return web.json_response(self._tokens.published_keys())

    async def _token(self, request: web.Request) -> web.Response:
        form = {k: v for k, v in (await request.post()).items() if isinstance(v, str)}
        v2 = request.path.endswith("/v2.0/token")
        try:
            tenant = self._tenant(request.match_info["tenant"])
            principal = self._client(tenant, form)
            audience = self._audience(tenant, form, v2)
        except EntraError as error:
            return web.json_response(error.body(), status=error.status)
        lifetime = token_lifetime.get() or LIFETIME
        token = self._tokens.issue(audience, principal=principal, lifetime=lifetime)
        answer: dict[str, Any] = {
            "token_type": "Bearer",
            "expires_in": lifetime,
            "ext_expires_in": lifetime,
            "access_token": token,
        }
        if not v2:
            start = int(now().timestamp())
            answer |= {
                "expires_in": str(lifetime),
                "ext_expires_in": str(lifetime),
                "expires_on": str(start + lifetime),
                "not_before": str(start - 5),
                "resource": audience,
            }
        return web.json_response(answer, headers={"Cache-Control": "no-store, no-cache"})

    def _tenant(self, named: str) -> Tenant:
        """By id or by its domain."""
        for tenant in self._settings.identity.tenants:
            if named.lower() in (tenant.id, tenant.domain):
                return tenant
        raise EntraError(
            400,
            "invalid_request",
            90002,
            f"Tenant '{named}' not found. Check to make sure you have the correct tenant ID and are "
            "signing into the correct cloud. Check with your subscription administrator, this may happen "
            "if there are no active subscriptions for the tenant.",
        )

    def _client(self, tenant: Tenant, form: Mapping[str, str]) -> Principal:
        """Who signs in, once the secret or assertion is proved."""
        grant, client = form.get("grant_type"), form.get("client_id", "")
        if grant is None:
            raise _missing("grant_type")
        if grant != "client_credentials":
            raise EntraError(
                400,
                "unsupported_grant_type",
                70003,
                f"The app requested an unsupported grant type '{grant}'.",
            )
        if not client:
            raise _missing("client_id")
        principal = self._settings.identity.client(client)
        if principal is None or principal.tenant_id != tenant.id:
            raise EntraError(
                400,
                "unauthorized_client",
                700016,
                f"Application with identifier '{client}' was not found in the directory "
                f"'{tenant.id}'. This can happen if the application has not been installed by the "
                "administrator of the tenant or consented to by any user in the tenant. You may have sent "
                "your authentication request to the wrong tenant.",
            )
        if form.get("client_assertion_type") == _ASSERTION_TYPE:
            self._check_assertion(principal, form.get("client_assertion", ""))
        elif "client_secret" not in form:
            raise EntraError(
                401,
                "invalid_client",
                7000218,
                "The request body must contain the following parameter: 'client_assertion' or "
                "'client_secret'.",
            )
        elif not hmac.compare_digest(form["client_secret"].encode(), principal.client_secret.encode()):
            raise EntraError(
                401,
                "invalid_client",
                7000215,
                "Invalid client secret provided. Ensure the secret being sent in the request is the client "
                f"secret value, not the client secret ID, for a secret added to app '{client}'.",
            )
        return principal

    def _check_assertion(self, principal: Principal, assertion: str) -> None:
        """Either signed with the owner's registered certificate, or a token of the registered federation."""
        try:
            issuer = jwt.decode(assertion, options={"verify_signature": False}).get("iss")
        except jwt.InvalidTokenError:
            raise EntraError(400, "invalid_request", 50027, "JWT token is invalid or malformed.") from None
        try:
            owned = principal == self._settings.identity.owner
            if owned and issuer == principal.client_id:
                key = self._certificate.public_key()
                assert isinstance(key, rsa.RSAPublicKey)
                jwt.decode(assertion, key, algorithms=["RS256", "PS256"], options={"verify_aud": False})
                return
            if owned and issuer == self._federation_issuer:
                jwt.decode(
                    assertion,
                    self._federation_key.public_key(),
                    algorithms=["RS256"],
                    audience=_FEDERATED_AUDIENCE,
                )
                return
        except jwt.ExpiredSignatureError:
            raise EntraError(
                401, "invalid_client", 700024, "Client assertion is not within its valid time range."
            ) from None
        except jwt.InvalidTokenError:
            raise EntraError(
                401,
                "invalid_client",
                700027,
                "The certificate with identifier used to sign the client assertion is not registered on "
                "application. [Reason - The key was not found.]",
            ) from None
        raise EntraError(
            401,
            "invalid_client",
            700211,
            f"No matching federated identity record found for presented assertion issuer '{issuer}'.",
        )

    def _audience(self, tenant: Tenant, form: Mapping[str, str], v2: bool) -> str:
        wanted = form.get("scope", "").removesuffix("/.default") if v2 else form.get("resource", "")
        if not wanted:
            raise _missing("scope" if v2 else "resource")
        known = (*self._tokens.arm_audiences, *_RESOURCES)
        blob = f"https://127.0.0.1:{self._settings.ports.blob}"
        if wanted.rstrip("/") in known or ".blob." in wanted or wanted.startswith(blob):
            return wanted
        raise EntraError(
            400,
            "invalid_resource",
            500011,
            f"The resource principal named {wanted} was not found in the tenant named "
            f"{tenant.id}. This can happen if the application has not been installed "
            "by the administrator of the tenant or consented to by any user in the tenant.",
        )


def _missing(name: str) -> EntraError:
    return EntraError(
        400,
        "invalid_request",
        900144,
        f"The request body must contain the following parameter: '{name}'.",
    )


def _client_certificate(path: Path) -> x509.Certificate:
    """The key and certificate the service principal may sign in with, in one PEM file."""
    if path.exists():
        return x509.load_pem_x509_certificate(path.read_bytes())
    key, certificate = self_signed("goldenimage.azure service principal", days=3650)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + certificate.public_bytes(serialization.Encoding.PEM)
    private_file(path, pem.decode())
    return certificate
