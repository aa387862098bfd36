//! Records as lines of JSON: objects with a `reason`, the summary last.

use serde::Serialize;
use torvyn_runtime::ledger::{Copies, Record};

use super::{FlowRecords, buffer_name};

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

/// The contents of the file.
pub(super) fn text(records: &FlowRecords<'_>) -> serde_json::Result<Vec<u8>> {
    let mut text = Vec::new();
    let mut push = |line: &Line<'_>| {
        serde_json::to_writer(&mut text, line)?;
        text.push(b'\n');
        Ok(())
    };
    records.ring.iter().try_for_each(|record| push(&line(record, records)))?;
    let (count, lost, lost_copies) = (records.ring.len(), records.ring.lost(), records.ring.lost_copies());
    push(&Line::RecordsSummary { pipeline: records.pipeline, records: count, lost, lost_copies })?;
    Ok(text)
}

fn line<'a>(record: &Record, records: &'a FlowRecords<'_>) -> Line<'a> {
    match *record {
        Record::Transfer(copy) => Line::Transfer {
            timestamp_ns: copy.timestamp,
            flow: copy.flow,
            node: records.node(copy.node),
            from: records.place(copy.from()),
            to: records.place(copy.to()),
            copy: copy.reason.name(),
            bytes: copy.bytes,
            sequence: copy.sequence(),
            buffer: copy.buffer.map(buffer_name),
        },
        Record::Call(call) => Line::Call {
            timestamp_ns: call.timestamp,
            flow: call.flow,
            node: records.node(call.node),
            call: call.call.name(),
            duration_ns: call.duration,
            elements: call.elements,
            bytes: call.bytes,
            failed: call.failed,
        },
        Record::HandOff(hand_off) => Line::HandOff {
            timestamp_ns: hand_off.timestamp,
            flow: hand_off.flow,
            from: records.node(hand_off.from),
            output: records.graph.edges()[usize::from(hand_off.edge)].output,
            to: records.node(hand_off.to),
            sent_ns: hand_off.sent,
            elements: hand_off.elements,
            first: hand_off.first,
        },
        Record::Transition(transition) => Line::Transition {
            timestamp_ns: transition.timestamp,
            flow: transition.flow,
            buffer: buffer_name(transition.buffer),
            transition: transition.transition,
            from: transition.from.name(),
            to: transition.to.name(),
            by: records.place(transition.by()),
        },
    }
}
