//! Dead-letter files: elements that stages failed at for good, as lines of JSON. The manifest sets the file of a stage, and
//! the runtime decides which elements are dead letters. Cases do not write these files: see `cases::compare`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use torvyn_runtime::base::cut::CutOff;
use torvyn_runtime::endpoint::{self, Appending, FileId, InterruptibleFile, NoReader};
use torvyn_runtime::flow::{DeadLetter, DeadLetters};
use torvyn_runtime::payload::{MAX_ELEMENT_BYTES, Pool};
use torvyn_runtime::{Cut, Error, StageError};

use crate::exit::{Exit, Stop};
use crate::manifest::Pipeline;
use crate::output::failure;

/// How often to check whether somebody reads a FIFO.
const LOOK: Duration = Duration::from_millis(20);

/// The dead-letter files of a pipeline.
#[derive(Clone)]
pub(crate) struct DeadLetterFiles {
    pipeline: String,
    /// Stages with a dead-letter file, each with the index of the file.
    stages: Vec<(String, usize)>,
    files: Arc<Mutex<Vec<LetterFile>>>,
    /// For payloads that are not in memory, or not in one piece.
    pool: Pool,
}

/// A dead-letter file, created at the first letter.
#[derive(Debug)]
struct LetterFile {
    path: PathBuf,
    /// Identifies the file, which can have several names.
    id: FileId,
    file: Option<Target>,
    written: u64,
    /// When to give up on a pipe that nobody reads.
    cut: Cut,
}

