# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Software that Sysprep runs into: its external providers, Defender for Endpoint, DSC, the agent of Azure."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.goldenimage.azure.plugins.module_utils._windows.preflight_facts import Facts
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.preflight_rule import (
    ERROR,
    UNSUPPORTED,
    WARNING,
    Observation,
    Rule,
)

_RUNNING = "running"
_DISABLED = "disabled"
_SENSE = "Sense"
_AGENT = ("RdAgent", "WindowsAzureGuestAgent")
# Newer releases of the agent have it no more.
_TELEMETRY = "WindowsAzureTelemetryService"


def _providers(facts: Facts) -> Iterator[Observation]:
    for provider in facts.of("providers").nodes("entries"):
        phase, entry = provider.name("phase"), provider.name("entry")
        path = provider.text("path")
        exists, hidden = provider.flag("exists"), provider.flag("hidden")
        if not path:
            yield Observation(f"{phase} has {entry}, which names no file.", subject=entry)
        elif not exists:
            yield Observation(f"{phase} has {entry}; {path} is not there.", subject=entry)
        elif hidden:
            yield Observation(
                f"{phase} has {entry}; {path} has the attribute hidden.",
                subject=entry,
                remedy="Remove the attribute from the file.",
            )


def _defender(facts: Facts) -> Iterator[Observation]:
    endpoint = facts.of("endpoint")
    state = endpoint.integer_reading("onboarding_state")
    sense_id = endpoint.text_reading("sense_guid")
    sense = facts.of("services").node(_SENSE)
    seen = []
    if state:
        seen.append(f"OnboardingState is {state}")
    if sense_id:
        seen.append("senseGuid is set")
    if sense.flag("present") and sense.name("state").casefold() == _RUNNING:
        seen.append("service Sense is running")
    if seen:
        yield Observation(f"{', '.join(seen)}.")


def _dsc(facts: Facts) -> Iterator[Observation]:
    dsc = facts.of("dsc")
    key, agent = dsc.flag("key"), dsc.text_reading("agent_id")
    if dsc.flag("configuration"):
        yield Observation(
            "System32\\Configuration has a Current.mof or Pending.mof.",
            subject="configuration",
            severity=UNSUPPORTED,
        )
    if key and agent is None:
        yield Observation(
            "The key DesiredStateConfiguration has no AgentId, which Sysprep's provider reads.",
            subject="agent-id",
            remedy="Give the key an empty value AgentId, as reports say that it helps.",
        )


def _agent(facts: Facts) -> Iterator[Observation]:
    services = facts.of("services")
    for name in (*_AGENT, _TELEMETRY):
        service = services.node(name)
        if service.flag("present"):
            state, start_mode = service.name("state"), service.name("start_mode")
            if start_mode.casefold() == _DISABLED:
                yield Observation(f"Service {name} is disabled.", subject=name)
            elif state.casefold() != _RUNNING:
                yield Observation(
                    f"Service {name} is {state}.",
                    subject=name,
                    severity=WARNING,
                    what="A service of the Azure VM agent is not running yet; Sysprep runs its provider.",
                    remedy="The role waits for it before it starts Sysprep, and refuses if it does not.",
                )
        elif name != _TELEMETRY:
            yield Observation(
                f"There is no service {name}.",
                subject=name,
                severity=WARNING,
                remedy="Install the agent: machines of the image need it for extensions.",
            )


RULES = (
    Rule(
        "external-provider",
        ERROR,
        "A program has registered with Sysprep a library that cannot be loaded; Sysprep fails half-way.",
        "Install the program anew, or remove its entry below "
        "HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Setup\\SysPrepExternal.",
        "hashicorp/packer#5945; reports of VMAgentDisabler.dll missing or hidden",
        _providers,
    ),
    Rule(
        "defender-for-endpoint",
        ERROR,
        "Defender for Endpoint is onboarded; Sysprep fails in generalize (0x80070005) and leaves a "
        "broken machine.",
        "Offboard the machine first, and onboard the machines of the image.",
        "actions/runner-images#7103, #9659, #10434",
        _defender,
    ),
    Rule(
        "dsc",
        ERROR,
        "Desired State Configuration was used; generalizing after it is not supported.",
        "Build without it, and apply the configuration to the machines of the image.",
        "Microsoft: Troubleshooting DSC; actions/runner-images#964",
        _dsc,
    ),
    Rule(
        "azure-agent",
        ERROR,
        "A service of the Azure VM agent cannot run; Sysprep runs a provider of it, which fails then.",
        "Set its start type to automatic and start it, or install the agent anew.",
        "Microsoft: Azure VM Image Builder's deprovisioning script; Azure Virtual Machine Agent for Windows",
        _agent,
    ),
)
