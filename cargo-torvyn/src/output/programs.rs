//! What programs read when a command ends, however it ends: the summary as the last line of JSON, the log of SARIF, and the
//! JUnit report of cases that could not run. What is read on the way is printed by the commands.

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

/// What a program reads on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Lines of JSON.
    Json,
    /// One document of SARIF.
    Sarif,
}

/// The program that reads what a command prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Audience {
    pub(crate) format: Format,
    /// The `reason` of the last line.
    pub(crate) summary: &'static str,
    /// Whether it gets the messages of cargo.
    pub(crate) reads_cargo: bool,
    /// Whether it sees files from the folder of the workspace, as the readers of rustc do, and not from the current folder.
    pub(crate) sees_workspace: bool,
}

/// What the arguments ask for that must be valid whatever happens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// None where the result is for people.
    pub(crate) audience: Option<Audience>,
    /// The file for a JUnit report.
    pub(crate) junit: Option<PathBuf>,
}

/// What is known of the end of the command so far.
#[derive(Debug)]
pub(crate) struct Ending {
    asked: Asked,
    /// The fields of the summary that are the command's own, as JSON without the braces.
    fields: String,
    results: Option<Results>,
    failures: Vec<FailureRecord>,
    began: SystemTime,
    /// It was made, and nothing has begun since.
    is_made: bool,
}

/// The fields that every summary ends with.
#[derive(Serialize)]
struct Outcome<'a> {
    outcome: &'static str,
    exit_code: u8,
    failures: &'a [FailureRecord],
}

impl Ending {
    pub(crate) fn new(asked: Asked) -> Self {
        Ending {
            asked,
            fields: String::new(),
            results: None,
            failures: Vec::new(),
            began: SystemTime::now(),
            is_made: false,
        }
    }

    pub(crate) fn audience(&self) -> Option<Audience> {
        self.asked.audience
    }

    /// Sets the fields of the summary, in place of those set before.
    ///
    /// # Errors
    ///
    /// Where they are not an object.
    pub(crate) fn set_fields(&mut self, fields: &impl Serialize) -> anyhow::Result<()> {
        self.fields = inner(&serde_json::to_string(fields)?)?.to_string();
        self.is_made = false;
        Ok(())
    }

    /// Sets what was found, for SARIF.
    pub(crate) fn set_results(&mut self, results: Results) {
        self.results = Some(results);
    }

    /// Adds a reason why the command did not succeed.
    pub(crate) fn add(&mut self, failure: FailureRecord) {
        self.failures.push(failure);
    }

    /// Whether a reason with this code is among them.
    pub(crate) fn has(&self, code: &str) -> bool {
        self.failures.iter().any(|failure| failure.code == code)
    }

    /// Whether what a program reads at the end was made, and nothing has begun since.
    pub(crate) fn is_made(&self) -> bool {
        self.is_made
    }

    /// Takes the JUnit report that is still to be written: its file, the reasons, and when the command began.
    pub(crate) fn take_junit(&mut self) -> Option<(PathBuf, Vec<FailureRecord>, SystemTime)> {
        let path = self.asked.junit.take()?;
        Some((path, self.failures.clone(), self.began))
    }

    /// What a program reads at the end, if one reads, without a line end. A session that goes on begins again.
    ///
    /// # Errors
    ///
    /// Where it cannot be made, which would be an internal error.
    pub(crate) fn text(&mut self, exit: Exit) -> anyhow::Result<Option<String>> {
        self.is_made = true;
        let Some(Audience { format, summary, .. }) = self.asked.audience else { return Ok(None) };
        let fields = std::mem::take(&mut self.fields);
        let failures = std::mem::take(&mut self.failures);
        let text = match format {
            Format::Json => {
                let outcome = Outcome { outcome: exit.outcome(), exit_code: exit as u8, failures: &failures };
                let outcome = serde_json::to_string(&outcome)?;
                let separator = if fields.is_empty() { "" } else { "," };
                // `reason` is first, so that what reads a line knows what it is.
                format!("{{\"reason\":\"{summary}\",{fields}{separator}{}}}", inner(&outcome)?)
            }
            Format::Sarif => {
                let none = || Results::none(&env::current_dir().unwrap_or_default(), Path::new(""));
                let results = self.results.take().unwrap_or_else(none);
                serde_json::to_string_pretty(&log(&results, exit, &failures))?
            }
        };
        Ok(Some(text))
    }
}

