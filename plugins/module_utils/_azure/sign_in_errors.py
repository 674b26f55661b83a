# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# Private to this collection; it may change without notice.
"""What Microsoft Entra ID says when a sign-in fails, condensed to one sentence.

Source: https://learn.microsoft.com/entra/identity-platform/reference-error-codes
"""

from __future__ import annotations

import re

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import CredentialError, one_line

_AADSTS = re.compile(r"AADSTS\d+")
_AADSTS_REMEDIES = {
    "AADSTS7000215": "Check secret (AZURE_SECRET): it must be the client secret's value, not its id.",
    "AADSTS7000222": "The client secret has expired; create a new one and give it as secret (AZURE_SECRET).",
    "AADSTS7000216": "Give a secret, a certificate or an OIDC token.",
    "AADSTS700016": "Check client_id (AZURE_CLIENT_ID), and that tenant (AZURE_TENANT) is the application's.",
    "AADSTS90002": "Check tenant (AZURE_TENANT).",
    "AADSTS900023": "Check tenant (AZURE_TENANT).",
    "AADSTS90013": "Check the credential options.",
    "AADSTS50034": "Check ad_user (AZURE_AD_USER) and tenant.",
    "AADSTS50126": "Check ad_user and password.",
    "AADSTS50076": "The account needs multi-factor authentication; use a service principal, or az login.",
    "AADSTS50079": "The account needs multi-factor authentication; use a service principal, or az login.",
    "AADSTS53003": "Conditional access forbids this sign-in; use a service principal or a managed identity.",
    "AADSTS700027": "Check that the certificate is registered with the application.",
    "AADSTS700024": "The OIDC token has expired; give a fresh one.",
    "AADSTS70021": "No federated credential of the application matches the OIDC token's issuer and subject.",
    "AADSTS700211": "No federated credential of the application matches the OIDC token's issuer.",
    "AADSTS700213": "No federated credential of the application matches the OIDC token's subject.",
    "AADSTS500011": "Check tenant and cloud_environment.",
    "AADSTS50049": "Check cloud_environment and adfs_authority_url.",
}

_REMEDIES_BY_WAY = {
    "the Azure CLI": "Run az login, or give another credential.",
    "the managed identity": (
        "auth_source=msi works on a machine in Azure that has a managed identity; "
        "client_id chooses one of several."
    ),
}


def sign_in_failed(text: str, how: str) -> CredentialError:
    """Condense what azure-identity says to one sentence that keeps the AADSTS code."""
    found = _AADSTS.search(text)
    code = found.group(0) if found else None
    if found:
        said = re.split(r"\bTrace ID:|\bCorrelation ID:|\bTimestamp:|\bTo mitigate\b", text[found.start() :])[
            0
        ]
        said = re.split(r"(?<=[.!?])\s", one_line(said))[0]
    elif "Unable to get authority configuration" in text:
        said = "the sign-in service does not know the tenant"
    else:
        said = re.split(r"\bTo mitigate\b|\bVisit https?:", text)[0]
        said = one_line(re.sub(r"^Authentication failed:\s*", "", said.strip()))[:300]
    remedy = _AADSTS_REMEDIES.get(code or "")
    if remedy is None and re.search(
        r"tenant .*not found|Unable to get authority configuration|invalid_tenant", text, re.I
    ):
        remedy = "Check tenant (AZURE_TENANT) and cloud_environment."
    if remedy is None and code is None:
        remedy = _REMEDIES_BY_WAY.get(how)
    return CredentialError(
        f"Could not sign in to Azure with {how}: {said.rstrip('.')}.",
        code=code,
        remedy=remedy or "Check the credential options and environment variables.",
    )
