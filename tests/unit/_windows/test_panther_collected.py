# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The logs that a script has read on the machine, as files on the controller."""

from __future__ import annotations

import base64
import json
from pathlib import PurePosixPath

import pytest
from ansible_collections.goldenimage.azure.plugins.filter.panther_logs import FilterModule, panther_logs
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.panther_collected import (
    relative_names,
)
from hypothesis import given
from hypothesis import strategies as st


def _collected(*paths: str) -> str:
    texts = {path: base64.b64encode(f"{path}!".encode()).decode() for path in paths}
    files = [{"path": path, "bytes": 4, "content": text} for path, text in texts.items()]
    return json.dumps({"panther": {"ok": True, "value": {"files": files}}})


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("C:\\Windows\\System32\\Sysprep\\Panther\\setupact.log", "System32/Sysprep/Panther/setupact.log"),
        ("D:\\WINDOWS\\Panther\\setuperr.log", "Panther/setuperr.log"),
        ("..\\..\\etc\\passwd", "etc/passwd"),
        ("/etc/passwd", "etc/passwd"),
        ("C:\\Windows\\..\\..\\x y.log", "x_y.log"),
        ("..", "unnamed.log"),
    ],
)
def test_logs_get_names_below_a_folder(path: str, name: str) -> None:
    assert panther_logs([_collected(path)]) == {name: f"{path}!"}


@given(st.text())
def test_no_name_leads_out_of_the_folder(path: str) -> None:
    (name,) = list(relative_names({path: ""}))
    parts = PurePosixPath(name).parts
    assert parts and not PurePosixPath(name).is_absolute()
    assert ".." not in parts and "\\" not in name and "\0" not in name


@pytest.mark.parametrize("collected", [None, "", [], {"panther": {"ok": False, "error": "x"}}, "garbage"])
def test_what_was_not_read_is_no_log(collected: object) -> None:
    assert FilterModule().filters()["panther_logs"](collected) == {}
