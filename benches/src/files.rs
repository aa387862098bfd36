//! Whole processes that read a file and write one: pipelines, against the tools that one would use instead.
//!
//! Each process works on the same file, which is in the page cache. What it wrote is compared, byte for byte, with what it
//! should have written, after the clock has stopped; then the file is removed.

use std::fs::{self, File};
use std::io::{BufWriter, Read, Write as _};
use std::path::Path;

use wasmtime::error::Context as _;
use wasmtime::{Result, ensure};

use crate::measure::{Group, Lane, Row};
use crate::options::Options;
use crate::payload;
use crate::project::{Project, Rival};

/// Bytes in a line, with its end.
const LINE: usize = 42;
/// Is in no line.
const NEEDLE: &str = "no such line";

/// A pipeline, and what it is compared with.
pub(crate) struct Work {
    pub(crate) title: &'static str,
    rival: &'static [&'static str],
    /// The exit code of the rival.
    code: i32,
    /// Bytes of the file.
    bytes: u64,
    framing: &'static str,
    stages: &'static str,
    written: Written,
    /// Whether no payload byte may enter the process.
    is_unread: bool,
}

/// What is written.
#[derive(Clone, Copy)]
enum Written {
    Input,
    UpperCase,
    Nothing,
}

const LINES: u64 = 602_000_000;

pub(crate) const ALL: [Work; 5] = [
    Work {
        title: "lines → transform → file",
        rival: &["tr", "a-z", "A-Z"],
        code: 0,
        bytes: LINES,
        framing: "as = \"lines\"",
        stages: "<transform>",
        written: Written::UpperCase,
        is_unread: false,
    },
    Work {
        title: "lines → inspector → file, no match",
        rival: &["grep", "-F", NEEDLE],
        code: 1,
        bytes: LINES,
        framing: "as = \"lines\"",
        stages: "{ component = <inspector>, config.needle = \"no such line\" }",
        written: Written::Nothing,
        is_unread: false,
    },
    Work {
        title: "lines → router → file",
        rival: &["cp"],
        code: 0,
        bytes: LINES,
        framing: "as = \"lines\"",
        stages: "<router>",
        written: Written::Input,
        is_unread: false,
    },
    Work {
        title: "chunks of 1 MiB → router → file",
        rival: &["cp"],
        code: 0,
        bytes: 2_000_000_000,
        framing: "as = \"chunks\", size = \"1MiB\"",
        stages: "<router>",
        written: Written::Input,
        is_unread: true,
    },
    Work {
        title: "chunks of 64 KiB → transform → file",
        rival: &["tr", "a-z", "A-Z"],
        code: 0,
        bytes: LINES,
        framing: "as = \"chunks\", size = \"64KiB\"",
        stages: "<transform>",
        written: Written::UpperCase,
        is_unread: false,
    },
];

const OURS: &str = "torvyn";

pub(crate) fn group(work: &'static Work, options: &Options) -> Result<Group> {
    let project = Project::new(options)?;
    let [input, output] = ["input", "output"].map(|name| project.file(name));
    let lines = options.bytes.unwrap_or(work.bytes).div_ceil(LINE as u64);
    let bytes = lines * LINE as u64;
    write_lines(&input, lines)?;
    let framing = if work.framing.contains("lines") { "lines" } else { "raw" };
    let mut pipeline = project.set_pipeline(
        "measured",
        &format!("{{ file = {:?}, {} }}", input.display().to_string(), work.framing),
        work.stages,
        &format!("{{ file = {:?}, as = \"{framing}\" }}", output.display().to_string()),
    )?;
    let (program, args) = work.rival.split_first().context("a rival has a name")?;
    let mut rival = match *program {
        // It takes the names of its files.
        "cp" => Rival::new(
            program,
            &[&input.display().to_string(), &output.display().to_string()],
            &input,
            Path::new("/dev/null"),
        ),
        _ => Rival::new(program, args, &input, &output),
    }
    .with_code(work.code);
    let against = if *program == "cp" { "cp".to_owned() } else { work.rival.join(" ") };
    let (rival_input, rival_output) = (input.clone(), output.clone());
    let ours = move || {
        // The project is in the folder of the files, and goes with the last contender.
        let _project = &project;
        let (took, report) = pipeline.run()?;
        if work.is_unread {
            let kernel = |end: usize, what: &str| report["endpoints"][end]["kernel"][what]["bytes"].as_u64();
            for what in ["reads", "writes"] {
                let moved = [kernel(0, what), kernel(1, what)];
                ensure!(moved == [Some(0), Some(0)], "{}: {what} of {moved:?} bytes in user space", work.title);
            }
            ensure!(kernel(1, "ranges") == Some(bytes), "{}: not all bytes were copied in the kernel", work.title);
        }
        finish(work, &input, &output)?;
        Ok(took.as_secs_f64() * 1e3)
    };
    let theirs = move || {
        let took = rival.run()?;
        finish(work, &rival_input, &rival_output)?;
        Ok(took.as_secs_f64() * 1e3)
    };
    let title = if work.is_unread { format!("{}, 0 bytes in user space", work.title) } else { work.title.to_owned() };
    let rows = vec![Row::times(title, format!("`{against}`"), OURS, &against)];
    let lanes = vec![Lane::of_processes(OURS, 1, ours), Lane::of_processes(&against, 1, theirs)];
    Ok(Group { lanes, rows, ..Group::of_processes("ms", options) })
}

/// Writes lines of 42 bytes, in mixed case and each with another number.
fn write_lines(to: &Path, lines: u64) -> Result<()> {
    let mut line = payload::blank(LINE);
    line[LINE - 1] = b'\n';
    let mut out = BufWriter::with_capacity(1 << 20, File::create(to)?);
    for number in 0..lines {
        payload::stamp(&mut line, number);
        out.write_all(&line)?;
    }
    Ok(out.flush()?)
}

/// Compares what was written with what should have been, and removes it.
fn finish(work: &Work, input: &Path, output: &Path) -> Result<()> {
    let is_right = match work.written {
        Written::Nothing => fs::metadata(output)?.len() == 0,
        Written::Input => is_equal(input, output, |_| ())?,
        Written::UpperCase => is_equal(input, output, <[u8]>::make_ascii_uppercase)?,
    };
    ensure!(is_right, "{}: other bytes were written than should have been", work.title);
    fs::remove_file(output).context("an output that was read can be removed")
}

/// Whether `output` is `input`, changed.
fn is_equal(input: &Path, output: &Path, change: fn(&mut [u8])) -> Result<bool> {
    let (mut input, mut output) = (File::open(input)?, File::open(output)?);
    let (mut expected, mut actual) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    loop {
        let len = fill(&mut input, &mut expected)?;
        change(&mut expected[..len]);
        if fill(&mut output, &mut actual)? != len || actual[..len] != expected[..len] {
            return Ok(false);
        }
        if len < expected.len() {
            return Ok(true);
        }
    }
}

fn fill(file: &mut File, into: &mut [u8]) -> Result<usize> {
    let mut len = 0;
    while len < into.len() {
        match file.read(&mut into[len..])? {
            0 => break,
            read => len += read,
        }
    }
    Ok(len)
}
