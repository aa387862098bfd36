//! Payloads are read, but the bytes read decide nothing, as far as the code or a run shows.

use torvyn_runtime::analysis::{Site, StageVerdict, Use};
use torvyn_runtime::contract::{Kind, Payloads, TrackedImport, World};
use torvyn_runtime::flow::account::StageAccount;

use super::Check;
use crate::check::blame::blame;
use crate::check::measured::{MIN_ELEMENTS, MeasuredStage};
use crate::check::subject::Subject;
use crate::config::lint::{Level, Lint};
use crate::output::diagnostic::{Diagnostic, Sources};
use crate::output::run_report::grouped;

pub(super) const LINT: Lint = Lint { code: "read-only-to-forward", level: Level::Warn };
pub(super) const CHECKS: &[Check] = &[Check::Stage(find), Check::RunStage(find_in_run)];

const READS: &[TrackedImport] = &[TrackedImport::Read, TrackedImport::ReadAll];

fn find(subject: &Subject, _: &StageVerdict, sources: &mut Sources) -> Vec<Diagnostic> {
    finding(subject, sources).into_iter().collect()
}

fn finding(subject: &Subject, sources: &mut Sources) -> Option<Diagnostic> {
    let analysis = subject.analysis.as_ref()?;
    if analysis.profile.kind != Kind::Processor || !looks_at_nothing(&analysis.sites) {
        return None;
    }
    let message = format!("`{}` reads payloads but never looks at a byte of them", subject.name);
    let finding = subject.levels.finding(LINT, message)?;
    let finding = blame(finding, &analysis.sites, READS, subject.folder().as_deref(), sources);
    let fits = World::narrowest(Kind::Processor, Payloads { read: false, ..analysis.used });
    Some(finding.help(format!(
        "use the metadata instead, such as `element.size()`: without the read, the stage fits the world `{fits}`"
    )))
}

/// Whether there are reads, and none of their bytes is looked at.
fn looks_at_nothing(sites: &[Site]) -> bool {
    let mut reads = sites.iter().filter(|site| READS.contains(&site.callee)).peekable();
    reads.peek().is_some() && reads.all(|site| site.used == Use::Nothing)
}

/// Reports a stage that read every payload in full, once, and forwarded every element by handle to its only output.
fn find_in_run(stage: &MeasuredStage<'_>) -> Option<Diagnostic> {
    let StageAccount { kind, elements_in, elements_out, elements_dropped, copies, reads_max, .. } = stage.account;
    // A read is never longer than the payload. So one read of each, with as many bytes as were offered, reads them all.
    let all_read = *reads_max == 1 && copies.payload_read.ops == *elements_in;
    let whole = copies.payload_write.ops == 0 && stage.account.amplification == Some(1.0);
    let all_forwarded = stage.outputs == 1 && elements_out == elements_in && *elements_dropped == 0;
    if *kind != Kind::Processor || *elements_in < MIN_ELEMENTS || !(all_read && whole) || !all_forwarded {
        return None;
    }
    let (name, elements) = (&stage.account.name, grouped(*elements_in));
    let message = format!("in this run, `{name}` read {elements} payloads in full and forwarded every element");
    Some(stage.finding(LINT, message)?.help("decide by metadata, or remove the read: the world `router` is enough"))
}

#[cfg(test)]
mod tests {
    use torvyn_runtime::analysis::Frame;
    use torvyn_runtime::ledger::amplification;
    use wat_guests::processor::Guest;

    use super::*;
    use crate::check::measured::tests::{TWO_OUTPUTS, echoed, finds, finds_in, forwarded};
    use crate::check::subject::tests;

    fn read(used: Use) -> Site {
        Site { callee: TrackedImport::Read, export: "process", frames: vec![Frame::default()], used }
    }

    #[test]
    fn every_read_must_be_unused() {
        assert!(looks_at_nothing(&[read(Use::Nothing)]));
        assert!(!looks_at_nothing(&[read(Use::Within(2)), read(Use::Unknown), read(Use::Nothing)]));
        assert!(!looks_at_nothing(&[read(Use::Nothing), read(Use::Unknown)]));
        assert!(!looks_at_nothing(&[]));
    }

    #[test]
    fn names_the_world_without_the_read() {
        let reads = Guest { process: "(call $look (local.get $batch) (i32.const 0))", ..Guest::default() }.build();
        let mut stage = tests::built("world = 'transform'", &reads);
        stage.analysis.as_mut().unwrap().sites = vec![read(Use::Nothing)];
        let unused = tests::found(&stage, find);
        assert_eq!(unused[0].message, "`stage` reads payloads but never looks at a byte of them");
        assert!(unused[0].help.as_ref().unwrap().ends_with("the stage fits the world `router`"));
    }

    #[test]
    fn reports_reads_that_only_precede_forwarding() {
        assert!(finds(find_in_run, forwarded()) && !finds(find_in_run, echoed()));
        let with = |change: fn(&mut StageAccount)| {
            let mut stage = forwarded();
            change(&mut stage);
            stage.amplification = amplification(stage.copies.payload_bytes(), 160);
            finds(find_in_run, stage)
        };
        let silent: [fn(&mut StageAccount); 7] = [
            |stage| stage.kind = Kind::Sink,
            |stage| stage.copies.payload_read.bytes = 159,
            |stage| stage.copies.payload_read.ops = 15,
            // Reading the first half twice is as many bytes.
            |stage| (stage.copies.payload_read.ops, stage.reads_max) = (32, 2),
            |stage| (stage.elements_out, stage.elements_dropped) = (15, 1),
            |stage| stage.elements_out = 17,
            |stage| stage.copies.payload_write.record(1, 0),
        ];
        for (index, change) in silent.into_iter().enumerate() {
            assert!(!with(change), "{index}");
        }
        // With two outputs, the bytes that it read may have decided between them.
        assert!(!finds_in(TWO_OUTPUTS, find_in_run, forwarded()));
        let mut few = forwarded();
        (few.elements_in, few.elements_out, few.copies.payload_read.ops) = (15, 15, 15);
        assert!(!finds(find_in_run, few));
    }
}
