// SPDX-License-Identifier: GPL-3.0-or-later
// SPDX-FileCopyrightText: The goldenimage.azure authors
//
// The source of a copy, read over HTTPS from this same service with whatever right its URL carries.
"use strict";

const https = require("https");

function asked(method, url, headers) {
  const all = { "x-ms-version": "2021-12-02", "user-agent": "local-azure", ...headers };
  return new Promise((resolve, reject) => {
    https.request(url, { method, headers: all }, (answer) => {
      const pieces = [];
      answer.on("data", (piece) => pieces.push(piece));
      answer.on("end", () => resolve({ status: answer.statusCode, body: Buffer.concat(pieces) }));
      answer.on("error", reject);
    }).on("error", reject).end();
  });
}

// Status and body of a part of the blob.
function fetched(url, range) {
  return asked("GET", url, { "x-ms-range": range });
}

// The status with which the blob's properties are answered; 500 when they are not.
async function headOf(url) {
  try {
    return (await asked("HEAD", url, {})).status;
  } catch {
    return 500;
  }
}

module.exports = { fetched, headOf };
