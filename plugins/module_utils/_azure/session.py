# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# Private to this collection; it may change without notice.
# ruff: noqa: PLC0415 - the SDK is imported where it is used, so that its absence can be reported
"""A signed-in connection to one subscription of one Azure cloud."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.arm import Arm
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.azure_cli import (
    CliAccount,
    current_account,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.cloud import PUBLIC, Cloud, find_cloud
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.compute import Compute
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.credentials import (
    Credentials,
    find_credentials,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import (
    CredentialError,
    InvalidInput,
    importing,
    translated,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.identity import (
    SessionCredential,
    token_credential,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.lost_answers import (
    BrokenAnswers,
    LostAnswers,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import (
    failed_answer,
    json_of,
)

if TYPE_CHECKING:
    from azure.core.pipeline.transport import RequestsTransport

_USER_AGENT = "ansible-goldenimage.azure"
# Seconds. azure-core's own 300 s per attempt look like a hang where a firewall drops packets; Resource
# Manager itself gives up on a request after 60 s.
_CONNECT_TIMEOUT = 15
_READ_TIMEOUT = 75
# Repeats of one request that was throttled or met a passing fault; pauses grow to the given seconds.
_RETRIES = 5
_CONNECT_RETRIES = 2
_LONGEST_BACKOFF = 20


class _RenewOnUnauthorized:
    """Pipeline policy: when Azure refuses a token (401), get a new one and send the request once more.

    It stands before the SDK's own authentication policy, which has then dropped its token.
    """

    next: Any

    def __init__(self, credential: SessionCredential) -> None:
        self._credential = credential

    def send(self, request: Any) -> Any:
        """Called by the pipeline."""
        response = self.next.send(request)
        if response.http_response.status_code == 401:
            self._credential.renew()
            response = self.next.send(request)
        return response


def _transport(verify: bool) -> RequestsTransport:
    """Honours REQUESTS_CA_BUNDLE, HTTPS_PROXY and NO_PROXY."""
    with importing("azure-core"):
        from azure.core.pipeline.transport import RequestsTransport
    return RequestsTransport(
        connection_verify=verify, connection_timeout=_CONNECT_TIMEOUT, read_timeout=_READ_TIMEOUT
    )


def _base_policies() -> tuple[list[Any], list[Any]]:
    """The policies before and after the place where requests are repeated."""
    with importing("azure-core"):
        from azure.core.pipeline import policies
    before = [
        policies.RequestIdPolicy(),
        policies.HeadersPolicy(),
        policies.UserAgentPolicy(user_agent=_USER_AGENT),
        policies.ProxyPolicy(),
    ]
    retry = policies.RetryPolicy(
        retry_total=_RETRIES, retry_connect=_CONNECT_RETRIES, retry_backoff_max=_LONGEST_BACKOFF
    )
    return before, [policies.RedirectPolicy(), retry]


class AzureSession:
    """Clients for one subscription. Close it, or use it as a context manager.

    ``credential`` is a token credential that azure-storage-blob takes as well. ``warnings`` is what the user
    should be told. ``verifies_tls``: whether the certificates of servers are checked.
    """

    def __init__(
        self, subscription_id: str, cloud: Cloud, credential: SessionCredential, transport: RequestsTransport
    ) -> None:
        self.subscription_id = subscription_id
        self.cloud = cloud
        self.credential = credential
        self.warnings: list[str] = []
        self.verifies_tls = True
        self._transport = transport
        self._compute: dict[str, Compute] = {}
        self._arm: Arm | None = None

    def _policies(self) -> list[Any]:
        """Fresh policies of one pipeline: they keep state."""
        with importing("azure-mgmt-core"):
            from azure.core.pipeline import policies
            from azure.mgmt.core.policies import (
                ARMAutoResourceProviderRegistrationPolicy,
                ARMChallengeAuthenticationPolicy,
            )
        before, repeating = _base_policies()
        return [
            *before,
            BrokenAnswers(),
            policies.ContentDecodePolicy(),
            ARMAutoResourceProviderRegistrationPolicy(),
            LostAnswers(),
            *repeating,
            _RenewOnUnauthorized(self.credential),
            ARMChallengeAuthenticationPolicy(self.credential, self.cloud.scope),
            policies.CustomHookPolicy(),
            policies.SensitiveHeaderCleanupPolicy(),
        ]

    @property
    def compute(self) -> Compute:
        """Images, disks, snapshots and virtual machines."""
        return self.compute_in(self.subscription_id)

    def compute_in(self, subscription_id: str) -> Compute:
        """Those of another subscription that the same identity may use."""
        if subscription_id not in self._compute:
            with importing("azure-mgmt-compute"):
                from azure.mgmt.compute import ComputeManagementClient
            client = ComputeManagementClient(
                self.credential,
                subscription_id,
                base_url=self.cloud.resource_manager,
                credential_scopes=[self.cloud.scope],
                policies=self._policies(),
                transport=self._transport,
            )
            self._compute[subscription_id] = Compute(client)
        return self._compute[subscription_id]

    @property
    def arm(self) -> Arm:
        """Everything that is not Microsoft.Compute, by resource id."""
        if self._arm is None:
            with importing("azure-mgmt-core"):
                from azure.mgmt.core import ARMPipelineClient
            base_url = self.cloud.resource_manager
            self._arm = Arm(
                ARMPipelineClient(base_url, policies=self._policies(), transport=self._transport), base_url
            )
        return self._arm

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()
        self.credential.close()

    def __enter__(self) -> AzureSession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _fetch_with(transport: RequestsTransport, url: str) -> Any:
    """GET a JSON document without signing in."""
    with importing("azure-core"):
        from azure.core import PipelineClient
        from azure.core.rest import HttpRequest
    before, repeating = _base_policies()
    client: Any = PipelineClient(url, policies=[*before, *repeating], transport=transport)
    action = f"read the endpoints of the cloud at {url.partition('?')[0]}"
    with translated(action, host=urlsplit(url).netloc):
        response = client.send_request(HttpRequest("GET", url, headers={"Accept": "application/json"}))
    if response.status_code >= 400:
        raise failed_answer(action, response)
    return json_of(response)


def _cli_account(credentials: Credentials, environ: Mapping[str, str]) -> CliAccount | None:
    """What az login knows, when it is needed."""
    if credentials.kind != "cli" or (
        credentials.get("subscription_id") and credentials.get("cloud_environment")
    ):
        return None
    return current_account(environ)


def _subscription(credentials: Credentials, account: CliAccount | None) -> str:
    given = credentials.get("subscription_id") or (account.subscription_id if account else "")
    if not given:
        raise CredentialError(
            f"No subscription is set (credential from {credentials.source}).",
            remedy="Set subscription_id, or AZURE_SUBSCRIPTION_ID.",
        )
    return given.removeprefix("/subscriptions/").strip("/")


def open_session(options: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> AzureSession:
    """Find the credential and the cloud and connect to them; Azure is asked for a token with the first
    request.

    ``options`` are the credential options of the modules, see `credentials`; ``environ`` is for tests. Raises
    CredentialError, InvalidInput, MissingLibrary, or AzureError when a custom cloud's metadata cannot be
    read.
    """
    for library in ("azure", "msal"):
        # What they log on failure is said in our errors; unhandled, it would go to stderr.
        logging.getLogger(library).addHandler(logging.NullHandler())
    environ = os.environ if environ is None else environ
    credentials = find_credentials(options, environ)
    mode = credentials.get("cert_validation_mode") or "validate"
    if mode not in ("validate", "ignore"):
        raise InvalidInput(f"cert_validation_mode is '{mode}'.", remedy="Use validate or ignore.")
    verify = mode == "validate"
    if not verify:
        # Said once by the module, instead of once per request by urllib3.
        warnings.filterwarnings("ignore", message="Unverified HTTPS request")
    account = _cli_account(credentials, environ)
    subscription_id = _subscription(credentials, account)
    place = credentials.get("cloud_environment") or (account.cloud if account else PUBLIC.name)
    transport = _transport(verify)
    try:
        cloud = find_cloud(place, lambda url: _fetch_with(transport, url))
        credential = token_credential(credentials, cloud, verify)
    except BaseException:
        transport.close()
        raise
    session = AzureSession(subscription_id, cloud, credential, transport)
    session.verifies_tls = verify
    if not verify:
        session.warnings.append(
            "TLS certificates are not checked (cert_validation_mode=ignore): anyone on the way can read and "
            "change what is sent, credentials included."
        )
    if credentials.kind == "password":
        session.warnings.append(
            "Signing in with ad_user and password is deprecated by Microsoft and fails for accounts with "
            "multi-factor authentication; use a service principal instead."
        )
    return session
