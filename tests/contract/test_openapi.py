# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The reader of Swagger files, pinned on files of the tests' own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.contract.examples import IMAGE, exchange
from tests.contract.exchange import Finding, Severity
from tests.contract.judge import Judge
from tests.contract.openapi import OpenApiContract
from tests.contract.openapi_files import specification_root

VERSION = {"name": "api-version", "in": "query", "required": True, "type": "string"}
IMAGE_PATH = (
    "/subscriptions/{subscriptionId}/resourceGroups/{group}/providers/Microsoft.Compute/images/{imageName}"
)
BASE = {
    "properties": {
        "id": {"type": "string", "readOnly": True},
        "location": {"type": "string", "x-ms-mutability": ["read", "create"]},
    },
    "required": ["location"],
}
PROPERTIES = {
    "type": "object",
    "properties": {
        "size": {"type": "integer", "minimum": 1},
        "closed": {"type": "string", "enum": ["A", "B"], "x-ms-enum": {"name": "C", "modelAsString": False}},
        "open": {"type": "string", "enum": ["A", "B"], "x-ms-enum": {"name": "O", "modelAsString": True}},
        "password": {"type": "string", "x-ms-secret": True},
        "key": {"type": "string", "x-ms-secret": True, "readOnly": True},
        "state": {"type": "string", "readOnly": True},
        "initial": {"type": "string", "x-ms-mutability": ["create"]},
        "gone": {"type": "string", "x-nullable": True},
        "anything": {"type": "object"},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "source": {"$ref": "#/definitions/Source"},
        "parts": {"type": "array", "items": {"$ref": "#/definitions/Properties"}},
    },
}
SOURCE = {
    "type": "object",
    "discriminator": "kind",
    "required": ["kind"],
    "properties": {"kind": {"type": "string"}},
}


def swagger(version: str, properties: dict[str, Any] | None = None) -> dict[str, Any]:
    image = {
        "type": "object",
        "allOf": [{"$ref": "./common.json#/definitions/Base"}],
        "properties": {"properties": {"$ref": "#/definitions/Properties"}},
    }
    answer = {"description": "", "schema": {"$ref": "#/definitions/Image"}}
    body = {"name": "body", "in": "body", "required": True, "schema": {"$ref": "#/definitions/Image"}}
    return {
        "swagger": "2.0",
        "info": {"title": "Images", "version": version},
        "paths": {
            IMAGE_PATH: {
                "parameters": [VERSION],
                "put": {"operationId": "Images_Put", "parameters": [body], "responses": {"200": answer}},
                "get": {"operationId": "Images_Get", "responses": {"200": answer}},
            }
        },
        "definitions": {
            "Image": image,
            "Properties": PROPERTIES if properties is None else properties,
            "Source": SOURCE,
        },
    }


def write_swagger(root: Path, version: str, document: dict[str, Any]) -> None:
    folder = root / "specification/compute/resource-manager/Microsoft.Compute/stable" / version
    folder.mkdir(parents=True)
    (folder / "image.json").write_text(json.dumps(document), encoding="utf-8")
    common = {"info": {"version": version}, "paths": {}, "definitions": {"Base": BASE}}
    (folder / "common.json").write_text(json.dumps(common), encoding="utf-8-sig")


@pytest.fixture
def contract(tmp_path: Path) -> OpenApiContract:
    write_swagger(tmp_path, "2024-01-01", swagger("2024-01-01"))
    return OpenApiContract(tmp_path)


def findings(contract: OpenApiContract, request: dict[str, Any], answer: dict[str, Any]) -> list[Finding]:
    """What is found where these properties are written, and these answered."""
    written = exchange(
        "PUT",
        IMAGE,
        version="2024-01-01",
        request={"location": "eastus", "properties": request},
        body={"id": IMAGE, "location": "eastus", "properties": answer},
    )
    operation = contract.find(written)
    assert operation is not None
    return contract.check(operation, written)


def test_everything_that_the_file_permits_passes(contract: OpenApiContract) -> None:
    request = {
        "size": 1,
        "closed": "A",
        "open": "Z",
        "password": "x",
        "initial": "x",
        "gone": None,
        "anything": {"a": [1]},
        "labels": {"a": "b"},
        "source": {"kind": "disk", "disk": {}},
        "parts": [{"size": 2, "parts": []}],
    }
    answer = {"size": 1, "key": "x", "state": "x", "gone": None, "open": "Y"}
    assert findings(contract, request, answer) == []


@pytest.mark.parametrize(
    ("request_body", "kind", "where"),
    [
        ({"sizes": 1}, "unknown-property", "/properties/sizes"),
        ({"size": 0}, "out-of-range", "/properties/size"),
        ({"size": "1"}, "wrong-type", "/properties/size"),
        ({"closed": "Z"}, "unknown-value", "/properties/closed"),
        ({"key": "x"}, "read-only", "/properties/key"),
        ({"state": "x"}, "read-only", "/properties/state"),
        ({"size": None}, "wrong-type", "/properties/size"),
        ({"labels": {"a": 1}}, "wrong-type", "/properties/labels/a"),
        ({"source": {}}, "missing-property", "/properties/source/kind"),
        ({"parts": [{}, {"parts": [{"state": "x"}]}]}, "read-only", "/properties/parts/1/parts/0/state"),
    ],
)
def test_unsound_request_is_found(
    request_body: dict[str, Any], kind: str, where: str, contract: OpenApiContract
) -> None:
    (found,) = findings(contract, request_body, {})
    assert (found.side, found.kind, found.where) == ("request", kind, where)


