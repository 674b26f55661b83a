# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Recordings from source archives are read as the others are; this needs no archive."""

from __future__ import annotations

import yaml

from tests.fidelity.sdist_recordings import read_cassette

_SUBSCRIPTION = "/subscriptions/00000000-0000-0000-0000-000000000000"


def test_exchange_of_a_cassette_has_the_form_of_the_other_recordings() -> None:
    request = {
        "method": "PUT",
        "uri": f"https://management.azure.com{_SUBSCRIPTION}/resourceGroups/g%20h/x?api-version=2019-03-01&a=b",
        # As the recorder wrote what it had been given in bytes, twice over.
        "body": "b'b\\'{\"location\": \"westus\"}\\''",
        "headers": {"Accept": ["application/json"]},
    }
    response = {
        "status": {"code": 202, "message": "Accepted"},
        "headers": {"Azure-AsyncOperation": [f"https://management.azure.com{_SUBSCRIPTION}/o?m=true"]},
        "body": {"string": f'\ufeff{{"id": "{_SUBSCRIPTION}/x"}}'.encode()},
    }
    content = yaml.safe_dump({"interactions": [{"request": request, "response": response}], "version": 1})
    (exchange,) = read_cassette(content.encode())
    assert (exchange.method, exchange.host, exchange.status) == ("PUT", "management.azure.com", 202)
    assert exchange.path == "/subscriptions/{sub}/resourceGroups/g h/x"
    assert exchange.query == {"api-version": "2019-03-01", "a": "b"}
    assert exchange.request == {"location": "westus"}
    assert exchange.headers["azure-asyncoperation"].endswith("/subscriptions/{sub}/o?m=true")
    assert exchange.request_headers == {"accept": "application/json"}


def test_empty_bodies_are_none() -> None:
    request: dict[str, object] = {
        "method": "GET",
        "uri": "https://management.azure.com/x",
        "body": None,
        "headers": {},
    }
    response = {"status": {"code": 200}, "headers": {}, "body": {"string": ""}}
    (exchange,) = read_cassette(
        yaml.safe_dump({"interactions": [{"request": request, "response": response}]}).encode()
    )
    assert (exchange.request, exchange.body) == (None, None)
