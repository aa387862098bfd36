//! The run report as a page: where bytes were copied and why, and where the time went.

use torvyn_runtime::Account;
use torvyn_runtime::base::plural::noun;
use torvyn_runtime::flow::account::Elements;

use super::{Page, Section, paragraph, plot, sankey, table};
use crate::output::run_report::{self, bytes, copies, entered_bytes, grouped, time};

/// The page of one run.
pub(crate) fn page(pipeline: &str, account: &Account) -> String {
    let Elements { entered, left, dropped, .. } = account.elements;
    let [left, dropped] = [left, dropped].map(grouped);
    let facts = format!(
        "{} {} in, {left} out, {dropped} dropped, in {}.",
        grouped(entered),
        noun(entered, "element"),
        time(account.wall_ns)
    );
    let how =
        "One run, measured as it ran. Rates over several rounds and latencies are measured by `cargo torvyn bench`.";
    Page { title: format!("Run of `{pipeline}`"), lead: vec![facts, how.to_string()], sections: sections(account) }
        .text()
}

/// The sections of a run report.
pub(crate) fn sections(account: &Account) -> Vec<Section> {
    vec![
        Section::new("Bytes copied, by part and reason", copied(account)),
        Section::new("Stages", stages(account)),
        Section::new("Inputs and outputs", endpoints(account)),
        Section::new("Time in calls", times(account)),
        Section::new("Payload memory", pool(account)),
    ]
}

fn copied(account: &Account) -> String {
    let diagram = match sankey::sankey(account) {
        Some(svg) => format!("<figure>\n{svg}</figure>\n"),
        None => paragraph("No byte was copied."),
    };
    let amplification = match account.amplification {
        Some(times) => format!(
            "Flow amplification {times:.2}: {} payload bytes copied at component boundaries ÷ {} that entered.",
            grouped(account.copies.payload_bytes()),
            grouped(entered_bytes(account))
        ),
        None => "There is no flow amplification: no payload byte entered.".to_string(),
    };
    diagram + &paragraph(&amplification)
}

fn stages(account: &Account) -> String {
    let rows: Vec<_> = account.stages.iter().map(|stage| run_report::stage_row(stage).to_vec()).collect();
    table(&run_report::STAGE_COLUMNS, &rows)
}

fn endpoints(account: &Account) -> String {
    let header = ["endpoint", "kind", "elements", "bytes", "time", "reads", "writes", "copied in the system", "joined"];
    let row = |point: &torvyn_runtime::flow::account::EndpointAccount| {
        vec![
            point.name.clone(),
            point.kind.to_string(),
            grouped(point.elements),
            bytes(point.payload_bytes),
            time(point.busy_ns),
            copies(point.kernel.reads),
            copies(point.kernel.writes),
            copies(point.kernel.ranges),
            copies(point.copies.host_serialize),
        ]
    };
    table(&header, &account.endpoints.iter().map(row).collect::<Vec<_>>())
}

fn times(account: &Account) -> String {
    let endpoints = |kind: &'static str| account.endpoints.iter().filter(move |point| point.kind == kind);
    let of_endpoint = |point: &torvyn_runtime::flow::account::EndpointAccount| (point.name.clone(), point.busy_ns);
    let stages = account.stages.iter().map(|stage| (stage.name.clone(), stage.busy_ns));
    let all = endpoints("input").map(of_endpoint).chain(stages).chain(endpoints("output").map(of_endpoint));
    let bars: Vec<_> = all.map(|(name, ns)| (name, ns as f64, time(ns))).collect();
    format!("<figure>\n{}</figure>\n", plot::bars("Time in the calls of each part", &bars))
}

fn pool(account: &Account) -> String {
    let pool = &account.pool;
    let reuse = match pool.reuse_rate {
        Some(rate) => format!("{:.1} % of {} blocks were reused.", 100.0 * rate, grouped(pool.allocated)),
        None => "No block was handed out.".to_string(),
    };
    let row = |class: &torvyn_runtime::payload::ClassUse| {
        let size = class.bytes.map_or("no class".to_string(), bytes);
        let counts = [class.taken, class.reused, class.returned, class.freed, class.most_live].map(grouped);
        [vec![size], counts.to_vec()].concat()
    };
    let rows: Vec<_> = pool.classes.iter().map(row).collect();
    let header = ["blocks of", "handed out", "reused", "kept", "freed", "in use at once"];
    if rows.is_empty() { paragraph(&reuse) } else { paragraph(&reuse) + &table(&header, &rows) }
}

