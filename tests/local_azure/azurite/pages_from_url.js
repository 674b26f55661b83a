// SPDX-License-Identifier: GPL-3.0-or-later
// SPDX-FileCopyrightText: The goldenimage.azure authors
//
// Put Page From URL, which Azurite lacks. The source is read over HTTPS from this same service, with whatever
// right its URL carries; other services are not reached from here.
"use strict";

const crypto = require("crypto");
const { Readable } = require("stream");
const { fetched } = require("./copy_source.js");
const { rangeOf } = require("./ranges.js");

function servePagesFromUrl(pageBlobs, rules) {
  pageBlobs.uploadPagesFromURL = async function (sourceUrl, sourceRange, contentLength, _range, options, context) {
    if (contentLength !== 0) {
      throw rules.error(context, 400, "InvalidHeaderValue",
        "The value for one of the HTTP headers is not in the correct format.",
        { HeaderName: "Content-Length", HeaderValue: String(contentLength) });
    }
    const wanted = rangeOf(sourceRange);
    const target = rangeOf(context.request.getHeader("x-ms-range") || context.request.getHeader("range"));
    if (wanted === undefined || wanted.length !== target.length) throw rules.invalidRange(context);
    const content = await read(sourceUrl, sourceRange, context);
    if (content.length !== wanted.length) throw rules.invalidRange(context);
    checkMd5(context, content);
    const answer = await this.uploadPages(Readable.from([content]), content.length, options, context);
    return { ...answer, contentMD5: crypto.createHash("md5").update(content).digest() };
  };

  function unverified(context, status, message) {
    return rules.error(context, status, "CannotVerifyCopySource", message);
  }

  async function read(sourceUrl, range, context) {
    if (!URL.canParse(sourceUrl) || new URL(sourceUrl).host !== context.request.getHeader("host")) {
      throw unverified(context, 404, "The specified resource does not exist.");
    }
    const { status, body } = await fetched(sourceUrl, range);
    if (status === 404) throw unverified(context, 404, "The specified resource does not exist.");
    if (status >= 400) throw unverified(context, status, "Could not verify the copy source within the specified time.");
    return body;
  }

  function checkMd5(context, content) {
    const expected = context.request.getHeader("x-ms-source-content-md5");
    const found = crypto.createHash("md5").update(content).digest("base64");
    if (expected !== undefined && expected !== found) {
      throw rules.factory.getMd5Mismatch(context.contextId, expected, found);
    }
  }
}

module.exports = { servePagesFromUrl };
