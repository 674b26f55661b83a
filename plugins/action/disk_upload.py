# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Leads an upload where the disk is on another host than the credentials, and shows how far it is.

Where both are on this very machine, the module disk_upload does it all. Else this plugin signs in and makes
the disk, and the host sends it by the module disk_send, which is given a SAS and nothing more.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

from ansible import constants
from ansible.errors import AnsibleError
from ansible.module_utils.basic import missing_required_lib
from ansible.module_utils.common.parameters import remove_values
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import (
    AzureError,
    MissingLibrary,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import open_session
from ansible_collections.goldenimage.azure.plugins.module_utils._module import (
    AUTH_SPEC,
    Outcome,
    results_of,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.job import UploadJob
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.upload_options import (
    PATHS_ON_HOST,
    RULES,
    SPEC,
)

_MODULE = "goldenimage.azure.disk_upload"
_PART_ON_HOST = "goldenimage.azure.disk_send"
_EVERY = 3.0
_LONG_STEPS = ("plan", "send", "verify")
# Of these it is known that they run a second command beside the first.
_FOLLOWED_CONNECTIONS = ("local", "ssh")
_display = Display()


class ActionModule(ActionBase):
    """Results are those of the module, whoever does the work."""

    _supports_check_mode = True
    _supports_async = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Called by ansible-core."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        del tmp
        if self._leads():
            result.update(self._lead(task_vars or {}))
            return result
        arguments = dict(self._task.args)
        # It says where to run, which is settled.
        arguments.pop("sign_in_on", None)
        with self._progress(arguments):
            result.update(
                self._execute_module(
                    module_name=_MODULE,
                    module_args=arguments,
                    task_vars=task_vars,
                    wrap_async=self._task.async_val,
                )
            )
        return result

    def _is_local(self) -> bool:
        return getattr(self._connection, "transport", "") == "local"

    def _leads(self) -> bool:
        """Whether the credentials are used here and the disk is elsewhere, or somebody else's here."""
        wanted = self._task.args.get("sign_in_on")
        if self._task.async_val:
            if wanted == "controller":
                raise AnsibleError(
                    "sign_in_on is controller, but a task with async runs on its host alone; leave async out,"
                    " or set sign_in_on to host."
                )
            return False
        if wanted:
            return bool(wanted == "controller")
        return not self._is_local() or bool(self._play_context.become)

    def _lead(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        spec = {**AUTH_SPEC, **SPEC, **{name: {**SPEC[name], "type": "str"} for name in PATHS_ON_HOST}}
        _validated, options = cast("Any", self).validate_argument_spec(argument_spec=spec, **RULES)
        warnings: list[str] = []
        extra: dict[str, Any] = {}

        def run_step(given: Mapping[str, Any]) -> Mapping[str, Any]:
            arguments = dict(given)
            with self._progress_of_host(arguments, options):
                try:
                    done: dict[str, Any] = self._execute_module(
                        module_name=_PART_ON_HOST, module_args=arguments, task_vars=task_vars
                    )
                except AnsibleError as error:
                    # The host is lost. What it was doing has to be tidied up in Azure all the same.
                    return {"failed": True, "msg": str(error)}
            extra.update({key: done[key] for key in ("ansible_facts", "deprecations") if key in done})
            warnings.extend(done.get("warnings") or [])
            return done

        host = str(self._task.delegate_to or task_vars.get("inventory_hostname") or "the host")
        try:
            with (
                self._credentials_of_task(),
                UploadJob(
                    options, check_mode=bool(self._task.check_mode), host=host, run_step=run_step
                ) as job,
            ):
                outcome = _done(job, options, warnings)
            result = results_of(outcome, with_diff=bool(self._task.diff))
            warnings.extend(outcome.warnings)
        except MissingLibrary as error:
            result = {
                "failed": True,
                "msg": cast("Any", missing_required_lib)(error.library),
                "failure": error.as_result(),
            }
        except AzureError as error:
            result = {"failed": True, "msg": str(error), "failure": error.as_result()}
        if warnings:
            result["warnings"] = list(dict.fromkeys(warnings))
        secrets = {str(options[name]) for name, of in spec.items() if of.get("no_log") and options.get(name)}
        clean: dict[str, Any] = cast("Any", remove_values)({**extra, **result}, secrets)
        return clean

    @contextmanager
    def _credentials_of_task(self) -> Iterator[None]:
        """The keyword `environment` is for the host; what of it is a credential holds here as well."""
        before = dict(os.environ)
        for given in self._task.environment or []:
            for name, value in dict(self._templar.template(given) or {}).items():
                if str(name).startswith("AZURE_"):
                    os.environ[str(name)] = str(value)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)

    @contextmanager
    def _progress_of_host(self, arguments: dict[str, Any], options: Mapping[str, Any]) -> Iterator[None]:
        """Have the host write its progress into a file, and look into that by a command of its own."""
        if arguments["step"] not in _LONG_STEPS:
            yield
            return
        if options["progress_file"]:
            arguments["progress_file"] = options["progress_file"]
            yield
            return
        if getattr(self._connection, "transport", "") not in _FOLLOWED_CONNECTIONS:
            yield
            return
        shell = self._connection._shell
        if shell.tmpdir is None:
            self._make_tmp_path()
        file = shell.join_path(shell.tmpdir, f"progress-{arguments['step']}")
        arguments["progress_file"] = file

        def read() -> str:
            with suppress(AnsibleError):
                done = cast("Any", self)._low_level_execute_command(f"tail -n 1 {shlex.quote(file)}")
                if done.get("rc") == 0:
                    return str(done.get("stdout", ""))
            return ""

        with _followed(Path(str(arguments["path"])).name, read):
            yield

    @contextmanager
    def _progress(self, arguments: dict[str, Any]) -> Iterator[None]:
        """Have the module write its progress into a file, and show what it writes."""
        # With become the module runs as somebody who may not write where we can read.
        hidden = self._task.async_val or self._play_context.become or arguments.get("progress_file")
        if not self._is_local() or hidden:
            yield
            return
        # In Ansible's own temporary folder, which goes even when this process is not let finish.
        # Constants of ansible-core are made when it is imported, mypy does not see them.
        temporary: str = constants.DEFAULT_LOCAL_TMP  # type: ignore[attr-defined]
        folder = Path(tempfile.mkdtemp(prefix="disk_upload-", dir=temporary))
        file = folder / "progress"
        arguments["progress_file"] = str(file)

        def read() -> str:
            with suppress(OSError):
                # A line that is not complete yet is left for the next look.
                return "\n".join(file.read_text(encoding="utf-8").split("\n")[:-1][-1:])
            return ""

        try:
            with _followed(Path(str(arguments.get("path", ""))).name, read):
                yield
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _done(job: UploadJob, options: Mapping[str, Any], warnings: list[str]) -> Outcome:
    """Do the upload; a SAS of the user's own needs no session."""
    if options["sas_url"]:
        return job.run(None)
    with open_session(options) as session:
        warnings.extend(session.warnings)
        return job.run(session)


@contextmanager
def _followed(name: str, read: Callable[[], str]) -> Iterator[None]:
    """Show, every few seconds, the line of progress that `read` gives; empty as long as there is none."""
    stop = threading.Event()
    follower = threading.Thread(target=_follow, args=(name, read, stop), daemon=True)
    follower.start()
    try:
        yield
    finally:
        stop.set()
        follower.join(2)


def _follow(name: str, read: Callable[[], str], stop: threading.Event) -> None:
    shown = ""
    while not stop.wait(_EVERY):
        line = read().strip()
        if line and line != shown:
            shown = line
            with suppress(ValueError):
                _display.display(f"{name}: {sentence(json.loads(line))}")


def sentence(progress: dict[str, Any]) -> str:
    """One line for the user: bytes, percent of the data, MB/s and time left."""
    done, total, seconds = progress["done"], progress["total"], progress["seconds"]
    percent = 100 * done // total if total else 100
    if progress["phase"] == "reading":
        return f"looked at {percent} % of {total / 1e6:.0f} MB of data"
    text = f"sent {progress['sent'] / 1e6:.0f} MB, {percent} % of {total / 1e6:.0f} MB of data"
    # What an earlier run had sent went by at once and tells nothing of what is left.
    passed = done - progress["resumed"]
    if seconds <= 0 or passed <= 0:
        return text
    minutes, rest = divmod(round((total - done) * seconds / passed), 60)
    left = f"{minutes} min {rest} s" if minutes else f"{rest} s"
    return f"{text}, {progress['sent'] / 1e6 / seconds:.1f} MB/s, {left} left"
