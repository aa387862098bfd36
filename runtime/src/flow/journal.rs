//! What the driver of a flow records of each step: the call, and the elements that changed hands in it.
//!
//! It is told by what waits on the edges before and after a step, so that neither edges nor nodes have to tell it.

use std::collections::VecDeque;
use std::time::Instant;

use crate::flow::edge::Edge;
use crate::ledger::recorder::{Sheet, index};
use crate::ledger::{Call, CallRecord, Count, HandOffRecord, Record, Recorder};
use crate::pipeline::graph::Graph;

/// Writes the calls and hand-offs of one flow.
pub(crate) struct Journal {
    recorder: Recorder,
    /// When the step began.
    began: u64,
    edges: Vec<OnEdge>,
}

/// What is on an edge, as far as it has to be known to tell what the next step did.
struct OnEdge {
    from: usize,
    to: usize,
    /// How much waited there before the step.
    waiting: usize,
    /// Which calls sent what waits, the first first.
    sent: VecDeque<Sent>,
}

/// Elements that one call sent.
struct Sent {
    at: u64,
    elements: usize,
    /// The sequence number of the first that still waits.
    first: u64,
}

impl Journal {
    /// A journal of flows of this graph; `None` where the recorder is off.
    pub(crate) fn new(recorder: &Recorder, graph: &Graph) -> Option<Journal> {
        let edges = graph.edges().iter();
        let edges = edges.map(|edge| OnEdge { from: edge.from, to: edge.to, waiting: 0, sent: VecDeque::new() });
        recorder.is_on().then(|| Journal { recorder: recorder.clone(), began: 0, edges: edges.collect() })
    }

    /// A step begins. What is recorded until the next one has this time.
    pub(crate) fn begin(&mut self, at: Instant) {
        if let Some(mut sheet) = self.recorder.sheet() {
            self.began = sheet.begin(at);
        }
    }

    /// A node made a step: `call`, if it was one, of as much as `moved`.
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
                on.take(on.waiting - edge.len(), self.began, number, edge, &mut sheet);
            } else if edge.len() > on.waiting {
                let first = edge.sequence(on.waiting).unwrap_or_default();
                on.sent.push_back(Sent { at: self.began, elements: edge.len() - on.waiting, first });
            }
            on.waiting = edge.len();
        }
        let Some(call) = call else { return };
        sheet.recount_moved(moved);
        let duration = sheet.time(at).saturating_sub(self.began);
        let (flow, node) = (sheet.flow(), index(node));
        let Count { ops, bytes } = moved;
        let elements = u32::try_from(ops).unwrap_or(u32::MAX);
        let call = CallRecord { timestamp: self.began, duration, bytes, elements, flow, node, call, failed };
        sheet.push(Record::Call(call));
    }
}

impl OnEdge {
    /// A call took so many elements. What two calls sent are two hand-offs.
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
