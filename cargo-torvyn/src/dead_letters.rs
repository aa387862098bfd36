//! The files of dead letters: elements that stages failed at for good, as lines of JSON. `manifest` says which stage has
//! which file, and the runtime which elements. Cases have none of these files: what they keep is in `cases`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use serde::Serialize;
use torvyn_runtime::endpoint::MAX_ELEMENT_BYTES;
use torvyn_runtime::payload::Pool;
use torvyn_runtime::policy::{DeadLetter, DeadLetters};
use torvyn_runtime::{Error, Fault};

use crate::exit::{Exit, Stop};
use crate::manifest::Pipeline;
use crate::{base64, failure};

/// The files of the stages of a pipeline.
#[derive(Clone)]
pub(crate) struct DeadLetterFiles {
    pipeline: String,
    /// For each stage that has one, the index of its file.
    stages: Vec<(String, usize)>,
    files: Arc<Mutex<Vec<Letters>>>,
    /// For payloads that are not in memory, or not in one piece.
    pool: Pool,
}

/// A file, which is made when the first letter comes.
#[derive(Debug)]
struct Letters {
    path: PathBuf,
    file: Option<File>,
    written: u64,
}

/// A line of such a file.
#[derive(Serialize)]
struct Line<'a> {
    pipeline: &'a str,
    stage: &'a str,
    sequence: u64,
    timestamp: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    deadline: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<&'a str, &'a str>,
    attempt: u32,
    reason: Reason,
    bytes: usize,
    #[serde(flatten)]
    payload: Option<Bytes<'a>>,
}

#[derive(Serialize)]
struct Reason {
    kind: String,
    text: String,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Bytes<'a> {
    Text(&'a str),
    Base64(String),
}

impl DeadLetterFiles {
    /// Those that the pipeline names.
    ///
    /// # Errors
    ///
    /// Where a file could not be written. None is made.
    pub(crate) fn of(pipeline: &Pipeline) -> anyhow::Result<DeadLetterFiles> {
        let (mut stages, mut files) = (Vec::new(), Vec::<Letters>::new());
        for stage in &pipeline.stages {
            let Some(path) = &stage.on_failure.dead_letters else { continue };
            let index = files.iter().position(|letters| letters.path == *path).unwrap_or(files.len());
            if index == files.len() {
                let refused =
                    || Stop::new(Exit::Failed, format!("cannot write the dead letters of `{}`", path.display()));
                check(path).with_context(|| refused().code(failure::DEAD_LETTER_FAILED))?;
                files.push(Letters { path: path.clone(), file: None, written: 0 });
            }
            stages.push((stage.name.clone(), index));
        }
        let files = Arc::new(Mutex::new(files));
        Ok(DeadLetterFiles { pipeline: pipeline.name.clone(), stages, files, pool: Pool::default() })
    }

    /// Takes the letters of a flow.
    pub(crate) fn sink(&self) -> DeadLetters {
        let letters = self.clone();
        Arc::new(move |letter| letters.write(letter))
    }

    /// How many letters are in each file that has any of this run.
    pub(crate) fn written(&self) -> Vec<(PathBuf, u64)> {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let with_any = files.iter().filter(|letters| letters.written > 0);
        with_any.map(|letters| (letters.path.clone(), letters.written)).collect()
    }

    fn write(&self, letter: DeadLetter<'_>) -> io::Result<()> {
        let file = self.stages.iter().find(|(stage, _)| stage == letter.stage).map(|(_, file)| *file);
        let file = file.ok_or_else(|| io::Error::other(format!("`{}` has no file of dead letters", letter.stage)))?;
        let line = self.line(letter)?;
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let letters = &mut files[file];
        letters.write(&line).map_err(|error| {
            io::Error::new(error.kind(), format!("`{}` cannot be written: {error}", letters.path.display()))
        })
    }

    fn line(&self, DeadLetter { stage, element, error, attempt }: DeadLetter<'_>) -> io::Result<Vec<u8>> {
        let bytes = element.payload.len();
        // What is longer is a range of a file, which still has it.
        let payload = match bytes {
            ..=MAX_ELEMENT_BYTES => Some(element.payload.to_vec(&self.pool)?),
            _ => None,
        };
        let payload = payload.as_deref().map(|bytes| match std::str::from_utf8(bytes) {
            Ok(text) => Bytes::Text(text),
            Err(_) => Bytes::Base64(base64::encode(bytes)),
        });
        let line = Line {
            pipeline: &self.pipeline,
            stage,
            sequence: element.sequence,
            timestamp: element.timestamp,
            deadline: element.deadline(),
            trace: element.trace().map(|trace| trace.to_string()),
            attributes: element.attributes().iter().collect(),
            attempt,
            reason: Reason { kind: kind(error), text: reason(error) },
            bytes,
            payload,
        };
        let mut line = serde_json::to_vec(&line).map_err(io::Error::other)?;
        line.push(b'\n');
        Ok(line)
    }
}

impl Letters {
    /// Adds a line, in one piece: others may write to the file as well.
    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(File::options().append(true).create(true).open(&self.path)?),
        };
        file.write_all(line)?;
        self.written += 1;
        Ok(())
    }
}

