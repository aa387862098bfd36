//! The arguments: what can be typed, and the help on it. What is done with them is in `commands`.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use anstream::ColorChoice;
use clap::{ArgAction, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};

use crate::config::lint_levels::LintArgs;
use crate::config::{ranges, units};
use crate::output::programs::{Asked, Audience, Format};
use crate::output::shell::Verbosity;

/// Pipelines of sandboxed streaming components, with every copied byte counted
#[derive(Debug, Parser)]
#[command(
    name = "cargo-torvyn",
    version,
    styles = clap_cargo::style::CLAP_STYLING,
    max_term_width = 100,
    after_help = "\
Examples:
  cargo torvyn new logs --template pipeline   begin a project with a stage of each kind
  cargo torvyn check                          see what its stages can copy, before anything is built
  cargo torvyn build                          build its components
  cargo torvyn run --input app.log            run its pipeline, and see what was copied
  cargo torvyn test                           run its cases
  cargo torvyn demo                           see all of that, in a temporary folder
  cargo torvyn explain wide-world             read about what was found
  cargo torvyn doctor                         see what is missing on this machine"
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    New(NewArgs),
    Check(CheckArgs),
    Build(BuildArgs),
    Run(RunArgs),
    Test(TestArgs),
    Demo(DemoArgs),
    Explain(ExplainArgs),
    Doctor(DoctorArgs),
}

/// How to say it; the same for every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output options")]
pub(crate) struct OutputArgs {
    /// Only print errors, and what stages print
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Say more, and have cargo say more
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
    /// When to colour [default: auto]
    #[arg(long, global = true, value_name = "WHEN")]
    color: Option<When>,
}

/// When to colour.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum When {
    Auto,
    Always,
    Never,
}

impl Command {
    /// What it is asked for that programs read.
    pub(crate) fn asked(&self) -> Asked {
        match self {
            Command::Check(args) => asked("check", args.message_format.format(), None),
            Command::Build(args) => asked("build", args.message_format.format(), None),
            Command::Run(args) => asked("run", args.message_format.format(), None),
            Command::Test(args) => asked("test", args.message_format.format(), args.junit.clone()),
            Command::New(_) | Command::Demo(_) | Command::Explain(_) | Command::Doctor(_) => Asked::default(),
        }
    }
}

fn asked(command: &str, format: Option<Format>, junit: Option<PathBuf>) -> Asked {
    let is_json = format == Some(Format::Json);
    let (summary, reads_cargo, sees_workspace) = match command {
        "check" => ("check-summary", is_json, is_json),
        "build" => ("build-summary", true, false),
        "run" => ("run-summary", false, false),
        _ => ("test-summary", false, false),
    };
    Asked { audience: format.map(|format| Audience { format, summary, reads_cargo, sees_workspace }), junit }
}

/// What invalid arguments ask for, as far as it can be seen.
pub(crate) fn asked_by_invalid(args: &[OsString]) -> Asked {
    let args: Vec<_> = args.iter().skip(1).map(|arg| arg.to_string_lossy()).take_while(|arg| arg != "--").collect();
    let commands = ["check", "build", "run", "test", "new", "demo", "explain", "doctor"];
    let command = args.iter().find_map(|arg| commands.into_iter().find(|command| arg == command));
    let Some(command) = command.filter(|command| commands[..4].contains(command)) else { return Asked::default() };
    let value = |flag: &str| {
        let beside = args.iter().find_map(|arg| arg.strip_prefix(flag)?.strip_prefix('=').map(str::to_string));
        let after = || args.iter().skip_while(|arg| *arg != flag).nth(1).map(|arg| arg.to_string());
        beside.or_else(after)
    };
    let format = match (command, value("--message-format").as_deref()) {
        (_, Some("json")) => Some(Format::Json),
        ("check", Some("sarif")) => Some(Format::Sarif),
        _ => None,
    };
    let junit = value("--junit").filter(|_| command == "test").map(PathBuf::from);
    asked(command, format, junit)
}

