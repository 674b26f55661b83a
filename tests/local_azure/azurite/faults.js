// SPDX-License-Identifier: GPL-3.0-or-later
// SPDX-FileCopyrightText: The goldenimage.azure authors
//
// What stands before Azurite's own handler, in the same process and on the same TLS connection: faults that
// clients meet. Rules come from the control channel; what was done by them is appended to a log.
"use strict";

const crypto = require("crypto");
const fs = require("fs");
const { Scheduled } = require("./schedule.js");

const TRICKLES_PER_SECOND = 10;

class Faults {
  constructor() {
    this.scheduled = [];
    this.log = undefined;
  }

  // Rules that are in force already go on counting.
  set(rules, log) {
    const present = new Map(this.scheduled.map((one) => [one.rule.name, one]));
    this.scheduled = rules.map((rule) => present.get(rule.name) || new Scheduled(rule));
    this.log = log;
  }

  counts() {
    return Object.fromEntries(
      this.scheduled.map(({ rule, matched, injected }) => [rule.name, { matched, injected }])
    );
  }

  // The fault of this request: the first rule's that fires. Every rule counts it.
  next(request) {
    // The local Azure itself, and Azurite when it asks itself for the source of a copy, are never disturbed.
    if (this.scheduled.length === 0 || /^(local-azure$|axios\/)/.test(request.headers["user-agent"] || "")) {
      return undefined;
    }
    const url = new URL(request.url, "https://blob");
    const path = decodeURIComponent(url.pathname);
    const firing = this.scheduled.filter((one) => one.fires(request.method, path, url.searchParams));
    if (firing.length === 0) return undefined;
    const [{ rule, matched }] = firing;
    firing[0].injected += 1;
    const event = {
      time: new Date().toISOString(), event: "fault", rule: rule.name, number: matched, service: "blob",
      method: request.method, path, comp: url.searchParams.get("comp") || "", kind: rule.kind, seed: rule.seed,
    };
    fs.appendFileSync(this.log, JSON.stringify(event) + "\n", { mode: 0o600 });
    return rule;
  }

  listener(azurite) {
    return (request, response) => {
      const rule = this.next(request);
      if (rule === undefined) azurite(request, response);
      else EFFECTS[rule.kind](rule, request, response, azurite);
    };
  }
}

const EFFECTS = {
  throttle: refuse,
  error: refuse,
  expire_sas: refuse,

  drop({ options }, request, response, azurite) {
    if (options.when === "before") {
      request.socket.destroy();
    } else if (options.when === "during" && Number(request.headers["content-length"] || 0) > 0) {
      cutBody(request);
      azurite(request, response);
    } else {
      hold(response, (whole) => {
        if (options.when === "during") whole.send(half(whole.length), () => request.socket.destroy());
        else request.socket.destroy();
      });
      azurite(request, response);
    }
  },

  stall({ options }, request, response, azurite) {
    hold(response, (whole) => {
      const first = half(whole.length);
      if (first > 0) whole.send(first);
      setTimeout(() => {
        if (options.then === "drop") request.socket.destroy();
        else whole.send(whole.length - first);
      }, options.seconds * 1000).unref();
    });
    azurite(request, response);
  },

  trickle({ options }, request, response, azurite) {
    hold(response, (whole) => {
      const step = Math.max(1, Math.floor(options.bytes_per_second / TRICKLES_PER_SECOND));
      const more = () => {
        if (whole.send(step)) setTimeout(more, (1000 * step) / options.bytes_per_second).unref();
      };
      more();
    });
    azurite(request, response);
  },

  truncate(_rule, request, response, azurite) {
    hold(response, (whole) => {
      whole.cut(half(whole.length));
      whole.send(whole.length);
    });
    azurite(request, response);
  },

  corrupt({ options }, request, response, azurite) {
    if (options.what === "request") {
      corruptBody(request);
    } else {
      hold(response, (whole) => {
        whole.flip();
        whole.send(whole.length);
      });
    }
    azurite(request, response);
  },
};

function half(length) {
  return Math.floor(length / 2);
}

// The answer of the real service, without asking Azurite. The body of the request is read, as there.
function refuse({ answer }, request, response) {
  const id = crypto.randomUUID();
  const text =
    `\ufeff<?xml version="1.0" encoding="utf-8"?><Error><Code>${answer.code}</Code><Message>${escaped(answer.message)}\n` +
    `RequestId:${id}\nTime:${new Date().toISOString()}</Message></Error>`;
  const body = request.method === "HEAD" ? "" : text;
  const reply = () => {
    response.writeHead(answer.status, {
      "Content-Type": "application/xml", "Content-Length": Buffer.byteLength(body),
      "x-ms-error-code": answer.code, "x-ms-request-id": id, "x-ms-version": "2021-12-02", ...answer.headers,
    });
    response.end(body);
  };
  request.resume().on("end", reply);
}

function escaped(text) {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;");
}

// Azurite gets a body with one byte changed. Chunks come from the HTTP parser by this very method.
function corruptBody(request) {
  const push = request.push.bind(request);
  let done = false;
  request.push = (chunk, encoding) => {
    if (!done && chunk && chunk.length) {
      chunk = Buffer.from(chunk);
      chunk[half(chunk.length)] ^= 0x55;
      done = true;
    }
    return push(chunk, encoding);
  };
}

// The connection ends in the midst of the request's body.
function cutBody(request) {
  const enough = half(Number(request.headers["content-length"]));
  const push = request.push.bind(request);
  let seen = 0;
  request.push = (chunk, encoding) => {
    if (seen >= enough) return false;
    const piece = chunk && chunk.subarray(0, enough - seen);
    seen += piece ? piece.length : 0;
    const more = push(piece, encoding);
    if (seen >= enough) request.socket.destroy();
    return more;
  };
}

// Azurite's answer, kept back until it is whole.
class Held {
  constructor(response, write, end) {
    this.response = response;
    this.write = write;
    this.finish = end;
    this.body = Buffer.alloc(0);
    this.sent = 0;
  }

  get length() {
    return this.body.length;
  }

  cut(length) {
    this.body = this.body.subarray(0, length);
    this.response.setHeader("Content-Length", length);
  }

  flip() {
    if (this.length > 0) {
      this.body = Buffer.from(this.body);
      this.body[half(this.length)] ^= 0x55;
    }
  }

  // Sends so many bytes more; false once everything is sent, the end of the answer included.
  send(count, then) {
    const piece = this.body.subarray(this.sent, this.sent + count);
    this.sent += piece.length;
    if (this.sent >= this.length && then === undefined && (count > 0 || this.length === 0)) {
      this.finish(piece);
      return false;
    }
    if (piece.length > 0) this.write(piece, then);
    else if (then) then();
    return true;
  }
}

// Express sets status and headers before it writes; both stay changeable until the first byte is sent.
function hold(response, release) {
  const write = response.write.bind(response);
  const end = response.end.bind(response);
  const pieces = [];
  const keep = (chunk, encoding) => {
    if (chunk && typeof chunk !== "function") {
      pieces.push(Buffer.isBuffer(chunk) ? Buffer.from(chunk) : Buffer.from(chunk, typeof encoding === "string" ? encoding : "utf8"));
    }
  };
  response.write = (chunk, encoding, callback) => {
    keep(chunk, encoding);
    const done = typeof encoding === "function" ? encoding : callback;
    if (done) process.nextTick(done);
    return true;
  };
  response.end = (chunk, encoding) => {
    keep(chunk, encoding);
    const held = new Held(response, write, end);
    held.body = Buffer.concat(pieces);
    release(held);
    return response;
  };
}

module.exports = { Faults };
