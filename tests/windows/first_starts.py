# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What Windows Setup logs when a machine made of an image starts for the first time, and fails."""

from __future__ import annotations

from tests.windows.failure import UNDEPLOYABLE, Failure
from tests.windows.sysprep_logs import ERROR, INFO, Message


def _said(level: str, text: str) -> Message:
    return Message(level, text, 0, 1, "")


_BEGUN = (
    _said(INFO, "[windeploy.exe] WinDeploy.exe launched with command-line []..."),
    _said(INFO, "[windeploy.exe] Launching [C:\\Windows\\system32\\oobe\\setup.exe]..."),
)

_SETTING_FAILS = (
    *_BEGUN,
    _said(
        ERROR,
        "[windeploy.exe] Windows could not parse or process unattend answer file "
        "[C:\\Windows\\Panther\\unattend.xml] for pass [specialize]. The settings specified in the answer "
        "file cannot be applied. The error was detected while processing settings for component "
        "[Microsoft-Windows-Shell-Setup].",
    ),
)
_SETTING_UNKNOWN = (
    *_BEGUN,
    _said(
        ERROR,
        "[windeploy.exe] Windows could not parse or process the unattend answer file for pass [oobeSystem]. "
        "A component or setting specified in the answer file does not exist.",
    ),
)
_POOR_PASSWORD = (
    *_BEGUN,
    _said(ERROR, "[audit.exe] Unable to enable local account [Owner]; hr = 0x800708C5"),
    _said(ERROR, "[windeploy.exe] Failure occured during online installation; hr = 0x80004005"),
)


def _failing(name: str, cause: str, messages: tuple[Message, ...]) -> Failure:
    return Failure(name, cause, "setup", "yes", UNDEPLOYABLE, messages)


FIRST_STARTS = (
    _failing("answer file with a setting that fails", "answer-file-not-applied", _SETTING_FAILS),
    _failing(
        "answer file for the first start with an unknown setting", "answer-file-invalid", _SETTING_UNKNOWN
    ),
    _failing("account with a poor password", "password-against-policy", _POOR_PASSWORD),
)
