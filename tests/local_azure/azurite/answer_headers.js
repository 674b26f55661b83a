// SPDX-License-Identifier: GPL-3.0-or-later
// SPDX-FileCopyrightText: The goldenimage.azure authors
//
// Headers of answers in which the real blob service differs from Azurite: it speaks the version it was asked in,
// and says of every blob it sends that parts of it can be had.
"use strict";

function versionOf(request) {
  const asked = request.headers["x-ms-version"];
  return asked || new URL(request.url, "https://blobs").searchParams.get("sv") || undefined;
}

// `handle` is Azurite's listener for requests; so is what comes back.
function withAzuresHeaders(handle) {
  return (request, response) => {
    const version = versionOf(request);
    const set = response.setHeader.bind(response);
    response.setHeader = (name, value) => {
      const lowered = name.toLowerCase();
      if (lowered === "x-ms-blob-type" && request.method === "GET") {
        set("Accept-Ranges", "bytes");
      }
      // Refusals of Azurite's are without a version.
      if (lowered === "x-ms-error-code" && version) {
        set("x-ms-version", version);
      }
      return set(name, lowered === "x-ms-version" && version ? version : value);
    };
    handle(request, response);
  };
}

module.exports = { withAzuresHeaders };
