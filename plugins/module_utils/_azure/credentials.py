# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# Private to this collection; it may change without notice.
"""Which credential to use: options, then environment, then the profile file, then az login.

Names and order are those of azure.azcollection, so that one set of variables serves both collections. Empty
strings count as unset everywhere, because AWX sets variables of the kind of credential that is not used to
empty strings.
"""

from __future__ import annotations

import configparser
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import (
    CredentialError,
    InvalidInput,
)

AUTH_SOURCES = ("auto", "cli", "credential_file", "env", "msi")

# Option -> environment variables; azure.azcollection's (and AWX's) first, azure-identity's as second choice.
ENVIRONMENT: dict[str, tuple[str, ...]] = {
    "subscription_id": ("AZURE_SUBSCRIPTION_ID",),
    "client_id": ("AZURE_CLIENT_ID",),
    "secret": ("AZURE_SECRET", "AZURE_CLIENT_SECRET"),
    "tenant": ("AZURE_TENANT", "AZURE_TENANT_ID"),
    "ad_user": ("AZURE_AD_USER",),
    "password": ("AZURE_PASSWORD", "AZURE_CLIENT_CERTIFICATE_PASSWORD"),
    "profile": ("AZURE_PROFILE",),
    "cloud_environment": ("AZURE_CLOUD_ENVIRONMENT",),
    "cert_validation_mode": ("AZURE_CERT_VALIDATION_MODE",),
    "adfs_authority_url": ("AZURE_ADFS_AUTHORITY_URL",),
    "x509_certificate_path": ("AZURE_X509_CERTIFICATE_PATH", "AZURE_CLIENT_CERTIFICATE_PATH"),
    "thumbprint": ("AZURE_THUMBPRINT",),
    "oidc_token": ("AZURE_FEDERATED_TOKEN",),
    "oidc_token_file_path": ("AZURE_FEDERATED_TOKEN_FILE",),
    "disable_instance_discovery": ("AZURE_DISABLE_INSTANCE_DISCOVERY",),
}
# Who signs in comes from one place as a whole; where to is looked up by key, and an option always wins.
_PLACE = (
    "subscription_id",
    "cloud_environment",
    "cert_validation_mode",
    "adfs_authority_url",
    "disable_instance_discovery",
)
# White space may be part of these.
_VERBATIM = frozenset({"secret", "password"})
_SERVICE_PRINCIPAL = ("secret", "x509_certificate_path", "oidc_token", "oidc_token_file_path")


class Credentials(NamedTuple):
    """What was found. ``kind`` says how to sign in, ``source`` where that was found (for messages)."""

    kind: str  # "secret", "certificate", "oidc_token", "oidc_token_file", "password", "cli" or "msi"
    source: str
    values: Mapping[str, str]

    def get(self, name: str) -> str | None:
        """The value of an option, None when it is not set."""
        return self.values.get(name)


def _set_values(values: Mapping[str, Any]) -> dict[str, str]:
    """Only what is set: neither None nor an empty string."""
    texts = {name: str(values[name]) for name in ENVIRONMENT if values.get(name) is not None}
    return {name: text if name in _VERBATIM else text.strip() for name, text in texts.items() if text.strip()}


def from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The options that environment variables set."""
    return _set_values(
        {
            name: next(
                (environ[variable] for variable in variables if environ.get(variable, "").strip()), None
            )
            for name, variables in ENVIRONMENT.items()
        }
    )


def profile_path(environ: Mapping[str, str]) -> Path:
    """``~/.azure/credentials``."""
    home = environ.get("HOME")
    return (Path(home) if home else Path.home()) / ".azure" / "credentials"


def from_profile(name: str, path: Path, required: bool) -> dict[str, str]:
    """The options of one profile of the credentials file; empty when it is not there and not required."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        read = parser.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError) as error:
        # The parser's message shows the line, which may hold a secret.
        line = getattr(error, "lineno", None)
        raise InvalidInput(
            f"{path} is no credentials file" + (f" (line {line})." if line else "."),
            remedy="It is an INI file: a line [default], then lines such as client_id=...",
        ) from None
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}.") from error
    if not parser.has_section(name):
        if not required:
            return {}
        if not read:
            raise CredentialError(
                f"The credential profile '{name}' was asked for, but {path} does not exist.",
                remedy="Create the file, or remove profile and AZURE_PROFILE.",
            )
        raise CredentialError(
            f"{path} has no profile '{name}'; it has: {', '.join(parser.sections()) or 'none'}.",
            remedy="Correct profile (AZURE_PROFILE).",
        )
    return _set_values(dict(parser.items(name)))


