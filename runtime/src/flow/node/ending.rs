//! The end of a node: teardown, the audit of its ledger, and its part of the run report.

use super::input::InputNode;
use super::output::OutputNode;
use super::stage::StageNode;
use super::{Links, Node};
use crate::contract::Kind;
use crate::error::Error;
use crate::flow::account::{Account, EndpointAccount, StageAccount};
use crate::flow::audit::Audit;
use crate::ledger::{Copies, Count, amplification};
use crate::payload::element::Stamps;
use crate::stage::instance::Instance;

impl Node {
    /// Tears the stage down after the flow has ended.
    pub(crate) fn teardown(&mut self) -> Result<(), Error> {
        if let Node::Stage(node) = self {
            return node.teardown();
        }
        Ok(())
    }

    /// Tears the stage down after the flow has failed. A failure here is ignored: the first failure is reported.
    pub(crate) fn abandon(&mut self) {
        _ = self.teardown();
    }

    /// Ends the stage without a call, because the flow is cut off. Returns the number of elements in the interrupted call.
    pub(crate) fn abort(&mut self) -> u64 {
        match self {
            Node::Input(_) => 0,
            Node::Stage(node) => node.abort(),
            Node::Output(node) => node.abort(),
        }
    }

    /// Completes an output, which makes its content visible.
    pub(crate) fn complete(&mut self) -> Result<(), Error> {
        match self {
            Node::Output(node) => node.complete(),
            Node::Input(_) | Node::Stage(_) => Ok(()),
        }
    }

    /// Audits the ledger of the stage after the flow has ended.
    pub(crate) fn audit(&self) -> Result<(), Error> {
        match self {
            Node::Stage(node) => node.audit(),
            Node::Input(_) | Node::Output(_) => Ok(()),
        }
    }

    /// Adds the node to the run report.
    pub(crate) fn account(self, account: &mut Account) {
        account.elements.entered += self.entered();
        account.elements.left += self.left();
        let Links { counters, stamps, .. } = self.links();
        account.traces.extend(stamps.as_ref().and_then(Stamps::trace_id).map(|id| format!("{id:032x}")));
        account.elements.dropped += counters.dropped;
        account.elements.due += counters.due;
        account.elements.late += counters.late;
        match self {
            Node::Input(node) => node.account(account),
            Node::Stage(node) => node.account(account),
            Node::Output(node) => node.account(account),
        }
    }
}

impl Links {
    /// The part of an endpoint in the run report, without what its operating system did.
    fn endpoint_account(self, kind: &'static str) -> EndpointAccount {
        let moved = if kind == "input" { self.counters.made } else { self.counters.taken };
        EndpointAccount {
            name: self.name,
            kind,
            elements: moved.ops,
            payload_bytes: moved.bytes,
            busy_ns: self.counters.busy.as_nanos() as u64,
            ..EndpointAccount::default()
        }
    }
}

impl InputNode {
    fn account(self, account: &mut Account) {
        account.copies += self.copies;
        account.endpoints.push(EndpointAccount {
            copies: self.copies,
            left_over: self.input.left_over(),
            kernel: self.input.kernel(),
            ..self.links.endpoint_account("input")
        });
    }
}

impl OutputNode {
    /// Takes back what was being pushed. Returns the number of elements.
    fn abort(&mut self) -> u64 {
        let lent = self.batch.len() as u64;
        self.links.counters.take_back(lent, self.batch.bytes());
        self.batch.clear();
        lent
    }

    fn account(self, account: &mut Account) {
        let (kernel, host_serialize) = (self.output.kernel(), self.output.host_copies());
        let copies = Copies { host_serialize, ..Copies::default() };
        account.copies += copies;
        account.endpoints.push(EndpointAccount { copies, kernel, ..self.links.endpoint_account("output") });
    }
}

/// What the instances of a stage have counted, together.
#[derive(Default)]
struct InstanceCounts {
    copies: Copies,
    rewritten: Count,
    given_up: Count,
    reads_max: u32,
    writes_max: u32,
    /// Whether the host refused a copy.
    refused: bool,
}

