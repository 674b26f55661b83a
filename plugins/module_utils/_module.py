# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# Private to this collection; it may change without notice.
"""The one bridge between AnsibleModule and the domain code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn, cast

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.credentials import AUTH_SOURCES
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import (
    AzureError,
    MissingLibrary,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import (
    AzureSession,
    open_session,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.ensured import Ensured

# No defaults and no env_fallback: credentials.py decides the order of options, environment and files.
AUTH_SPEC: dict[str, dict[str, Any]] = {
    "auth_source": {"type": "str", "choices": list(AUTH_SOURCES)},
    "profile": {"type": "str"},
    "subscription_id": {"type": "str"},
    "client_id": {"type": "str"},
    "secret": {"type": "str", "no_log": True},
    "tenant": {"type": "str"},
    "ad_user": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "cloud_environment": {"type": "str"},
    "cert_validation_mode": {"type": "str", "choices": ["validate", "ignore"]},
    "adfs_authority_url": {"type": "str"},
    "x509_certificate_path": {"type": "path"},
    "thumbprint": {"type": "str"},
    "oidc_token": {"type": "str", "no_log": True},
    "oidc_token_file_path": {"type": "path", "no_log": False},
    "disable_instance_discovery": {"type": "bool"},
}
WAIT_SPEC: dict[str, dict[str, Any]] = {
    "wait": {"type": "bool", "default": True},
    "wait_timeout": {"type": "int", "default": 1800},
}
TAGS_SPEC: dict[str, dict[str, Any]] = {
    "tags": {"type": "dict"},
    "append_tags": {"type": "bool", "default": True},
}

_HIDDEN = "VALUE_HIDDEN"
# Members of requests and facts that are secrets wherever they stand, in both spellings.
_SECRET_KEYS = frozenset(
    {
        "adminpassword",
        "password",
        "secret",
        "customdata",
        "userdata",
        "accesssas",
        "securitydataaccesssas",
        "securitymetadataaccesssas",
        "protectedsettings",
        "oidctoken",
    }
)


@dataclass
class Outcome:
    """What a module did, or would do in check mode.

    ``result`` is returned as it is, for example ``{"image": {...}}``. ``before`` and ``after`` become the
    diff; None on one side means that there is nothing. ``actions`` are sentences such as "Created image
    web-1.".
    """

    changed: bool
    result: dict[str, Any]
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None
    actions: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, name: str, done: Ensured) -> Outcome:
        """The outcome of ensuring a resource, whose facts are returned as ``name``."""
        return cls(
            changed=done.changed,
            result={name: done.facts},
            before=done.before,
            after=done.after,
            actions=list(done.actions),
            warnings=list(done.warnings),
        )


Work = Callable[[AnsibleModule, AzureSession], Outcome]


def azure_module(argument_spec: Mapping[str, Any], **kwargs: Any) -> AnsibleModule:
    """The AnsibleModule with the credential options added; it supports check mode."""
    spec = {**AUTH_SPEC, **argument_spec}
    made = cast("Any", AnsibleModule)(argument_spec=spec, supports_check_mode=True, **kwargs)
    return cast("AnsibleModule", made)


def waiter_from(module: AnsibleModule) -> Waiter:
    """The Waiter that the options wait (where the module has it) and wait_timeout ask for."""
    params = cast("dict[str, Any]", module.params)
    if params["wait_timeout"] < 1:
        module.fail_json(msg=f"wait_timeout is {params['wait_timeout']}; it is a number of seconds above 0.")
    return Waiter(wait=params.get("wait", True), timeout=params["wait_timeout"])


def for_diff(value: Any) -> Any:
    """The value with sorted keys and without secrets, as a diff shows it."""
    if isinstance(value, Mapping):
        return {
            key: _HIDDEN
            if value[key] is not None and str(key).replace("_", "").casefold() in _SECRET_KEYS
            else for_diff(value[key])
            for key in sorted(value, key=str)
        }
    if isinstance(value, (list, tuple)):
        return [for_diff(item) for item in value]
    return value


def results_of(outcome: Outcome, *, with_diff: bool) -> dict[str, Any]:
    """What a task returns of an outcome; `with_diff` in diff mode."""
    results: dict[str, Any] = {**outcome.result, "changed": outcome.changed, "actions": outcome.actions}
    if with_diff:
        results["diff"] = {"before": for_diff(outcome.before or {}), "after": for_diff(outcome.after or {})}
    return results


def fail(module: AnsibleModule, error: AzureError) -> NoReturn:
    """End the module with the error as one sentence, and its parts as ``failure``."""
    if isinstance(error, MissingLibrary):
        module.fail_json(
            msg=cast("Any", missing_required_lib)(error.library),
            exception=error.traceback,
            failure=error.as_result(),
        )
    module.fail_json(msg=str(error), failure=error.as_result())
    raise AssertionError("fail_json does not return")


def in_session(module: AnsibleModule, work: Work) -> Outcome:
    """Do the work in a session by the module's credential options; raises AzureError."""
    with open_session(cast("dict[str, Any]", module.params)) as session:
        for warning in session.warnings:
            module.warn(warning)
        return work(module, session)


def run(module: AnsibleModule, work: Work) -> NoReturn:
    """Open a session, do the work in it, end the module with the outcome or the error."""
    conclude(module, lambda: in_session(module, work))


def conclude(module: AnsibleModule, work: Callable[[], Outcome]) -> NoReturn:
    """Do work that needs no session, or opens its own; end the module with the outcome or the AzureError."""
    failure: AzureError | None = None
    outcome = Outcome(changed=False, result={})
    try:
        outcome = work()
    except AzureError as error:
        failure = error
    # Outside of the handler: ansible-core would add the handled exception's chain to the message.
    if failure is not None:
        fail(module, failure)
    for warning in outcome.warnings:
        module.warn(warning)
    # AnsibleModule offers the mode only under this name.
    module.exit_json(**results_of(outcome, with_diff=module._diff))
    raise AssertionError("exit_json does not return")
