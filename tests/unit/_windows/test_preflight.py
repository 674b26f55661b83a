# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Each rule of the Windows preflight by itself, waivers, and the result as a whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.preflight import (
    RULES,
    Preflight,
    WaiverError,
    preflight,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.preflight_facts import Facts

from tests.unit._windows.healthy import (
    NO_SERVICE,
    Answers,
    absent,
    denied,
    multi_session,
    package,
    provisioned,
    server,
    service,
    there,
    workstation,
)

_GIB = 1 << 30
_VM_IDS = ("a1b2c3d4-0102-0304-8506-0708090a0b0c", "d4c3b2a1-0201-0403-8506-0708090a0b0c")
_ZEROS = "00000000-0000-0000-0000-000000000000"


def _judged(answers: Answers, *waive: str) -> Preflight:
    # As it comes from the machine: as JSON.
    return preflight(Facts(json.dumps(answers)), waive)


def _with(changes: dict[str, dict[str, Any]], answers: Answers | None = None) -> Answers:
    answers = answers or server()
    for collector, values in changes.items():
        answers[collector]["value"].update(values)
    return answers


def _found(changes: dict[str, dict[str, Any]]) -> list[tuple[str, str]]:
    return [(finding.name, finding.severity) for finding in _judged(_with(changes)).findings]


@pytest.mark.parametrize(
    "answers",
    [server(), workstation(), multi_session()],
    ids=["server", "workstation", "multi-session"],
)
def test_nothing_speaks_against_a_healthy_machine(answers: Answers) -> None:
    assert _judged(answers) == Preflight("BUILD", (), (), _VM_IDS)


@pytest.mark.parametrize("shown", _VM_IDS)
def test_a_machine_is_the_one_of_azure_in_either_order_of_bytes(shown: str) -> None:
    assert set(_judged(_with({"firmware": {"uuid": shown.upper()}})).vm_ids) == set(_VM_IDS)


@pytest.mark.parametrize(
    "answer",
    [
        *({"ok": True, "value": {"uuid": shown}} for shown in (None, 7, "", "To be filled", _ZEROS)),
        {"ok": True, "value": {}},
        {"ok": False, "error": "Invalid class"},
        None,
    ],
)
def test_a_machine_whose_firmware_does_not_tell_may_be_none_of_azures(answer: object) -> None:
    judged = _judged({**server(), "firmware": answer})
    assert (judged.vm_ids, judged.findings) == ((), ())


def _entry(**values: Any) -> dict[str, Any]:
    found = server()["providers"]["value"]["entries"][0]
    return {"providers": {"entries": [{**found, **values}]}}


def _administrator(**values: Any) -> dict[str, Any]:
    found = server()["accounts"]["value"]["built_in_administrator"][0]
    return {"accounts": {"built_in_administrator": [{**found, **values}]}}


def _features(*names: str) -> dict[str, Any]:
    return {"features": {"installed": ["FileAndStorage-Services", *names]}}


_ENTRY = "C:\\Windows\\System32\\vendor.dll,Generalize"