def _kind_of(values: Mapping[str, str], source: str) -> str:
    """How to sign in with these values; raises CredentialError when something is missing."""
    if "client_id" in values:
        kinds = {
            "secret": "secret",
            "x509_certificate_path": "certificate",
            "oidc_token": "oidc_token",
            "oidc_token_file_path": "oidc_token_file",
        }
        given = next((name for name in _SERVICE_PRINCIPAL if name in values), None)
        if given and ("tenant" in values or "adfs_authority_url" in values):
            return kinds[given]
        if "ad_user" not in values:
            missing = (
                [] if given else ["secret (AZURE_SECRET), x509_certificate_path or oidc_token_file_path"]
            )
            if "tenant" not in values:
                missing.append("tenant (AZURE_TENANT)")
            raise CredentialError(
                f"The credential from {source} has a client_id but no {' and no '.join(missing)}.",
                remedy="Set what is missing in the same place; for a managed identity set auth_source=msi.",
            )
    if "password" not in values:
        raise CredentialError(
            f"The credential from {source} has an ad_user but no password.",
            remedy="Set password (AZURE_PASSWORD), or better use a service principal.",
        )
    return "password"


def _has_identity(values: Mapping[str, str]) -> bool:
    return "client_id" in values or "ad_user" in values


def _auth_source(options: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    source = (
        str(options.get("auth_source") or environ.get("ANSIBLE_AZURE_AUTH_SOURCE") or "auto").strip()
        or "auto"
    )
    if source not in AUTH_SOURCES:
        raise InvalidInput(
            f"auth_source (ANSIBLE_AZURE_AUTH_SOURCE) is '{source}'.",
            remedy=f"Use one of {', '.join(AUTH_SOURCES)}.",
        )
    return source


def find_credentials(options: Mapping[str, Any], environ: Mapping[str, str]) -> Credentials:
    """Decide who signs in, and where; reads the profile file when its turn comes.

    Raises CredentialError or InvalidInput with what is missing and where. No request is made.
    """
    given = _set_values(options)
    environment = from_environment(environ)
    path = profile_path(environ)
    source = _auth_source(options, environ)
    identity, kind, found_in = _identity(source, given, environment, path)
    values = dict(identity)
    for name in _PLACE:
        value = given.get(name) or identity.get(name) or environment.get(name)
        if value is not None:
            values[name] = value
    return Credentials(kind, found_in, values)


def _identity(
    source: str, given: Mapping[str, str], environment: Mapping[str, str], path: Path
) -> tuple[Mapping[str, str], str, str]:
    """Who signs in: the values of one place, how to use them, and the name of the place."""
    if source == "msi":
        client_id = given.get("client_id") or environment.get("client_id")
        return ({"client_id": client_id} if client_id else {}), "msi", "auth_source=msi"
    if source == "cli":
        return _only_tenant(given), "cli", "az login"
    if source == "env":
        if "profile" in environment:
            return _profile(environment["profile"], path, True)
        if not _has_identity(environment):
            raise CredentialError(
                "auth_source is env, but neither AZURE_CLIENT_ID nor AZURE_AD_USER is set.",
                remedy="Set AZURE_CLIENT_ID, AZURE_SECRET, AZURE_TENANT and AZURE_SUBSCRIPTION_ID.",
            )
        return environment, _kind_of(environment, "the environment"), "the environment"
    if source == "credential_file":
        return _profile(given.get("profile") or environment.get("profile") or "default", path, True)
    return _automatic(given, environment, path)


def _automatic(
    given: Mapping[str, str], environment: Mapping[str, str], path: Path
) -> tuple[Mapping[str, str], str, str]:
    if "profile" in given:
        return _profile(given["profile"], path, True)
    if _has_identity(given):
        return given, _kind_of(given, "the options"), "the options"
    lonely = [name for name in _SERVICE_PRINCIPAL if name in given]
    if lonely:
        raise CredentialError(
            f"The option {lonely[0]} is given without client_id.",
            remedy="Give client_id and tenant too: a credential is taken from one place as a whole.",
        )
    if "profile" in environment:
        return _profile(environment["profile"], path, True)
    if _has_identity(environment):
        return environment, _kind_of(environment, "the environment"), "the environment"
    found = from_profile("default", path, required=False)
    if _has_identity(found):
        place = f"profile default of {path}"
        return found, _kind_of(found, place), place
    return {**found, **_only_tenant(given)}, "cli", "az login"


def _profile(name: str, path: Path, required: bool) -> tuple[Mapping[str, str], str, str]:
    found = from_profile(name, path, required)
    place = f"profile {name} of {path}"
    if not _has_identity(found):
        raise CredentialError(
            f"The {place} has neither client_id nor ad_user.",
            remedy="Add client_id, secret and tenant to it.",
        )
    return found, _kind_of(found, place), place


def _only_tenant(given: Mapping[str, str]) -> dict[str, str]:
    return {"tenant": given["tenant"]} if "tenant" in given else {}
