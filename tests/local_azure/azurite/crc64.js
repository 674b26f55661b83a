// SPDX-License-Identifier: GPL-3.0-or-later
// SPDX-FileCopyrightText: The goldenimage.azure authors
//
// CRC-64/NVME (reflected polynomial 9A6C9329AC4BC9B5, all bits inverted before and after), eight bytes at a time.
// Azurite computes it over every write, one byte at a time, and does little else meanwhile.
"use strict";

const POLYNOMIAL = 0x9a6c9329ac4bc9b5n;
const SLICES = 8;
const LOW = new Int32Array(SLICES * 256);
const HIGH = new Int32Array(SLICES * 256);

// Slice n holds the remainders of a byte that n zero bytes follow.
for (let byte = 0; byte < 256; byte++) {
  let remainder = BigInt(byte);
  for (let slice = 0; slice < SLICES; slice++) {
    for (let bit = 0; bit < 8; bit++) {
      remainder = remainder & 1n ? (remainder >> 1n) ^ POLYNOMIAL : remainder >> 1n;
    }
    LOW[slice * 256 + byte] = Number(BigInt.asIntN(32, remainder));
    HIGH[slice * 256 + byte] = Number(BigInt.asIntN(32, remainder >> 32n));
  }
}

class Crc64 {
  constructor() {
    this.low = -1;
    this.high = -1;
  }

  update(bytes) {
    let low = this.low;
    let high = this.high;
    let at = 0;
    for (const whole = bytes.length - (bytes.length % 8); at < whole; at += 8) {
      const a = low ^ (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24));
      const b = high ^ (bytes[at + 4] | (bytes[at + 5] << 8) | (bytes[at + 6] << 16) | (bytes[at + 7] << 24));
      const a0 = 1792 + (a & 255), a1 = 1536 + ((a >>> 8) & 255), a2 = 1280 + ((a >>> 16) & 255), a3 = 1024 + (a >>> 24);
      const b0 = 768 + (b & 255), b1 = 512 + ((b >>> 8) & 255), b2 = 256 + ((b >>> 16) & 255), b3 = b >>> 24;
      low = LOW[a0] ^ LOW[a1] ^ LOW[a2] ^ LOW[a3] ^ LOW[b0] ^ LOW[b1] ^ LOW[b2] ^ LOW[b3];
      high = HIGH[a0] ^ HIGH[a1] ^ HIGH[a2] ^ HIGH[a3] ^ HIGH[b0] ^ HIGH[b1] ^ HIGH[b2] ^ HIGH[b3];
    }
    for (; at < bytes.length; at++) {
      const index = (low ^ bytes[at]) & 255;
      low = ((low >>> 8) | (high << 24)) ^ LOW[index];
      high = (high >>> 8) ^ HIGH[index];
    }
    this.low = low;
    this.high = high;
    return this;
  }

  // Eight bytes, lowest first, as in the x-ms-content-crc64 header.
  digest() {
    const result = new DataView(new ArrayBuffer(8));
    result.setInt32(0, ~this.low, true);
    result.setInt32(4, ~this.high, true);
    return new Uint8Array(result.buffer);
  }
}

module.exports = { Crc64 };
