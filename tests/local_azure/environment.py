# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The environment that makes clients use the local Azure."""

from __future__ import annotations

import shlex

from tests.local_azure.certificates import Certificates
from tests.local_azure.faults.control import control_key
from tests.local_azure.guests_host import choose_ssh_port
from tests.local_azure.identity.entra import Entra
from tests.local_azure.identity.managed_identity import PATH as IDENTITY_PATH
from tests.local_azure.settings import Settings, private_file


def environment(settings: Settings, certificates: Certificates, entra: Entra) -> dict[str, str]:
    identity = settings.identity
    other = identity.tenants[1]
    return {
        "AZURE_SUBSCRIPTION_ID": identity.subscription_id,
        "AZURE_CLIENT_ID": identity.client_id,
        "AZURE_SECRET": identity.client_secret,
        "AZURE_TENANT": identity.tenant_id,
        "AZURE_CLOUD_ENVIRONMENT": settings.url,
        # azure-cli's and azure.azcollection's ways not to ask Entra whether it knows this authority.
        "AZURE_CORE_INSTANCE_DISCOVERY": "false",
        "AZURE_DISABLE_INSTANCE_DISCOVERY": "true",
        "REQUESTS_CA_BUNDLE": str(certificates.bundle),
        "SSL_CERT_FILE": str(certificates.bundle),
        "LOCAL_AZURE_URL": settings.url,
        "LOCAL_AZURE_BLOB_URL": f"https://127.0.0.1:{settings.ports.blob}",
        "LOCAL_AZURE_CONTROL_KEY": control_key(settings.state_dir),
        "LOCAL_AZURE_STATE_DIR": str(settings.state_dir),
        "LOCAL_AZURE_GUEST_SSH_PORT": str(choose_ssh_port(settings.state_dir)),
        "LOCAL_AZURE_CLIENT_CERTIFICATE": str(entra.client_certificate),
        "LOCAL_AZURE_CLIENT_THUMBPRINT": entra.thumbprint,
        "LOCAL_AZURE_IDENTITY_ENDPOINT": settings.url + IDENTITY_PATH,
        "LOCAL_AZURE_IDENTITY_CLIENT_ID": identity.managed.client_id,
        "LOCAL_AZURE_IDENTITY_HEADER": identity.identity_header,
        "LOCAL_AZURE_FEDERATED_TOKEN_FILE": str(entra.federated_token),
        "LOCAL_AZURE_SECOND_SUBSCRIPTION_ID": identity.home.subscriptions[1].id,
        "LOCAL_AZURE_READER_CLIENT_ID": identity.reader.client_id,
        "LOCAL_AZURE_READER_OBJECT_ID": identity.reader.object_id,
        "LOCAL_AZURE_READER_SECRET": identity.reader.client_secret,
        "LOCAL_AZURE_OTHER_TENANT": other.id,
        "LOCAL_AZURE_OTHER_SUBSCRIPTION_ID": other.subscriptions[0].id,
        "LOCAL_AZURE_OTHER_CLIENT_ID": identity.stranger.client_id,
        "LOCAL_AZURE_OTHER_SECRET": identity.stranger.client_secret,
    }


def write_environment(settings: Settings, certificates: Certificates, entra: Entra) -> None:
    """STATE_DIR/env: to be sourced by a shell, or read line by line as NAME=value."""
    lines = [f"export {k}={shlex.quote(v)}" for k, v in environment(settings, certificates, entra).items()]
    private_file(settings.state_dir / "env", "\n".join(lines) + "\n")
