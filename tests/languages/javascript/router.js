// A processor that decides by size alone: drops empty elements and forwards the rest.

export const lifecycle = {
  init: () => ({}),
  teardown() {},
};

export const processor = {
  process(batch, count, metadata) {
    // Bit 0 stands for output 0; no bit drops the element.
    const sizes = Array.from(metadata.subarray(0, count));
    return { tag: "routes", val: sizes.map((size) => (size > 0n ? 1 : 0)) };
  },
  flush: () => undefined,
};
