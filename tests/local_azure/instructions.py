# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What a user is told about a running local Azure."""

from __future__ import annotations

from tests.local_azure.settings import Settings

# Each works as it stands in a shell that has read the `env` file; the tests run them.
SNIPPETS = {
    "Ansible": "ansible localhost -m goldenimage.azure.managed_image_info",
    "Azure CLI": """\
az cloud register -n local --endpoint-resource-manager "$LOCAL_AZURE_URL" \\
  --endpoint-active-directory "$LOCAL_AZURE_URL/" \\
  --endpoint-active-directory-resource-id https://management.azure.com/ \\
  --endpoint-management "$LOCAL_AZURE_URL/"
az cloud set -n local
az login --service-principal -u "$AZURE_CLIENT_ID" -p "$AZURE_SECRET" --tenant "$AZURE_TENANT"
az image list""",
    "Python SDK": """\
python3 - <<'END'
from os import environ
from azure.identity import ClientSecretCredential
from azure.mgmt.compute import ComputeManagementClient

url = environ["LOCAL_AZURE_URL"]
credential = ClientSecretCredential(
    environ["AZURE_TENANT"], environ["AZURE_CLIENT_ID"], environ["AZURE_SECRET"],
    authority=url, disable_instance_discovery=True,
)
client = ComputeManagementClient(
    credential, environ["AZURE_SUBSCRIPTION_ID"],
    base_url=url, credential_scopes=["https://management.azure.com/.default"],
)
print([image.name for image in client.images.list()])
END""",
}


def instructions(settings: Settings) -> str:
    """How to use it, with lines to paste into a shell."""
    blocks = [f"# {client}\n{snippet}" for client, snippet in SNIPPETS.items()]
    return "\n\n".join(
        [
            f"The local Azure answers at {settings.url}. A shell gets credentials and addresses by",
            f". {settings.state_dir / 'env'}",
            *blocks,
            f"State and exchanges.jsonl, the log of requests, are in {settings.state_dir}.",
            "docs/local-azure.md tells of further subscriptions, tenants and principals.",
        ]
    )