impl StageNode {
    /// Tears all instances down. Returns the first failure.
    fn teardown(&mut self) -> Result<(), Error> {
        self.recall();
        let mut ended = Ok(0);
        for instance in self.instances_mut() {
            match (instance.teardown(), &mut ended) {
                (Ok(dropped), Ok(all)) => *all += dropped,
                (Ok(_), Err(_)) => {}
                (Err(error), Ok(_)) => ended = Err(error),
                (Err(_), Err(_)) => {}
            }
        }
        self.links.counters.dropped += ended?;
        Ok(())
    }

    /// All instances of the stage; none may be in a call.
    fn instances(&self) -> impl Iterator<Item = &Instance> {
        self.instance.get().into_iter().chain(self.replicas.iter().flat_map(|replicas| replicas.resting()))
    }

    fn instances_mut(&mut self) -> impl Iterator<Item = &mut Instance> {
        let resting = self.replicas.iter_mut().flat_map(|replicas| replicas.resting_mut());
        self.instance.get_mut().into_iter().chain(resting)
    }

    /// What all instances have counted.
    fn counts(&self) -> InstanceCounts {
        let mut counts = InstanceCounts::default();
        for instance in self.instances() {
            let meter = instance.meter();
            counts.copies += instance.copies();
            counts.rewritten += instance.rewritten();
            counts.given_up += instance.given_up();
            counts.reads_max = counts.reads_max.max(meter.reads_max);
            counts.writes_max = counts.writes_max.max(meter.writes_max);
            counts.refused |= meter.refused;
        }
        counts
    }

    fn abort(&mut self) -> u64 {
        // Elements in calls of replicas are those of the node, and counted there.
        let lent = self.instance.get_mut().map(|instance| (instance.batch().len() as u64, instance.batch().bytes()));
        let (lent, bytes) = lent.unwrap_or_default();
        self.recall();
        self.links.counters.dropped += self.instances_mut().map(Instance::abort).sum::<u64>();
        if self.kind == Kind::Sink {
            self.links.counters.take_back(lent, bytes);
        }
        lent
    }

    fn audit(&self) -> Result<(), Error> {
        let Links { counters, name, .. } = &self.links;
        let mut lent = counters.taken;
        if let Some(recovery) = &self.recovery {
            lent += recovery.repeated;
        }
        let is_source = self.kind == Kind::Source;
        let counts = self.counts();
        // Held elements are lent again at every restart, so nothing bounds the calls.
        let calls = (self.instance.leases().used.taken == 0).then_some(self.calls);
        let audit = Audit {
            stage: name,
            bounds: self.bounds,
            copies: counts.copies,
            failed_copies: self.failed_copies(),
            reads_max: counts.reads_max,
            fewer: counts.refused || self.failures().calls > 0,
            lent,
            written: self.written,
            rewritten: counts.rewritten,
            given_up: counts.given_up,
            made: is_source.then_some(counters.made.ops),
            taken: counters.taken.ops,
            calls,
        };
        audit.check()
    }

    /// What was copied in failed calls.
    fn failed_copies(&self) -> Copies {
        self.recovery.as_ref().map_or(Copies::default(), |recovery| recovery.failed_copies)
    }

    fn account(self, account: &mut Account) {
        let (failures, failed_copies) = (self.failures(), self.failed_copies());
        account.elements.skipped += failures.skipped;
        account.elements.dead_letters += failures.dead_letters;
        let InstanceCounts { copies, rewritten, given_up, reads_max, writes_max, .. } = self.counts();
        let (replicas, instance, counters) = (self.replica_count(), &self.instance, self.links.counters);
        account.copies += copies;
        account.stages.push(StageAccount {
            name: self.links.name,
            kind: self.kind,
            replicas,
            verdict: self.bounds.verdict(),
            proof: self.bounds.proof(),
            bounds: self.bounds,
            elements_in: counters.taken.ops,
            elements_out: self.links.outputs.sent,
            elements_dropped: counters.dropped,
            busy_ns: counters.busy.as_nanos() as u64,
            copies,
            failed_copies,
            reads_max,
            writes_max,
            writes_unchanged: self.identity_writes.count(),
            rewritten,
            given_up,
            leases: instance.leases().used,
            failures,
            log: instance.log_use(),
            amplification: amplification(copies.payload_bytes(), counters.taken.bytes),
        });
    }
}
