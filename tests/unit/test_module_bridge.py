# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Between AnsibleModule and the domain code: options, results, diffs, errors."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import pytest
import yaml
from ansible.module_utils import basic
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.goldenimage.azure.plugins.doc_fragments import attributes, azure, tags, wait
from ansible_collections.goldenimage.azure.plugins.module_utils import _module
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.credentials import ENVIRONMENT
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import (
    AzureError,
    MissingLibrary,
    OperationFailed,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession
from ansible_collections.goldenimage.azure.plugins.module_utils._module import (
    AUTH_SPEC,
    TAGS_SPEC,
    WAIT_SPEC,
    Outcome,
    Work,
    azure_module,
    for_diff,
    run,
    waiter_from,
)


@contextmanager
def module_arguments(arguments: dict[str, Any]) -> Iterator[None]:
    """What Ansible would hand to a module started in this context, on every release of ansible-core."""
    text = json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(basic, "_ANSIBLE_ARGS", text)
        # ansible-core 2.19 and newer.
        patch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
        yield


SIGN_IN = {"client_id": "c", "secret": "top-secret-value", "tenant": "t", "subscription_id": "s"}


class Ended:
    """What a module printed when it ended."""

    def __init__(self, text: str, status: object) -> None:
        self.text = text
        self.status = status
        self.result = cast("dict[str, Any]", json.loads(text))


RunModule = Callable[..., Ended]


@pytest.fixture
def warned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The warnings of the modules that the test runs; ansible-core keeps them for the whole process."""
    texts: list[str] = []
    monkeypatch.setattr(AnsibleModule, "warn", lambda _self, warning: texts.append(warning))
    return texts


@pytest.fixture
def run_module(capsys: pytest.CaptureFixture[str]) -> RunModule:
    def start(work: Work, options: dict[str, Any] | None = None, **special: bool) -> Ended:
        arguments = {**SIGN_IN, **(options or {})}
        arguments.update({f"_ansible_{name}": value for name, value in special.items()})
        with module_arguments(arguments), pytest.raises(SystemExit) as ended:
            run(azure_module({"name": {"type": "str"}, **WAIT_SPEC, **TAGS_SPEC}), work)
        return Ended(capsys.readouterr().out, ended.value.code)

    return start


def unchanged(_module: AnsibleModule, _session: AzureSession) -> Outcome:
    return Outcome(False, {})


def test_the_result_of_the_work_is_returned(run_module: RunModule) -> None:
    def work(module: AnsibleModule, session: AzureSession) -> Outcome:
        image = {"id": f"/subscriptions/{session.subscription_id}/x", "name": module.params["name"]}
        return Outcome(True, {"image": image}, actions=["Created image web."])

    ended = run_module(work, {"name": "web"})
    assert ended.status == 0
    assert ended.result["changed"] is True
    assert ended.result["image"] == {"id": "/subscriptions/s/x", "name": "web"}
    assert ended.result["actions"] == ["Created image web."]
    assert "diff" not in ended.result


@pytest.mark.parametrize("asked", [True, False])
def test_check_mode_reaches_the_work(run_module: RunModule, asked: bool) -> None:
    seen: list[bool] = []

    def work(module: AnsibleModule, _session: AzureSession) -> Outcome:
        seen.append(module.check_mode)
        return Outcome(module.check_mode, {})

    ended = run_module(work, check_mode=asked)
    assert (seen, ended.result["changed"]) == ([asked], asked)


def test_a_diff_has_both_sides_sorted_and_without_secrets(run_module: RunModule) -> None:
    def work(_module: AnsibleModule, _session: AzureSession) -> Outcome:
        profile = {"computer_name": "web", "admin_password": "hunter2", "custom_data": "I2Nsb3Vk"}
        after = {
            "os_profile": profile,
            "name": "web",
            "data_disks": [{"lun": 1, "access_sas": "https://x?sig=y"}],
        }
        return Outcome(True, {}, before=None, after=after)

    ended = run_module(work, diff=True)
    assert ended.result["diff"]["before"] == {}
    after = ended.result["diff"]["after"]
    assert list(after) == ["data_disks", "name", "os_profile"]
    assert after["os_profile"]["computer_name"] == "web"
    for secret in ("hunter2", "I2Nsb3Vk", "sig=y"):
        assert secret not in ended.text


@pytest.mark.parametrize(
    "key",
    [
        "adminPassword",
        "admin_password",
        "customData",
        "custom_data",
        "accessSAS",
        "access_sas",
        "protectedSettings",
    ],
)
def test_secrets_in_a_diff_are_known_in_both_spellings(key: str) -> None:
    assert for_diff({"x": [{key: "hunter2"}]}) == {"x": [{key: "VALUE_HIDDEN"}]}
    assert for_diff({key: None}) == {key: None}


def test_a_diff_survives_yaml() -> None:
    value = {"b": (1, 2), "a": {"z": None, "y": True}}
    assert yaml.safe_load(yaml.safe_dump(for_diff(value))) == {"a": {"y": True, "z": None}, "b": [1, 2]}


def test_the_secret_is_censored_wherever_it_turns_up(run_module: RunModule) -> None:
    def work(_module: AnsibleModule, _session: AzureSession) -> Outcome:
        return Outcome(False, {"leak": "it is top-secret-value indeed"})

    assert "top-secret-value" not in run_module(work).text


def test_ids_of_subscription_and_tenant_are_not_censored(run_module: RunModule) -> None:
    def work(_module: AnsibleModule, _session: AzureSession) -> Outcome:
        return Outcome(False, {"id": "/subscriptions/11111111-sub/tenant-2222"})

    ended = run_module(
        work, {"subscription_id": "11111111-sub", "tenant": "tenant-2222", "client_id": "id-3"}
    )
    assert ended.result["id"] == "/subscriptions/11111111-sub/tenant-2222"


def test_an_error_is_a_sentence_and_its_parts(run_module: RunModule) -> None:
    def work(_module: AnsibleModule, _session: AzureSession) -> Outcome:
        try:
            raise ValueError("inner detail")
        except ValueError as error:
            raise OperationFailed(
                "Could not create image web: InvalidVhd: no cookie.",
                code="InvalidVhd",
                status=200,
                target="disks",
                request_id="r",
                remedy="Upload the disk again.",
            ) from error

    ended = run_module(work)
    assert ended.status == 1
    assert ended.result["failed"] is True
    assert ended.result["msg"] == "Could not create image web: InvalidVhd: no cookie. Upload the disk again."
    assert ended.result["failure"] == {
        "code": "InvalidVhd",
        "message": "Could not create image web: InvalidVhd: no cookie.",
        "status": 200,
        "target": "disks",
        "request_id": "r",
        "remedy": "Upload the disk again.",
    }
    assert "inner detail" not in ended.text
    assert "Traceback" not in ended.text


def test_an_error_before_the_session_is_open_is_reported_alike(run_module: RunModule) -> None:
    ended = run_module(unchanged, {"cloud_environment": "http://plain.example"})
    assert ended.result["msg"].startswith("cloud_environment 'http://plain.example' is no https URL")
    assert ended.result["failure"]["remedy"]


def test_a_missing_package_is_reported_as_ansible_does(run_module: RunModule) -> None:
    def work(_module: AnsibleModule, _session: AzureSession) -> Outcome:
        raise MissingLibrary("azure-mgmt-compute", "Traceback: x")

    ended = run_module(work)
    assert ended.result["msg"].startswith(
        "Failed to import the required Python library (azure-mgmt-compute) on "
    )
    assert ended.result["failure"]["message"] == "The Python package azure-mgmt-compute is missing."


def test_a_mistake_in_the_code_is_not_hidden() -> None:
    def work(_module: AnsibleModule, _session: AzureSession) -> Outcome:
        raise KeyError("mistake")

    with module_arguments(dict(SIGN_IN)), pytest.raises(KeyError):
        run(azure_module({}), work)


@pytest.mark.parametrize("fails", [True, False])
def test_the_session_is_closed_in_any_case(
    run_module: RunModule, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    closed: list[bool] = []
    close = AzureSession.close

    def close_and_note(session: AzureSession) -> None:
        closed.append(True)
        close(session)

    monkeypatch.setattr(AzureSession, "close", close_and_note)

    def work(_module: AnsibleModule, _session: AzureSession) -> Outcome:
        if fails:
            raise AzureError("x")
        return Outcome(False, {})

    run_module(work)
    assert closed == [True]


def test_warnings_of_the_session_and_of_the_work_are_shown(run_module: RunModule, warned: list[str]) -> None:
    def work(_module: AnsibleModule, _session: AzureSession) -> Outcome:
        return Outcome(False, {}, warnings=["The image is old."])

    run_module(work, {"cert_validation_mode": "ignore"})
    assert "cert_validation_mode=ignore" in warned[0]
    assert warned[1:] == ["The image is old."]


def test_nothing_is_warned_about_by_itself(run_module: RunModule, warned: list[str]) -> None:
    run_module(unchanged)
    assert warned == []


@pytest.mark.parametrize(
    ("options", "wait", "timeout"), [({}, True, 1800), ({"wait": False, "wait_timeout": 5}, False, 5)]
)
def test_the_waiter_is_the_one_asked_for(
    run_module: RunModule, options: dict[str, Any], wait: bool, timeout: int
) -> None:
    def work(module: AnsibleModule, _session: AzureSession) -> Outcome:
        waiter = waiter_from(module)
        return Outcome(False, {"waiter": [waiter.wait, waiter.timeout]})

    assert run_module(work, options).result["waiter"] == [wait, timeout]


def test_no_time_to_wait_is_refused(run_module: RunModule) -> None:
    def work(module: AnsibleModule, _session: AzureSession) -> Outcome:
        waiter_from(module)
        return Outcome(True, {})

    ended = run_module(work, {"wait_timeout": 0})
    assert ended.status == 1
    assert "wait_timeout is 0" in ended.result["msg"]


def test_the_environment_is_not_read_by_the_options_themselves() -> None:
    # Otherwise a variable would count as an option and win over a profile that was asked for.
    assert not [name for name, option in AUTH_SPEC.items() if "fallback" in option or "default" in option]


@pytest.mark.parametrize(
    ("fragment", "spec"),
    [
        (azure.ModuleDocFragment, AUTH_SPEC),
        (tags.ModuleDocFragment, TAGS_SPEC),
        (wait.ModuleDocFragment, WAIT_SPEC),
    ],
)
def test_the_documentation_says_what_the_options_are(fragment: Any, spec: dict[str, dict[str, Any]]) -> None:
    documented = yaml.safe_load(fragment.DOCUMENTATION)["options"]
    assert {name: _facts(option) for name, option in documented.items()} == {
        name: _facts(option) for name, option in spec.items()
    }


@pytest.mark.parametrize("fragment", [attributes, azure, tags, wait])
def test_every_section_of_a_fragment_is_yaml(fragment: ModuleType) -> None:
    sections = {name: text for name, text in vars(fragment.ModuleDocFragment).items() if name.isupper()}
    assert "DOCUMENTATION" in sections
    for text in sections.values():
        assert isinstance(yaml.safe_load(text)["options"], dict)


def _facts(option: dict[str, Any]) -> tuple[Any, Any, Any]:
    return option["type"], sorted(option.get("choices", [])), option.get("default")


def test_every_environment_variable_is_documented_at_its_option() -> None:
    documented = yaml.safe_load(azure.ModuleDocFragment.DOCUMENTATION)["options"]
    for name, variables in ENVIRONMENT.items():
        named = set(re.findall(r"E\((\w+)\)", json.dumps(documented[name]["description"])))
        assert set(variables) <= named, name


def test_the_bridge_alone_knows_ansible() -> None:
    folder = Path(_module.__file__).parent / "_azure"
    for file in sorted(folder.glob("*.py")):
        assert "ansible.module_utils" not in file.read_text(), file.name
