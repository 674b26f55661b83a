// SPDX-License-Identifier: GPL-3.0-or-later
// SPDX-FileCopyrightText: The goldenimage.azure authors
//
// Copy Blob as the real service does it ("Copy Blob" and "Abort Copy Blob" of the Azure Storage REST
// documentation): at once within an account; between two accounts it is pending for as long as it takes, can be
// watched, fails when the source changes or can no longer be read, and can be aborted. Azurite knows only copies
// that are done at once. Block blobs are still copied so.
"use strict";

const { headOf } = require("./copy_source.js");

// What a copy between accounts takes on Azure: it waits for its turn, and then goes at about this pace.
const WAITING_SECONDS = 30;
const BYTES_PER_SECOND = 60 * 1024 * 1024;
const LOOKS = 20;
// What may be done to a blob that is being copied to.
const HARMLESS = new Set([
  "Blob_GetProperties", "Blob_Download", "Blob_AbortCopyFromURL", "Blob_AcquireLease", "Blob_RenewLease",
  "Blob_ReleaseLease", "Blob_ChangeLease", "Blob_BreakLease", "PageBlob_GetPageRanges", "PageBlob_GetPageRangesDiff",
]);

class BlobCopies {
  // `speed` is how much quicker than on Azure it goes.
  constructor(store, speed, newEtag) {
    this.store = store;
    this.speed = speed;
    this.newEtag = newEtag;
  }

  install() {
    for (const verb of ["startCopyFromURL", "copyFromURL"]) {
      const copy = this.store[verb].bind(this.store);
      this.store[verb] = async (context, source, target, ...rest) => {
        const properties = await copy(context, source, target, ...rest);
        const copied = this.find(target);
        // Azurite lets the source and the target share one list of page ranges until its next restart: a write to
        // either would show in both.
        copied.pageRangesInOrder = structuredClone(copied.pageRangesInOrder);
        if (verb === "startCopyFromURL" && this.takesTime(context, source, target, copied)) this.begin(source, copied);
        return properties;
      };
    }
    this.store.copies = this;
  }

  // Copies that were pending when the service ended.
  resume() {
    this.blobs().where((blob) => blob.copying !== undefined).forEach((blob) => this.watch(blob));
  }

  blobs() {
    return this.store.db.getCollection(this.store.BLOBS_COLLECTION);
  }

  find({ account, container, blob, snapshot = "" }) {
    return this.blobs().findOne({ accountName: account, containerName: container, name: blob, snapshot });
  }

  takesTime(context, source, target, copied) {
    // The local Azure itself moves disks by copies; how long that takes is its own matter.
    const own = context.request.getHeader("user-agent") === "local-azure";
    return !own && source.account !== target.account && copied.properties.blobType === "PageBlob";
  }

  begin(source, blob) {
    const bytes = blob.pageRangesInOrder.reduce((sum, { start, end }) => sum + end - start + 1, 0);
    blob.copying = {
      source, etag: this.find(source).properties.etag, ranges: blob.pageRangesInOrder, began: Date.now(),
      seconds: (WAITING_SECONDS + bytes / BYTES_PER_SECOND) / this.speed,
    };
    blob.pageRangesInOrder = [];
    Object.assign(blob.properties, { copyStatus: "pending", copyCompletionTime: undefined });
    this.showProgress(blob, 0);
    this.blobs().update(blob);
    this.watch(blob);
  }

  watch(blob) {
    const { copyId } = blob.properties;
    const place = { account: blob.accountName, container: blob.containerName, blob: blob.name };
    const { began, seconds } = blob.copying;
    const look = setInterval(() => {
      const present = this.find(place);
      const done = (Date.now() - began) / (1000 * seconds);
      if (!isPending(present) || present.properties.copyId !== copyId) {
        clearInterval(look);
      } else if (done < 1) {
        this.showProgress(present, done);
      } else {
        clearInterval(look);
        this.finish(place, copyId);
      }
    }, Math.max(20, (1000 * seconds) / LOOKS));
    look.unref();
  }

  showProgress(blob, done) {
    const length = blob.properties.contentLength;
    blob.properties.copyProgress = `${Math.floor(length * done)}/${length}`;
  }

  async finish(place, copyId) {
    const problem = await this.problem(this.find(place));
    const blob = this.find(place);
    // Aborted meanwhile, or gone with its container.
    if (!isPending(blob) || blob.properties.copyId !== copyId) return;
    const { ranges } = blob.copying;
    if (problem === undefined) {
      blob.pageRangesInOrder = ranges;
      this.showProgress(blob, 1);
    }
    this.end(blob, problem === undefined ? "success" : "failed", problem);
  }

  end(blob, copyStatus, copyStatusDescription) {
    delete blob.copying;
    const now = new Date();
    Object.assign(blob.properties, {
      copyStatus, copyStatusDescription, copyCompletionTime: now, lastModified: now, etag: this.newEtag(),
    });
    this.blobs().update(blob);
  }

  // Why the copy cannot succeed; undefined when it can.
  async problem(blob) {
    const source = this.find(blob.copying.source);
    if (!source) return '404 BlobNotFound "Copy failed when reading the source."';
    if (source.properties.etag !== blob.copying.etag) {
      return '412 ConditionNotMet "Copy failed when reading the source."';
    }
    const status = await headOf(blob.properties.copySource);
    return status < 300 ? undefined : `${status} ${REASONS[status] || "Error"} "Copy failed when reading the source."`;
  }

  abort(place) {
    const blob = this.find(place);
    // What stays is a blob without content.
    blob.properties.contentLength = 0;
    this.end(blob, "aborted", undefined);
  }

  blocks(operation, place) {
    return !HARMLESS.has(operation) && place.blob !== undefined && isPending(this.find(place));
  }

  isPending(place) {
    return isPending(this.find(place));
  }
}

const REASONS = { 403: "Forbidden", 404: "NotFound" };

function isPending(blob) {
  return Boolean(blob && blob.copying && blob.properties.copyStatus === "pending");
}

// Azurite refuses to abort a copy, and else does nothing.
function serveAborts(blobs, rules) {
  const abort = blobs.abortCopyFromURL;
  blobs.abortCopyFromURL = async function (copyId, options, context) {
    const answer = await abort.call(this, copyId, options, context);
    const { account, container, blob } = new rules.Context(context);
    const place = { account, container, blob };
    if (!this.metadataStore.copies.isPending(place)) {
      throw rules.factory.getNoPendingCopyOperation(context.contextId);
    }
    this.metadataStore.copies.abort(place);
    return answer;
  };
}

module.exports = { BlobCopies, serveAborts };
