//! Records as lines of JSON, an object each with a `reason`, the summary last.

use serde::Serialize;
use torvyn_runtime::ledger::{Copies, Record};

use super::{Of, buffer};

/// A line. Times are nanoseconds since recording began.
#[derive(Serialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
enum Line<'a> {
    Transfer {
        timestamp_ns: u64,
        flow: u32,
        node: &'a str,
        from: &'a str,
        to: &'a str,
        copy: &'static str,
        bytes: u64,
        sequence: Option<u64>,
        buffer: Option<String>,
    },
    Call {
        timestamp_ns: u64,
        flow: u32,
        node: &'a str,
        call: &'static str,
        duration_ns: u64,
        elements: u32,
        bytes: u64,
        failed: bool,
    },
    HandOff {
        timestamp_ns: u64,
        flow: u32,
        from: &'a str,
        output: usize,
        to: &'a str,
        sent_ns: u64,
        elements: u32,
        first: u64,
    },
    Transition {
        timestamp_ns: u64,
        flow: u32,
        buffer: String,
        transition: &'static str,
        from: &'static str,
        to: &'static str,
        by: &'a str,
    },
    RecordsSummary {
        pipeline: &'a str,
        records: usize,
        lost: u64,
        lost_copies: Copies,
    },
}

/// All lines.
pub(super) fn text(of: &Of<'_>) -> serde_json::Result<Vec<u8>> {
    let mut text = Vec::new();
    let mut push = |line: &Line<'_>| {
        serde_json::to_writer(&mut text, line)?;
        text.push(b'\n');
        Ok(())
    };
    of.ring.iter().try_for_each(|record| push(&line(record, of)))?;
    let (records, lost, lost_copies) = (of.ring.len(), of.ring.lost(), of.ring.lost_copies());
    push(&Line::RecordsSummary { pipeline: of.pipeline, records, lost, lost_copies })?;
    Ok(text)
}

fn line<'a>(record: &Record, of: &'a Of<'_>) -> Line<'a> {
    match *record {
        Record::Transfer(copy) => Line::Transfer {
            timestamp_ns: copy.timestamp,
            flow: copy.flow,
            node: of.node(copy.node),
            from: of.place(copy.from()),
            to: of.place(copy.to()),
            copy: copy.reason.name(),
            bytes: copy.bytes,
            sequence: copy.sequence(),
            buffer: copy.buffer.map(buffer),
        },
        Record::Call(call) => Line::Call {
            timestamp_ns: call.timestamp,
            flow: call.flow,
            node: of.node(call.node),
            call: call.call.name(),
            duration_ns: call.duration,
            elements: call.elements,
            bytes: call.bytes,
            failed: call.failed,
        },
        Record::HandOff(hand_off) => Line::HandOff {
            timestamp_ns: hand_off.timestamp,
            flow: hand_off.flow,
            from: of.node(hand_off.from),
            output: of.graph.edges()[usize::from(hand_off.edge)].output,
            to: of.node(hand_off.to),
            sent_ns: hand_off.sent,
            elements: hand_off.elements,
            first: hand_off.first,
        },
        Record::Transition(transition) => Line::Transition {
            timestamp_ns: transition.timestamp,
            flow: transition.flow,
            buffer: buffer(transition.buffer),
            transition: transition.transition,
            from: transition.from.name(),
            to: transition.to.name(),
            by: of.place(transition.by()),
        },
    }
}