/// A line of a dead-letter file.
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
    /// The files that the pipeline declares. Creates none of them yet.
    ///
    /// # Errors
    ///
    /// If a file could not be written.
    pub(crate) fn new(pipeline: &Pipeline) -> anyhow::Result<DeadLetterFiles> {
        let (mut stages, mut files) = (Vec::new(), Vec::<LetterFile>::new());
        for stage in &pipeline.stages {
            let Some(path) = &stage.on_failure.dead_letters else { continue };
            let id = FileId::from_path(path);
            let index = files.iter().position(|letters| letters.id == id).unwrap_or(files.len());
            if index == files.len() {
                let refused = || Stop::new(Exit::Failed, format!("cannot write dead letters to `{}`", path.display()));
                endpoint::check_append(path).with_context(|| refused().code(failure::DEAD_LETTER_FAILED))?;
                files.push(LetterFile { path: path.clone(), id, file: None, written: 0, cut: Cut::default() });
            }
            stages.push((stage.name.clone(), index));
        }
        let files = Arc::new(Mutex::new(files));
        Ok(DeadLetterFiles { pipeline: pipeline.name.clone(), stages, files, pool: Pool::default() })
    }

    /// Sets when writes that wait for a reader give up.
    pub(crate) fn give_up_at(&self, cut: &Cut) {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.iter_mut().for_each(|letters| letters.cut = cut.clone());
    }

    /// A sink for the dead letters of a flow.
    pub(crate) fn sink(&self) -> DeadLetters {
        let letters = self.clone();
        Arc::new(move |letter| letters.write(letter))
    }

    /// The files that this run has written to, with the number of its letters.
    pub(crate) fn written(&self) -> Vec<(PathBuf, u64)> {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let with_any = files.iter().filter(|letters| letters.written > 0);
        with_any.map(|letters| (letters.path.clone(), letters.written)).collect()
    }

    fn write(&self, letter: DeadLetter<'_>) -> io::Result<()> {
        let file = self.stages.iter().find(|(stage, _)| stage == letter.stage).map(|(_, file)| *file);
        let file = file.ok_or_else(|| io::Error::other(format!("stage `{}` has no dead-letter file", letter.stage)))?;
        let line = self.line(letter)?;
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let letters = &mut files[file];
        letters.write(&line).map_err(|error| {
            if CutOff::is(&error) {
                return error;
            }
            io::Error::new(error.kind(), format!("cannot write `{}`: {error}", letters.path.display()))
        })
    }

    fn line(&self, DeadLetter { stage, element, error, attempt }: DeadLetter<'_>) -> io::Result<Vec<u8>> {
        let bytes = element.payload.len();
        // A longer payload is a range of an input file, which still has it.
        let payload = match bytes {
            ..=MAX_ELEMENT_BYTES => Some(element.payload.to_vec(&self.pool)?),
            _ => None,
        };
        let payload = payload.as_deref().map(|bytes| match std::str::from_utf8(bytes) {
            Ok(text) => Bytes::Text(text),
            Err(_) => Bytes::Base64(BASE64_STANDARD.encode(bytes)),
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

impl LetterFile {
    /// Appends a line. Other processes may write to the file too.
    ///
    /// # Errors
    ///
    /// If the line cannot be written as a whole; then no part of it is in the file.
    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(Target::open(&self.path, &self.cut)?),
        };
        match file {
            Target::File(file) => append_whole(file, line, &self.cut)?,
            Target::Shared(shared) => shared.write_all(line)?,
        }
        self.written += 1;
        Ok(())
    }
}

/// An open file.
#[derive(Debug)]
enum Target {
    /// A regular file, which only ever has complete letters.
    File(File),
    /// A pipe, a device or a descriptor of this process.
    Shared(InterruptibleFile),
}

impl Target {
    /// Opens or creates a file to append to. Waits for a reader if it is a FIFO.
    fn open(path: &Path, cut: &Cut) -> io::Result<Target> {
        let file = loop {
            match endpoint::open_to_append(path) {
                Err(error) if NoReader::is(&error) && cut.is_due() => return Err(CutOff.into()),
                Err(error) if NoReader::is(&error) => thread::sleep(LOOK),
                opened => break opened?,
            }
        };
        if file.metadata()?.is_file() && !endpoint::is_descriptor(path) {
            return Ok(Target::File(file));
        }
        let mut shared = InterruptibleFile::new(file);
        shared.give_up_at(cut);
        Ok(Target::Shared(shared))
    }
}

/// Appends a line to a regular file, as a whole or not at all, while it holds a lock against other such processes. If the
/// last line is incomplete, because its writer was killed, this one starts on a new line.
fn append_whole(file: &File, line: &[u8], cut: &Cut) -> io::Result<()> {
    let mut appending = Appending::begin(file, cut)?;
    appending.end_torn_line()?;
    appending.write(line)
}

/// The kind of a failure. For a failure that the stage returned, it is the name in the contract.
pub(crate) fn kind(error: &Error) -> String {
    let Error::Stage { source, .. } = error else { return "other".to_string() };
    match source {
        StageError::Trap { .. } => "trap",
        StageError::Deadline { .. } => "deadline",
        StageError::Memory { .. } | StageError::Start(_) => "memory",
        StageError::Failure(text) | StageError::Fatal(text) => text.split(':').next().unwrap_or(text),
        StageError::Budget(_) => "budget-exceeded",
        StageError::CutOff => "interrupted",
        StageError::Link(_) | StageError::Replicas(_) | StageError::Contract(_) => "contract",
    }
    .to_string()
}

/// The reason of a failure, with all causes.
pub(crate) fn reason(error: &Error) -> String {
    let error: &(dyn std::error::Error + 'static) = error;
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};
    use torvyn_runtime::payload::attributes::{Attribute, Attributes};
    use torvyn_runtime::payload::element::{Context, Element};

    use super::*;
    use crate::manifest::Manifest;

    #[test]
    fn several_stages_can_share_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let text = "pipeline.main.stages = [{ name = 'a', on-failure.dead-letter = 'l' }, \
                    { name = 'b', on-failure.dead-letter = 'l' }, { name = 'c', on-failure.dead-letter = 'm' }]";
        let manifest = Manifest::parse(text, &folder.path().join("Torvyn.toml")).unwrap();
        let letters = DeadLetterFiles::new(manifest.select(None).unwrap()).unwrap();
        assert_eq!(fs_count(folder.path()), 0, "a file is created at the first letter");
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
                source: StageError::Trap { trap: "unreachable".to_string(), backtrace: Vec::new() },
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
