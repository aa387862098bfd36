//! The files of dead letters: elements that stages failed at for good, as lines of JSON. `manifest` says which stage has
//! which file, and the runtime which elements. Cases have none of these files: what they keep is in `cases`.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde::Serialize;
use torvyn_runtime::base::cut::CutOff;
use torvyn_runtime::endpoint::{self, FileId, InterruptibleFile, NoReader};
use torvyn_runtime::flow::{DeadLetter, DeadLetters};
use torvyn_runtime::payload::{MAX_ELEMENT_BYTES, Pool};
use torvyn_runtime::{Cut, Error, StageError};

use crate::config::base64;
use crate::config::manifest::Pipeline;
use crate::exit::{Exit, Stop};
use crate::fs::atomic_file;
use crate::output::failure;

/// How often is looked whether somebody reads a FIFO.
const LOOK: Duration = Duration::from_millis(20);

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
    /// Two names of one file are one file.
    id: FileId,
    file: Option<Target>,
    written: u64,
    /// When a pipe that nobody reads is given up.
    cut: Cut,
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
            let id = FileId::from_path(path);
            let index = files.iter().position(|letters| letters.id == id).unwrap_or(files.len());
            if index == files.len() {
                let refused =
                    || Stop::new(Exit::Failed, format!("cannot write the dead letters of `{}`", path.display()));
                check(path).with_context(|| refused().code(failure::DEAD_LETTER_FAILED))?;
                files.push(Letters { path: path.clone(), id, file: None, written: 0, cut: Cut::default() });
            }
            stages.push((stage.name.clone(), index));
        }
        let files = Arc::new(Mutex::new(files));
        Ok(DeadLetterFiles { pipeline: pipeline.name.clone(), stages, files, pool: Pool::default() })
    }

    /// What waits for a reader gives up when this is due.
    pub(crate) fn give_up_at(&self, cut: &Cut) {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.iter_mut().for_each(|letters| letters.cut = cut.clone());
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
            if CutOff::is(&error) {
                return error;
            }
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
    /// Adds a line. Others may write to the file as well.
    ///
    /// # Errors
    ///
    /// Where all of it cannot be written; nothing of it is in the file then.
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

/// A file that is open.
#[derive(Debug)]
enum Target {
    /// A regular file, which has whole letters only.
    File(File),
    /// A pipe, a device or a descriptor of this process.
    Shared(InterruptibleFile),
}

impl Target {
    /// Opens a file to add to, or makes it. A FIFO is waited for until somebody reads it.
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

/// How long another process may keep the file locked. It takes as long as it takes to write a line.
const PATIENCE: Duration = Duration::from_secs(10);

/// Adds a line to a regular file, or nothing, while no other process that does the same writes to it. Where the last line has
/// no end, because its writer ended in the middle of it, this one begins a line of its own.
fn append_whole(file: &mut File, line: &[u8], cut: &Cut) -> io::Result<()> {
    lock(file, cut)?;
    let written = ends_in_a_line(file).and_then(|(len, torn)| {
        let line = if torn { [b"\n", line].concat() } else { line.to_vec() };
        write_or_take_back(file, &line, len)
    });
    file.unlock().ok();
    written
}

/// The length of the file, and whether its last line has no end.
fn ends_in_a_line(file: &File) -> io::Result<(u64, bool)> {
    let len = file.metadata()?.len();
    let mut last = [b'\n'];
    if len > 0 && file.read_exact_at(&mut last, len - 1).is_err() {
        // It may be written and not read: then nothing is known of the line.
        return Ok((len, false));
    }
    Ok((len, last != *b"\n"))
}

fn write_or_take_back(file: &mut File, line: &[u8], len: u64) -> io::Result<()> {
    let mut written = 0;
    while written < line.len() {
        match file.write(&line[written..]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(more) => written += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                // Unless somebody else has added something since.
                if written > 0 && file.metadata()?.len() == len + written as u64 {
                    file.set_len(len)?;
                }
                return Err(error);
            }
        }
    }
    Ok(())
}

fn lock(file: &File, cut: &Cut) -> io::Result<()> {
    let began = Instant::now();
    loop {
        match file.try_lock() {
            // Not every file system has locks.
            Ok(()) | Err(TryLockError::Error(_)) => return Ok(()),
            Err(TryLockError::WouldBlock) if cut.is_due() => return Err(CutOff.into()),
            Err(TryLockError::WouldBlock) if began.elapsed() < PATIENCE => thread::sleep(Duration::from_millis(1)),
            Err(TryLockError::WouldBlock) => {
                let message = format!("another process has kept it locked for {} s", PATIENCE.as_secs());
                return Err(io::Error::new(io::ErrorKind::WouldBlock, message));
            }
        }
    }
}

/// Whether a file can be written, or made, that a flow may never write.
fn check(path: &Path) -> io::Result<()> {
    match std::fs::metadata(path) {
        // Opening a pipe would wait for who reads it.
        Ok(metadata) if metadata.is_file() => endpoint::open_to_append(path).map(drop),
        Ok(metadata) if metadata.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => atomic_file::check(path),
        Err(error) => Err(error),
    }
}

/// How the stage failed, in a word: that of the contract for a failure that it returned.
pub(crate) fn kind(error: &Error) -> String {
    let Error::Stage { fault, .. } = error else { return "other".to_string() };
    match fault {
        StageError::Trap { .. } => "trap",
        StageError::Deadline { .. } => "deadline",
        StageError::Memory { .. } => "memory",
        StageError::Failure(text) | StageError::Fatal(text) => text.split(':').next().unwrap_or(text),
        StageError::Budget(_) => "budget-exceeded",
        StageError::CutOff => "interrupted",
        StageError::Link(_) | StageError::Contract(_) => "contract",
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
    use torvyn_runtime::payload::attributes::{Attribute, Attributes};
    use torvyn_runtime::payload::element::{Context, Element};

    use super::*;
    use crate::config::manifest::Manifest;

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
                fault: StageError::Trap { trap: "unreachable".to_string(), backtrace: Vec::new() },
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

    #[test]
    fn a_line_that_was_not_finished_takes_no_other_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("letters");
        for (before, after) in [("", "new\n"), ("old\n", "old\nnew\n"), ("to", "to\nnew\n")] {
            std::fs::write(&path, before).unwrap();
            let mut file = endpoint::open_to_append(&path).unwrap();
            append_whole(&mut file, b"new\n", &Cut::default()).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), after);
        }
    }

    fn fs_count(folder: &Path) -> usize {
        std::fs::read_dir(folder).unwrap().count()
    }
}
