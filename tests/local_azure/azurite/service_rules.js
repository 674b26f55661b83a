// SPDX-License-Identifier: GPL-3.0-or-later
// SPDX-FileCopyrightText: The goldenimage.azure authors
//
// What the real blob service refuses and Azurite does not. The rules stand between Azurite's check of the
// signature and its handlers, so a stranger learns nothing from them. Limits: "Put Page", "Put Blob" and "Set
// Blob Properties" of the Azure Storage REST documentation.
"use strict";

const { serveAborts } = require("./blob_copies.js");
const { servePageRanges } = require("./page_ranges.js");
const { servePagesFromUrl } = require("./pages_from_url.js");
const { rangeOf } = require("./ranges.js");

const SECTOR = 512;
const LARGEST_PUT = 4 * 1024 * 1024;
const LARGEST_BLOB = 8 * 1024 ** 4;
// What the holder of a managed disk's shared access signature may do with its blob.
const LOOKING = ["Blob_GetProperties", "PageBlob_GetPageRanges", "PageBlob_GetPageRangesDiff"];
const READING = ["Blob_Download"];
const WRITING = ["PageBlob_UploadPages", "PageBlob_ClearPages", "PageBlob_UploadPagesFromURL"];

class ServiceRules {
  constructor(fromAzurite) {
    const own = (name) => fromAzurite(`./dist/src/blob/${name}.js`).default;
    this.StorageError = own("errors/StorageError");
    this.Context = own("context/BlobStorageContext");
    this.factory = own("errors/StorageErrorFactory");
    // Azurite puts the reason phrase of HTTP where the code belongs.
    this.factory.getInvalidPageRange = (contextId) => this.invalidRange({ contextId });
    this.pageBlobs = own("handlers/PageBlobHandler").prototype;
    this.blobs = own("handlers/BlobHandler").prototype;
    this.middlewareFactory = own("generated/middleware/HandlerMiddlewareFactory").prototype;
    this.operations = own("generated/artifacts/operation");
  }

  // To be called before the server is made.
  install() {
    servePageRanges(this.pageBlobs, this);
    servePagesFromUrl(this.pageBlobs, this);
    serveAborts(this.blobs, this);
    const { middlewareFactory, operations } = this;
    const rules = this;
    const create = middlewareFactory.createHandlerMiddleware;
    middlewareFactory.createHandlerMiddleware = function () {
      const handle = create.call(this);
      const store = this.handlers.blobHandler.metadataStore;
      return (context, next) => {
        rules.check(store, operations[context.operation], context).then(() => handle(context, next), next);
      };
    };
  }

  async check(store, operation, context) {
    const given = context.handlerParameters;
    await this.checkDiskAccess(store, operation, context);
    this.checkCopy(store, operation, context);
    if (operation === "PageBlob_Create" || operation === "PageBlob_Resize") {
      this.checkSize(context, given.blobContentLength);
    } else if (operation === "PageBlob_UploadPages") {
      this.checkPut(context, given.contentLength);
      await this.checkRange(store, context, given.options, given.contentLength);
    } else if (operation === "PageBlob_ClearPages") {
      await this.checkRange(store, context, given.options);
    } else if (operation === "PageBlob_UploadPagesFromURL") {
      this.checkPut(context, await this.checkRange(store, context, given.options));
    }
  }

  // A managed disk's blob can be looked at, and read or written as was granted; nothing else.
  async checkDiskAccess(store, operation, context) {
    const { account, container } = new this.Context(context);
    const policy = context.request.getQuery("si");
    if (policy === undefined || !account?.startsWith("md-")) return;
    const { containerAcl } = await store.getContainerACL(context, account, container);
    const granted = (containerAcl || []).find((one) => one.id === policy)?.accessPolicy?.permission || "";
    const allowed = [...LOOKING, ...(granted.includes("w") ? WRITING : READING)];
    if (!allowed.includes(operation)) {
      throw this.factory.getAuthorizationPermissionMismatch(context.contextId);
    }
  }

  // A blob that is being copied to is looked at only.
  checkCopy(store, operation, context) {
    const { account, container, blob } = new this.Context(context);
    if (store.copies.blocks(operation, { account, container, blob })) {
      throw this.error(context, 409, "PendingCopyOperation", "There is currently a pending copy operation.");
    }
  }

  checkSize(context, size) {
    if (!(size >= 0 && size <= LARGEST_BLOB && size % SECTOR === 0)) {
      throw this.error(context, 400, "InvalidHeaderValue",
        "The value for one of the HTTP headers is not in the correct format.",
        { HeaderName: "x-ms-blob-content-length", HeaderValue: String(size) });
    }
  }

  checkPut(context, length) {
    if (length > LARGEST_PUT) {
      throw this.error(context, 413, "RequestBodyTooLarge",
        "The request body is too large and exceeds the maximum permissible limit.", { MaxLimit: LARGEST_PUT });
    }
  }

  // The range is made of whole sectors and lies inside the blob; its length.
  async checkRange(store, context, options, length) {
    const { account, container, blob } = new this.Context(context);
    const { properties } = await store.downloadBlob(
      context, account, container, blob, undefined, options.leaseAccessConditions
    );
    if (properties.blobType !== "PageBlob") throw this.factory.getBlobInvalidBlobType(context.contextId);
    const range = rangeOf(context.request.getHeader("x-ms-range") || context.request.getHeader("range"));
    if (range === undefined || range.start % SECTOR !== 0 || range.length % SECTOR !== 0
        || range.length < SECTOR || range.start + range.length > properties.contentLength
        || (length !== undefined && length !== range.length)) {
      throw this.invalidRange(context);
    }
    return range.length;
  }

  invalidRange(context) {
    return this.error(context, 416, "InvalidPageRange", "The page range specified is invalid.");
  }

  error(context, status, code, message, more) {
    return new this.StorageError(status, code, message, context.contextId, more);
  }
}

module.exports = { ServiceRules };
