//! The end of a node: teardown, the audit of its ledger, and its part of the run report.

use super::{Callee, Node, output_error};
use crate::contract::Kind;
use crate::error::Error;
use crate::flow::account::{Account, EndpointAccount, StageAccount};
use crate::flow::audit::Audit;
use crate::ledger::{Copies, Count, amplification};

impl Node {
    /// Tears the stage down after the flow has ended.
    pub(crate) fn teardown(&mut self) -> Result<(), Error> {
        if let Callee::Stage { instance, .. } = &mut self.callee {
            self.dropped += instance.teardown()?;
        }
        Ok(())
    }

    /// Tears the stage down after the flow has failed. A failure here is ignored: the first failure is reported.
    pub(crate) fn abandon(&mut self) {
        _ = self.teardown();
    }

    /// Ends the stage without a call, because the flow is cut off. Returns the number of elements in the interrupted call.
    pub(crate) fn abort(&mut self) -> u64 {
        match &mut self.callee {
            Callee::Stage { instance, kind, .. } => {
                let batch = instance.batch();
                let (lent, bytes) = (batch.len() as u64, batch.bytes());
                self.dropped += instance.abort();
                if *kind == Kind::Sink {
                    (self.taken, self.taken_bytes) = (self.taken - lent, self.taken_bytes - bytes);
                }
                lent
            }
            Callee::Output { batch, .. } => {
                let (lent, bytes) = (batch.len() as u64, batch.bytes());
                (self.taken, self.taken_bytes) = (self.taken - lent, self.taken_bytes - bytes);
                batch.clear();
                lent
            }
            Callee::Input { .. } => 0,
        }
    }

    /// Completes an output, which makes its content visible.
    pub(crate) fn complete(&mut self) -> Result<(), Error> {
        match &mut self.callee {
            Callee::Output { output, .. } => {
                let completed = output.complete();
                completed.map_err(|source| output_error(&self.name, output.as_ref(), source))
            }
            _ => Ok(()),
        }
    }

    /// Audits the ledger of the stage after the flow has ended.
    pub(crate) fn audit(&self) -> Result<(), Error> {
        let Callee::Stage { instance, kind, bounds, .. } = &self.callee else { return Ok(()) };
        let taken = Count { ops: self.taken, bytes: self.taken_bytes };
        let mut lent = taken;
        if let Some(recovery) = &self.recovery {
            lent += recovery.repeated;
        }
        let is_source = *kind == Kind::Source;
        // Held elements are lent again at every restart, so nothing bounds the calls.
        let calls = (instance.leases().used.taken == 0).then_some(self.calls);
        let audit = Audit {
            stage: &self.name,
            bounds: *bounds,
            copies: instance.copies(),
            failed_copies: self.failed_copies(),
            reads_max: instance.meter().reads_max,
            fewer: instance.meter().refused || self.failures().calls > 0,
            lent,
            written: self.written,
            rewritten: instance.rewritten(),
            given_up: instance.given_up(),
            made: is_source.then_some(self.made),
            taken: self.taken,
            calls,
        };
        audit.check()
    }

    /// What was copied in failed calls.
    fn failed_copies(&self) -> Copies {
        self.recovery.as_ref().map_or(Copies::default(), |recovery| recovery.failed_copies)
    }

    /// Adds the node to the run report.
    pub(crate) fn account(self, account: &mut Account) {
        account.elements.entered += self.entered();
        account.elements.left += self.left();
        account.elements.dropped += self.dropped;
        let (failures, failed_copies) = (self.failures(), self.failed_copies());
        account.elements.skipped += failures.skipped;
        account.elements.dead_letters += failures.dead_letters;
        account.elements.due += self.due;
        account.elements.late += self.late;
        account.traces.extend(self.stamps.and_then(|stamps| stamps.trace_id()).map(|id| format!("{id:032x}")));
        let busy_ns = self.busy.as_nanos() as u64;
        let copies = match self.callee {
            Callee::Stage { instance, kind, bounds, .. } => {
                let copies = instance.copies();
                account.stages.push(StageAccount {
                    name: self.name,
                    kind,
                    verdict: bounds.verdict(),
                    proof: bounds.proof(),
                    bounds,
                    elements_in: self.taken,
                    elements_out: self.outputs.sent,
                    elements_dropped: self.dropped,
                    busy_ns,
                    copies,
                    failed_copies,
                    reads_max: instance.meter().reads_max,
                    writes_max: instance.meter().writes_max,
                    writes_unchanged: self.identity_writes.count(),
                    rewritten: instance.rewritten(),
                    given_up: instance.given_up(),
                    leases: instance.leases().used,
                    failures,
                    log: instance.log_use(),
                    amplification: amplification(copies.payload_bytes(), self.taken_bytes),
                });
                copies
            }
            Callee::Input { input, copies, .. } => {
                account.endpoints.push(EndpointAccount {
                    name: self.name,
                    kind: "input",
                    elements: self.made,
                    payload_bytes: self.made_bytes,
                    busy_ns,
                    copies,
                    left_over: input.left_over(),
                    kernel: input.kernel(),
                });
                copies
            }
            Callee::Output { output, .. } => {
                account.endpoints.push(EndpointAccount {
                    name: self.name,
                    kind: "output",
                    elements: self.taken,
                    payload_bytes: self.taken_bytes,
                    busy_ns,
                    copies: Copies::default(),
                    left_over: 0,
                    kernel: output.kernel(),
                });
                Copies::default()
            }
        };
        account.copies += copies;
    }
}
