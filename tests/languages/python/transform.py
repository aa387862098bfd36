"""A processor that reads and writes: each element again, in ASCII upper case. It refuses NUL bytes."""

import failing
from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import payload_read, payload_write
from wit_world.imports.types import Columns, Failure_InvalidInput, Outcome_Output, ProcessFailure, Reached


class Lifecycle(exports.Lifecycle):
    def init(self, config):
        return Columns(0)

    def teardown(self):
        pass


class Processor(exports.Processor):
    @failing.process
    def process(self, batch, count, metadata):
        payloads = payload_read.read_all(batch)
        written, end = [], 0
        for index, size in enumerate(metadata[:count]):
            start, end = end, end + size
            try:
                written.append(upper(payloads[start:end]))
            except Err as error:
                # What was made of the elements before this one goes on.
                raise Err(ProcessFailure(error.value, Reached(index, made_of(written)))) from error
        return made_of(written)

    def flush(self):
        return None


def upper(payload):
    if 0 in payload:
        raise Err(Failure_InvalidInput("it has a NUL byte"))
    return payload.upper()


def made_of(payloads):
    """Each payload takes over the metadata of the element with its index. No outputs: all go to output 0."""
    sizes = [len(payload) for payload in payloads]
    return Outcome_Output(payload_write.emit_all(b"".join(payloads), sizes, list(range(len(sizes))), []))
