//! How often a component really copies, according to the ledger of its flows.

use std::fmt;
use std::iter;
use std::time::Duration;

use bytes::Bytes;
use torvyn_runtime::contract::Bound;
use torvyn_runtime::contract::Kind;
use torvyn_runtime::pipeline::graph::Role;
use torvyn_runtime::{Account, Component, Error, Limits};

use crate::guest::ComponentFile;
use crate::{Collected, Elements, engine, input, output, run, stage_of};

/// A component to measure.
pub struct Specimen {
    component: Component,
    limits: Limits,
    config: Vec<(String, String)>,
}

/// The measurements over all flows that ended normally.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measured {
    /// The most reads of one element.
    pub reads: u64,
    /// Whether each element was read equally often.
    pub even: bool,
    /// The most payloads written for an element, on average over a flow.
    pub writes: u64,
    /// Whether each flow wrote equally many.
    pub writes_even: bool,
}

impl Measured {
    /// The claims that do not hold.
    pub fn beyond(&self, reads: Bound, writes: Bound) -> Vec<String> {
        let claims = [("reads", reads, self.reads, self.even), ("writes", writes, self.writes, self.writes_even)];
        let mut beyond = Vec::new();
        for (what, claimed, count, even) in claims {
            let Some(max) = claimed.max else { continue };
            if count > u64::from(max) {
                beyond.push(format!("at most {max} {what}"));
            } else if claimed.exact && !(even && count == u64::from(max)) {
                beyond.push(format!("exactly {max} {what}"));
            }
        }
        beyond
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let some = |even: bool| if even { "all" } else { "most" };
        write!(f, "{} reads ({}), {} writes", self.reads, some(self.even), self.writes)
    }
}

impl Specimen {
    /// The component with these settings, and this time limit for each call.
    ///
    /// # Errors
    ///
    /// If it does not load.
    pub fn load(bytes: &[u8], config: &[(&str, &str)], time: Duration) -> Result<Specimen, Error> {
        let file = ComponentFile::new(bytes);
        let limits = Limits { memory: 16 << 20, time, ..Limits::default() };
        let component = Component::load(engine(), &file.path, &limits)?;
        let config = config.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        Ok(Specimen { component, limits, config })
    }

    /// The cost of flows with this many elements. They arrive in batches of one, two, four and so on: 15 end with a batch of 8,
    /// 127 with one of 64. `None` if no flow ended normally.
    ///
    /// A source makes its own elements, in one flow.
    pub fn measure(&self, elements: &[usize]) -> Option<Measured> {
        let full = || Bytes::from_static(b"x");
        let (mut reads, mut writes) = (Vec::new(), Vec::new());
        let of_source = self.component.profile().kind == Kind::Source;
        for &count in if of_source { &[0][..] } else { elements } {
            let Some(account) = self.flow(vec![full(); count]) else { continue };
            let (all, elements) = (account.stages[0].copies, account.elements.entered.max(1));
            reads.extend([all.payload_read.ops.div_ceil(elements), all.payload_read.ops / elements]);
            writes.extend([all.payload_write.ops.div_ceil(elements), all.payload_write.ops / elements]);
            if of_source {
                continue;
            }
            // The first element, and the last batch.
            for element in iter::once(0).chain((count / 2).max(1)..count) {
                let mut payloads = vec![Bytes::new(); count];
                payloads[element] = full();
                // A read of an empty payload has no bytes, or is refused, so the bytes are the reads of the other
                // element.
                let Some(account) = self.flow(payloads) else { continue };
                let stage = &account.stages[0];
                assert!(u64::from(stage.reads_max) >= stage.copies.payload_read.bytes, "the host counts what is read");
                reads.push(stage.copies.payload_read.bytes);
            }
        }
        let even = |counts: &[u64]| counts.iter().all(|count| *count == counts[0]);
        reads.iter().max().zip(writes.iter().max()).map(|(&most_reads, &most_writes)| Measured {
            reads: most_reads,
            even: even(&reads),
            writes: most_writes,
            writes_even: even(&writes),
        })
    }

    /// The run report of a flow of these payloads, if it ends normally. A source makes its own elements.
    pub fn flow(&self, payloads: Vec<Bytes>) -> Option<Account> {
        let role = Role::from(self.component.profile().kind);
        let config: Vec<(&str, &str)> = self.config.iter().map(|(name, value)| (&**name, &**value)).collect();
        let mut parts = vec![stage_of("specimen", &self.component, &config, self.limits.clone())];
        if role != Role::Source {
            parts.insert(0, input(Elements::new(payloads)));
        }
        if role != Role::Sink {
            parts.push(output("output", Collected::default()));
        }
        match run(parts) {
            Ok(account) => Some(account),
            Err(Error::Start { .. } | Error::Stage { .. }) => None,
            Err(error) => panic!("{error:?}"),
        }
    }
}
