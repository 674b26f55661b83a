# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What a user is told about a running local Azure."""

from __future__ import annotations

from tests.local_azure.settings import Settings


def instructions(settings: Settings) -> str:
    env = settings.state_dir / "env"
    return f"""The local Azure answers at {settings.url}

  . {env}

  Ansible      nothing more: the variables above are the ones goldenimage.azure and azure.azcollection read
  Azure CLI    az cloud register -n local --endpoint-resource-manager "$LOCAL_AZURE_URL" \\
                 --endpoint-active-directory "$LOCAL_AZURE_URL/" \\
                 --endpoint-active-directory-resource-id https://management.azure.com/ \\
                 --endpoint-management "$LOCAL_AZURE_URL/"
               az cloud set -n local
               az login --service-principal -u "$AZURE_CLIENT_ID" -p "$AZURE_SECRET" --tenant "$AZURE_TENANT"
  Python SDK   ClientSecretCredential(tenant, client, secret, authority=url, disable_instance_discovery=True)
               ComputeManagementClient(credential, subscription, base_url=url,
                                       credential_scopes=["https://management.azure.com/.default"])

  State and exchanges.jsonl are in {settings.state_dir}"""
