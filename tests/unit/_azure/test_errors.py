# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What users read when something failed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import (
    AzureError,
    CredentialError,
    MissingLibrary,
    NotFound,
    error_from_answer,
    importing,
    read_error,
    translated,
    unreachable,
    without_signatures,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.sign_in_errors import sign_in_failed

SAS = "https://md-1.blob.core.windows.net/c/abcd?sv=2018-03-28&sr=b&si=1-2&sig=abc%2Fdef%3D"
TOKEN = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJodHRwczovL21hbmFnZW1lbnQifQ.c2lnbmF0dXJlLWJ5dGVz"
UNKNOWN_APPLICATION = (
    "Authentication failed: AADSTS700016: Application with identifier 'x' was not found in 'y'. More.\r\n"
    "Trace ID: 1 Correlation ID: 2 Timestamp: 2026-01-01 00:00:00Z"
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"The source blob {SAS} is not accessible.", "is not accessible."),
        (f"blob '{SAS}' failed", "' failed"),
        (f"Authorization: Bearer {TOKEN}", "Authorization: <redacted>"),
        (f"token {TOKEN}, refused", "token <redacted>, refused"),
    ],
)
def test_signatures_and_tokens_are_removed_and_the_rest_stays(text: str, shown: str) -> None:
    cleaned = without_signatures(text)
    assert shown in cleaned
    assert "sig=" not in cleaned
    assert "eyJ" not in cleaned


def test_an_error_never_shows_a_signature_however_it_is_shown() -> None:
    error = AzureError(f"Could not copy {SAS}.", target=SAS, code="X")
    assert "sig=" not in json.dumps([str(error), repr(error), error.args, error.as_result()])
    assert "https://md-1.blob.core.windows.net/c/abcd" in str(error)


def test_an_ordinary_url_with_a_query_is_kept() -> None:
    text = "see https://aka.ms/x?a=1&b=2"
    assert without_signatures(text) == text


def test_the_result_has_all_parts() -> None:
    error = AzureError("m.", code="c", status=409, target="t", request_id="r", remedy="Do it.")
    assert error.as_result() == {
        "message": "m.",
        "code": "c",
        "status": 409,
        "target": "t",
        "request_id": "r",
        "remedy": "Do it.",
    }
    assert str(error) == "m. Do it."


@pytest.mark.parametrize(
    ("body", "code", "message", "target"),
    [
        ({"error": {"code": "C", "message": "m", "target": "disks"}}, "C", "m", "disks"),
        ({"code": "C", "message": "m"}, "C", "m", None),
        ({"error": {"code": "C", "message": "line\r\n  two"}}, "C", "line two", None),
        (
            {
                "error": {
                    "code": "C",
                    "message": "m",
                    "details": [{"code": "D", "message": "why", "target": "t"}],
                }
            },
            "C",
            "m D: why",
            "t",
        ),
        (
            {"error": {"code": "C", "message": "m why", "details": [{"code": "D", "message": "why"}]}},
            "C",
            "m why",
            None,
        ),
        (
            {"error": {"code": "C", "message": "", "details": [{"code": "C", "message": "why"}]}},
            "C",
            "why",
            None,
        ),
        (
            {
                "error": {
                    "code": "Outer",
                    "message": json.dumps({"error": {"code": "Inner", "message": "deep"}}),
                }
            },
            "Inner",
            "deep",
            None,
        ),
        (
            {
                "error": {
                    "code": "P",
                    "message": "m",
                    "details": [{"code": "P", "message": '{"error":{"code":"Q","message":"x"}}'}],
                }
            },
            "P",
            "m Q: x",
            None,
        ),
    ],
)
def test_forms_of_error_bodies(body: Any, code: str, message: str, target: str | None) -> None:
    found = read_error(body)
    assert found is not None
    assert (found.code, found.message, found.target) == (code, message, target)


@pytest.mark.parametrize("body", [None, [], "text", {}, {"error": None}, {"error": "text"}, {"value": []}])
def test_what_is_no_error_body(body: Any) -> None:
    assert read_error(body) is None


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, CredentialError), (404, NotFound), (403, AzureError), (409, AzureError), (429, AzureError)],
)
def test_statuses_have_their_class(status: int, kind: type[AzureError]) -> None:
    error = error_from_answer("x", status, {}, {"error": {"code": "C", "message": "m."}})
    assert error.__class__ is kind
    assert error.message == f"Could not x: C: m (HTTP {status})."
    assert error.status == status


