# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Leads an upload where the disk is on another host than the credentials, and shows how far it is.

Where both are on this very machine, the module disk_upload does it all. Else this plugin signs in and makes
the disk, and the host sends it by the module disk_send, which is given a SAS and nothing more.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, cast

from ansible.errors import AnsibleError
from ansible.module_utils.basic import missing_required_lib
from ansible.module_utils.common.parameters import remove_values
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
from ansible_collections.goldenimage.azure.plugins.plugin_utils.progress import (
    ProgressAction,
    followed,
    label,
)

_PART_ON_HOST = "goldenimage.azure.disk_send"
_LONG_STEPS = ("plan", "send", "verify")
# Of these it is known that they run a second command beside the first.
_FOLLOWED_CONNECTIONS = ("local", "ssh")


class ActionModule(ProgressAction):
    """Results are those of the module, whoever does the work."""

    module = "goldenimage.azure.disk_upload"

    def work(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        """The upload, led from here or done by the module."""
        if self._leads():
            return self._lead(task_vars)
        arguments = dict(self._task.args)
        # It says where to run, which is settled.
        arguments.pop("sign_in_on", None)
        return self.run_shown(arguments, task_vars)

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
        return not self.is_local() or bool(self._play_context.become)

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

        with followed(label(arguments), read):
            yield


def _done(job: UploadJob, options: Mapping[str, Any], warnings: list[str]) -> Outcome:
    """Do the upload; a SAS of the user's own needs no session."""
    if options["sas_url"]:
        return job.run(None)
    with open_session(options) as session:
        warnings.extend(session.warnings)
        return job.run(session)