impl OutputArgs {
    /// `--color`, or else what cargo users set once in `CARGO_TERM_COLOR`.
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

/// Begin a project from a template
///
/// What it makes builds and tests with plain cargo. Made inside a project of the template `pipeline`, a stage becomes
/// a member of that project.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo torvyn new --list                       show the templates
  cargo torvyn new logs --template pipeline     a workspace with a stage of each kind
  cargo torvyn new filter --template router     a stage of its own
  cargo torvyn new stages/f1 --name first-filter -t inspector")]
pub(crate) struct NewArgs {
    /// The folder to make; its name is the name of the project
    #[arg(value_name = "NAME")]
    pub(crate) path: Option<PathBuf>,
    /// The template to begin from
    #[arg(short, long)]
    pub(crate) template: Option<String>,
    /// The name of the project, where it differs from the name of the folder
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Version control to begin with [default: git, unless inside a repository or without git]
    #[arg(long)]
    pub(crate) vcs: Option<Vcs>,
    /// Show the templates and do nothing else
    #[arg(long, conflicts_with_all = ["path", "template", "name", "vcs"])]
    pub(crate) list: bool,
}

/// Version control of a new project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Vcs {
    /// A git repository
    Git,
    /// None
    None,
}

/// Prove what stages and pipelines can copy, and hold them to their budgets
///
/// Tells of each stage whether a payload byte can cross its boundary, and how often: from the WIT of the world that it
/// declares, and with --built again from its component. Composes what is proven along the pipelines of Torvyn.toml, and
/// compares it with the copy budgets in Cargo.toml and Torvyn.toml.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo torvyn check                              what the declared worlds prove, without a build
  cargo torvyn check --built                      and what the built components prove
  cargo torvyn check -p router --built --locked   one stage, with Cargo.lock as it is
  cargo torvyn check target/some.wasm             a component of any language
  cargo torvyn check --deny wide-world            with a lint at another level
  cargo torvyn check --built --save-baseline copies.json
  cargo torvyn check --built --baseline copies.json
  cargo torvyn explain over-budget-component      what a finding means

Exit codes: 0 nothing is wrong, 2 usage, 4 nothing is selected, 96 something must be installed first, 100 there are
findings at level deny, 101 it could not be checked.")]
pub(crate) struct CheckArgs {
    /// Component files to check, instead of the stages of a project
    #[arg(value_name = "COMPONENT", conflicts_with_all = ["built", "package", "workspace", "exclude", "all"])]
    pub(crate) components: Vec<PathBuf>,
    /// Build the components first, and prove from them too
    #[arg(long)]
    pub(crate) built: bool,
    /// Fail where something that this file has proven is not proven any more
    #[arg(long, value_name = "FILE")]
    pub(crate) baseline: Option<PathBuf>,
    /// Write what is proven now into this file
    #[arg(long, value_name = "FILE")]
    pub(crate) save_baseline: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) lints: LintArgs,
    #[command(flatten)]
    pub(crate) workspace: clap_cargo::Workspace,
    #[command(flatten)]
    pub(crate) cargo: CargoArgs,
    /// For whom to write: `human` on stderr; `json` an object a line on stdout, as cargo and rustc do; `sarif` one
    /// document on stdout, for code hosts
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(crate) message_format: FindingsFormat,
}

/// Build the components of a project, in the release profile
///
/// Has cargo build the packages that are stages: those that make a `cdylib` and have `[package.metadata.torvyn]`. Adds
/// the target wasm32-wasip2 to the toolchain where it is missing. The profile is release unless another is named,
/// because components are analysed and run as they are released.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo torvyn build                          all stages of the project
  cargo torvyn build -p router --locked       one of them, with Cargo.lock as it is
  cargo torvyn build --dev                    quicker to build, slower to run
  cargo torvyn build --artifact-dir dist      and put what is to be shipped there
  cargo torvyn build --message-format json    for programs")]
pub(crate) struct BuildArgs {
    #[command(flatten)]
    pub(crate) workspace: clap_cargo::Workspace,
    /// Also put the components into this folder, without names and line tables
    #[arg(long, value_name = "DIR")]
    pub(crate) artifact_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) cargo: CargoArgs,
    /// For whom to write: `human` says what was built on stderr, `json` prints cargo's messages and a line for each
    /// component on stdout
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(crate) message_format: MessageFormat,
}

