//! Writes the records of a run to files: `lines` as lines of JSON, `trace` as a trace for viewers.
//!
//! The files are opened before the flow starts and put in place after it has ended, even if it failed.

use std::path::PathBuf;

use anyhow::Context as _;
use torvyn_runtime::Recorder;
use torvyn_runtime::base::plural::noun;
use torvyn_runtime::ledger::ownership::BufferId;
use torvyn_runtime::ledger::{DEFAULT_CAPACITY, Place, Ring};
use torvyn_runtime::pipeline::graph::Graph;

use crate::cli::RecordArgs;
use crate::config::file_uses::FileUses;
use crate::exit::{Exit, Stop};
use crate::fs::atomic_file::AtomicFile;
use crate::output::failure;
use crate::output::result_file::ResultFile;
use crate::output::run_report::grouped;
use crate::output::shell::Shell;

mod lines;
mod trace;

const RECORDS: &str = "the records";
const TRACE: &str = "the trace";

/// The number of the only flow of a run.
const FLOW: u32 = 1;

/// The format of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Lines,
    Trace,
}

impl Format {
    fn kind(self) -> ResultFile {
        match self {
            Format::Lines => ResultFile::Records,
            Format::Trace => ResultFile::Trace,
        }
    }
}

/// The files of the records, and the recorder.
pub(crate) struct Files {
    files: Vec<(Format, PathBuf, AtomicFile)>,
    recorder: Recorder,
}

/// The records of a flow, with what they refer to.
struct FlowRecords<'a> {
    pipeline: &'a str,
    graph: &'a Graph,
    ring: &'a Ring,
}

impl Files {
    /// Opens the files that the arguments name. Without any, nothing is recorded.
    ///
    /// # Errors
    ///
    /// If a file cannot be written.
    pub(crate) fn open(args: &RecordArgs) -> anyhow::Result<Files> {
        let mut files = Vec::new();
        let wanted = [(Format::Lines, RECORDS, &args.records), (Format::Trace, TRACE, &args.trace)];
        for (format, what, path) in
            wanted.into_iter().filter_map(|(format, what, path)| Some((format, what, path.as_ref()?)))
        {
            let refused = || Stop::new(Exit::Failed, format!("cannot write {what} to `{}`", path.display()));
            format.kind().check_replaceable(path)?;
            let file = AtomicFile::create(path).with_context(|| refused().code(failure::RESULT_NOT_WRITTEN))?;
            files.push((format, path.clone(), file));
        }
        let recorder = match &files[..] {
            [] => Recorder::off(),
            _ => Recorder::new(FLOW, args.record_capacity.unwrap_or(DEFAULT_CAPACITY)),
        };
        Ok(Files { files, recorder })
    }

    /// The files that the arguments name.
    pub(crate) fn uses(args: &RecordArgs) -> FileUses {
        let mut uses = FileUses::default();
        for (what, path) in [(RECORDS, &args.records), (TRACE, &args.trace)] {
            path.iter().for_each(|path| _ = uses.write(what, path));
        }
        uses
    }

    /// The recorder of the flow.
    pub(crate) fn recorder(&self) -> Recorder {
        self.recorder.clone()
    }

    /// Writes the files, puts them in place and prints a status line.
    ///
    /// # Errors
    ///
    /// If a file cannot be written.
    pub(crate) fn write(self, pipeline: &str, graph: &Graph, shell: &mut Shell) -> anyhow::Result<()> {
        let Some(ring) = self.recorder.ring() else { return Ok(()) };
        let records = FlowRecords { pipeline, graph, ring: &ring };
        let mut names = Vec::new();
        for (format, path, file) in self.files {
            let bytes = match format {
                Format::Lines => lines::text(&records)?,
                Format::Trace => trace::text(&records)?,
            };
            file.finish(&bytes).with_context(|| failure::not_written(&path, ""))?;
            names.push(format!("`{}`", path.display()));
        }
        let count = ring.len() as u64;
        let what = if count == 1 { "call, copy or hand-off" } else { "calls, copies and hand-offs" };
        shell.status("Recorded", format_args!("{} {what} in {}", grouped(count), names.join(" and ")))?;
        if ring.lost() > 0 {
            let more = (ring.lost() + ring.len() as u64).next_power_of_two();
            let lost = format!("{} {}", grouped(ring.lost()), noun(ring.lost(), "record"));
            let were = if ring.lost() == 1 { "was" } else { "were" };
            shell.warn(format_args!("the {lost} before them {were} lost; keep all with `--record-capacity {more}`"))?;
        }
        Ok(())
    }
}

impl FlowRecords<'_> {
    fn node(&self, index: u16) -> &str {
        &self.graph.nodes()[usize::from(index)].name
    }

    fn place(&self, place: Place) -> &str {
        match place {
            Place::Host => "host",
            Place::Node(index) => self.node(index),
        }
    }
}

/// The name of a buffer: its place in the table of the pool, and how often that place was used before.
fn buffer_name(id: BufferId) -> String {
    format!("{}.{}", id.index, id.generation)
}
