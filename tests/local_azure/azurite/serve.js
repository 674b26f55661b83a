// SPDX-License-Identifier: GPL-3.0-or-later
// SPDX-FileCopyrightText: The goldenimage.azure authors
//
// Runs Azurite's blob service inside this process, so that storage accounts can come and go while it serves.
//
// Usage: node serve.js AZURITE_PACKAGE DATA_DIR PORT CERTIFICATE KEY SPEED
//   SPEED: how much quicker than on Azure copies are
//
// Requests come in on standard input and answers go out on standard output, one JSON object a line:
//   {"id": 1, "op": "accounts", "accounts": {"name": ["key1", "key2"]}}  all accounts from now on; the first one starts the service
//   {"id": 2, "op": "layout", "account": .., "container": .., "blob": ..} digest of where the blob's content lies
//   {"id": 3, "op": "faults", "rules": [..], "log": ..} the faults that clients meet from now on
//   {"id": 4, "op": "faultCounts"} by rule, how many requests it counted and how many went wrong
// The end of standard input ends the service in good order: it never outlives the program that started it.
// Account keys travel on this pipe because arguments and environments are readable by other processes.
"use strict";

const crypto = require("crypto");
const fs = require("fs");
const https = require("https");
const path = require("path");
const readline = require("readline");
const { Console } = require("console");
const { createRequire } = require("module");
const { withAzuresHeaders } = require("./answer_headers.js");
const { BlobCopies } = require("./blob_copies.js");
const { Crc64 } = require("./crc64.js");
const { Faults } = require("./faults.js");
const { ServiceRules } = require("./service_rules.js");

const [azuritePackage, dataDir, port, certificate, key, speed] = process.argv.slice(2);
const fromAzurite = createRequire(path.join(azuritePackage, "package.json"));

// Azurite's telemetry client is three quarters of what it loads. It stays off, so it need not be there.
const telemetry = fromAzurite.resolve("applicationinsights");
require.cache[telemetry] = { id: telemetry, filename: telemetry, loaded: true, exports: {} };
fromAzurite("./dist/src/common/Telemetry.js").AzuriteTelemetryClient.enableTelemetry = false;

const BlobConfiguration = fromAzurite("./dist/src/blob/BlobConfiguration.js").default;
const BlobServer = fromAzurite("./dist/src/blob/BlobServer.js").default;

const HOST = "127.0.0.1";
const KEEP_ALIVE_SECONDS = 120;
const faults = new Faults();
// Standard output belongs to the control channel; whatever Azurite prints goes to the log.
global.console = new Console(process.stderr, process.stderr);

function say(message) {
  process.stdout.write(JSON.stringify(message) + "\n");
}

function blobServer() {
  const extents = { locationId: "Default", locationPath: path.join(dataDir, "extents"), maxConcurrency: 16 };
  const configuration = new BlobConfiguration(
    HOST, Number(port), KEEP_ALIVE_SECONDS,
    path.join(dataDir, "blobs.json"), path.join(dataDir, "extents.json"), [extents],
    false, undefined, // access log
    false, undefined, // debug log
    true, // loose: headers it does not know are ignored
    true, // any x-ms-version
    certificate, key, "", "basic",
    true, // the account is always the first part of the path
    false
  );
  new ServiceRules(fromAzurite).install();
  const server = new BlobServer(configuration);
  const { newEtag } = fromAzurite("./dist/src/common/utils/utils.js");
  new BlobCopies(server.metadataStore, Number(speed), newEtag).install();
  const [azurite] = server.httpServer.listeners("request");
  server.httpServer.removeAllListeners("request");
  server.httpServer.on("request", faults.listener(withAzuresHeaders(azurite)));
  return server;
}

// The real service answers every write with its CRC-64, and so does Azurite, at 20 CPU seconds a GiB. The
// same sums, computed faster.
function checksumsAreFast(utils) {
  utils.computeTransactionalChecksums = async (stream, expected, force) => {
    const md5 = expected.md5 !== undefined || force?.md5 ? crypto.createHash("md5") : undefined;
    const crc64 = expected.crc64 !== undefined || force?.crc64 ? new Crc64() : undefined;
    for await (const chunk of stream) {
      md5?.update(chunk);
      crc64?.update(chunk);
    }
    return { md5: md5 && new Uint8Array(md5.digest()), crc64: crc64?.digest() };
  };
}

// Extents are only ever appended to, so equal layouts mean equal content. Copies share the layout of their
// source until one of them is written to.
async function layoutOf(server, { account, container, blob }) {
  const context = { contextId: "layout", startTime: new Date() };
  const found = await server.metadataStore.downloadBlob(context, account, container, blob);
  const digest = crypto.createHash("sha256").update(String(found.properties.contentLength));
  for (const { start, end, persistency } of found.pageRangesInOrder || []) {
    digest.update(`|${start}-${end}=${persistency.id}+${persistency.offset}`);
  }
  return digest.digest("hex");
}

function setAccounts(server, accounts) {
  process.env.AZURITE_ACCOUNTS = Object.entries(accounts)
    .map(([name, keys]) => [name, ...keys].join(":"))
    .join(";");
  server.accountDataStore.refresh();
}

async function main() {
  // A copy between two accounts makes Azurite ask itself for the source over HTTPS.
  https.globalAgent.options.ca = fs.readFileSync(certificate);
  https.globalAgent.options.allowPartialTrustChain = true;
  checksumsAreFast(fromAzurite("./dist/src/common/utils/utils.js"));
  const server = blobServer();
  let listening = false;

  async function answer(request) {
    if (request.op === "accounts") {
      setAccounts(server, request.accounts);
      if (!listening) {
        await server.start();
        server.metadataStore.copies.resume();
        listening = true;
      }
      return {};
    }
    if (request.op === "layout") {
      return { layout: await layoutOf(server, request) };
    }
    if (request.op === "faults") {
      faults.set(request.rules, request.log);
      return {};
    }
    if (request.op === "faultCounts") {
      return { counts: faults.counts() };
    }
    throw new Error(`unknown operation ${request.op}`);
  }

  const lines = readline.createInterface({ input: process.stdin });
  lines.on("line", async (line) => {
    const request = JSON.parse(line);
    try {
      say({ id: request.id, ok: true, ...(await answer(request)) });
    } catch (error) {
      say({ id: request.id, ok: false, error: error.message || String(error), code: error.storageErrorCode || error.code });
    }
  });
  lines.on("close", async () => {
    if (listening) {
      await server.close();
    }
    process.exit(0);
  });
  for (const signal of ["SIGINT", "SIGTERM"]) {
    process.on(signal, () => lines.close());
  }
}

main().catch((error) => {
  console.error(error.stack);
  process.exit(1);
});