/// Run a pipeline, and show what was copied
///
/// Builds what is stale, in the release profile unless another is named, and runs a pipeline of Torvyn.toml to the end
/// of its input. Elements go to the output of the pipeline, the account of them to stderr.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo torvyn run                                    the default pipeline of Torvyn.toml
  cargo torvyn run --input app.log --output out.log   with another input and output
  tail -f app.log | cargo torvyn run find --input -   another pipeline, on what comes in
  cargo torvyn run --output out.log --message-format json    the account, for programs
  cargo torvyn run --trace run.json                   and what happened when, for a trace viewer

Exit codes: 0 it ran to the end, 2 usage, 96 something must be installed first, 100 it is over its copy budget, 101 it
could not be built, started or finished, 129, 130 and 143 it was interrupted by SIGHUP, SIGINT or SIGTERM: what was read
before is in the output, unless the run was cut off after the time of --drain.")]
pub(crate) struct RunArgs {
    /// The pipeline [default: the only one, or `default` in Torvyn.toml, or `main`]
    pub(crate) pipeline: Option<String>,
    /// Read this file instead of the input of the pipeline; `-` is stdin
    #[arg(long, value_name = "PATH")]
    pub(crate) input: Option<PathBuf>,
    /// Write this file instead of the output of the pipeline; `-` is stdout
    #[arg(long, value_name = "PATH")]
    pub(crate) output: Option<PathBuf>,
    /// Run a pipeline that is over its copy budget, and count without refusing
    #[arg(long)]
    pub(crate) ignore_budget: bool,
    /// How long the run may take to end after SIGINT, SIGTERM or SIGHUP, from 0s to 60m [default: `drain` of `[runtime]` in
    /// Torvyn.toml, or 10s]
    #[arg(long, value_name = "TIME", value_parser = drain)]
    pub(crate) drain: Option<Duration>,
    #[command(flatten)]
    pub(crate) records: RecordArgs,
    #[command(flatten)]
    pub(crate) cargo: CargoArgs,
    /// For whom to write the account: `human` a table on stderr, `json` an object on the last line of stdout
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(crate) message_format: MessageFormat,
}

/// What is recorded of a run, besides the account of it.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Records")]
pub(crate) struct RecordArgs {
    /// Write each call, copy and hand-off into this file, a JSON object a line
    #[arg(long, value_name = "FILE")]
    pub(crate) records: Option<PathBuf>,
    /// Write them into this file as a trace for Perfetto or chrome://tracing
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
    /// How many are kept, the last ones [default: 65536]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = record_capacity)]
    pub(crate) record_capacity: Option<usize>,
}

impl RecordArgs {
    /// The files that are written, each with what it is for.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&PathBuf, &'static str)> {
        let records = self.records.as_ref().map(|path| (path, "the file of records"));
        records.into_iter().chain(self.trace.as_ref().map(|path| (path, "the trace")))
    }
}

/// More would be a slip: they are 3 GiB.
const MAX_RECORDS: usize = 1 << 26;

fn drain(text: &str) -> Result<Duration, String> {
    let beyond = || "it must be a time from 0s to 60m".to_string();
    let drain = units::duration(text).map_err(|wrong| wrong.unwrap_or_else(beyond))?;
    if ranges::DRAIN.contains(&drain) { Ok(drain) } else { Err(beyond()) }
}

fn record_capacity(text: &str) -> Result<usize, String> {
    let capacity = text.parse().ok().filter(|capacity| (1..=MAX_RECORDS).contains(capacity));
    capacity.ok_or_else(|| format!("it is a number from 1 to {MAX_RECORDS}"))
}

/// Run the cases of a project: given elements, and what is to come of them and be copied
///
/// Builds what is stale, in the release profile unless another is named, and runs the cases of Torvyn.toml and of the
/// TOML files in the folder tests beside it: pipelines and single stages, on elements that the case gives, each in a flow
/// of its own. What is not as expected is shown at its place in the case.
#[derive(Debug, Default, Args)]
#[command(after_help = "\
Examples:
  cargo torvyn test                       all cases
  cargo torvyn test empty long            those with `empty` or `long` in their names
  cargo torvyn test -p router --list      the names of those that run a stage of this package
  cargo torvyn test --no-fail-fast        do not end with the first that fails
  cargo torvyn test --watch               and again those that a change affects
  cargo torvyn test --retries 2           try one that fails twice more
  cargo torvyn test --bless               write the files of expected elements anew
  cargo torvyn test --schedules 100       each case in 100 orders of what can happen at once
  cargo torvyn test --seed 17             all cases in one of these orders
  cargo torvyn test --junit report.xml    and a report for a service

