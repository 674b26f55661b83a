// SPDX-License-Identifier: GPL-3.0-or-later
// SPDX-FileCopyrightText: The goldenimage.azure authors
//
// When a rule of faults fires: the same function of seed, name and count as in faults/schedule.py.
"use strict";

const crypto = require("crypto");

function chance(seed, name, number) {
  const digest = crypto.createHash("sha256").update(`${seed}/${name}/${number}`).digest();
  return digest.readUIntBE(0, 6) / 2 ** 48;
}

class Scheduled {
  constructor(rule) {
    this.rule = rule;
    this.matched = 0;
    this.injected = 0;
    this.path = new RegExp(`^(?:${rule.path})$`, "i");
    this.since = process.hrtime.bigint();
  }

  fires(method, path, query) {
    const { rule } = this;
    const age = Number(process.hrtime.bigint() - this.since) / 1e9;
    if (age < rule.after || (rule.before !== null && age >= rule.before)) return false;
    if (rule.methods.length && !rule.methods.includes(method)) return false;
    if (!this.path.test(path)) return false;
    for (const [name, value] of Object.entries(rule.query)) {
      if ((query.get(name) || "").toLowerCase() !== value.toLowerCase()) return false;
    }
    this.matched += 1;
    return (rule.times === null || this.injected < rule.times) && this.isDue(this.matched);
  }

  isDue(number) {
    const { rule } = this;
    if (rule.nth.length) return rule.nth.includes(number);
    if (rule.every !== null) return number % rule.every === 0;
    return rule.probability === null || chance(rule.seed, rule.name, number) < rule.probability;
  }
}

module.exports = { Scheduled, chance };
