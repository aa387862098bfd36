// A sink that reads nothing: counts elements and their bytes, and prints the totals at the end.

let elements = 0;
let bytes = 0n;

export const lifecycle = {
  init: () => ({}),
  teardown() {},
};

export const sink = {
  push(batch, count, metadata) {
    elements += count;
    for (const size of metadata.subarray(0, count)) bytes += size;
    return "ready";
  },
  complete() {
    console.log(`${elements} elements, ${bytes} bytes`);
  },
};
