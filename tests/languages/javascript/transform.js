// A processor that reads and writes: each element again, in ASCII upper case. It refuses NUL bytes.

import { readAll } from "torvyn:streaming/payload-read@0.2.0";
import { emitAll } from "torvyn:streaming/payload-write@0.2.0";

export const lifecycle = {
  init: () => ({}),
  teardown() {},
};

export const processor = {
  process(batch, count, metadata) {
    const written = [];
    // The element that it is at; none before the payloads are read and after the last one.
    let index;
    try {
      const payloads = readAll(batch);
      let end = 0;
      for (index = 0; index < count; index++) {
        const start = end;
        end += Number(metadata[index]);
        written.push(upper(payloads.subarray(start, end)));
      }
      index = undefined;
      return madeOf(written);
    } catch (thrown) {
      // What was made of the elements before this one goes on.
      const reached = index === undefined ? undefined : { index, outcome: madeOf(written) };
      throw { failure: failureIn(thrown), reached };
    }
  },
  flush: () => undefined,
};

// A failure that the host returned is the payload of an error; one of our own is thrown as it is. Anything else that is
// thrown is a bug, and the stage traps.
function failureIn(thrown) {
  const failure = thrown?.payload ?? thrown;
  if (typeof failure?.tag !== "string") throw thrown;
  return failure;
}

function upper(payload) {
  if (payload.includes(0)) throw { tag: "invalid-input", val: "it has a NUL byte" };
  return payload.map((byte) => (byte >= 0x61 && byte <= 0x7a ? byte - 0x20 : byte));
}

// Each payload takes over the metadata of the element with its index. No outputs: all go to output 0.
function madeOf(payloads) {
  const sizes = payloads.map((payload) => payload.length);
  const bytes = new Uint8Array(sizes.reduce((sum, size) => sum + size, 0));
  let end = 0;
  for (const payload of payloads) {
    bytes.set(payload, end);
    end += payload.length;
  }
  const output = emitAll(bytes, BigUint64Array.from(sizes, BigInt), Uint32Array.from(sizes.keys()), new Uint32Array());
  return { tag: "output", val: output };
}