def test_an_answer_without_an_error_body_shows_its_beginning() -> None:
    error = error_from_answer("x", 502, {}, None, "<html>\n<h1>Bad Gateway</h1> " + "y" * 5000)
    assert str(error).startswith("Could not x: <html> <h1>Bad Gateway</h1> yyy")
    assert len(str(error)) < 400


def test_the_blob_services_code_is_taken_from_its_header() -> None:
    error = error_from_answer("x", 404, {"x-ms-error-code": "BlobNotFound"}, None, "")
    assert (error.code, error.message) == ("BlobNotFound", "Could not x: BlobNotFound (HTTP 404).")


@pytest.mark.parametrize(
    ("headers", "identifier"),
    [
        ({"x-ms-request-id": "a", "x-ms-correlation-request-id": "b"}, "a"),
        ({"x-ms-correlation-request-id": "b"}, "b"),
        ({}, None),
    ],
)
def test_the_request_id_is_kept(headers: dict[str, str], identifier: str | None) -> None:
    assert error_from_answer("x", 500, headers, None).request_id == identifier


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (
            "HTTPSConnection(host='h.example', port=443): Failed to resolve (Name or service not known)",
            "h.example cannot be reached, its name does not resolve.",
        ),
        (
            "HTTPSConnectionPool(host='h', port=8443): Read timed out. (read timeout=120)",
            "h:8443 cannot be reached, it did not answer in time.",
        ),
        (
            "('Connection aborted.', RemoteDisconnected('Remote end closed'))",
            "the connection was closed early.",
        ),
        ("[SSL: WRONG_VERSION_NUMBER] wrong version number", "no TLS connection could be made."),
        ("something else", "the server cannot be reached, something else."),
    ],
)
def test_causes_of_silence(text: str, part: str) -> None:
    assert part in str(unreachable("x", OSError(text)))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            UNKNOWN_APPLICATION,
            "AADSTS700016: Application with identifier 'x' was not found in 'y'. Check client_id",
        ),
        (
            "AADSTS7000222: The provided client secret keys for app 'x' are expired. Visit ...",
            "create a new one",
        ),
        (
            "AADSTS50076: Due to a configuration change you must use multi-factor authentication.",
            "use a service principal",
        ),
        (
            "AADSTS9999999: Something\nnew. More.",
            "AADSTS9999999: Something new. Check the credential options",
        ),
        (
            "ManagedIdentityCredential authentication unavailable, no response from the IMDS endpoint.",
            "no response from the IMDS endpoint. Check the credential options",
        ),
        (
            "Unable to get authority configuration for https://l/t. Authority would be ...",
            "the sign-in service does not know the tenant. Check tenant (AZURE_TENANT) and cloud",
        ),
        (
            "Please run 'az login' to set up an account\nTo mitigate this issue, see https://aka.ms/x",
            "an account. Check",
        ),
    ],
)
def test_sign_in_errors_are_one_sentence_and_a_remedy(text: str, sentence: str) -> None:
    error = sign_in_failed(text, "service principal c")
    assert sentence in str(error)
    assert str(error).startswith("Could not sign in to Azure with service principal c: ")
    assert "\n" not in str(error)
    for noise in ("Trace ID", "Correlation ID", "Timestamp", "To mitigate"):
        assert noise not in str(error)


def test_the_remedy_fits_the_way_of_signing_in() -> None:
    assert "machine in Azure that has a managed identity" in str(
        sign_in_failed("No response.", "the managed identity")
    )
    assert "Run az login" in str(sign_in_failed("Not logged in.", "the Azure CLI"))


def test_our_own_errors_pass_through_a_translation_unchanged() -> None:
    mine = NotFound("mine")
    with pytest.raises(NotFound) as caught, translated("x"):
        raise mine
    assert caught.value is mine


def test_programming_errors_are_not_translated() -> None:
    with pytest.raises(KeyError), translated("x"):
        raise KeyError("bug")


def test_a_missing_distribution_is_named_and_other_errors_are_not_hidden() -> None:
    with pytest.raises(MissingLibrary) as caught, importing("azure-nothing"):
        import azure.nothing  # type: ignore[import-untyped]  # noqa: F401, PLC0415
    assert caught.value.library == "azure-nothing"
    with pytest.raises(ZeroDivisionError), importing("x"):
        raise ZeroDivisionError
