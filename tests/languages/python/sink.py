"""A sink that reads nothing: counts elements and their bytes, and prints the totals at the end."""

from wit_world import exports
from wit_world.imports.types import BackpressureSignal, Columns

totals = {"elements": 0, "bytes": 0}


class Lifecycle(exports.Lifecycle):
    def init(self, config):
        return Columns(0)

    def teardown(self):
        pass


class Sink(exports.Sink):
    def push(self, batch, count, metadata):
        totals["elements"] += count
        totals["bytes"] += sum(metadata[:count])
        return BackpressureSignal.READY

    def complete(self):
        print(f"{totals['elements']} elements, {totals['bytes']} bytes")