@pytest.mark.parametrize(
    ("answer", "kind", "where"),
    [
        ({"password": "x"}, "secret", "/properties/password"),
        ({"initial": "x"}, "secret", "/properties/initial"),
        ({"sizes": 1}, "unknown-property", "/properties/sizes"),
    ],
)
def test_unsound_answer_is_found(
    answer: dict[str, Any], kind: str, where: str, contract: OpenApiContract
) -> None:
    (found,) = findings(contract, {}, answer)
    assert (found.side, found.kind, found.where) == ("response", kind, where)


def test_properties_of_a_base_in_another_file_count(contract: OpenApiContract) -> None:
    read = exchange("GET", IMAGE, version="2024-01-01", body={"id": IMAGE})
    operation = contract.find(read)
    assert operation is not None
    (found,) = contract.check(operation, read)
    assert (found.kind, found.where) == ("missing-property", "/location")


@pytest.mark.parametrize(
    ("asked", "judged_by"),
    [
        ("2024-01-01", "2024-01-01"),
        ("2024-06-30", "2024-01-01"),
        ("2025-02-01", "2025-02-01"),
        ("2026-04-01", "2025-02-01"),
        ("2017-03-30", "2024-01-01"),
    ],
)
def test_the_newest_file_not_newer_than_the_request_judges(
    asked: str, judged_by: str, tmp_path: Path
) -> None:
    for version in ("2025-02-01", "2024-01-01"):
        write_swagger(tmp_path, version, swagger(version))
    operation = OpenApiContract(tmp_path).find(exchange("GET", IMAGE, version=asked))
    assert operation is not None
    assert operation.version == judged_by


def _image_with(**properties: Any) -> dict[str, Any]:
    return {"id": IMAGE, "location": "eastus", "properties": properties}


@pytest.mark.parametrize(
    ("version", "properties", "severity"),
    [
        ("2026-04-01", {"hyperVGeneration": "V2"}, Severity.NEWER),
        ("2024-01-01", {"hyperVGeneration": "V2"}, Severity.VIOLATION),
        ("2026-04-01", {"hyperGeneration": "V2"}, Severity.VIOLATION),
        ("2026-04-01", {"provisioningState": 1}, Severity.VIOLATION),
    ],
    ids=["newer and in the SDK", "not newer", "not in the SDK", "of wrong type"],
)
def test_what_an_older_file_lacks_passes_only_if_the_sdk_knows_it(
    version: str, properties: dict[str, Any], severity: Severity, tmp_path: Path
) -> None:
    old = {"type": "object", "properties": {"provisioningState": {"type": "string", "readOnly": True}}}
    write_swagger(tmp_path, "2024-01-01", swagger("2024-01-01", old))
    verdict = Judge(tmp_path).judge(exchange("GET", IMAGE, version=version, body=_image_with(**properties)))
    weights = {finding.severity for finding in verdict.findings if finding.judge == "openapi"}
    assert weights == {severity}
    assert bool(verdict.violations) == (severity is Severity.VIOLATION)


def test_value_that_an_older_file_lacks_passes_only_if_the_sdk_knows_it(tmp_path: Path) -> None:
    listed = {"type": "string", "enum": ["V1"], "x-ms-enum": {"name": "G", "modelAsString": False}}
    old = {"type": "object", "properties": {"hyperVGeneration": listed}}
    write_swagger(tmp_path, "2024-01-01", swagger("2024-01-01", old))

    def severities(value: str) -> set[Severity]:
        read = exchange("GET", IMAGE, version="2026-04-01", body=_image_with(hyperVGeneration=value))
        return {finding.severity for finding in Judge(tmp_path).judge(read).findings}

    assert severities("V2") == {Severity.NEWER}
    assert severities("V9") == {Severity.VIOLATION}


def test_request_that_the_service_refused_is_no_violation(tmp_path: Path) -> None:
    write_swagger(tmp_path, "2024-01-01", swagger("2024-01-01"))
    error = {"error": {"code": "InvalidParameter", "message": "size"}}
    request = {"location": "eastus", "properties": {"size": "big"}}
    asked = exchange("PUT", IMAGE, version="2024-01-01", request=request, status=400, body=error)
    verdict = Judge(tmp_path).judge(asked)
    assert verdict.violations == ()
    assert {finding.severity for finding in verdict.findings} == {Severity.REFUSED}


def test_folder_without_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="specification"):
        OpenApiContract(tmp_path)


def test_published_files_are_found_by_environment_only_where_they_are(tmp_path: Path) -> None:
    assert specification_root({"AZURE_OPENAPI_SPECS": str(tmp_path)}) is None
    (tmp_path / "specification").mkdir()
    assert specification_root({"AZURE_OPENAPI_SPECS": str(tmp_path)}) == tmp_path
