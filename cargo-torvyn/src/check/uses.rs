//! Unnecessary reads: payloads that a stage never looks at, and payloads of which it looks at only the first bytes.
//!
//! The findings follow the code of the component. Calls that the analysis cannot follow are not reported.

use std::path::Path;

use torvyn_runtime::analysis::{Analysis, Site, Use};
use torvyn_runtime::contract::{Kind, Payloads, TrackedImport, World};

use super::blame::{author_frame, blame, is_same_place};
use super::subject::Subject;
use crate::output::diagnostic::{Diagnostic, Sources};
use crate::output::lint::Lint;

const READS: &[TrackedImport] = &[TrackedImport::Read, TrackedImport::ReadAll];

impl Subject {
    /// Reports reads of the component that are unnecessary or larger than needed.
    pub(super) fn unused_bytes(&self, sources: &mut Sources) -> Vec<Diagnostic> {
        let Some(analysis) = &self.analysis else { return Vec::new() };
        let folder = self.folder();
        let reads: Vec<&Site> = analysis.sites.iter().filter(|site| READS.contains(&site.callee)).collect();
        if analysis.profile.kind == Kind::Processor && looks_at_nothing(&reads) {
            return self.reads_nothing(analysis, sources).into_iter().collect();
        }
        let mut found = Vec::new();
        for (bytes, sites) in partial_reads(&reads, folder.as_deref()) {
            let part = if bytes == 1 { "first byte".to_string() } else { format!("first {bytes} bytes") };
            let message = format!("`{}` reads whole payloads but looks at only their {part}", self.name);
            if let Some(finding) = self.levels.finding(Lint::WholeRead, message) {
                let finding = blame(finding, &sites, READS, folder.as_deref(), sources);
                found.push(finding.help(format!(
                    "read only that part: `element.read_range(0, {bytes})`, where `element.size()` is at least {bytes}"
                )));
            }
        }
        found
    }

    fn reads_nothing(&self, analysis: &Analysis, sources: &mut Sources) -> Option<Diagnostic> {
        let message = format!("`{}` reads payloads but never looks at a byte of them", self.name);
        let finding = self.levels.finding(Lint::ReadOnlyToForward, message)?;
        let finding = blame(finding, &analysis.sites, READS, self.folder().as_deref(), sources);
        let fits = World::narrowest(Kind::Processor, Payloads { read: false, ..analysis.used });
        Some(finding.help(format!(
            "use the metadata instead, such as `element.size()`: without the read, the stage fits the world `{fits}`"
        )))
    }
}

/// Whether there are reads, and none of their bytes is looked at.
fn looks_at_nothing(reads: &[&Site]) -> bool {
    !reads.is_empty() && reads.iter().all(|site| site.used == Use::Nothing)
}

/// The lines that read whole payloads and look at only a few bytes, with the number of bytes. A line that the compiler
/// turned into several calls counts as one read.
fn partial_reads(reads: &[&Site], package: Option<&Path>) -> Vec<(u32, Vec<Site>)> {
    let mut lines: Vec<Vec<&Site>> = Vec::new();
    for site in reads {
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

    use super::*;

    fn read(line: u32, used: Use) -> Site {
        let file = Some("src/lib.rs".to_string());
        let frames = vec![Frame { function: Some("process".to_string()), file, line: Some(line), column: None }];
        Site { callee: TrackedImport::Read, export: "process", frames, used }
    }

    #[test]
    fn a_line_counts_the_most_bytes_it_looks_at() {
        let sites = [read(5, Use::Within(2)), read(7, Use::Within(1)), read(5, Use::Within(8)), read(5, Use::Nothing)];
        let found = partial_reads(&sites.iter().collect::<Vec<_>>(), None);
        let lines: Vec<_> = found.iter().map(|(bytes, sites)| (*bytes, sites.len())).collect();
        assert_eq!(lines, [(8, 3), (1, 1)]);
    }

    #[test]
    fn a_call_that_cannot_be_followed_clears_its_line() {
        let sites = [read(5, Use::Within(2)), read(5, Use::Unknown), read(6, Use::Nothing)];
        let sites: Vec<_> = sites.iter().collect();
        assert!(partial_reads(&sites, None).is_empty());
        assert!(!looks_at_nothing(&sites));
        assert!(looks_at_nothing(&sites[2..]));
        assert!(!looks_at_nothing(&[]));
    }
}
