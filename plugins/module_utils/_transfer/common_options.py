# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The options that uploads, downloads and copies have in common, checked before the first request."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.credentials import (
    find_credentials,
    from_environment,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import (
    CredentialError,
    InvalidInput,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter

# Each needs 4 MiB of memory; more than this would not make one disk faster.
_MOST_CONNECTIONS = 12
# A request of 4 MiB has to end within the service's time for one.
_LEAST_BANDWIDTH = 100_000
_MODES = ("validate", "ignore")


def waiter_of(options: Mapping[str, Any], *, wait: bool = True) -> Waiter:
    """How long Azure's operations may take, by `wait_timeout`; raises InvalidInput."""
    if options["wait_timeout"] < 1:
        raise InvalidInput(f"wait_timeout is {options['wait_timeout']}; it is a number of seconds above 0.")
    return Waiter(wait=wait, timeout=options["wait_timeout"])


def checks_certificates(options: Mapping[str, Any], *, signs_in: bool) -> bool:
    """Whether the certificates of the blob service are checked; raises InvalidInput.

    :param signs_in: whether credentials are used, whose profile may say so; a SAS needs none
    """
    mode = _validation_mode(options, signs_in) or _MODES[0]
    if mode not in _MODES:
        raise InvalidInput(f"cert_validation_mode is '{mode}'.", remedy="Use validate or ignore.")
    return mode == _MODES[0]


def _validation_mode(options: Mapping[str, Any], signs_in: bool) -> str | None:
    if signs_in:
        # Credentials that are missing are told of when the session is opened, after all other bad input.
        with suppress(CredentialError):
            return find_credentials(options, os.environ).get("cert_validation_mode")
    given: str | None = options.get("cert_validation_mode")
    return given or from_environment(os.environ).get("cert_validation_mode")


def check_pace(options: Mapping[str, Any]) -> None:
    """Refuse `connections` and a `bandwidth_limit` that make no sense; raises InvalidInput."""
    connections, limit = options["connections"], options["bandwidth_limit"]
    if not 1 <= connections <= _MOST_CONNECTIONS:
        raise InvalidInput(
            f"connections is {connections}.", remedy=f"It is a number from 1 to {_MOST_CONNECTIONS}."
        )
    if limit is not None and limit < _LEAST_BANDWIDTH:
        raise InvalidInput(
            f"bandwidth_limit is {limit} bytes per second.", remedy=f"It is at least {_LEAST_BANDWIDTH}."
        )
