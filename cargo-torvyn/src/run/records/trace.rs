//! Records as a trace in the Trace Event Format, which Perfetto and chrome://tracing import.
//!
//! A flow is shown as a process and a node as a thread of it. A call is a complete event (`X`), the bytes copied so far are a
//! counter (`C`), and a hand-off is an arrow (`s` to `f`) from the call that sent the elements to the call that took them.

use std::collections::HashMap;

use serde::Serialize;
use torvyn_runtime::ledger::{CallRecord, Copies, HandOffRecord, Record};

use super::{FLOW, FlowRecords};

/// The file: an object, so that it can have more than events.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Trace<'a> {
    trace_events: Vec<Event<'a>>,
    display_time_unit: &'static str,
    other_data: Other<'a>,
}

#[derive(Serialize)]
struct Other<'a> {
    pipeline: &'a str,
    records: usize,
    lost_records: u64,
    /// Hand-offs without an arrow, because the record of one of their calls was lost.
    lost_arrows: usize,
}

/// An event. Times are microseconds.
#[derive(Serialize)]
struct Event<'a> {
    name: &'static str,
    cat: &'static str,
    ph: &'static str,
    ts: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    dur: Option<f64>,
    pid: u32,
    tid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<usize>,
    /// Binds the end of an arrow to the enclosing call instead of the next one.
    #[serde(skip_serializing_if = "Option::is_none")]
    bp: Option<&'static str>,
    args: Args<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Args<'a> {
    Name { name: &'a str },
    SortIndex { sort_index: usize },
    Call { elements: u32, bytes: u64, failed: bool },
    HandOff { elements: u32, first: u64 },
    Copied { payload_read: u64, payload_write: u64, metadata_marshal: u64, host_serialize: u64 },
}

/// The contents of the file.
pub(super) fn text(records: &FlowRecords<'_>) -> serde_json::Result<Vec<u8>> {
    let mut events: Vec<_> = calls(records).map(call).collect();
    events.extend(counters(records));
    let (arrows, lost_arrows) = arrows(records);
    events.extend(arrows);
    events.sort_by(|a, b| a.ts.total_cmp(&b.ts));
    let mut trace_events = names(records);
    trace_events.append(&mut events);
    let (count, lost_records) = (records.ring.len(), records.ring.lost());
    let other_data = Other { pipeline: records.pipeline, records: count, lost_records, lost_arrows };
    serde_json::to_vec(&Trace { trace_events, display_time_unit: "ns", other_data })
}

/// Nanoseconds in microseconds. Printed with all three decimals.
fn micros(ns: u64) -> f64 {
    ns as f64 / 1e3
}

/// Threads are numbered from 1, because some viewers take 0 for the idle thread.
fn thread(node: u16) -> u32 {
    u32::from(node) + 1
}

/// Names the process after the pipeline, and the threads after the nodes, in the order of the graph.
fn names<'a>(records: &FlowRecords<'a>) -> Vec<Event<'a>> {
    let event = |name, tid, args| Event {
        name,
        cat: "__metadata",
        ph: "M",
        ts: 0.0,
        dur: None,
        pid: FLOW,
        tid,
        id: None,
        bp: None,
        args,
    };
    let mut events = vec![event("process_name", thread(0), Args::Name { name: records.pipeline })];
    for (index, node) in (0..).zip(records.graph.nodes()) {
        events.push(event("thread_name", thread(index), Args::Name { name: &node.name }));
        events.push(event("thread_sort_index", thread(index), Args::SortIndex { sort_index: usize::from(index) }));
    }
    events
}

fn calls<'a>(records: &'a FlowRecords<'_>) -> impl Iterator<Item = &'a CallRecord> {
    records.ring.iter().filter_map(|record| match record {
        Record::Call(call) => Some(call),
        _ => None,
    })
}

fn call<'a>(record: &CallRecord) -> Event<'a> {
    let &CallRecord { timestamp, duration, bytes, elements, flow, node, call, failed } = record;
    Event {
        name: call.name(),
        cat: "call",
        ph: "X",
        ts: micros(timestamp),
        dur: Some(micros(duration)),
        pid: flow,
        tid: thread(node),
        id: None,
        bp: None,
        args: Args::Call { elements, bytes, failed },
    }
}

/// The bytes copied so far: before the first call, and after each call that copied any.
fn counters<'a>(records: &FlowRecords<'_>) -> Vec<Event<'a>> {
    let event = |ts, node, flow, copies: &Copies| Event {
        name: "copied bytes",
        cat: "copy",
        ph: "C",
        ts: micros(ts),
        dur: None,
        pid: flow,
        tid: thread(node),
        id: None,
        bp: None,
        args: Args::Copied {
            payload_read: copies.payload_read.bytes,
            payload_write: copies.payload_write.bytes,
            metadata_marshal: copies.metadata_marshal.bytes,
            host_serialize: copies.host_serialize.bytes,
        },
    };
    let mut copies = records.ring.lost_copies();
    let first = calls(records).map(|call| call.timestamp).min();
    let mut events: Vec<_> = first.map(|first| event(first, 0, FLOW, &copies)).into_iter().collect();
    let mut last = None;
    for record in records.ring.iter() {
        let Record::Transfer(copy) = record else { continue };
        if last.replace(copy.timestamp) == Some(copy.timestamp) {
            events.pop();
        }
        copies.get_mut(copy.reason).record(1, copy.bytes);
        events.push(event(copy.timestamp, copy.node, copy.flow, &copies));
    }
    events
}

/// An arrow for each hand-off whose calls are both known, and the number of other hand-offs.
fn arrows<'a>(records: &FlowRecords<'_>) -> (Vec<Event<'a>>, usize) {
    let began: HashMap<_, _> = calls(records).map(|call| ((call.node, call.timestamp), call)).collect();
    let mut events = Vec::new();
    let mut lost = 0;
    let hand_offs = records.ring.iter().filter_map(|record| match record {
        Record::HandOff(hand_off) => Some(hand_off),
        _ => None,
    });
    for (id, hand_off) in hand_offs.enumerate() {
        let sent = began.get(&(hand_off.from, hand_off.sent));
        let taken = began.get(&(hand_off.to, hand_off.timestamp));
        match sent.zip(taken) {
            Some((sent, taken)) => events.extend([end(id, "s", sent, hand_off), end(id, "f", taken, hand_off)]),
            None => lost += 1,
        }
    }
    (events, lost)
}

/// One end of an arrow. It is in the middle of its call, because the next call may start where this one ends.
fn end<'a>(id: usize, ph: &'static str, call: &CallRecord, hand_off: &HandOffRecord) -> Event<'a> {
    Event {
        name: "hand-off",
        cat: "hand-off",
        ph,
        ts: micros(call.timestamp + call.duration / 2),
        dur: None,
        pid: call.flow,
        tid: thread(call.node),
        id: Some(id),
        bp: (ph == "f").then_some("e"),
        args: Args::HandOff { elements: hand_off.elements, first: hand_off.first },
    }
}
