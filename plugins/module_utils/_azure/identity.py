# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# Private to this collection; it may change without notice.
# ruff: noqa: PLC0415 - azure-identity is imported where it is used, so that its absence can be reported
"""Token credentials of azure-identity, made from what `credentials` found."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.cloud import Cloud
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.credentials import Credentials
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import (
    CredentialError,
    InvalidInput,
    importing,
    unreachable,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.sign_in_errors import sign_in_failed

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken, TokenCredential

# The Azure CLI's application, which may sign users in by password in any tenant.
_CLI_APPLICATION = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception and those it was raised from."""
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__ or current.__context__


class SessionCredential:
    """A token credential whose failures are one sentence, and which can start anew.

    ``renew`` drops cached tokens: for when Azure refuses a token that the cache still holds to be good.
    """

    def __init__(self, make: Callable[[], TokenCredential], how: str, authority: str) -> None:
        self._make = make
        self._how = how
        self._authority = authority
        self._inner = make()

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """A bearer token for the scopes; raises CredentialError or AzureError."""
        with importing("azure-core"):
            from azure.core import exceptions as core
        try:
            return self._inner.get_token(*scopes, **options)
        except (core.AzureError, ValueError, OSError) as error:
            # azure-identity wraps what its own requests met in an authentication error.
            chain = list(_chain(error))
            for cause in chain:
                if isinstance(cause, (core.ServiceRequestError, core.ServiceResponseError)):
                    host = urlsplit(self._authority).netloc
                    raise unreachable(f"sign in to Azure with {self._how}", cause, host) from error
            # The error code may be in an exception further down only.
            texts = [str(getattr(cause, "message", cause)) for cause in chain]
            said = next((text for text in texts if "AADSTS" in text), texts[0])
            if any(isinstance(cause, json.JSONDecodeError) for cause in chain):
                said = "the token service answered with something that is no token"
            raise sign_in_failed(said, self._how) from error

    def renew(self) -> None:
        """Forget every token; another thread may still be using the credential so far."""
        self._inner = self._make()

    def close(self) -> None:
        """Close the connections to the token service."""
        close = getattr(self._inner, "close", None)
        if close is not None:
            close()


def _readable(path: str, option: str) -> str:
    file = Path(path).expanduser()
    try:
        with file.open("rb") as stream:
            stream.read(1)
    except OSError as error:
        raise InvalidInput(f"{option} {file} cannot be read: {error.strerror}.") from error
    return str(file)


def _certificate(
    credentials: Credentials, tenant: str, client_id: str, options: Mapping[str, Any]
) -> TokenCredential:
    with importing("azure-identity"):
        from azure.identity import CertificateCredential
    path = _readable(credentials.values["x509_certificate_path"], "x509_certificate_path")
    password = credentials.get("password")
    try:
        return CertificateCredential(tenant, client_id, path, password=password, **options)
    except (ValueError, TypeError) as error:
        text = str(error).casefold()
        reason = "it is damaged, or has no certificate and private key"
        if "password" in text or "encrypted" in text:
            reason = "its private key is encrypted, and password is wrong or missing"
        elif "rsa" in text:
            reason = "its private key is no RSA key"
        raise CredentialError(
            f"The certificate {path} cannot be used: {reason}.",
            remedy="Give a PEM file with certificate and private key, or a PFX file and its password.",
        ) from error


def _password(credentials: Credentials, tenant: str | None, options: Mapping[str, Any]) -> TokenCredential:
    with importing("azure-identity"):
        import azure.identity
    # azure-identity has deprecated it and may drop it.
    credential_class = getattr(azure.identity, "UsernamePasswordCredential", None)
    if credential_class is None:
        raise CredentialError(
            "The installed azure-identity no longer signs in with ad_user and password.",
            remedy="Use a service principal (client_id, secret, tenant), az login or a managed identity.",
        )
    made: TokenCredential = credential_class(
        credentials.get("client_id") or _CLI_APPLICATION,
        credentials.values["ad_user"],
        credentials.values["password"],
        tenant_id=tenant or "organizations",
        **options,
    )
    return made


def _managed_identity(credentials: Credentials) -> TokenCredential:
    with importing("azure-identity"):
        from azure.identity import ManagedIdentityCredential
    client_id = credentials.get("client_id")
    if client_id and client_id.startswith("/"):
        return ManagedIdentityCredential(identity_config={"resource_id": client_id})
    return ManagedIdentityCredential(client_id=client_id)


def token_credential(credentials: Credentials, cloud: Cloud, verify: bool) -> SessionCredential:
    """The credential to send with requests. ``verify`` False leaves TLS certificates unchecked.

    Raises CredentialError, InvalidInput or MissingLibrary; nobody is signed in yet.
    """
    with importing("azure-identity"):
        import azure.identity as _identity  # noqa: F401
    values = credentials.values
    authority, tenant, client_id = (
        cloud.authority,
        values.get("tenant") or cloud.tenant,
        values.get("client_id") or "",
    )
    if values.get("adfs_authority_url"):
        authority, tenant = values["adfs_authority_url"].rstrip("/").removesuffix("/adfs"), "adfs"
    off = values.get("disable_instance_discovery", "").casefold() in ("true", "yes", "1", "on")
    options = {
        "authority": authority,
        "disable_instance_discovery": off or not cloud.well_known or tenant == "adfs",
        "connection_verify": verify,
        "connection_timeout": 15,
        "read_timeout": 60,
        "retry_total": 3,
    }
    makers: dict[str, tuple[str, Callable[[], TokenCredential]]] = {
        "secret": (
            f"service principal {client_id}",
            lambda: _secret(values, tenant or "", client_id, options),
        ),
        "certificate": (
            f"service principal {client_id} and its certificate",
            lambda: _certificate(credentials, tenant or "", client_id, options),
        ),
        "oidc_token": (
            f"workload identity {client_id}",
            lambda: _assertion(values["oidc_token"], tenant or "", client_id, options),
        ),
        "oidc_token_file": (
            f"workload identity {client_id}",
            lambda: _token_file(values["oidc_token_file_path"], tenant or "", client_id, options),
        ),
        "password": (f"user {values.get('ad_user')}", lambda: _password(credentials, tenant, options)),
        "cli": ("the Azure CLI", lambda: _cli(values.get("tenant"))),
        "msi": ("the managed identity", lambda: _managed_identity(credentials)),
    }
    how, make = makers[credentials.kind]
    return SessionCredential(make, how, authority)


def _secret(
    values: Mapping[str, str], tenant: str, client_id: str, options: Mapping[str, Any]
) -> TokenCredential:
    from azure.identity import ClientSecretCredential

    return ClientSecretCredential(tenant, client_id, values["secret"], **options)


def _assertion(token: str, tenant: str, client_id: str, options: Mapping[str, Any]) -> TokenCredential:
    from azure.identity import ClientAssertionCredential

    return ClientAssertionCredential(tenant, client_id, lambda: token, **options)


def _token_file(path: str, tenant: str, client_id: str, options: Mapping[str, Any]) -> TokenCredential:
    from azure.identity import WorkloadIdentityCredential

    file = _readable(path, "oidc_token_file_path")
    return WorkloadIdentityCredential(tenant_id=tenant, client_id=client_id, token_file_path=file, **options)


def _cli(tenant: str | None) -> TokenCredential:
    from azure.identity import AzureCliCredential

    return AzureCliCredential(tenant_id=tenant or "", process_timeout=60)
