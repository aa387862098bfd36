"""A processor that decides by size alone: drops empty elements and forwards the rest."""

from wit_world import exports
from wit_world.imports.types import Columns, Outcome_Routes


class Lifecycle(exports.Lifecycle):
    def init(self, config):
        return Columns(0)

    def teardown(self):
        pass


class Processor(exports.Processor):
    def process(self, batch, count, metadata):
        # Bit 0 stands for output 0; no bit drops the element.
        return Outcome_Routes([1 if size > 0 else 0 for size in metadata[:count]])

    def flush(self):
        return None