/// The fields of an object of JSON.
fn inner(object: &str) -> anyhow::Result<&str> {
    let inner = object.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    inner.ok_or_else(|| anyhow::anyhow!("a summary is an object, not `{object}`"))
}

/// Whether a line is one object of JSON.
pub(crate) fn is_object(line: &str) -> bool {
    matches!(serde_json::from_str(line), Ok(Value::Object(_)))
}

/// Refuses a file that is standard output too, where a program reads that: neither could be told from the other. `what`
/// names what the file is for.
///
/// # Errors
///
/// A [`Stop`] that says what to type; `help` is that.
pub(crate) fn refuse_stdout(path: &Path, what: &str, help: &str) -> Result<(), Stop> {
    if !is_stdout(path) {
        return Ok(());
    }
    let message = format!("{what} (`{}`) and `--message-format` both write to standard output", path.display());
    Err(Stop::new(Exit::Usage, message).help(help))
}

/// Whether standard output goes to this file, by whatever name. What goes to `/dev/null` is in nobody's way.
fn is_stdout(path: &Path) -> bool {
    let stdout = standard_streams::opened(io::stdout()).ok().map(|(id, _)| id);
    stdout
        .is_some_and(|stdout| stdout == FileId::from_path(path) && stdout != FileId::from_path(Path::new("/dev/null")))
}

/// A path as text, with replacement characters where it is not UTF-8: a line of JSON cannot have anything else.
pub(crate) fn lossy<S: Serializer>(path: &(impl AsRef<Path> + ?Sized), serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.as_ref().to_string_lossy())
}

/// As [`lossy`], of several.
pub(crate) fn lossy_all<S: Serializer>(paths: &[PathBuf], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(paths.iter().map(|path| path.to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::output::failure;

    fn ending(format: Format) -> Ending {
        Ending::new(Asked {
            audience: Some(Audience { format, summary: "run-summary", reads_cargo: false, sees_workspace: false }),
            junit: None,
        })
    }

    #[test]
    fn the_summary_has_its_reason_first_and_how_it_ended_last() {
        let mut ending = ending(Format::Json);
        ending.set_fields(&json!({ "pipeline": "main" })).unwrap();
        assert_eq!(
            ending.text(Exit::Ok).unwrap().unwrap(),
            r#"{"reason":"run-summary","pipeline":"main","outcome":"succeeded","exit_code":0,"failures":[]}"#
        );
        // Nothing is known of it, and the next round of a session begins so too.
        ending.add(FailureRecord::new(failure::USAGE, "no \"such\"\nthing"));
        let text = ending.text(Exit::Usage).unwrap().unwrap();
        assert!(!text.contains('\n'), "{text}");
        let summary: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&summary["outcome"], &summary["failures"][0]["code"]), (&json!("usage-error"), &json!("usage")));
        assert_eq!(summary["failures"][0]["message"], "no \"such\"\nthing");
    }

    #[test]
    fn a_log_of_a_command_that_failed_is_whole() {
        let mut ending = ending(Format::Sarif);
        ending.add(FailureRecord::new(failure::USAGE, "no such thing"));
        let log: Value = serde_json::from_str(&ending.text(Exit::Usage).unwrap().unwrap()).unwrap();
        let run = &log["runs"][0];
        assert_eq!(run["results"], json!([]));
        assert_eq!(run["invocations"][0]["executionSuccessful"], false);
        assert_eq!(run["invocations"][0]["toolExecutionNotifications"][0]["descriptor"]["id"], "usage");
    }
}
