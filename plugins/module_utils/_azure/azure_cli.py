# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# Private to this collection; it may change without notice.
"""What the Azure CLI knows after ``az login``: the default subscription and the cloud.

Source: https://learn.microsoft.com/cli/azure/account#az-account-show, .../cli/azure/cloud#az-cloud-show
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from typing import Any, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.cloud import named_cloud
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import CredentialError, one_line

# Seconds; a cold start of the Azure CLI takes several.
_TIMEOUT = 60
_HOW_TO_SIGN_IN = (
    "Set client_id, secret, tenant and subscription_id as options, as AZURE_CLIENT_ID, AZURE_SECRET, "
    "AZURE_TENANT and AZURE_SUBSCRIPTION_ID, or in ~/.azure/credentials; or run az login; "
    "or set auth_source=msi on a machine in Azure."
)


class CliAccount(NamedTuple):
    """The CLI's current account; ``cloud`` is a cloud's name, or the URL of its resource manager."""

    subscription_id: str
    cloud: str


def _az(arguments: list[str], environ: Mapping[str, str]) -> Any:
    program = shutil.which("az", path=environ.get("PATH"))
    if program is None:
        raise CredentialError(
            "No Azure credential was found, and the Azure CLI (az) is not installed.", remedy=_HOW_TO_SIGN_IN
        )
    try:
        done = subprocess.run(
            [program, *arguments, "--only-show-errors", "--output", "json"],
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise CredentialError(
            f"az {arguments[0]} {arguments[1]} did not answer within {_TIMEOUT} s.",
            remedy="Run it by hand to see what it waits for.",
        ) from None
    except OSError as error:
        raise CredentialError(f"The Azure CLI {program} could not be started: {error.strerror}.") from error
    if done.returncode:
        said = one_line(done.stderr).removeprefix("ERROR: ")
        if "az login" in said:
            raise CredentialError(
                "No Azure credential was found, and nobody is signed in to the Azure CLI.",
                remedy=_HOW_TO_SIGN_IN,
            )
        raise CredentialError(
            f"az {' '.join(arguments)} failed: {said[:300] or f'exit status {done.returncode}'}"
        )
    try:
        return json.loads(done.stdout)
    except ValueError:
        raise CredentialError(
            f"az {' '.join(arguments)} did not answer in JSON.", remedy="Check that az is the Azure CLI."
        ) from None


def current_account(environ: Mapping[str, str]) -> CliAccount:
    """The default subscription and the cloud of the signed-in user; raises CredentialError when nobody is."""
    account = _az(["account", "show"], environ)
    name = str(account.get("environmentName") or "AzureCloud")
    if named_cloud(name) is None:
        endpoints = _az(["cloud", "show", "--name", name], environ).get("endpoints") or {}
        name = str(endpoints.get("resourceManager") or name)
    return CliAccount(str(account.get("id") or ""), name)
