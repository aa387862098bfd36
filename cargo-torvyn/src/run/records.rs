//! The records of a run in files: as lines of JSON, `lines`, and as a trace for viewers, `trace`.
//!
//! The files are opened before the flow begins and put in their places after it has ended, however it did.

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
use crate::output::run_report::grouped;
use crate::output::shell::Shell;

mod lines;
mod trace;

const RECORDS: &str = "the records";
const TRACE: &str = "the trace";

/// The number of the one flow of a run.
const FLOW: u32 = 1;

/// How records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Lines,
    Trace,
}

/// The files that records go to, and what records.
pub(crate) struct Files {
    files: Vec<(Format, PathBuf, AtomicFile)>,
    recorder: Recorder,
}

/// What records are of.
struct Of<'a> {
    pipeline: &'a str,
    graph: &'a Graph,
    ring: &'a Ring,
}

impl Files {
    /// Opens what the arguments name. Where they name nothing, nothing is recorded.
    ///
    /// # Errors
    ///
    /// Where a file cannot be written.
    pub(crate) fn open(args: &RecordArgs) -> anyhow::Result<Files> {
        let mut files = Vec::new();
        let wanted = [(Format::Lines, RECORDS, &args.records), (Format::Trace, TRACE, &args.trace)];
        for (format, what, path) in
            wanted.into_iter().filter_map(|(format, what, path)| Some((format, what, path.as_ref()?)))
        {
            let refused = || Stop::new(Exit::Failed, format!("cannot write {what} to `{}`", path.display()));
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

    /// What the flow records with.
    pub(crate) fn recorder(&self) -> Recorder {
        self.recorder.clone()
    }

    /// Puts the files in their places, and tells of it.
    ///
    /// # Errors
    ///
    /// The first file that cannot be written.
    pub(crate) fn write(self, pipeline: &str, graph: &Graph, shell: &mut Shell) -> anyhow::Result<()> {
        let Some(ring) = self.recorder.ring() else { return Ok(()) };
        let of = Of { pipeline, graph, ring: &ring };
        let mut names = Vec::new();
        for (format, path, file) in self.files {
            let bytes = match format {
                Format::Lines => lines::text(&of)?,
                Format::Trace => trace::text(&of)?,
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
            let are = if ring.lost() == 1 { "is" } else { "are" };
            shell.warn(format_args!("the {lost} before them {are} lost: `--record-capacity {more}` keeps all"))?;
        }
        Ok(())
    }
}

impl Of<'_> {
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

/// A buffer, by where it is in the table of the pool and how often that place was used before.
fn buffer(id: BufferId) -> String {
    format!("{}.{}", id.index, id.generation)
}
