// SPDX-License-Identifier: GPL-3.0-or-later
// SPDX-FileCopyrightText: The goldenimage.azure authors
//
// Get Page Ranges as the real service answers it: touching ranges are one, long lists come in pages, and the
// difference to an earlier snapshot can be asked for. Azurite names one range for every write.
"use strict";

const LARGEST_PAGE = 10000;

function servePageRanges(pageBlobs, rules) {
  const list = pageBlobs.getPageRanges;

  pageBlobs.getPageRanges = async function (options, context) {
    const answer = await list.call(this, options, context);
    const earlier = context.request.getQuery("prevsnapshot");
    const found = { pageRange: answer.pageRange, clearRange: [] };
    if (earlier !== undefined) {
      Object.assign(found, await differences.call(this, options, context, earlier));
    }
    return { ...answer, ...paged(merged(found.pageRange), merged(found.clearRange), context) };
  };
  pageBlobs.getPageRangesDiff = pageBlobs.getPageRanges;

  async function differences(options, context, earlier) {
    const { account, container, blob } = new rules.Context(context);
    const of = (snapshot) =>
      this.metadataStore.getPageRanges(context, account, container, blob, snapshot, options.leaseAccessConditions);
    const [now, then] = [await of(options.snapshot), await of(earlier)];
    return compare(now.pageRangesInOrder || [], then.pageRangesInOrder || [], now.properties.contentLength);
  }
}

// Extents are only appended to: content is the same where it lies in the same place.
function compare(now, then, length) {
  const edges = new Set();
  for (const { start, end } of [...now, ...then]) {
    edges.add(start).add(end + 1);
  }
  const sorted = [...edges].filter((edge) => edge < length).sort((a, b) => a - b);
  const places = [now, then].map(walker);
  const pageRange = [];
  const clearRange = [];
  sorted.forEach((start, index) => {
    const end = (index + 1 < sorted.length ? sorted[index + 1] : length) - 1;
    const [present, past] = places.map((place) => place(start));
    if (present === past) return;
    (present === undefined ? clearRange : pageRange).push({ start, end });
  });
  return { pageRange, clearRange };
}

// Where the content of ascending offsets lies; undefined where nothing was written.
function walker(ranges) {
  let index = 0;
  return (offset) => {
    while (index < ranges.length && ranges[index].end < offset) index += 1;
    const range = ranges[index];
    if (range === undefined || range.start > offset) return undefined;
    return `${range.persistency.id}+${range.persistency.offset + offset - range.start}`;
  };
}

function merged(ranges) {
  const result = [];
  for (const { start, end } of ranges) {
    const last = result.at(-1);
    if (last !== undefined && last.end + 1 >= start) last.end = Math.max(last.end, end);
    else result.push({ start, end });
  }
  return result;
}

// The marker is the offset at which the next page begins.
function paged(pageRange, clearRange, context) {
  const from = Number(context.request.getQuery("marker") || 0);
  const most = Math.min(Number(context.request.getQuery("maxresults")) || LARGEST_PAGE, LARGEST_PAGE);
  const all = [
    ...pageRange.map((range) => ({ range, kind: "pageRange" })),
    ...clearRange.map((range) => ({ range, kind: "clearRange" })),
  ].sort((a, b) => a.range.start - b.range.start);
  const rest = all.filter(({ range }) => range.start >= from);
  const page = rest.slice(0, most);
  const of = (wanted) => page.filter(({ kind }) => kind === wanted).map(({ range }) => range);
  const next = rest[most];
  return { pageRange: of("pageRange"), clearRange: of("clearRange"), nextMarker: next && String(next.range.start) };
}

module.exports = { servePageRanges };
