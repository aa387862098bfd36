//! How often a component really copies, by the ledger of the flows it runs in.

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

/// A component that is run to see what it does.
pub struct Specimen {
    component: Component,
    limits: Limits,
    config: Vec<(String, String)>,
}

/// What was measured, over all flows that came to their end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measured {
    /// How often one element was read, at most.
    pub reads: u64,
    /// Whether each element was read that often.
    pub even: bool,
    /// How many payloads were written for an element, at most, on average over a flow.
    pub writes: u64,
    /// Whether that many were written in each flow.
    pub writes_even: bool,
}

impl Measured {
    /// What of these claims is not true.
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
    /// The component with these settings, and so long for each call.
    ///
    /// # Errors
    ///
    /// Why it does not load.
    pub fn load(bytes: &[u8], config: &[(&str, &str)], time: Duration) -> Result<Specimen, Error> {
        let file = ComponentFile::new(bytes);
        let limits = Limits { memory: 16 << 20, time, ..Limits::default() };
        let component = Component::load(engine(), &file.path, &limits)?;
        let config = config.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        Ok(Specimen { component, limits, config })
    }

    /// What flows of so many elements cost. The elements arrive in batches of one, one, two, four and so on: 16 end with
    /// a batch of 8, 128 with one of 64. `None` where no flow came to its end.
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
            // The first one, and the last batch.
            for element in iter::once(0).chain((count / 2).max(1)..count) {
                let mut payloads = vec![Bytes::new(); count];
                payloads[element] = full();
                // A read of an empty payload is one of no bytes, or is refused: the bytes are the reads of the other.
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

    /// The account of a flow of these payloads, where it comes to its end. A source makes its own.
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
