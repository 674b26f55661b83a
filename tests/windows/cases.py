# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Real failures as quoted in public threads, where a copy of them is at hand.

Nothing of them is part of this project; `case_files` finds a copy beside the checkout. What each may be
called is judged here, by its source's words, never by what the diagnosis says.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

ENVIRONMENT = "SYSPREP_CASES"
UNKNOWN, NONE = "unknown", "none"
_STATE = re.compile(r"(?<!reaches )IMAGE_STATE_\w+")

#: The cause by the case's name without its number. Where two are given, its source has both.
TRUTH: dict[str, tuple[str, ...]] = {
    "appx-onedrivesync-w11-configmgr": ("appx-per-user",),
    "rearm-count-exhausted-w7": ("rearm-exhausted",),
    "invalid-state-dwret31-ms": ("earlier-run-unfinished",),
    "appx-miracastview-upgraded-1709": ("appx-per-user",),
    "bitlocker-on-full-encrypted-protection-off-w11": ("bitlocker-on",),
    "bitlocker-first-validator-hides-appx": ("bitlocker-on",),
    "senseguid-mrtgeneralize-connectserver-2023": ("defender-for-endpoint",),
    "dsccore-cleanup-server2019-azure": ("dsc-state",),
    "mrtgeneralize-and-dsccore-mixed-runs-2019": ("dsc-state",),
    "specialize-reseal-loop-server2016-20percent": (UNKNOWN,),
    "specialize-reseal-loop-w10-ent-sku": (UNKNOWN,),
    "vmagentdisabler-external-provider-2018": ("vm-agent-provider",),
    "windows-containers-sku-undeployable-loop": (UNKNOWN,),
    "undeployable-left-behind-ssm-agent": ("earlier-run-unfinished",),
    "success-undeployable-misread-2019": (NONE,),
    "success-armed-template-with-benign-errors-ws2019": (NONE,),
    "clone-respecialize-0x8007001f-unarmed-template": ("earlier-run-unfinished",),
    "edge-stable-143-lab-2025-12": ("appx-per-user",),
    "edge-stable-per-user-ws2022-incus": ("appx-per-user",),
    "winget-source-per-user-packer-2025": ("appx-per-user",),
    "notepadplusplus-shell-extension-w11": ("appx-per-user",),
    "languageexperiencepack-zh-cn-19041": ("appx-per-user",),
    "widgetsplatformruntime-w11-avd": ("appx-per-user",),
    "onedrivesync-w11-cloudbase": ("appx-per-user",),
    "appxsvc-disabled-0x422": ("appx-service-disabled",),
    "pending-reboot-windows-feature-aib": ("pending-restart",),
    "optimize-offline-spopk-1909": (UNKNOWN,),
    "iesysprep-wrong-bitness-ie10-w7": ("provider-wrong-architecture",),
    "msdtc-sysprepinprogress-left-1": ("earlier-run-unfinished", "msdtc-failed"),
    "administrator-must-change-password-osprovisioningtimedout": (NONE,),
    "winutil-per-user-apps-0x80073cf2": ("appx-per-user",),
    "ludus-guard-false-success-edge-ws2022": ("appx-per-user",),
    "appx-0x80073cf2-with-file-operations-pending-ws2022-maas": ("appx-per-user",),
    "unattend-password-blob-mismatch-w11-oobe": (NONE,),
    "ffu-run-sysprep-appx-intermittent-2026": (UNKNOWN,),
}


class Case(NamedTuple):
    """`truth`: the causes that are right, empty where nobody has judged the case; `told`: what its source
    says.
    """

    name: str
    truth: tuple[str, ...]
    told: str
    rows: tuple[str, ...]
    state: str
    phase: str

    def is_wrong(self, cause: str) -> bool:
        """Whether the cause would send somebody the wrong way. That nothing is known does not."""
        return cause not in (*self.truth, UNKNOWN) and bool(self.truth)


def case_files(environ: Mapping[str, str] | None = None) -> list[Path]:
    """The files of the cases: in the folder that SYSPREP_CASES names, else in ../shared/windows-cases; or
    none.
    """
    named = (os.environ if environ is None else environ).get(ENVIRONMENT)
    beside = Path(__file__).resolve().parents[2].parent / "shared" / "windows-cases"
    return sorted((Path(named) if named else beside).glob("*.json"))


def read_case(file: Path) -> Case:
    case = json.loads(file.read_text(encoding="utf-8"))
    states = _STATE.findall(case.get("image_state") or "")
    return Case(
        name=case["slug"],
        truth=TRUTH.get(case["slug"], ()),
        told=case["cause"],
        rows=tuple(case["log_excerpt"]),
        state=states[-1] if states else "",
        phase=case["phase"],
    )
