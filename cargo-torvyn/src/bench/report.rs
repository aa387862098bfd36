//! What was measured, for people: tables of the rates, of the latencies and of the system calls.

use comfy_table::{CellAlignment, Table, presets};
use torvyn_runtime::base::plural::{counted, noun};

use super::latency::Distribution;
use super::results::{Figures, OutputFacts, Results};
use super::statistics::Spread;
use crate::output::run_report::{bytes, grouped, time};

/// Shown for a figure that was not measured.
pub(super) const NONE: &str = "–";

/// The first line: what was measured.
pub(crate) fn summary(results: &Results) -> String {
    let (elements, rounds) = (results.input.elements, results.rounds.len() as u64);
    format!(
        "`{}` in {} after {}, on {}: {} {}, {}",
        results.pipeline,
        counted(rounds, "round"),
        counted(results.warm_up.into(), "warm-up round"),
        results.input.name,
        grouped(elements),
        noun(elements, "element"),
        bytes(results.input.bytes)
    )
}

/// The tables, without the run report.
pub(crate) fn tables(results: &Results) -> Vec<String> {
    let calls = (!results.endpoints.is_empty()).then(|| system_calls(results));
    [rates(results), latencies(results)].into_iter().chain(calls).collect()
}

/// What a reader has to know about the figures, a sentence each.
pub(crate) fn notes(results: &Results) -> Vec<String> {
    let rivals = [("the native pass", &results.native), ("one process per stage", &results.processes)];
    let missing = rivals
        .into_iter()
        .filter_map(|(name, rival)| Some(format!("{name} was not measured: {}", rival.not_measured.as_ref()?)));
    let output = |output: &OutputFacts| match output.is_file {
        true => format!("{} is not touched: a temporary file in its folder was written in its place", output.name),
        false => format!("{} is not touched: the elements were dropped", output.name),
    };
    let outputs = results.outputs.iter().filter(|output| output.is_replaced).map(output);
    let profile = (results.program.profile == "debug")
        .then(|| "this is a build of cargo-torvyn with debug assertions: a release build is faster".to_string());
    let lost = (results.latency.lost_records > 0).then(|| {
        let lost = grouped(results.latency.lost_records);
        format!("{lost} records of calls were lost: the latencies of stages are those of the last calls of each round")
    });
    let end_to_end =
        results.latency.end_to_end_ns.is_none().then(|| {
            "the latency from end to end was not measured: no element reached an output of the host".to_string()
        });
    missing.chain(outputs).chain(profile).chain(lost).chain(end_to_end).collect()
}

/// A table whose columns, but for the first, are aligned to the right.
fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(header);
    table
}

fn finish(mut table: Table) -> String {
    table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    table.to_string()
}

fn rates(results: &Results) -> String {
    let mut table =
        table(["median of rounds", "elements/s", "min – max", "bytes/s", "an element", "peak memory", "ours ÷ it"]);
    table.add_rows(rate_rows(results, ""));
    finish(table)
}

/// One row for the pipeline and one for each measured rival. The pipeline is not compared with itself: its row shows `no_ratio`.
pub(super) fn rate_rows(results: &Results, no_ratio: &str) -> Vec<Vec<String>> {
    let row = |name: &str, figures: &Figures, ratio: Option<Spread>| {
        let rate = figures.elements_per_second;
        vec![
            name.to_string(),
            grouped(rate.median as u64),
            format!("{} – {}", grouped(rate.min as u64), grouped(rate.max as u64)),
            format!("{}/s", bytes(figures.bytes_per_second.median as u64)),
            nanoseconds(figures.ns_per_element.median),
            figures.peak_bytes.map_or(NONE.to_string(), |peak| bytes(peak.median as u64)),
            ratio.map_or(no_ratio.to_string(), |ratio| {
                format!("{} ({} – {})", times(ratio.median), times(ratio.min), times(ratio.max))
            }),
        ]
    };
    let rivals = [("native pass", &results.native), ("a process per stage", &results.processes)];
    let measured =
        rivals.into_iter().filter_map(|(name, rival)| Some(row(name, rival.figures.as_ref()?, rival.ours_to_it)));
    [row("ours", &results.ours, None)].into_iter().chain(measured).collect()
}

/// The percentiles of a latency, and its greatest value.
pub(super) fn percentiles(latency: Option<&Distribution>) -> [String; 5] {
    let Some(of) = latency else { return [(); 5].map(|()| NONE.to_string()) };
    [of.p50, of.p90, of.p99, of.p99_9, of.max].map(time)
}

fn latencies(results: &Results) -> String {
    let mut table = table(["latency of an element", "p50", "p90", "p99", "p99.9", "max", "in a call", "calls"]);
    let mut row = |name: &str, latency: Option<&Distribution>, batch: Option<&Distribution>| {
        let batches = batch.map_or(String::new(), |batch| match batch.min == batch.max {
            true => grouped(batch.max),
            false => format!("{} (to {})", grouped(batch.p50), grouped(batch.max)),
        });
        let calls = batch.map_or(String::new(), |batch| grouped(batch.count));
        table.add_row([vec![name.to_string()], percentiles(latency).to_vec(), vec![batches, calls]].concat());
    };
    row("end to end", results.latency.end_to_end_ns.as_ref(), None);
    for node in &results.latency.nodes {
        row(&node.name, node.latency_ns.as_ref(), node.batch.as_ref());
    }
    finish(table)
}

fn system_calls(results: &Results) -> String {
    let mut table = table(["system calls", "calls", "bytes", "bytes per call"]);
    for endpoint in &results.endpoints {
        let per_call = endpoint.bytes_per_call.map_or(NONE.to_string(), |size| bytes(size as u64));
        table.add_row([endpoint.name.clone(), grouped(endpoint.calls.ops), bytes(endpoint.calls.bytes), per_call]);
    }
    finish(table)
}

/// A ratio, with two digits after the point, or three significant ones if it is small.
pub(super) fn times(ratio: f64) -> String {
    if ratio >= 0.1 { format!("{ratio:.2}×") } else { format!("{ratio:.4}×") }
}

/// A time for an element, which may be less than a nanosecond.
pub(super) fn nanoseconds(ns: f64) -> String {
    if ns < 100.0 { format!("{ns:.1} ns") } else { time(ns as u64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_small_and_large_figures() {
        assert_eq!([0.00123, 0.5, 12.345].map(times), ["0.0012×", "0.50×", "12.35×"]);
        assert_eq!([0.04, 12.34, 1500.0].map(nanoseconds), ["0.0 ns", "12.3 ns", "1.5 µs"]);
    }
}
