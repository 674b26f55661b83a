# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""A large Marketplace is looked through quickly, in little memory, with as few requests as there can be."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.local_azure.providers.compute.extension_catalogue import EXTENSIONS
from tests.local_azure.providers.marketplace import marketplace_catalogue
from tests.local_azure.settings import Pace
from tests.unit.local_azure.arm_server import serve

OFFERS, VERSIONS, PUBLISHERS = 2000, 500, 40
SECONDS, MEBIBYTES = 2.0, 64
CHECKOUT = Path(__file__).parent.parent.parent.parent
# In a process of its own, as a module is, so that its memory is that of the browsing.
PROGRAM = """
import json, re, sys, time
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import open_session
from ansible_collections.goldenimage.azure.plugins.module_utils._image import marketplace_browsing as it
with open_session({}) as session:
    begun = time.perf_counter()
    browser = it.Browser(session, it.Query.from_options(json.loads(sys.argv[1]), "eastus"))
    found = browser.browse()
    seconds = time.perf_counter() - begun
# Not getrusage, which counts what the parent had before the exec.
peak = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024
print(json.dumps([len(found), browser.requests, seconds, peak, found[0]]))
"""


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a client of a local Azure that offers a lot."""
    each = OFFERS // PUBLISHERS
    facts = {"versions": [f"1.0.{number}" for number in range(VERSIONS)], "sizeInBytes": 32212255232}
    large = {
        f"publisher{place:02}": {f"offer{number:03}": {"sku": facts} for number in range(each)}
        for place in range(PUBLISHERS)
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(marketplace_catalogue, "_catalogue", lambda: large)
        thread = serve(tmp_path_factory.mktemp("large-azure"), Pace(speed=500))
        try:
            assert thread.server
            text = (thread.settings.state_dir / "env").read_text(encoding="utf-8")
            pairs = (line.removeprefix("export ").partition("=") for line in text.splitlines())
            yield {name: value.strip("'") for name, _equals, value in pairs}
        finally:
            thread.stop()


def browse(environ: dict[str, str], **options: object) -> tuple[int, int, float, float, dict[str, object]]:
    """The fastest of up to three: what else runs on the machine is not what is measured."""
    runs = []
    for _attempt in range(3):
        runs.append(_browse(environ, **options))
        if runs[-1][2] < SECONDS:
            break
    return min(runs, key=lambda run: run[2])


def _browse(environ: dict[str, str], **options: object) -> tuple[int, int, float, float, dict[str, object]]:
    path = os.pathsep.join((str(CHECKOUT / ".build/collections"), str(CHECKOUT)))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(options)],
        env={**os.environ, **environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found, requests, seconds, peak, first = json.loads(done.stdout)
    return found, requests, seconds, peak, first


def test_two_thousand_offers_take_a_request_for_each_publisher_and_two_seconds(
    environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    found, requests, seconds, peak, _first = browse(environ, level="offers")
    with capsys.disabled():
        sys.stdout.write(f"\n{found} offers: {requests} requests, {seconds:.2f} s, {peak:.0f} MiB\n")
    assert (found, requests) == (OFFERS, 1 + PUBLISHERS + len(EXTENSIONS))
    assert seconds < SECONDS
    assert peak < MEBIBYTES


def test_five_hundred_versions_with_everything_take_one_request(
    environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    found, requests, seconds, peak, first = browse(
        environ, publisher="publisher01", offer="offer001", sku="sku", details=True
    )
    with capsys.disabled():
        sys.stdout.write(f"\n{found} versions: {requests} requests, {seconds:.2f} s, {peak:.0f} MiB\n")
    assert (found, requests) == (VERSIONS, 1)
    assert first["version"] == f"1.0.{VERSIONS - 1}"
    assert seconds < SECONDS
    assert peak < MEBIBYTES
