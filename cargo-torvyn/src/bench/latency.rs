//! Latencies: of each element from the input to an output, and in each part of the pipeline. They are measured once a batch,
//! in rounds in which nothing else is measured.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hdrhistogram::Histogram;
use serde::Serialize;
use torvyn_runtime::endpoint::Output;
use torvyn_runtime::ledger::{Call, Count, Kernel, Record, Ring};
use torvyn_runtime::payload::Batch;
use torvyn_runtime::{Clock, Cut};

/// Significant digits that a histogram keeps of a value.
const DIGITS: u8 = 3;
/// How many bars a plot has at most for a factor of ten.
const BARS_PER_DECADE: f64 = 8.0;

/// Values with three significant digits.
#[derive(Debug, Clone)]
pub(crate) struct Values(Histogram<u64>);

impl Default for Values {
    fn default() -> Values {
        Values(Histogram::new(DIGITS).expect("three digits are within the bounds of a histogram"))
    }
}

/// The distribution of some values.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Distribution {
    /// How many values there are.
    pub(crate) count: u64,
    pub(crate) min: u64,
    pub(crate) mean: f64,
    pub(crate) p50: u64,
    pub(crate) p90: u64,
    pub(crate) p99: u64,
    pub(crate) p99_9: u64,
    pub(crate) max: u64,
    /// How many values are above the previous bound and not above this one; bounds that nothing is between are omitted.
    pub(crate) bars: Vec<Bar>,
}

/// Values up to a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Bar {
    pub(crate) up_to: u64,
    pub(crate) count: u64,
}

impl Values {
    /// Adds a value that `count` elements have. A value is at least 1.
    pub(crate) fn add(&mut self, value: u64, count: u64) {
        self.0.record_n(value.max(1), count).expect("a histogram without an upper bound takes any value");
    }

    fn merge(&mut self, other: &Values) {
        self.0.add(&other.0).expect("a histogram without an upper bound takes any value");
    }

    /// `None` if there are no values.
    pub(crate) fn distribution(&self) -> Option<Distribution> {
        if self.0.is_empty() {
            return None;
        }
        let quantile = |quantile| self.0.value_at_quantile(quantile);
        let bars = self.0.iter_log(1, 10_f64.powf(1.0 / BARS_PER_DECADE));
        let bar = |up_to, count| Bar { up_to, count };
        let bars = bars.map(|step| bar(step.value_iterated_to(), step.count_since_last_iteration()));
        Some(Distribution {
            count: self.0.len(),
            min: self.0.min(),
            mean: self.0.mean(),
            p50: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
            p99_9: quantile(0.999),
            max: self.0.max(),
            bars: bars.filter(|bar| bar.count > 0).collect(),
        })
    }
}

/// The latencies of the rounds so far.
#[derive(Debug, Default)]
pub(crate) struct Latencies {
    /// From the input to an output of the host, in nanoseconds.
    pub(crate) end_to_end: Values,
    /// Of each node, in the order of the graph.
    pub(crate) nodes: Vec<NodeLatency>,
    /// Records for which there was no room.
    pub(crate) lost: u64,
}

/// The latencies of a part of the pipeline.
#[derive(Debug, Clone, Default)]
pub(crate) struct NodeLatency {
    /// Of each element in nanoseconds: from the end of the call that sent it to the end of the call that took it. For an input or
    /// a source, the time of the call that made it.
    pub(crate) time: Values,
    /// Elements in a call.
    pub(crate) batch: Values,
}

impl Latencies {
    /// Adds what the records of a flow of `nodes` nodes say.
    pub(crate) fn add_records(&mut self, ring: &Ring, nodes: usize) {
        self.nodes.resize(nodes, NodeLatency::default());
        self.lost += ring.lost();
        // When the call of a node that began at a time ended. A call is recorded when it has ended, after what it took.
        let mut ended: HashMap<(u16, u64), u64> = HashMap::new();
        let mut taken = Vec::new();
        for record in ring.iter() {
            match record {
                Record::HandOff(hand_off) => taken.push(hand_off),
                Record::Call(call) => {
                    let end = call.timestamp + call.duration;
                    ended.insert((call.node, call.timestamp), end);
                    let Some(node) = self.nodes.get_mut(usize::from(call.node)) else { continue };
                    for hand_off in taken.drain(..).filter(|hand_off| hand_off.to == call.node) {
                        if let Some(sent) = ended.get(&(hand_off.from, hand_off.sent)) {
                            node.time.add(end.saturating_sub(*sent), hand_off.elements.into());
                        }
                    }
                    if call.elements > 0 && matches!(call.call, Call::Pull | Call::Process | Call::Push) {
                        node.batch.add(call.elements.into(), 1);
                    }
                    if call.elements > 0 && call.call == Call::Pull {
                        node.time.add(call.duration, call.elements.into());
                    }
                }
                Record::Transfer(_) | Record::Transition(_) => {}
            }
        }
    }

    /// Adds the latencies that an output has seen.
    pub(crate) fn add_seen(&mut self, seen: &Seen) {
        self.end_to_end.merge(&seen.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// The latencies of the elements that outputs took. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<Values>>);

/// An output that looks at the clock after each batch.
pub(crate) struct Watched {
    output: Box<dyn Output>,
    seen: Seen,
}

impl Watched {
    /// Watches this output.
    pub(crate) fn new(output: Box<dyn Output>, seen: &Seen) -> Watched {
        Watched { output, seen: seen.clone() }
    }
}

impl Output for Watched {
    fn give_up_at(&mut self, cut: &Cut) {
        self.output.give_up_at(cut);
    }

    fn use_clock(&mut self, clock: &Clock) {
        self.output.use_clock(clock);
    }

    fn push(&mut self, batch: &Batch) -> io::Result<()> {
        self.output.push(batch)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos() as u64);
        let mut seen = self.seen.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Elements that were read together have the same time, and are neighbours.
        let (mut read, mut count) = (None, 0);
        for element in batch.iter() {
            if let Some(read) = read.filter(|read| *read != element.timestamp()) {
                seen.add(now.saturating_sub(read), std::mem::take(&mut count));
            }
            (read, count) = (Some(element.timestamp()), count + 1);
        }
        if let Some(read) = read {
            seen.add(now.saturating_sub(read), count);
        }
        Ok(())
    }

    fn settle(&mut self) -> io::Result<bool> {
        self.output.settle()
    }

    fn flush_delay(&self) -> Option<Duration> {
        self.output.flush_delay()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }

    fn complete(&mut self) -> io::Result<()> {
        self.output.complete()
    }

    fn host_copies(&self) -> Count {
        self.output.host_copies()
    }

    fn written(&self) -> u64 {
        self.output.written()
    }

    fn end_of_element(&self) -> &'static [u8] {
        self.output.end_of_element()
    }

    fn kernel(&self) -> Kernel {
        self.output.kernel()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distribution_has_every_value() {
        let mut values = Values::default();
        assert_eq!(values.distribution(), None);
        (1..=1000).for_each(|value| values.add(value, 1));
        values.add(0, 1);
        let found = values.distribution().unwrap();
        assert_eq!((found.count, found.min, found.p50, found.p90, found.max), (1001, 1, 500, 900, 1000));
        assert_eq!(found.bars.iter().map(|bar| bar.count).sum::<u64>(), 1001);
        assert!(found.bars.len() <= 1 + 3 * BARS_PER_DECADE as usize, "{}", found.bars.len());
        values.add(1 << 50, 1_000_000);
        assert_eq!(values.distribution().unwrap().count, 1_001_001, "no value is too large");
    }
}
