//! Payloads are read whole, but only their first bytes are looked at. The finding follows the code of the component; calls
//! that the analysis cannot follow are not reported.

use std::path::Path;

use torvyn_runtime::analysis::{Site, StageVerdict, Use};
use torvyn_runtime::contract::TrackedImport;

use super::Check;
use crate::check::blame::{author_frame, blame, is_same_place};
use crate::check::subject::Subject;
use crate::config::lint::{Level, Lint};
use crate::output::diagnostic::{Diagnostic, Sources};

pub(super) const LINT: Lint = Lint { code: "whole-read", level: Level::Warn };
pub(super) const CHECKS: &[Check] = &[Check::Stage(find)];

const READS: &[TrackedImport] = &[TrackedImport::Read, TrackedImport::ReadAll];

fn find(subject: &Subject, _: &StageVerdict, sources: &mut Sources) -> Vec<Diagnostic> {
    let Some(analysis) = &subject.analysis else { return Vec::new() };
    let folder = subject.folder();
    let mut found = Vec::new();
    for (bytes, sites) in partial_reads(&analysis.sites, folder.as_deref()) {
        let part = if bytes == 1 { "first byte".to_string() } else { format!("first {bytes} bytes") };
        let message = format!("`{}` reads whole payloads but looks at only their {part}", subject.name);
        let Some(finding) = subject.levels.finding(LINT, message) else { continue };
        let finding = blame(finding, &sites, READS, folder.as_deref(), sources);
        found.push(finding.help(format!(
            "read only that part: `element.read_range(0, {bytes})`, where `element.size()` is at least {bytes}"
        )));
    }
    found
}

/// The lines that read whole payloads and look at only a few bytes, with the number of bytes. A line that the compiler
/// turned into several calls counts as one read.
fn partial_reads(sites: &[Site], package: Option<&Path>) -> Vec<(u32, Vec<Site>)> {
    let mut lines: Vec<Vec<&Site>> = Vec::new();
    for site in sites.iter().filter(|site| READS.contains(&site.callee)) {
        let place = |site: &Site| site.frames.get(author_frame(&site.frames, package)).cloned().unwrap_or_default();
        match lines.iter_mut().find(|line| is_same_place(&place(line[0]), &place(site))) {
            Some(line) => line.push(site),
            None => lines.push(vec![site]),
        }
    }
    let bytes = |line: &Vec<&Site>| {
        let most = line.iter().map(|site| match site.used {
            Use::Nothing => Some(0),
            Use::Within(bytes) => Some(bytes),
            Use::Unknown => None,
        });
        most.collect::<Option<Vec<u32>>>()?.into_iter().max().filter(|bytes| *bytes > 0)
    };
    let partial_read = |line: Vec<&Site>| Some((bytes(&line)?, line.into_iter().cloned().collect()));
    lines.into_iter().filter_map(partial_read).collect()
}

#[cfg(test)]
mod tests {
    use torvyn_runtime::analysis::Frame;
    use wat_guests::processor::Guest;

    use super::*;
    use crate::check::subject::tests::{built, found};

    fn read(line: u32, used: Use) -> Site {
        let file = Some("src/lib.rs".to_string());
        let frames = vec![Frame { function: Some("process".to_string()), file, line: Some(line), column: None }];
        Site { callee: TrackedImport::Read, export: "process", frames, used }
    }

    #[test]
    fn a_line_counts_the_most_bytes_it_looks_at() {
        let sites = [read(5, Use::Within(2)), read(7, Use::Within(1)), read(5, Use::Within(8)), read(5, Use::Nothing)];
        let found = partial_reads(&sites, None);
        let lines: Vec<_> = found.iter().map(|(bytes, sites)| (*bytes, sites.len())).collect();
        assert_eq!(lines, [(8, 3), (1, 1)]);
    }

    #[test]
    fn a_call_that_cannot_be_followed_clears_its_line() {
        let sites = [read(5, Use::Within(2)), read(5, Use::Unknown), read(6, Use::Nothing)];
        assert!(partial_reads(&sites, None).is_empty());
    }

    #[test]
    fn says_how_many_bytes_to_read() {
        let mut stage = built("world = 'transform'", &Guest::default().build());
        stage.analysis.as_mut().unwrap().sites = vec![read(5, Use::Within(2))];
        let whole = found(&stage, find);
        assert_eq!(whole[0].message, "`stage` reads whole payloads but looks at only their first 2 bytes");
        assert!(whole[0].help.as_ref().unwrap().contains("`element.read_range(0, 2)`"));
    }
}
