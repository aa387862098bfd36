//! What was measured as a page, with plots.

use super::baseline::Comparison;
use super::latency::Distribution;
use super::report::{self, NONE};
use super::results::{Results, Round, Turn};
use crate::output::page::plot::{self, Series};
use crate::output::page::{self, Page, Section, escape, paragraph, table};
use crate::output::run_report::{bytes, grouped, time};

/// The page.
pub(crate) fn text(results: &Results, comparison: Option<&Comparison>) -> String {
    let mut lead = vec![report::summary(results) + "."];
    lead.extend(comparison.map(|comparison| capitalize(&comparison.text()) + "."));
    let program = &results.program;
    lead.push(format!(
        "cargo-torvyn {} ({} build), stages in the profile {}, {} processors. Starting all stages took {}, which is in no other time.",
        program.version,
        program.profile,
        program.stage_profile,
        program.processors,
        time(results.start_ns.median as u64)
    ));
    lead.extend(report::notes(results).iter().map(|note| capitalize(note) + "."));
    let mut sections = vec![
        Section::new("Rates", rates(results)),
        Section::new("Elements per second over rounds", rounds(results)),
        Section::new("Latency of an element", latency(results)),
    ];
    if !results.endpoints.is_empty() {
        sections.push(Section::new("System calls", system_calls(results)));
    }
    sections.extend(page::account::sections(&results.account));
    Page { title: format!("Bench of `{}`", results.pipeline), lead, sections }.text()
}

fn capitalize(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn rates(results: &Results) -> String {
    let header =
        ["median of rounds", "elements/s", "min – max", "bytes/s", "an element", "peak memory", "time of ours ÷ it"];
    table(&header, &report::rate_rows(results, NONE))
}

fn rounds(results: &Results) -> String {
    let elements = results.input.elements as f64;
    let rate = |turn: Turn| elements * 1e9 / turn.time_ns.max(1) as f64;
    let series = |name: &str, of: fn(&Round) -> Option<Turn>| {
        let values: Vec<_> = results.rounds.iter().map(|round| of(round).map(rate)).collect();
        Series { name: name.to_string(), values }
    };
    let mut all = vec![series("ours", |round| Some(round.ours))];
    if results.native.figures.is_some() {
        all.push(series("native pass", |round| round.native));
    }
    if results.processes.figures.is_some() {
        all.push(series("a process per stage", |round| round.processes));
    }
    format!("<figure>\n{}</figure>\n", plot::rounds(&all))
}

fn latency(results: &Results) -> String {
    let of = &results.latency;
    let row = |name: &str, latency: Option<&Distribution>, batch: Option<&Distribution>| {
        let sizes = batch.map(|batch| [batch.p50, batch.max, batch.count].map(grouped));
        let sizes = sizes.unwrap_or_else(|| [(); 3].map(|()| NONE.to_string()));
        [vec![name.to_string()], report::percentiles(latency).to_vec(), sizes.to_vec()].concat()
    };
    let mut rows = vec![row("end to end", of.end_to_end_ns.as_ref(), None)];
    rows.extend(of.nodes.iter().map(|node| row(&node.name, node.latency_ns.as_ref(), node.batch.as_ref())));
    let header = ["", "p50", "p90", "p99", "p99.9", "max", "in a call, p50", "in a call, most", "calls"];
    let rounds = if of.rounds == 1 { "one round".to_string() } else { format!("{} rounds", of.rounds) };
    let how = format!(
        "From {rounds} in which nothing else was measured, while elements were always waiting. End to end: from when an \
         element was read, or made by a source, until it was written. In a stage or an output: from the end of the call that sent \
         it to the end of the call that took it. In an input or a source: the time of the call that made it."
    );
    let mut text = paragraph(&how) + &table(&header, &rows);
    let plot = |name: &str, latency: &Distribution, is_small| {
        let bars: Vec<_> = latency.bars.iter().map(|bar| (bar.up_to, bar.count)).collect();
        let label = format!("Latency, {name}");
        let svg = plot::histogram(&label, &bars, latency.min, is_small);
        format!("<figure>\n<h3>{}</h3>\n{svg}</figure>\n", escape(name))
    };
    text += &of.end_to_end_ns.as_ref().map(|latency| plot("end to end", latency, false)).unwrap_or_default();
    let nodes = of.nodes.iter().filter_map(|node| Some(plot(&node.name, node.latency_ns.as_ref()?, true)));
    text + &format!("<div class=\"grid\">\n{}</div>\n", nodes.collect::<String>())
}

fn system_calls(results: &Results) -> String {
    let row = |endpoint: &super::results::SystemCalls| {
        let per_call = endpoint.bytes_per_call.map_or(NONE.to_string(), |size| bytes(size as u64));
        vec![
            endpoint.name.clone(),
            endpoint.kind.to_string(),
            grouped(endpoint.calls.ops),
            bytes(endpoint.calls.bytes),
            per_call,
        ]
    };
    table(
        &["endpoint", "kind", "calls", "bytes", "bytes per call"],
        &results.endpoints.iter().map(row).collect::<Vec<_>>(),
    )
}