/// Whether a file can be written, or made, that a flow may never write.
fn check(path: &Path) -> io::Result<()> {
    match std::fs::metadata(path) {
        // Opening a pipe would wait for who reads it.
        Ok(metadata) if metadata.is_file() => File::options().append(true).open(path).map(drop),
        Ok(metadata) if metadata.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            // The error of a temporary file would name a file that nobody knows.
            std::fs::metadata(folder)?;
            tempfile::tempfile_in(folder).map(drop).map_err(|error| error.kind().into())
        }
        Err(error) => Err(error),
    }
}

/// How the stage failed, in a word: that of the contract for a failure that it returned.
pub(crate) fn kind(error: &Error) -> String {
    let Error::Stage { fault, .. } = error else { return "other".to_string() };
    match fault {
        Fault::Trap { .. } => "trap",
        Fault::Deadline { .. } => "deadline",
        Fault::Memory { .. } => "memory",
        Fault::Failure(text) | Fault::Fatal(text) => text.split(':').next().unwrap_or(text),
        Fault::Budget(_) => "budget-exceeded",
        Fault::Link(_) | Fault::Contract(_) => "contract",
    }
    .to_string()
}

/// Why the stage failed, with all causes.
pub(crate) fn reason(error: &Error) -> String {
    let error: &(dyn std::error::Error + 'static) = error;
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};
    use torvyn_runtime::attributes::{Attribute, Attributes};
    use torvyn_runtime::element::{Context, Element};

    use super::*;
    use crate::manifest::Manifest;

    #[test]
    fn letters_of_several_stages_in_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let text = "pipeline.main.stages = [{ name = 'a', on-failure.dead-letter = 'l' }, \
                    { name = 'b', on-failure.dead-letter = 'l' }, { name = 'c', on-failure.dead-letter = 'm' }]";
        let manifest = Manifest::parse(text, &folder.path().join("Torvyn.toml")).unwrap();
        let letters = DeadLetterFiles::of(manifest.select(None).unwrap()).unwrap();
        assert_eq!(fs_count(folder.path()), 0, "a file is made when the first letter comes");
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let mut attributes = Attributes::new();
        for (name, value) in [("zone", "a \"b\""), ("tenant", "größe")] {
            attributes.set(Attribute::new(name, value).unwrap()).unwrap();
        }
        let context = Arc::new(Context { deadline: Some(9), trace: trace.parse().ok(), attributes });
        let sink = letters.sink();
        let payload = |bytes: &[u8]| Pool::default().adopt(bytes.to_vec().into());
        for (stage, payload, context) in [("a", payload(b"x\n"), Some(context)), ("b", payload(&[0, 255]), None)] {
            let element = Element { payload, sequence: 3, timestamp: 7, context };
            let error = Error::Stage {
                stage: stage.to_string(),
                call: "push",
                elements: Some((3, 3)),
                fault: Fault::Trap { trap: "unreachable".to_string(), backtrace: Vec::new() },
            };
            sink(DeadLetter { stage, element: &element, error: &error, attempt: 1 }).unwrap();
        }
        let reason = |stage| {
            let text = format!("stage `{stage}` failed in `push` at element 3: unreachable");
            json!({ "kind": "trap", "text": text })
        };
        let expected = [
            json!({ "pipeline": "main", "stage": "a", "sequence": 3, "timestamp": 7, "deadline": 9, "trace": trace,
                    "attributes": { "tenant": "größe", "zone": "a \"b\"" },
                    "attempt": 1, "reason": reason("a"), "bytes": 2, "text": "x\n" }),
            json!({ "pipeline": "main", "stage": "b", "sequence": 3, "timestamp": 7, "attempt": 1,
                    "reason": reason("b"), "bytes": 2, "base64": "AP8=" }),
        ];
        let text = std::fs::read_to_string(folder.path().join("l")).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines, expected);
        assert_eq!((letters.written(), fs_count(folder.path())), (vec![(folder.path().join("l"), 2)], 1));
    }

    fn fs_count(folder: &Path) -> usize {
        std::fs::read_dir(folder).unwrap().count()
    }
}
