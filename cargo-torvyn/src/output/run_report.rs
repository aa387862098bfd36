//! The run report of a flow, for people and for programs.

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;
use torvyn_runtime::Account;
use torvyn_runtime::base::plural::noun;
use torvyn_runtime::flow::account::{Elements, FailureUse, StageAccount};
use torvyn_runtime::ledger::{Copies, Count};
use torvyn_runtime::payload::PoolUse;

use crate::output::findings::Finding;

/// The units of sizes for people.
const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];

/// The fields of the last line of `run --message-format json`, besides the outcome.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Summary<'a> {
    /// The name of the pipeline; none if no pipeline could be selected.
    pub(crate) pipeline: Option<&'a str>,
    /// The fields of the account; present if the flow ran to its end.
    #[serde(flatten)]
    pub(crate) account: Option<&'a Account>,
    /// The findings of the run.
    pub(crate) findings: Vec<Finding>,
}

/// The run report: a table of stages and endpoints, and the totals below it.
pub(crate) fn text(account: &Account) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(STAGE_COLUMNS);
    let endpoints = |kind: &'static str| account.endpoints.iter().filter(move |point| point.kind == kind);
    for point in endpoints("input") {
        table.add_row(endpoint_row(
            &point.name,
            point.kind,
            "",
            &grouped(point.elements),
            point.busy_ns,
            &point.copies,
        ));
    }
    for stage in &account.stages {
        table.add_row(stage_row(stage));
    }
    for point in endpoints("output") {
        table.add_row(endpoint_row(
            &point.name,
            point.kind,
            &grouped(point.elements),
            "",
            point.busy_ns,
            &point.copies,
        ));
    }
    for column in table.column_iter_mut().skip(4) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{table}\n\n{}", totals(account))
}

/// What a row about a stage has.
pub(super) const STAGE_COLUMNS: [&str; 13] = [
    "stage", "kind", "verdict", "proof", "in", "out", "dropped", "time", "read", "written", "metadata", "joined",
    "copied",
];

pub(super) fn stage_row(stage: &StageAccount) -> [String; STAGE_COLUMNS.len()] {
    [
        stage.name.clone(),
        match stage.replicas {
            1 => stage.kind.to_string(),
            replicas => format!("{} ×{replicas}", stage.kind),
        },
        stage.verdict.to_string(),
        stage.proof.map_or_else(|| "none".to_string(), |proof| proof.to_string()),
        grouped(stage.elements_in),
        grouped(stage.elements_out),
        grouped(stage.elements_dropped),
        time(stage.busy_ns),
        copies(stage.copies.payload_read),
        copies(stage.copies.payload_write),
        copies(stage.copies.metadata_marshal),
        copies(stage.copies.host_serialize),
        stage.amplification.map_or_else(|| "–".to_string(), |times| format!("{times:.2}×")),
    ]
}

fn endpoint_row(name: &str, kind: &str, taken: &str, sent: &str, busy_ns: u64, copied: &Copies) -> Vec<String> {
    let joined = copies(copied.host_serialize);
    let row = [name, kind, "", "", taken, sent, "", &time(busy_ns), "", "", "", &joined, ""];
    row.map(str::to_string).to_vec()
}

fn totals(account: &Account) -> String {
    let copied = account.copies.payload_bytes();
    let amplification = match account.amplification {
        Some(times) => format!(
            "{times:.2}× = {} payload bytes copied at component boundaries ÷ {} that entered",
            grouped(copied),
            grouped(entered_bytes(account))
        ),
        None => "none: no payload byte entered".to_string(),
    };
    let pool = &account.pool;
    let reuse = match pool.reuse_rate {
        Some(rate) => format!(
            "{:.1} % = reused blocks ÷ {} handed out; {} live at the end{}",
            100.0 * rate,
            grouped(pool.allocated),
            pool.live_at_end,
            freed(pool)
        ),
        None => "none: no block was handed out".to_string(),
    };
    let mut text = format!("flow amplification  {amplification}\npool reuse          {reuse}\n");
    let failed = account.stages.iter().map(|stage| stage.failed_copies).fold(Copies::default(), |all, of| all + of);
    text += &failures(account.stages.iter().map(|stage| stage.failures), failed).unwrap_or_default();
    let Elements { due, late, .. } = account.elements;
    if due > 0 {
        text += &format!(
            "late                {} of {} {} with a deadline\n",
            grouped(late),
            grouped(due),
            noun(due, "element")
        );
    }
    for trace in &account.traces {
        text += &format!("trace               {trace}\n");
    }
    text
}

