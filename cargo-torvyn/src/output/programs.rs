//! The end of the machine-readable output, however a command ends: the summary as the last line of JSON, the SARIF log, and
//! the JUnit report of cases that could not run. The commands print what comes before.

use std::path::{Path, PathBuf};
use std::time::SystemTime;
use std::{env, io};

use serde::{Serialize, Serializer};
use serde_json::Value;
use torvyn_runtime::endpoint::FileId;

use crate::exit::{Exit, Stop};
use crate::fs::standard_streams;
use crate::output::failure::FailureRecord;
use crate::output::findings::{Results, log};

/// The machine-readable format on stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Lines of JSON.
    Json,
    /// One document of SARIF.
    Sarif,
}

/// The program that reads stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Audience {
    pub(crate) format: Format,
    /// The `reason` of the last line.
    pub(crate) summary: &'static str,
    /// Whether cargo's messages are passed on to it.
    pub(crate) reads_cargo: bool,
    /// Whether paths are relative to the folder of the workspace, as those of rustc, instead of the current folder.
    pub(crate) sees_workspace: bool,
}

/// The machine-readable output that the arguments request. It must be complete whatever happens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct OutputRequest {
    /// None if the output is for people.
    pub(crate) audience: Option<Audience>,
    /// The path of the JUnit report.
    pub(crate) junit: Option<PathBuf>,
}

/// What is known about the end of the command so far.
#[derive(Debug)]
pub(crate) struct Ending {
    request: OutputRequest,
    /// The command's own fields of the summary, as JSON without the braces.
    fields: String,
    results: Option<Results>,
    failures: Vec<FailureRecord>,
    began: SystemTime,
    /// Whether the ending has been created, and no new round has started since.
    is_made: bool,
}

/// The last fields of every summary.
#[derive(Serialize)]
struct Outcome<'a> {
    outcome: &'static str,
    exit_code: u8,
    failures: &'a [FailureRecord],
}

impl Ending {
    pub(crate) fn new(request: OutputRequest) -> Self {
        Ending {
            request,
            fields: String::new(),
            results: None,
            failures: Vec::new(),
            began: SystemTime::now(),
            is_made: false,
        }
    }

    pub(crate) fn audience(&self) -> Option<Audience> {
        self.request.audience
    }

    /// Sets the fields of the summary, replacing earlier ones.
    ///
    /// # Errors
    ///
    /// If they are not an object.
    pub(crate) fn set_fields(&mut self, fields: &impl Serialize) -> anyhow::Result<()> {
        self.fields = strip_braces(&serde_json::to_string(fields)?)?.to_string();
        self.is_made = false;
        Ok(())
    }

    /// Sets the findings for SARIF.
    pub(crate) fn set_results(&mut self, results: Results) {
        self.results = Some(results);
    }

    /// Adds a failure of the command.
    pub(crate) fn add(&mut self, failure: FailureRecord) {
        self.failures.push(failure);
    }

    /// Whether there is a failure with this code.
    pub(crate) fn has(&self, code: &str) -> bool {
        self.failures.iter().any(|failure| failure.code == code)
    }

    /// Whether the ending has been created, and no new round has started since.
    pub(crate) fn is_made(&self) -> bool {
        self.is_made
    }

    /// Takes the JUnit report that is still to be written: its path, the failures, and the start of the command.
    pub(crate) fn take_junit(&mut self) -> Option<(PathBuf, Vec<FailureRecord>, SystemTime)> {
        let path = self.request.junit.take()?;
        Some((path, self.failures.clone(), self.began))
    }

