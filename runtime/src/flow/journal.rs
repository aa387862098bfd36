//! Records the calls and hand-offs of a flow, one driver step at a time.
//!
//! Hand-offs are derived from the lengths of the edges before and after a step, so edges and nodes need no code for it.

use std::collections::VecDeque;
use std::time::Instant;

use crate::flow::edge::Edge;
use crate::ledger::recorder::{Sheet, index};
use crate::ledger::{Call, CallRecord, Count, HandOffRecord, Record, Recorder};
use crate::pipeline::graph::Graph;

/// Writes the calls and hand-offs of one flow.
pub(crate) struct Journal {
    recorder: Recorder,
    /// When the current step began.
    step_began: u64,
    edges: Vec<EdgeState>,
}

/// What has to be known of an edge to derive what the next step did there.
struct EdgeState {
    from: usize,
    to: usize,
    /// How many elements waited before the step.
    waiting: usize,
    /// The calls that sent the waiting elements, oldest first.
    sent: VecDeque<Sent>,
}

/// Elements that one call sent.
struct Sent {
    at: u64,
    elements: usize,
    /// The sequence number of the first element that still waits.
    first: u64,
}

impl Journal {
    /// A journal for flows of this graph; `None` if the recorder is off.
    pub(crate) fn new(recorder: &Recorder, graph: &Graph) -> Option<Journal> {
        let edges = graph.edges().iter();
        let edges = edges.map(|edge| EdgeState { from: edge.from, to: edge.to, waiting: 0, sent: VecDeque::new() });
        recorder.is_on().then(|| Journal { recorder: recorder.clone(), step_began: 0, edges: edges.collect() })
    }

    /// Begins a step. Everything recorded until the next step has this time.
    pub(crate) fn begin(&mut self, at: Instant) {
        if let Some(mut sheet) = self.recorder.sheet() {
            self.step_began = sheet.begin(at);
        }
    }

    /// Ends a step of a node that moved `moved`. `call` is the call that it made, if any.
    pub(crate) fn end(
        &mut self,
        at: Instant,
        node: usize,
        call: Option<Call>,
        moved: Count,
        failed: bool,
        edges: &[Edge],
    ) {
        let Some(mut sheet) = self.recorder.sheet() else { return };
        for ((number, on), edge) in self.edges.iter_mut().enumerate().zip(edges) {
            if edge.len() < on.waiting {
                on.take(on.waiting - edge.len(), self.step_began, number, edge, &mut sheet);
            } else if edge.len() > on.waiting {
                let first = edge.sequence(on.waiting).unwrap_or_default();
                on.sent.push_back(Sent { at: self.step_began, elements: edge.len() - on.waiting, first });
            }
            on.waiting = edge.len();
        }
        let Some(call) = call else { return };
        sheet.recount_moved(moved);
        let duration = sheet.time(at).saturating_sub(self.step_began);
        let (flow, node) = (sheet.flow(), index(node));
        let Count { ops, bytes } = moved;
        let elements = u32::try_from(ops).unwrap_or(u32::MAX);
        let call = CallRecord { timestamp: self.step_began, duration, bytes, elements, flow, node, call, failed };
        sheet.push(Record::Call(call));
    }
}

impl EdgeState {
    /// Records that a call took this many elements. Elements of two sending calls are two hand-offs.
    fn take(&mut self, mut elements: usize, timestamp: u64, number: usize, edge: &Edge, sheet: &mut Sheet) {
        while let Some(sent) = self.sent.front_mut().filter(|_| elements > 0) {
            let taken = elements.min(sent.elements);
            sheet.push(Record::HandOff(HandOffRecord {
                timestamp,
                sent: sent.at,
                first: sent.first,
                elements: u32::try_from(taken).unwrap_or(u32::MAX),
                flow: sheet.flow(),
                edge: index(number),
                from: index(self.from),
                to: index(self.to),
            }));
            elements -= taken;
            sent.elements -= taken;
            if sent.elements == 0 {
                self.sent.pop_front();
            } else {
                sent.first = edge.sequence(0).unwrap_or_default();
            }
        }
    }
}