Exit codes: 0 all passed, 2 usage, 4 no case is selected, 96 something must be installed first, 100 a case failed, 101 the
cases could not be run, 129, 130 and 143 it was interrupted.")]
pub(crate) struct TestArgs {
    /// Only cases whose names contain one of these
    #[arg(value_name = "FILTER")]
    pub(crate) filters: Vec<String>,
    /// Only cases whose names are one of FILTER
    #[arg(long)]
    pub(crate) exact: bool,
    /// Only cases that run a stage of this package; a name, a pattern or a package ID, as with cargo
    #[arg(short, long, value_name = "SPEC")]
    pub(crate) package: Vec<String>,
    /// Only cases that run no stage of this package
    #[arg(long, value_name = "SPEC")]
    pub(crate) exclude: Vec<String>,
    /// Cases of all packages; this is the default
    #[arg(long, alias = "all", conflicts_with = "package")]
    pub(crate) workspace: bool,
    /// Print the names of the cases and do nothing else
    #[arg(long)]
    pub(crate) list: bool,
    /// Run all cases, also when one has failed
    #[arg(long)]
    pub(crate) no_fail_fast: bool,
    /// Run a case that fails up to N times again; one that passes then is flaky
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(..=1000))]
    pub(crate) retries: u32,
    /// Run them, and then again whenever something has changed: those that it makes a difference to
    #[arg(long, conflicts_with_all = ["list", "junit"])]
    pub(crate) watch: bool,
    /// Write the files of expected elements anew, with what comes out
    #[arg(long)]
    pub(crate) bless: bool,
    /// Run under the schedule of this seed, and with the random numbers of it; with --schedules, of this seed and those
    /// that follow
    #[arg(long, value_name = "SEED", conflicts_with = "bless", allow_negative_numbers = true)]
    pub(crate) seed: Option<u64>,
    /// Run each case under so many schedules: of any seed and those that follow, where --seed does not say which
    #[arg(long, value_name = "N", conflicts_with = "bless", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) schedules: Option<u32>,
    /// Also write what came of the cases into this file, as JUnit XML
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) cargo: CargoArgs,
    /// For whom to write: `human` on stderr; `json` an object for each case and one for all, a line each, on stdout
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(crate) message_format: MessageFormat,
}

/// See it work: scaffold, build, check, test and run a pipeline on real input
///
/// Makes a project from the template `pipeline`, builds its components, proves what they can copy, runs their tests and its
/// cases, and then its pipeline on what cargo itself said while it built them. Ends with the account of what was copied.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo torvyn demo                  in a temporary folder
  cargo torvyn demo --keep ./demo    and keep the project")]
pub(crate) struct DemoArgs {
    /// Make the project in this folder and keep it
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,
}

/// For whom a result is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum MessageFormat {
    /// For people, on stderr
    #[default]
    Human,
    /// For programs, on stdout: an object a line, each with a `reason`
    Json,
}

impl MessageFormat {
    fn format(self) -> Option<Format> {
        (self == MessageFormat::Json).then_some(Format::Json)
    }
}

/// For whom findings are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FindingsFormat {
    /// For people, on stderr
    Human,
    /// For programs, on stdout: an object a line, each with a `reason`
    Json,
    /// For code hosts, on stdout: a log of SARIF 2.1.0
    Sarif,
}

impl FindingsFormat {
    fn format(self) -> Option<Format> {
        match self {
            FindingsFormat::Human => None,
            FindingsFormat::Json => Some(Format::Json),
            FindingsFormat::Sarif => Some(Format::Sarif),
        }
    }
}

/// Options of cargo that commands which build hand on to it.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Options of cargo")]
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
    /// Require that Cargo.lock is up to date
    #[arg(long)]
    pub(crate) locked: bool,
    /// Run without accessing the network
    #[arg(long)]
    pub(crate) offline: bool,
    /// As --locked and --offline
    #[arg(long)]
    pub(crate) frozen: bool,
    /// The folder for everything that is built
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) target_dir: Option<PathBuf>,
    /// How many jobs to run at a time
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

/// Read about a code that stands in an error or a warning
///
/// Prints the page of the guide for it: what it means, an example, and what to do.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo torvyn explain              list all codes
  cargo torvyn explain wide-world   the page of one")]