/// The failures of stages in a flow that went on, with the copies in failed calls; none if there were no failures.
fn failures(stages: impl Iterator<Item = FailureUse> + Clone, failed: Copies) -> Option<String> {
    let sum = |count: fn(&FailureUse) -> u64| stages.clone().map(|stage| count(&stage)).sum::<u64>();
    let counted =
        |count: u64, singular: &str| (count > 0).then(|| format!("{} {}", grouped(count), noun(count, singular)));
    let calls = counted(sum(|stage| stage.calls), "failed call")?;
    let came = [
        counted(sum(|stage| stage.retries), "retry"),
        counted(sum(|stage| stage.skipped), "element").map(|elements| format!("{elements} skipped")),
        counted(sum(|stage| stage.dead_letters), "dead letter"),
        counted(sum(|stage| stage.restarts), "restart"),
    ];
    let came = came.into_iter().flatten().map(|came| format!(", {came}"));
    let copied = [(failed.payload_read, "read"), (failed.payload_write, "written")];
    let copied = copied.into_iter().filter(|(count, _)| count.ops > 0);
    let copied: Vec<_> = copied.map(|(count, what)| format!("{} {what}", copies(count))).collect();
    let copied = if copied.is_empty() { String::new() } else { format!("; in failed calls {}", copied.join(", ")) };
    Some(format!("failures            {calls}{}{copied}\n", came.collect::<String>()))
}

/// The blocks that the pool had no room to keep.
fn freed(pool: &PoolUse) -> String {
    let classes = pool.classes.iter().filter(|class| class.freed > 0);
    let freed = classes.map(|class| match class.bytes {
        Some(size) => format!("; {} of {} freed for lack of room", grouped(class.freed), bytes(size)),
        None => format!("; {} of no size class freed", grouped(class.freed)),
    });
    freed.collect()
}

/// The payload bytes that entered: the divisor of the amplification.
pub(crate) fn entered_bytes(account: &Account) -> u64 {
    let inputs = account.endpoints.iter().filter(|point| point.kind == "input").map(|point| point.payload_bytes);
    let sources = account.stages.iter().filter(|stage| stage.kind == torvyn_runtime::contract::Kind::Source);
    inputs.sum::<u64>() + sources.map(|source| source.copies.payload_write.bytes).sum::<u64>()
}

/// The number of copies and their bytes.
/// Formats how often something was copied, and how many bytes.
pub(super) fn copies(count: Count) -> String {
    if count.ops == 0 { "0".to_string() } else { format!("{} × {}", grouped(count.ops), bytes(count.bytes)) }
}

/// Formats bytes in the largest unit with a value of at least 1.
pub(crate) fn bytes(bytes: u64) -> String {
    let mut scaled = bytes as f64;
    let mut unit = 0;
    while scaled >= 1024.0 && unit + 1 < UNITS.len() {
        scaled /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{scaled:.1} {}", UNITS[unit]) }
}

/// Formats nanoseconds in a suitable unit.
pub(crate) fn time(ns: u64) -> String {
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{:.1} µs", ns as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} ms", ns as f64 / 1e6),
        _ => format!("{:.2} s", ns as f64 / 1e9),
    }
}

/// Formats a number with a comma after every three digits.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_failures_only_if_there_are_any() {
        let none = FailureUse::default();
        let one = FailureUse { calls: 1, skipped: 1, restarts: 1, ..none };
        let more = FailureUse { calls: 1500, retries: 1, dead_letters: 1499, ..none };
        let nothing = Copies::default();
        assert_eq!(failures([none, none].into_iter(), nothing), None);
        let shown = |stages: &[FailureUse]| failures(stages.iter().copied(), nothing).unwrap();
        assert_eq!(shown(&[none, one]), "failures            1 failed call, 1 element skipped, 1 restart\n");
        let both =
            "failures            1,501 failed calls, 1 retry, 1 element skipped, 1,499 dead letters, 1 restart\n";
        assert_eq!(shown(&[one, more]), both);
        let payload_read = Count { ops: 3, bytes: 1536 };
        let failed = |copies| failures([one].into_iter(), copies).unwrap();
        let first = "failures            1 failed call, 1 element skipped, 1 restart; in failed calls ";
        let read = Copies { payload_read, ..nothing };
        assert_eq!(failed(read), format!("{first}3 × 1.5 KiB read\n"));
        let written = Copies { payload_write: Count { ops: 1, bytes: 2 }, ..read };
        assert_eq!(failed(written), format!("{first}3 × 1.5 KiB read, 1 × 2 B written\n"));
    }

    #[test]
    fn formats_numbers_for_people() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0, 1023, 1536, 1 << 30].map(bytes), ["0 B", "1023 B", "1.5 KiB", "1.0 GiB"]);
        assert_eq!([999, 1500, 2_340_000, 61_000_000_000].map(time), ["999 ns", "1.5 µs", "2.3 ms", "61.00 s"]);
    }
}
