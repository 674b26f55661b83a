# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Access tokens: RS256 JWTs as Entra makes them, and the check of those that clients bring."""

from __future__ import annotations

import base64
import time
import uuid
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.local_azure.clock import now
from tests.local_azure.errors import ArmError
from tests.local_azure.identity.directory import Principal, Tenant
from tests.local_azure.settings import Settings, private_file

LIFETIME = 3599
_ARM_AUDIENCES = (
    "https://management.core.windows.net",
    "https://management.azure.com",
    "797f4846-ba00-4fd7-ba43-dac1f8f63013",
)


def load_or_create_key(path: Path) -> rsa.RSAPrivateKey:
    """An RSA key in a PEM file only its owner can read."""
    if path.exists():
        key = serialization.load_pem_private_key(path.read_bytes(), None)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise ValueError(f"{path} holds no RSA key; remove it and start again")
        return key
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    private_file(path, pem.decode())
    return key


def key_id(key: rsa.RSAPrivateKey) -> str:
    return format(key.public_key().public_numbers().n % (1 << 96), "024x")


def _number(value: int) -> str:
    raw = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


class Tokens:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._key = load_or_create_key(settings.state_dir / "token.key")

    @property
    def arm_audiences(self) -> tuple[str, ...]:
        return (*_ARM_AUDIENCES, self._settings.url)

    def issue(self, audience: str, *, principal: Principal | None = None, lifetime: int = LIFETIME) -> str:
        """A token of the principal, of the owner without one; `audience` stands in it as it was asked for."""
        holder = principal or self._settings.identity.owner
        issued = int(time.time())
        claims: dict[str, Any] = {
            "aud": audience,
            "iss": f"https://sts.windows.net/{holder.tenant_id}/",
            "iat": issued,
            "nbf": issued - 5,
            "exp": issued + lifetime,
            "appid": holder.client_id,
            "appidacr": "1",
            "idp": f"https://sts.windows.net/{holder.tenant_id}/",
            "idtyp": "app",
            "oid": holder.object_id,
            "sub": holder.object_id,
            "tid": holder.tenant_id,
            "uti": uuid.uuid4().hex,
            "ver": "1.0",
        }
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": key_id(self._key)})

    def published_keys(self) -> dict[str, Any]:
        numbers = self._key.public_key().public_numbers()
        key = {
            "kty": "RSA",
            "use": "sig",
            "kid": key_id(self._key),
            "n": _number(numbers.n),
            "e": _number(numbers.e),
        }
        return {"keys": [key]}

    def check_bearer(self, authorization: str | None) -> Principal:
        """Whose valid token for Azure Resource Manager the header holds; raises the front door's 401."""
        if not authorization:
            raise self._refused(
                "AuthenticationFailed",
                "Authentication failed. The 'Authorization' header is missing.",
                "The authentication failed because of missing 'Authorization' header.",
            )
        scheme, _unused, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise self._refused(
                "AuthenticationFailedInvalidHeader",
                "Authentication failed. The 'Authorization' header is provided in an invalid format.",
            )
        try:
            claims = jwt.decode(
                token,
                self._key.public_key(),
                algorithms=["RS256"],
                options={"verify_aud": False, "verify_exp": False},
            )
        except jwt.InvalidTokenError:
            raise self._refused("InvalidAuthenticationToken", "The access token is invalid.") from None
        if claims["exp"] <= time.time():
            raise self.expired(claims["exp"])
        if str(claims["aud"]).rstrip("/") not in self.arm_audiences:
            allowed = ",".join(f"{a}/" for a in self.arm_audiences)
            raise self._refused(
                "InvalidAuthenticationTokenAudience",
                "The access token has been obtained for wrong audience or resource "
                f"'{claims['aud']}'. It should exactly match with one of the allowed audiences '{allowed}'.",
            )
        principal = self._settings.identity.principal(str(claims.get("oid", "")))
        if principal is None:
            raise self._refused("InvalidAuthenticationToken", "The access token is invalid.")
        return principal

    def expired(self, expiry: float | None = None) -> ArmError:
        """What a token gets after its end, by default one that has ended this very second."""
        moment = time.time()
        return self._refused(
            "ExpiredAuthenticationToken",
            f"The access token expiry UTC time '{_american(moment - 1 if expiry is None else expiry)}' is "
            f"earlier than current UTC time '{_american(moment)}'.",
        )

    def wrong_tenant(self, principal: Principal, owner: Tenant) -> ArmError:
        """What a token gets at a subscription of `owner`, a tenant that did not issue it."""
        right, wrong = (f"https://sts.windows.net/{t}/" for t in (owner.id, principal.tenant_id))
        return self._refused(
            "InvalidAuthenticationTokenTenant",
            f"The access token is from the wrong issuer '{wrong}'. It must match the tenant '{right}' "
            "associated with this subscription. Please use the authority (URL) "
            f"'{self._settings.url}/{owner.id}' to get the token. Note, if the subscription is transferred "
            "to another tenant there is no impact to the services, but information about new tenant could "
            "take time to propagate (up to an hour). If you just transferred your subscription and see this "
            "error message, please try back later.",
            tenant=owner.id,
        )

    def _refused(
        self, code: str, message: str, description: str | None = None, *, tenant: str | None = None
    ) -> ArmError:
        authority = f"{self._settings.url}/{tenant or self._settings.identity.tenant_id}"
        challenge = (
            f'Bearer authorization_uri="{authority}", error="invalid_token", '
            f'error_description="{description or message}"'
        )
        return ArmError(401, code, message, gateway=True, headers={"WWW-Authenticate": challenge})


def _american(timestamp: float) -> str:
    moment = now().fromtimestamp(timestamp, now().tzinfo)
    hour = moment.hour % 12 or 12
    half = "AM" if moment.hour < 12 else "PM"
    return f"{moment.month}/{moment.day}/{moment.year} {hour}:{moment:%M:%S} {half}"
