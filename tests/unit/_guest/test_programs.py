# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""What is told of a program that runs, fails, hangs or is missing."""

from __future__ import annotations

import os

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.programs import Programs, check_root
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import GuestError

PROGRAMS = Programs()


def test_ordinary_users_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(GuestError, match=r"Generalizing needs root, .* use become$"):
        check_root("Generalizing")


def test_programs_of_administrators_are_found_whatever_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert PROGRAMS.find("useradd") == "/usr/sbin/useradd"
    assert PROGRAMS.find("no-such-program") is None


def test_programs_speak_english_whatever_the_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    assert PROGRAMS.run(["sh", "-c", "echo $LC_ALL"]) == "C\n"


def test_failure_is_told_with_the_last_complaints() -> None:
    script = "for n in 1 2 3 4 5 6; do echo complaint $n >&2; done; echo printed; exit 3"
    with pytest.raises(GuestError, match=r"exit status 3: complaint 2 .* complaint 6$"):
        PROGRAMS.run(["sh", "-c", script])


def test_failure_without_complaints_is_told_with_what_was_printed() -> None:
    with pytest.raises(GuestError, match=r"exit status 4: printed$"):
        PROGRAMS.run(["sh", "-c", "echo printed; exit 4"])


def test_program_that_hangs_is_ended_and_named() -> None:
    with pytest.raises(GuestError, match=r"sleep did not run to its end: .*timed out after 0.1 seconds"):
        PROGRAMS.run(["sleep", "60"], timeout=0.1)


def test_program_that_is_missing_is_named() -> None:
    with pytest.raises(GuestError, match="no-such-program did not run to its end"):
        PROGRAMS.run(["no-such-program"])