pub(crate) struct ExplainArgs {
    /// The code, as it stands in brackets
    pub(crate) code: Option<String>,
}

/// See what is missing on this machine, and the command that mends it
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo torvyn doctor
  cargo torvyn doctor && cargo torvyn build")]
pub(crate) struct DoctorArgs {}

/// Parses the arguments of this process, the name of the program first.
///
/// # Errors
///
/// What to print and end with: help and version are among it.
pub(crate) fn parse(args: &[OsString]) -> Result<Cli, clap::Error> {
    let mut args = args.to_vec();
    let by_cargo = args.get(1).map(OsString::as_os_str) == Some(OsStr::new("torvyn"));
    if by_cargo {
        args.remove(1);
    }
    let mut command = Cli::command().bin_name(if by_cargo { "cargo torvyn" } else { "cargo-torvyn" });
    let matches = command.try_get_matches_from_mut(args)?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

#[cfg(test)]
mod tests {
    use clap::error::ErrorKind;

    use super::*;

    fn parsed(line: &str) -> Result<Cli, clap::Error> {
        parse(&line.split(' ').map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn every_argument_is_declared_once() {
        Cli::command().debug_assert();
    }

    #[test]
    fn cargo_puts_its_own_word_before_the_arguments() {
        for line in ["cargo-torvyn new logs -t router", "cargo-torvyn torvyn new logs -t router"] {
            match parsed(line).unwrap().command {
                Command::New(args) => assert_eq!(args.path, Some(PathBuf::from("logs"))),
                other => panic!("{other:?}"),
            }
        }
        // Only the first word is cargo's.
        match parsed("cargo-torvyn torvyn new torvyn").unwrap().command {
            Command::New(args) => assert_eq!(args.path, Some(PathBuf::from("torvyn"))),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn usage_shows_what_was_typed() {
        let usage = |line| parsed(line).unwrap_err().to_string();
        assert!(usage("cargo-torvyn torvyn new --nope").contains("Usage: cargo torvyn new"));
        assert!(usage("/opt/bin/cargo-torvyn new --nope").contains("Usage: cargo-torvyn new"));
    }

    #[test]
    fn a_command_is_required_and_help_is_not_an_error() {
        assert_eq!(
            parsed("cargo-torvyn torvyn").unwrap_err().kind(),
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
        );
        assert_eq!(parsed("cargo-torvyn --help").unwrap_err().kind(), ErrorKind::DisplayHelp);
        assert_eq!(parsed("cargo-torvyn torvyn -V").unwrap_err().kind(), ErrorKind::DisplayVersion);
        assert_eq!(parsed("cargo-torvyn nwe").unwrap_err().kind(), ErrorKind::InvalidSubcommand);
    }

    #[test]
    fn every_command_has_examples() {
        for command in Cli::command().get_subcommands() {
            let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(after.starts_with("Examples:\n"), "{}", command.get_name());
        }
    }

    #[test]
    fn invalid_arguments_say_who_reads_the_result() {
        let asked = |line: &str| asked_by_invalid(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        let audience = |line| asked(line).audience.map(|audience| (audience.format, audience.summary));
        let json = |summary| Some((Format::Json, summary));
        assert_eq!(audience("cargo-torvyn torvyn run --nope --message-format json"), json("run-summary"));
        assert_eq!(audience("cargo-torvyn -q --color never test --message-format=json"), json("test-summary"));
        assert_eq!(audience("t check --message-format sarif --nope"), Some((Format::Sarif, "check-summary")));
        for line in [
            "t run --message-format sarif",
            "t run --message-format",
            "t run -- --message-format json",
            "t new check --message-format json",
            "t nope --message-format json",
            "t",
        ] {
            assert_eq!(audience(line), None, "{line}");
        }
        assert_eq!(asked("t test --nope --junit=r.xml").junit, Some(PathBuf::from("r.xml")));
        assert_eq!(asked("t run --junit r.xml"), Asked::default());
    }

    #[test]
    fn output_options_stand_before_or_after_the_command() {
        for line in ["cargo-torvyn -q doctor", "cargo-torvyn doctor -q"] {
            assert_eq!(parsed(line).unwrap().output.verbosity(), Verbosity::Quiet);
        }
    }
}
