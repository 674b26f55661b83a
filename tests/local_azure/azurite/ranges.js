// SPDX-License-Identifier: GPL-3.0-or-later
// SPDX-FileCopyrightText: The goldenimage.azure authors
"use strict";

// "bytes=0-511" -> {start: 0, length: 512}; undefined for anything else.
function rangeOf(text) {
  const [, start, end] = /^bytes=(\d+)-(\d+)$/.exec(text || "") || [];
  return end === undefined ? undefined : { start: Number(start), length: Number(end) - Number(start) + 1 };
}

module.exports = { rangeOf };
