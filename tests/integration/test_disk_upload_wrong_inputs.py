# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""disk_upload of what must not be sent as it is: refused before anything is asked, or converted rightly."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.vhd_footer import FIXED, parse_footer

from tests.integration.plays import Player
from tests.integration.wrong_disks import Converted, Wrong, WrongDisks
from tests.unit._upload.page_blob_server import PageBlobServer

REFUSED = (
    "file that is not whole sectors",
    "wrong checksum of the footer",
    "footer of another size",
    "vhd cut off",
    "dynamic vhd cut off",
    "qcow2 that is dirty",
    "qcow2 that is corrupt",
    "qcow2 that is not known",
    "encrypted qcow2",
    "qcow2 with its data elsewhere",
    "qcow2 cut off",
    "qcow2 packed with zstd",
    "qcow2 with subclusters",
    "chain that is a loop",
    "qcow2 without its parent",
    "parent over the network",
    "vmdk whose parent has changed",
    "stream vmdk cut off",
    "vmdk in text mode",
    "vmdk of a device",
    "encrypted vmdk",
    "vhdx cut off",
    "packed disk",
    "vdi called vhd",
    "bytes without any disk",
    "empty file",
)
CONVERTED = (
    "dynamic vhd",
    "fixed vhd that is not whole MiB",
    "vhd without a footer",
    "qcow2 called vhd",
    "fixed vhd called raw",
)


#: Check mode opens the file by the same code; some of each kind are enough to see that it does.
CHECKED = REFUSED[::4]


class Tried(NamedTuple):
    """What came of them all. `connections`: how many the service had seen after the refusals."""

    wrong: dict[str, Wrong]
    good: dict[str, Converted]
    results: dict[str, dict[str, dict[str, Any]]]
    connections: int
    new_files: set[Path]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageBlobServer]:
    made = PageBlobServer(tmp_path_factory.mktemp("service"))
    yield made
    made.stop()


def blob_of(name: str) -> str:
    return f"/account/vhds/{name.replace(' ', '-')}.vhd"


@pytest.fixture(scope="module")
def tried(play: Player, server: PageBlobServer, tmp_path_factory: pytest.TempPathFactory) -> Tried:
    """All files in earnest, some in check mode too, in two runs."""
    folder = tmp_path_factory.mktemp("wrong")
    disks = WrongDisks(folder)
    wrong, good = disks.refused(), disks.converted()
    before = set(folder.iterdir())
    results = upload_all(play, server, {name: each.path for name, each in wrong.items()}, CHECKED)
    connections, new_files = server.connections, set(folder.iterdir()) - before
    results.update(upload_all(play, server, {name: each.path for name, each in good.items()}, CONVERTED))
    return Tried(wrong, good, results, connections, new_files)


def upload_all(
    play: Player, server: PageBlobServer, paths: dict[str, Path], checked: Collection[str]
) -> dict[str, dict[str, dict[str, Any]]]:
    """By name, the result of "check" mode, of those that shall be checked, and of the real "run"."""
    items = [
        {"name": name, "path": str(path), "url": server.url(blob_of(name))} for name, path in paths.items()
    ]
    wanted = {"check": [item for item in items if item["name"] in checked], "run": items}
    tasks = [
        {
            "name": kind,
            "goldenimage.azure.disk_upload": {"path": "{{ item.path }}", "sas_url": "{{ item.url }}"},
            "loop": loop,
            "loop_control": {"label": "{{ item.name }}"},
            "check_mode": kind == "check",
            "ignore_errors": True,
        }
        for kind, loop in wanted.items()
    ]
    run = play(tasks, env={"REQUESTS_CA_BUNDLE": str(server.ca)})
    assert "Traceback" not in run.output, run.output
    found: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in paths}
    for kind in wanted:
        for item in run.tasks[kind]["results"]:
            found[item["item"]["name"]][kind] = item
    return found


def test_every_wrong_input_is_tried(tried: Tried) -> None:
    assert set(tried.wrong) == set(REFUSED)
    assert set(tried.good) == set(CONVERTED)


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_by_name(tried: Tried, name: str) -> None:
    wrong, result = tried.wrong[name], tried.results[name]["run"]
    assert result["failed"]
    for word in (str(wrong.path), *wrong.words):
        assert word in result["msg"], result["msg"]


@pytest.mark.parametrize("name", CHECKED)
def test_check_mode_refuses_it_with_the_same_words(tried: Tried, name: str) -> None:
    checked = tried.results[name]["check"]
    assert checked["failed"]
    assert checked["msg"] == tried.results[name]["run"]["msg"]


def test_nothing_is_asked_and_nothing_is_left_behind(tried: Tried) -> None:
    assert tried.connections == 0
    assert tried.new_files == set()


@pytest.mark.parametrize("name", CONVERTED)
def test_what_azure_would_not_take_as_it_is_arrives_as_a_fixed_vhd(
    tried: Tried, server: PageBlobServer, name: str
) -> None:
    content = tried.good[name].content
    data = bytes(server.blobs[blob_of(name)].data)
    footer = parse_footer(data[-512:])
    assert data[:-512] == content
    assert (footer.disk_type, footer.current_size) == (FIXED, len(content))
    checked, result = tried.results[name]["check"], tried.results[name]["run"]
    assert checked["changed"] and result["changed"]
    assert checked["content_sha256"] == result["content_sha256"]
    assert checked["bytes_planned"] == result["bytes_sent"]