#[cfg(test)]
pub(crate) mod tests {
    use torvyn_runtime::contract::{Bounds, Kind, Proof, Verdict};
    use torvyn_runtime::flow::account::{EndpointAccount, FailureUse, StageAccount};
    use torvyn_runtime::ledger::{Copies, Count, Kernel};
    use torvyn_runtime::payload::Pool;

    use super::*;
    use crate::output::page::tests::assert_stands_alone;

    /// A name that would break a page that does not escape it.
    pub(crate) const HOSTILE: &str = "<b onclick=\"x()\">&'";

    /// A stage that read and wrote, between an input and an output.
    pub(crate) fn account() -> Account {
        let count = |ops, bytes| Count { ops, bytes };
        let endpoint = |name: &str, kind, kernel| EndpointAccount {
            name: name.to_string(),
            kind,
            elements: 63,
            payload_bytes: 43_752,
            busy_ns: 36_300,
            kernel,
            ..EndpointAccount::default()
        };
        let copies = Copies {
            payload_read: count(63, 43_752),
            payload_write: count(63, 43_753),
            metadata_marshal: count(12, 1231),
            host_serialize: count(0, 0),
        };
        let stage = StageAccount {
            name: HOSTILE.to_string(),
            kind: Kind::Processor,
            replicas: 2,
            verdict: Verdict::Rewrite,
            proof: Some(Proof::Contract),
            bounds: Bounds::unknown(),
            elements_in: 63,
            elements_out: 63,
            elements_dropped: 0,
            busy_ns: 123_700,
            copies,
            failed_copies: Copies::default(),
            reads_max: 1,
            writes_max: 1,
            writes_unchanged: 0,
            rewritten: Count::default(),
            given_up: Count::default(),
            leases: Default::default(),
            failures: FailureUse::default(),
            log: Default::default(),
            amplification: Some(2.0),
        };
        let read = Kernel { reads: count(3, 43_815), ..Kernel::default() };
        let written = Kernel { writes: count(1, 43_816), ..Kernel::default() };
        Account {
            elements: Elements { entered: 63, left: 63, ..Elements::default() },
            traces: Vec::new(),
            stages: vec![stage],
            endpoints: vec![endpoint("input", "input", read), endpoint("output", "output", written)],
            copies,
            amplification: Some(2.0),
            pool: Pool::default().usage(),
            wall_ns: 951_200,
            cancelled: false,
            cut_off: None,
        }
    }

    #[test]
    fn page_has_the_figures_of_the_account() {
        let page = page(HOSTILE, &account());
        let text = assert_stands_alone(&page);
        for figure in [
            "63 elements in, 63 out, 0 dropped, in 951.2 µs.",
            "Flow amplification 2.00: 87,505 payload bytes copied at component boundaries ÷ 43,752 that entered.",
            "123.7 µs",
            "63 × 42.7 KiB",
            "processor ×2",
            "read by the stage: 43,752 bytes",
            "written by the stage: 43,753 bytes",
            "metadata: 1,231 bytes",
            "read from the system: 43,815 bytes",
            "written to the system: 43,816 bytes",
            "No block was handed out.",
        ] {
            assert!(text.contains(figure), "{figure}\n{text}");
        }
        assert!(!page.contains(HOSTILE) && page.matches("&lt;b onclick=&quot;x()&quot;&gt;&amp;&#39;").count() >= 5);
        let links = page.matches("<path").count();
        assert_eq!(links, 5, "a link for each part and reason");
    }

    #[test]
    fn a_run_that_copied_nothing_has_no_diagram() {
        let mut account = account();
        account.stages.clear();
        account.endpoints.clear();
        let page = page("main", &account);
        assert!(assert_stands_alone(&page).contains("No byte was copied."));
    }
}
