//! The files that programs read results from: reports, baselines, records. An existing file with anything else in it is not
//! replaced by a result, because people mistype names.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;

use crate::exit::{Exit, Stop};
use crate::fs::atomic_file;
use crate::output::{failure, page};

/// How many bytes are read to recognize a file.
const HEAD: u64 = 1024;

/// What a page is for, in messages.
pub(crate) const PAGE: &str = "the report";

/// Checks in advance, as far as possible, that a page can be written to `path`.
///
/// # Errors
///
/// Why it cannot.
pub(crate) fn check_page(path: &Path) -> anyhow::Result<()> {
    ResultFile::Page.check_replaceable(path)?;
    atomic_file::check_and_hold(path).with_context(|| not_written(path))
}

/// Writes a page, as a whole or not at all.
///
/// # Errors
///
/// The error of the system.
pub(crate) fn write_page(path: &Path, text: &str) -> anyhow::Result<()> {
    atomic_file::write(path, text.as_bytes()).with_context(|| not_written(path))
}

fn not_written(path: &Path) -> Stop {
    failure::not_written(path, &format!("{PAGE} "))
}

/// The kind of a file of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResultFile {
    Junit,
    Baseline,
    Records,
    Trace,
    BenchBaseline,
    Page,
}

impl ResultFile {
    /// Refuses to replace an existing file of another kind. An empty file can be replaced.
    ///
    /// # Errors
    ///
    /// A [`Stop`] that names the file.
    pub(crate) fn check_replaceable(self, path: &Path) -> Result<(), Stop> {
        // Only regular files are replaced; others, such as pipes, are written to.
        if !path.is_file() {
            return Ok(());
        }
        let mut head = Vec::new();
        // A file that cannot be read or written is reported when it is opened.
        File::open(path).and_then(|file| file.take(HEAD).read_to_end(&mut head)).ok();
        let head = String::from_utf8_lossy(&head);
        let start = head.trim_start_matches('\u{feff}').trim_ascii_start();
        if start.is_empty() || self.begins_like(start) {
            return Ok(());
        }
        let stop = Stop::new(Exit::Usage, format!("`{}` exists and is not {}", path.display(), self.name()));
        Err(stop.code(failure::RESULT_NOT_WRITTEN).help("name another file, or remove this one"))
    }

    fn begins_like(self, start: &str) -> bool {
        match self {
            // Reports of other programs can be replaced too.
            ResultFile::Junit => start.starts_with('<') && start.contains("<testsuite"),
            ResultFile::Baseline => {
                start.starts_with('{') && ["\"version\"", "\"built\""].iter().all(|key| start.contains(key))
            }
            ResultFile::Records => start.starts_with("{\"reason\":"),
            ResultFile::Trace => start.starts_with("{\"traceEvents\":"),
            ResultFile::BenchBaseline => start.starts_with('{') && start.contains("\"torvyn-bench\""),
            ResultFile::Page => start.starts_with(page::START),
        }
    }

    fn name(self) -> &'static str {
        match self {
            ResultFile::Junit => "a JUnit report",
            ResultFile::Baseline => "a baseline",
            ResultFile::Records => "a file of records",
            ResultFile::Trace => "a trace",
            ResultFile::BenchBaseline => "a baseline of `bench`",
            ResultFile::Page => "a page of cargo-torvyn",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_files_of_the_same_kind_can_be_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("it");
        let kinds = [
            ResultFile::Junit,
            ResultFile::Baseline,
            ResultFile::Records,
            ResultFile::Trace,
            ResultFile::BenchBaseline,
            ResultFile::Page,
        ];
        for (content, replaced_by) in [
            ("", &kinds[..]),
            ("\u{feff} \n", &kinds),
            ("<?xml version=\"1.0\"?>\n<testsuites>", &[ResultFile::Junit]),
            ("<testsuite name='jest'/>", &[ResultFile::Junit]),
            ("{\n  \"version\": 2,\n  \"built\": false,", &[ResultFile::Baseline]),
            ("{\"reason\":\"transfer\",\"timestamp_ns\":1", &[ResultFile::Records]),
            ("{\"traceEvents\":[", &[ResultFile::Trace]),
            ("{\n  \"format\": \"torvyn-bench\",\n  \"version\": 1,", &[ResultFile::BenchBaseline]),
            (page::START, &[ResultFile::Page]),
            ("# A page\n\nabout `<testsuites>`", &[]),
            ("<html>", &[]),
            ("{\n  \"name\": \"package\",\n  \"version\": \"1.0.0\"", &[]),
            ("{\"level\":\"error\"}\n", &[]),
            ("[]", &[]),
            ("\0asm", &[]),
        ] {
            fs::write(&path, content).unwrap();
            let can_replace = |kind: &ResultFile| kind.check_replaceable(&path).is_ok();
            let found: Vec<_> = kinds.into_iter().filter(can_replace).collect();
            assert_eq!(found, replaced_by, "{content}");
        }
        fs::remove_file(&path).unwrap();
        assert!(ResultFile::Junit.check_replaceable(&path).is_ok(), "a new file");
    }
}