    /// Creates the end of the machine-readable output, without a line end; none if the output is for people. Resets the state
    /// for the next round of a session.
    ///
    /// # Errors
    ///
    /// If it cannot be created, which would be an internal error.
    pub(crate) fn text(&mut self, exit: Exit) -> anyhow::Result<Option<String>> {
        self.is_made = true;
        let Some(Audience { format, summary, .. }) = self.request.audience else { return Ok(None) };
        let fields = std::mem::take(&mut self.fields);
        let failures = std::mem::take(&mut self.failures);
        let text = match format {
            Format::Json => {
                let outcome = Outcome { outcome: exit.outcome(), exit_code: exit as u8, failures: &failures };
                let outcome = serde_json::to_string(&outcome)?;
                let separator = if fields.is_empty() { "" } else { "," };
                // `reason` is first, so that a reader recognizes the line early.
                format!("{{\"reason\":\"{summary}\",{fields}{separator}{}}}", strip_braces(&outcome)?)
            }
            Format::Sarif => {
                let none = || Results::empty(&env::current_dir().unwrap_or_default(), Path::new(""));
                let results = self.results.take().unwrap_or_else(none);
                serde_json::to_string_pretty(&log(&results, exit, &failures))?
            }
        };
        Ok(Some(text))
    }
}

/// The fields of an object of JSON.
fn strip_braces(object: &str) -> anyhow::Result<&str> {
    let inner = object.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    inner.ok_or_else(|| anyhow::anyhow!("a summary is an object, not `{object}`"))
}

/// Whether a line is one object of JSON.
pub(crate) fn is_object(line: &str) -> bool {
    matches!(serde_json::from_str(line), Ok(Value::Object(_)))
}

/// Rejects a file that is also stdout when a program reads stdout, because the two outputs would mix. `what` is the purpose
/// of the file.
///
/// # Errors
///
/// A [`Stop`] with `help`.
pub(crate) fn refuse_stdout(path: &Path, what: &str, help: &str) -> Result<(), Stop> {
    if !is_stdout(path) {
        return Ok(());
    }
    let message = format!("{what} (`{}`) and `--message-format` both write to standard output", path.display());
    Err(Stop::new(Exit::Usage, message).help(help))
}

/// Whether stdout goes to this file, under any name. `/dev/null` does not count.
fn is_stdout(path: &Path) -> bool {
    let stdout = standard_streams::opened(io::stdout()).ok().map(|(id, _)| id);
    stdout
        .is_some_and(|stdout| stdout == FileId::from_path(path) && stdout != FileId::from_path(Path::new("/dev/null")))
}

/// Serializes a path. Bytes that are not UTF-8 become replacement characters, because JSON is UTF-8.
pub(crate) fn lossy<S: Serializer>(path: &(impl AsRef<Path> + ?Sized), serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.as_ref().to_string_lossy())
}

/// Like [`lossy`], for several paths.
pub(crate) fn lossy_all<S: Serializer>(paths: &[PathBuf], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(paths.iter().map(|path| path.to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::output::failure;

    fn ending(format: Format) -> Ending {
        Ending::new(OutputRequest {
            audience: Some(Audience { format, summary: "run-summary", reads_cargo: false, sees_workspace: false }),
            junit: None,
        })
    }

    #[test]
    fn summary_starts_with_reason_and_ends_with_outcome() {
        let mut ending = ending(Format::Json);
        ending.set_fields(&json!({ "pipeline": "main" })).unwrap();
        assert_eq!(
            ending.text(Exit::Ok).unwrap().unwrap(),
            r#"{"reason":"run-summary","pipeline":"main","outcome":"succeeded","exit_code":0,"failures":[]}"#
        );
        // The next round starts without fields.
        ending.add(FailureRecord::new(failure::USAGE, "no \"such\"\nthing"));
        let text = ending.text(Exit::Usage).unwrap().unwrap();
        assert!(!text.contains('\n'), "{text}");
        let summary: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&summary["outcome"], &summary["failures"][0]["code"]), (&json!("usage-error"), &json!("usage")));
        assert_eq!(summary["failures"][0]["message"], "no \"such\"\nthing");
    }

    #[test]
    fn sarif_log_of_a_failed_command_is_complete() {
        let mut ending = ending(Format::Sarif);
        ending.add(FailureRecord::new(failure::USAGE, "no such thing"));
        let log: Value = serde_json::from_str(&ending.text(Exit::Usage).unwrap().unwrap()).unwrap();
        let run = &log["runs"][0];
        assert_eq!(run["results"], json!([]));
        assert_eq!(run["invocations"][0]["executionSuccessful"], false);
        assert_eq!(run["invocations"][0]["toolExecutionNotifications"][0]["descriptor"]["id"], "usage");
    }
}
