//! The options that several commands have. The commands, with the rest of their arguments, are in `commands`.

use std::env;
use std::path::PathBuf;

use anstream::ColorChoice;
use clap::{ArgAction, Args, ValueEnum};

use crate::output::programs::Format;
use crate::output::shell::Verbosity;

/// Options for the terminal output of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output options")]
pub(crate) struct OutputArgs {
    /// Only print errors and the log lines of stages
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Verbose output, also from cargo
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
    /// When to color the output [default: auto]
    #[arg(long, global = true, value_name = "WHEN")]
    color: Option<When>,
}

/// When to color the output.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum When {
    Auto,
    Always,
    Never,
}

impl OutputArgs {
    /// `--color`, or else `CARGO_TERM_COLOR`.
    pub(crate) fn color(&self) -> ColorChoice {
        let configured = || env::var("CARGO_TERM_COLOR").ok().and_then(|when| When::from_str(&when, false).ok());
        match self.color.or_else(configured) {
            Some(When::Always) => ColorChoice::Always,
            Some(When::Never) => ColorChoice::Never,
            Some(When::Auto) | None => ColorChoice::Auto,
        }
    }

    pub(crate) fn verbosity(&self) -> Verbosity {
        match (self.quiet, self.verbose) {
            (true, _) => Verbosity::Quiet,
            (false, 0) => Verbosity::Normal,
            (false, _) => Verbosity::Verbose,
        }
    }
}

/// Version control of a new project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Vcs {
    /// A git repository
    Git,
    /// None
    None,
}

/// What is recorded of a run besides the run report.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Records")]
pub(crate) struct RecordArgs {
    /// Write each call, copy and hand-off to FILE, one JSON object per line
    #[arg(long, value_name = "FILE")]
    pub(crate) records: Option<PathBuf>,
    /// Write the same records to FILE as a trace for Perfetto or chrome://tracing
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
    /// How many records to keep; older ones are dropped [default: 65536]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = record_capacity)]
    pub(crate) record_capacity: Option<usize>,
}

impl RecordArgs {
    /// The files to write, each with its purpose.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&PathBuf, &'static str)> {
        let records = self.records.as_ref().map(|path| (path, "the file of records"));
        records.into_iter().chain(self.trace.as_ref().map(|path| (path, "the trace")))
    }
}

/// This many records take 3 GiB; a larger number is a typing error.
const MAX_RECORDS: usize = 1 << 26;

fn record_capacity(text: &str) -> Result<usize, String> {
    let capacity = text.parse().ok().filter(|capacity| (1..=MAX_RECORDS).contains(capacity));
    capacity.ok_or_else(|| format!("must be a number from 1 to {MAX_RECORDS}"))
}

/// The use of the compile cache.
#[derive(Debug, Default, Args)]
pub(crate) struct CacheArgs {
    /// Compile all components: neither read nor write the compile cache
    #[arg(long)]
    pub(crate) no_cache: bool,
}

/// The output format of a result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum MessageFormat {
    /// For people, on stderr
    #[default]
    Human,
    /// For programs, on stdout: one object per line, each with a `reason`
    Json,
}

impl MessageFormat {
    pub(crate) fn format(self) -> Option<Format> {
        (self == MessageFormat::Json).then_some(Format::Json)
    }
}

/// The output format of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FindingsFormat {
    /// For people, on stderr
    Human,
    /// For programs, on stdout: one object per line, each with a `reason`
    Json,
    /// For code hosts, on stdout: a SARIF 2.1.0 log
    Sarif,
}

impl FindingsFormat {
    pub(crate) fn format(self) -> Option<Format> {
        match self {
            FindingsFormat::Human => None,
            FindingsFormat::Json => Some(Format::Json),
            FindingsFormat::Sarif => Some(Format::Sarif),
        }
    }
}

/// Cargo options that the commands which build pass on to cargo.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Cargo options")]
pub(crate) struct CargoArgs {
    /// The Cargo.toml of the project
    #[arg(long, value_name = "PATH")]
    pub(crate) manifest_path: Option<PathBuf>,
    /// Build in the release profile; this is the default
    #[arg(short, long, conflicts_with_all = ["dev", "profile"])]
    pub(crate) release: bool,
    /// Build in the dev profile
    #[arg(long, conflicts_with = "profile")]
    pub(crate) dev: bool,
    /// Build in this profile
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    #[command(flatten)]
    pub(crate) features: clap_cargo::Features,
    /// Require Cargo.lock to be up to date
    #[arg(long)]
    pub(crate) locked: bool,
    /// Run without accessing the network
    #[arg(long)]
    pub(crate) offline: bool,
    /// Same as --locked and --offline
    #[arg(long)]
    pub(crate) frozen: bool,
    /// The folder for build artifacts
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) target_dir: Option<PathBuf>,
    /// Number of parallel jobs
    #[arg(short, long, value_name = "N", allow_hyphen_values = true)]
    pub(crate) jobs: Option<String>,
}

impl CargoArgs {
    /// The profile that cargo builds components with.
    pub(crate) fn profile(&self) -> &str {
        match &self.profile {
            Some(profile) => profile,
            None if self.dev => "dev",
            None => "release",
        }
    }
}