_CASES: list[tuple[dict[str, dict[str, Any]], list[tuple[str, str]]]] = [
    # Setup and Sysprep.
    (
        {"setup": {"image_state": there("IMAGE_STATE_UNDEPLOYABLE")}},
        [("image-state", "error")],
    ),
    ({"setup": {"image_state_file": there("IMAGE_STATE_UNDEPLOYABLE")}}, [("image-state", "error")]),
    ({"setup": {"image_state": absent()}}, [("image-state", "error")]),
    ({"setup": {"generalization_state": there(3)}}, [("sysprep-status", "error")]),
    ({"setup": {"cleanup_state": there(1)}}, [("sysprep-status", "error")]),
    ({"setup": {"cleanup_state": absent()}}, [("sysprep-status", "error")]),
    ({"setup": {"setup_type": there(2)}}, [("setup-in-progress", "error")]),
    ({"setup": {"setup_command_line": there("oobe\\windeploy.exe")}}, [("setup-in-progress", "error")]),
    ({"setup": {"oobe_in_progress": absent()}}, []),
    ({"setup": {"msdtc_sysprep_in_progress": there(1)}}, [("msdtc-sysprep", "error")]),
    ({"setup": {"succeeded_tag": True}}, [("succeeded-tag", "warning")]),
    ({"session": {"processes": ["System", "Sysprep"]}}, [("sysprep-running:sysprep", "error")]),
    ({"session": {"processes": ["SetupHost"]}}, [("sysprep-running:setuphost", "error")]),
    ({"session": {"system": True}}, [("session:system", "error")]),
    ({"session": {"elevated": False}}, [("session:elevation", "error")]),
    # Restarts and servicing, each as grave as Sysprep takes it.
    ({"restart": {"cbs_reboot_pending": True}}, [("servicing-restart:cbs-reboot-pending", "error")]),
    ({"restart": {"cbs_reboot_in_progress": True}}, [("servicing-restart:cbs-reboot-in-progress", "error")]),
    ({"restart": {"cbs_packages_pending": True}}, [("servicing-restart:cbs-packages-pending", "error")]),
    ({"restart": {"cbs_sessions_exclusive": there(1)}}, [("servicing-restart:cbs-sessions", "error")]),
    ({"restart": {"cbs_sessions_exclusive": absent()}}, []),
    ({"restart": {"pending_xml": True}}, [("servicing-restart:pending-xml", "error")]),
    ({"restart": {"update_reboot_required": True}}, [("update-restart:update-reboot-required", "error")]),
    ({"restart": {"update_post_reboot": True}}, [("update-restart:update-post-reboot", "warning")]),
    ({"restart": {"update_exe_volatile": there(1)}}, [("update-restart:update-exe-volatile", "warning")]),
    ({"restart": {"server_manager_restart": there(1)}}, [("feature-restart:features", "error")]),
    ({"restart": {"file_renames": 4}}, [("file-renames", "warning")]),
    ({"restart": {"next_name": "OTHER"}}, [("name-change:name", "warning")]),
    ({"restart": {"join_domain": there("x")}}, [("name-change:JoinDomain", "warning")]),
    ({"restart": {"avoid_spn_set": there(1)}}, [("name-change:AvoidSpnSet", "warning")]),
    ({"restart": {"installer_in_progress": True}}, [("program-restart:windows-installer", "warning")]),
    ({"restart": {"dvd_reboot_signal": there("")}}, [("program-restart:run-once", "warning")]),
    (
        {"configuration_manager": {"restart_pending": True}},
        [("program-restart:configuration-manager", "warning")],
    ),
    ({"session": {"processes": ["wusa"]}}, [("servicing-in-flight:wusa", "error")]),
    # The collectors themselves may have started it.
    ({"session": {"processes": ["TiWorker"]}}, [("servicing-in-flight:tiworker", "warning")]),
    ({"session": {"processes": ["msiexec"]}}, [("servicing-in-flight:msiexec", "warning")]),
    (
        {"servicing": {"reserve_active_scenario": there(8)}},
        [("servicing-in-flight:reserved-storage", "error")],
    ),
    ({"servicing": {"reserve_active_scenario": there(0)}}, []),
    (
        {"servicing": {"reserve_attempted_initialization": there(1)}},
        [("servicing-in-flight:reserved-storage-initialization", "warning")],
    ),
    (
        {"services": {"TrustedInstaller": service("Stopped", "Disabled")}},
        [("servicing-service:TrustedInstaller", "error")],
    ),
    ({"services": {"TrustedInstaller": NO_SERVICE}}, [("servicing-service:TrustedInstaller", "error")]),
    ({"services": {"AppXSvc": service("Stopped", "Disabled")}}, [("servicing-service:AppXSvc", "error")]),
    ({"services": {"AppXSvc": NO_SERVICE}}, []),
    # Windows and its disks.
    ({"system": {"build": 7601}}, [("windows-version", "error")]),
    ({"system": {"build": 9600}}, []),
    ({"upgrade": {"upgrade_key": True}}, [("upgraded-windows", "warning")]),
    ({"upgrade": {"upgrade_key": True}, "system": {"build": 9600}}, [("upgraded-windows", "warning")]),
    (
        {"upgrade": {"source_os": ["Source OS (Updated on 1/2/2024 03:04:05)"]}},
        [("upgraded-windows", "warning")],
    ),
    ({"upgrade": {"windows_old": True}, "system": {"build": 10586}}, [("upgraded-windows", "error")]),
    ({"licensing": {"rearms_left": 0}}, [("rearm-count", "error")]),
    ({"licensing": {"rearms_left": 1}}, [("rearm-count", "warning")]),
    ({"licensing": {"rearms_left": 2, "skip_rearm": absent()}}, []),
    ({"licensing": {"rearms_left": 0, "skip_rearm": there(1)}}, [("rearm-count:skip-rearm", "warning")]),
    (
        # Encrypted with protection off fails all the same.
        {"encryption": {"volumes": [{"drive": "C:", "conversion_status": 1, "protection_status": 0}]}},
        [("bitlocker:C", "error")],
    ),
    (
        {
            "encryption": {
                "volumes": [
                    {"drive": "C:", "conversion_status": 0, "protection_status": 0},
                    {"drive": "D:", "conversion_status": 3, "protection_status": 1},
                ]
            }
        },
        [("bitlocker:D", "error")],
    ),
    ({"encryption": {"volumes": []}}, [("bitlocker:unknown", "unknown")]),
    ({"encryption": {"available": False, "volumes": []}}, []),
    ({"disk": {"free_bytes": _GIB}}, [("disk-space", "warning")]),
    ({"disk": {"free_bytes": _GIB // 4}}, [("disk-space", "error")]),
    ({"disk": {"size_bytes": 0, "free_bytes": 0}}, [("disk-space:unknown", "unknown")]),
    ({"removable_storage": {"cdrom_start": there(4)}}, [("cd-rom:service", "error")]),
    ({"removable_storage": {"cdrom_start": absent()}}, [("cd-rom:service", "error")]),
    ({"removable_storage": {"deny_all": there(1)}}, [("cd-rom:policy", "error")]),
    ({"removable_storage": {"deny_all": there(0)}}, []),
    ({"removable_storage": {"cdrom_deny_read": there(1)}}, [("cd-rom:policy", "error")]),
    (
        {"leftovers": {"answer_files": ["C:\\Windows\\Panther\\unattend.xml"]}},
        [("answer-file:C:\\Windows\\Panther\\unattend.xml", "warning")],
    ),
    ({"leftovers": {"unattend_file": there("C:\\a.xml")}}, [("answer-file:registry", "warning")]),
    ({"leftovers": {"panther": ["C:\\Windows\\Panther"]}}, [("panther:C:\\Windows\\Panther", "warning")]),
    # Software.
    (_entry(exists=False), [(f"external-provider:{_ENTRY}", "error")]),
    (_entry(hidden=True), [(f"external-provider:{_ENTRY}", "error")]),
    (_entry(path=""), [(f"external-provider:{_ENTRY}", "error")]),
    ({"providers": {"entries": []}}, []),
    ({"endpoint": {"onboarding_state": there(1)}}, [("defender-for-endpoint", "error")]),
    ({"endpoint": {"sense_guid": there("a1b2")}}, [("defender-for-endpoint", "error")]),
    ({"services": {"Sense": service()}}, [("defender-for-endpoint", "error")]),
    ({"services": {"Sense": NO_SERVICE}}, []),
    ({"dsc": {"key": True, "agent_id": absent()}}, [("dsc:agent-id", "error")]),
    ({"dsc": {"key": True, "agent_id": there("")}}, []),
    ({"dsc": {"configuration": True}}, [("dsc:configuration", "unsupported")]),
    ({"services": {"RdAgent": service("Stopped")}}, [("azure-agent:RdAgent", "warning")]),
    ({"services": {"RdAgent": service("Stopped", "Disabled")}}, [("azure-agent:RdAgent", "error")]),
    (
        {"services": {"WindowsAzureGuestAgent": NO_SERVICE}},
        [("azure-agent:WindowsAzureGuestAgent", "warning")],
    ),
    (
        {"services": {"WindowsAzureTelemetryService": service("Start Pending")}},
        [("azure-agent:WindowsAzureTelemetryService", "warning")],
    ),
    # People and directories.
    ({"system": {"domain_role": 4}}, [("domain-controller", "error")]),
    ({"system": {"domain_role": 5}}, [("domain-controller", "error")]),
    ({"system": {"domain_role": 9}}, [("domain-controller:unknown", "unknown")]),
    ({"system": {"part_of_domain": True, "domain": "example.com"}}, [("domain-joined", "error")]),
    ({"join": {"entra": ["0a1b"]}}, [("entra-joined", "error")]),
    (_administrator(enabled=True, must_change_password=True), [("administrator-password", "error")]),
    (_administrator(enabled=True), [("administrator-password", "warning")]),
    (_administrator(enabled=True, password_expires=False), []),
    (_administrator(must_change_password=True), []),
    ({"accounts": {"built_in_administrator": []}}, [("administrator-password:unknown", "unknown")]),
    (
        {"profiles": {"entries": [{"sid": "S-1-5-21-9", "path": "C:\\Users\\gone", "exists": False}]}},
        [("profile-without-folder:S-1-5-21-9", "error")],
    ),
    (
        {"profiles": {"entries": [{"sid": "S-1-5-21-9.bak", "path": "C:\\Users\\b", "exists": True}]}},
        [("profile-without-folder:S-1-5-21-9.bak", "warning")],
    ),
    ({"profiles": {"entries": []}}, [("profile-without-folder:unknown", "unknown")]),
    # Server roles.
    (_features("AD-Domain-Services"), [("server-role:AD-Domain-Services", "unsupported")]),
    (_features("dhcp"), [("server-role:DHCP", "unsupported")]),
    (_features("UpdateServices"), [("server-role:UpdateServices", "unsupported")]),
    (_features("DNS"), [("server-role:DNS", "warning")]),
    (_features("Web-Server", "Print-Services", "Remote-Desktop-Services", "Hyper-V", "WDS"), []),
    (_features("Failover-Clustering"), [("server-role:Failover-Clustering", "warning")]),
    (
        {"features": {"available": False, "installed": []}},
        [
            (f"{rule}:unknown", "unknown")
            for rule in ("server-role", "wds-initialized", "hyper-v-switches", "nps-clients")
        ],
    ),
    (
        {**_features("Web-Server"), "roles": {"iis_configuration": True, "iis_encrypted_values": 2}},
        [("iis-encryption", "unsupported")],
    ),
    ({**_features("Web-Server"), "roles": {"iis_configuration": True}}, []),
    ({**_features("WDS"), "roles": {"wds_share": True}}, [("wds-initialized", "unsupported")]),
    ({"roles": {"wds_share": True}}, []),
    ({**_features("Hyper-V"), "roles": {"virtual_switches": 1}}, [("hyper-v-switches", "error")]),
    (
        {**_features("NPAS"), "roles": {"radius_clients": 3}},
        [("server-role:NPAS", "unsupported"), ("nps-clients", "unsupported")],
    ),
    # Store packages.
    (
        {"appx": {"packages": [package("Some.Tool"), package("Other.Tool")], "provisioned": []}},
        [("appx:Other.Tool", "error"), ("appx:Some.Tool", "error")],
    ),
    (
        {"appx": {"packages": [package("A", "2.0.0.0")], "provisioned": [provisioned("A", "1.0.0.0")]}},
        [("appx:A", "error")],
    ),
    (
        # The version of a bundle is not that of the package inside.
        {
            "appx": {
                "packages": [package("A", "2.0.0.0")],
                "provisioned": [provisioned("A", "2024.1.0.0", "~")],
            }
        },
        [],
    ),
    (
        {
            "appx": {
                "packages": [package("A", "2025.1.0.0", bundle=True)],
                "provisioned": [provisioned("A", "2024.1.0.0", "~")],
            }
        },
        [("appx:A", "error")],
    ),
    (
        {"appx": {"packages": [], "provisioned": [{"package_name": "nonsense"}]}},
        [("appx:unknown", "unknown")],
    ),
    ({"appx": {"available": False}}, [("appx:unknown", "unknown")]),
    ({"appx": {"available": False}, "services": {"AppXSvc": NO_SERVICE}}, []),
    ({"appx_staging": {"names": ["Some.Tool_1.0"]}}, [("appx-staging", "warning")]),
]


def _case_id(case: object) -> str:
    return json.dumps(case)[:70] if isinstance(case, dict) else ""


@pytest.mark.parametrize(("changes", "expected"), _CASES, ids=_case_id)
def test_a_rule_finds_what_it_is_for(
    changes: dict[str, dict[str, Any]], expected: list[tuple[str, str]]
) -> None:
    assert _found(changes) == expected


def test_every_rule_has_a_case_of_its_own() -> None:
    found = {name.partition(":")[0] for _changes, expected in _CASES for name, _severity in expected}
    assert found == {rule.id for rule in RULES}


def test_rules_have_different_names_and_say_what_to_do_and_who_says_so() -> None:
    assert len({rule.id for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule.what.endswith("."), rule.id
        assert rule.remedy.endswith("."), rule.id
        assert rule.source, rule.id
        assert rule.severity in ("error", "unsupported", "warning"), rule.id


def test_no_rule_finds_worse_than_it_says() -> None:
    order = ["error", "unsupported", "warning"]
    worst = {rule.id: order.index(rule.severity) for rule in RULES}
    for changes, _expected in _CASES:
        for finding in _judged(_with(changes)).findings:
            if finding.severity != "unknown":
                assert order.index(finding.severity) >= worst[finding.id], finding


@pytest.mark.parametrize(
    ("build", "stated"), [(9200, True), (9600, False), (20348, False)], ids=["2012", "2012 R2", "2022"]
)
def test_a_role_says_that_it_was_last_stated_for_2012(build: int, stated: bool) -> None:
    findings = _judged(_with({**_features("DHCP"), "system": {"build": build}})).findings
    (role,) = [finding for finding in findings if finding.id == "server-role"]
    assert ("Last stated for Windows Server 2012" in role.evidence) is not stated


@pytest.mark.parametrize("client", [workstation, multi_session])
def test_a_client_is_not_asked_for_server_roles(client: Callable[[], Answers]) -> None:
    answers = _with({"features": {"installed": ["DHCP"]}}, client())
    assert _judged(answers).findings == ()


def test_a_server_that_cannot_name_its_roles_is_no_client() -> None:
    answers = _with({"features": {"available": False}})
    assert "server-role:unknown" in {finding.name for finding in _judged(answers).stopping}


def test_each_state_of_the_image_has_its_own_meaning() -> None:
    meanings = set()
    for state in ("UNDEPLOYABLE", "GENERALIZE_RESEAL_TO_OOBE", "SPECIALIZE_RESEAL_TO_AUDIT", "NONSENSE"):
        (finding,) = _judged(_with({"setup": {"image_state": there(f"IMAGE_STATE_{state}")}})).findings
        meanings.add((finding.what, finding.remedy))
        assert state in finding.evidence
    assert len(meanings) == 4


def test_a_package_names_the_command_that_removes_it_and_its_accounts() -> None:
    (finding,) = _judged(_with({"appx": {"packages": [package("Some.Tool")], "provisioned": []}})).findings
    assert "Remove-AppxPackage -AllUsers -Package Some.Tool_1.0.0.0_x64__8wekyb3d8bbwe" in finding.remedy
    assert "builder" in finding.evidence


def test_an_answer_file_that_the_registry_names_is_not_said_to_be_removed() -> None:
    (finding,) = _judged(_with({"leftovers": {"unattend_file": there("C:\\a.xml")}})).findings
    assert "The role leaves it" in finding.remedy
    assert "the role does so" not in finding.remedy


def test_nobody_is_told_to_disable_the_account_of_the_session() -> None:
    # Azure gives the built-in administrator the name of the account that a machine is made with.
    account = server()["accounts"]["value"]["built_in_administrator"][0]
    enabled = {**account, "enabled": True, "password_expires": True}
    (finding,) = _judged(_with({"accounts": {"built_in_administrator": [enabled]}})).findings
    assert finding.remedy.startswith("Let its password never expire")
    assert "unless it is the one that Ansible logs on with" in finding.remedy


def test_findings_are_told_the_gravest_first() -> None:
    findings = _judged(
        _with(
            {
                "setup": {"succeeded_tag": True},
                **_features("DHCP"),
                "join": {"entra": "nonsense"},
                "licensing": {"rearms_left": 0},
            }
        )
    ).findings
    assert [finding.severity for finding in findings] == ["error", "unsupported", "unknown", "warning"]


def test_what_a_rule_has_seen_counts_though_it_has_not_seen_all() -> None:
    found = _found({"services": {"TrustedInstaller": service("Stopped", "Disabled"), "AppXSvc": None}})
    assert found == [
        ("servicing-service:TrustedInstaller", "error"),
        ("servicing-service:unknown", "unknown"),
    ]


def test_a_value_that_may_not_be_read_is_unknown_and_says_why() -> None:
    (finding,) = _judged(_with({"setup": {"msdtc_sysprep_in_progress": denied()}})).findings
    assert (finding.name, finding.severity, finding.stops) == ("msdtc-sysprep:unknown", "unknown", True)
    assert "Requested registry access is not allowed." in finding.evidence


def test_what_is_unknown_stops_where_the_rule_could_find_worse_than_a_warning() -> None:
    stopping = {finding.id for finding in _judged({}).stopping}
    assert stopping == {rule.id for rule in RULES if rule.severity != "warning"}


def test_a_waiver_of_a_rule_takes_all_that_it_finds_and_nothing_else() -> None:
    judged = _judged(_with({**_features("DHCP", "Fax"), "licensing": {"rearms_left": 0}}), "server-role")
    assert [finding.name for finding in judged.findings] == ["rearm-count"]
    assert [finding.name for finding in judged.waived] == ["server-role:DHCP", "server-role:Fax"]


def test_a_waiver_of_one_finding_leaves_the_others_of_its_rule() -> None:
    judged = _judged(_with(_features("DHCP", "Fax")), "SERVER-ROLE:dhcp")
    assert [finding.name for finding in judged.findings] == ["server-role:Fax"]
    assert [finding.name for finding in judged.stopping] == ["server-role:Fax"]


def test_a_waiver_of_a_finding_does_not_take_the_same_rule_not_knowing() -> None:
    judged = _judged(_with({"encryption": {"volumes": "nonsense"}}), "bitlocker:C")
    assert [finding.name for finding in judged.findings] == ["bitlocker:unknown"]
    assert _judged(_with({"encryption": {"volumes": "nonsense"}}), "bitlocker:unknown").findings == ()


@pytest.mark.parametrize("waiver", ["bitloker", "bitlocker:", "", "appx staging"])
def test_a_waiver_that_can_waive_nothing_is_an_error(waiver: str) -> None:
    with pytest.raises(WaiverError):
        _judged(server(), waiver)


def test_the_result_is_plain_data_that_json_can_hold() -> None:
    result = _judged(_with({"licensing": {"rearms_left": 0}}), "appx").as_result()
    assert json.loads(json.dumps(result)) == result
    assert result["stops"] is True
    assert result["summary"][0].startswith("rearm-count (error): RemainingWindowsReArmCount is 0. ")
