//! The command-line arguments and their help. The commands themselves are in `commands`.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use anstream::ColorChoice;
use clap::{ArgAction, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};

use crate::config::lint_levels::LintArgs;
use crate::config::{ranges, units};
use crate::output::programs::{Audience, Format, OutputRequest};
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
  cargo torvyn new logs --template pipeline   create a project with a stage of each kind
  cargo torvyn check                          show what its stages can copy, without a build
  cargo torvyn build                          build its components
  cargo torvyn run --input app.log            run its pipeline and report the copies
  cargo torvyn test                           run its test cases
  cargo torvyn demo                           do all of the above in a temporary folder
  cargo torvyn explain wide-world             explain an error or warning code
  cargo torvyn doctor                         find out what is missing on this machine"
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
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

impl Command {
    /// The machine-readable output that the arguments request.
    pub(crate) fn output_request(&self) -> OutputRequest {
        match self {
            Command::Check(args) => output_request("check", args.message_format.format(), None),
            Command::Build(args) => output_request("build", args.message_format.format(), None),
            Command::Run(args) => output_request("run", args.message_format.format(), None),
            Command::Test(args) => output_request("test", args.message_format.format(), args.junit.clone()),
            Command::New(_) | Command::Demo(_) | Command::Explain(_) | Command::Doctor(_) => OutputRequest::default(),
        }
    }
}

fn output_request(command: &str, format: Option<Format>, junit: Option<PathBuf>) -> OutputRequest {
    let is_json = format == Some(Format::Json);
    let (summary, reads_cargo, sees_workspace) = match command {
        "check" => ("check-summary", is_json, is_json),
        "build" => ("build-summary", true, false),
        "run" => ("run-summary", false, false),
        _ => ("test-summary", false, false),
    };
    OutputRequest { audience: format.map(|format| Audience { format, summary, reads_cargo, sees_workspace }), junit }
}

/// The machine-readable output that invalid arguments request, as far as it can be recognized.
pub(crate) fn output_request_of_invalid(args: &[OsString]) -> OutputRequest {
    let args: Vec<_> = args.iter().skip(1).map(|arg| arg.to_string_lossy()).take_while(|arg| arg != "--").collect();
    let commands = ["check", "build", "run", "test", "new", "demo", "explain", "doctor"];
    let command = args.iter().find_map(|arg| commands.into_iter().find(|command| arg == command));
    let Some(command) = command.filter(|command| commands[..4].contains(command)) else {
        return OutputRequest::default();
    };
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
    output_request(command, format, junit)
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

/// Create a project from a template
///
/// The project builds and tests with plain cargo. A stage that is created inside a project of the template `pipeline`
/// becomes a member of that project.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo torvyn new --list                       list the templates
  cargo torvyn new logs --template pipeline     create a workspace with a stage of each kind
  cargo torvyn new filter --template router     create a single stage
  cargo torvyn new stages/f1 --name first-filter -t inspector")]
pub(crate) struct NewArgs {
    /// The folder to create; the project takes its name
    #[arg(value_name = "NAME")]
    pub(crate) path: Option<PathBuf>,
    /// The template to use
    #[arg(short, long)]
    pub(crate) template: Option<String>,
    /// The name of the project [default: the name of the folder]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Version control to initialize [default: git, unless the folder is in a repository or git is not installed]
    #[arg(long)]
    pub(crate) vcs: Option<Vcs>,
    /// List the templates and exit
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

/// Prove what stages and pipelines can copy, and compare it with their budgets
///
/// For each stage, shows whether payload bytes can cross its boundary, and how often. The proof comes from the WIT of the
/// world that the stage declares and, with --built, also from its component. Combines the bounds of the stages along the
/// pipelines of Torvyn.toml and compares them with the copy budgets in Cargo.toml and Torvyn.toml.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo torvyn check                              check the declared worlds, without a build
  cargo torvyn check --built                      also build and check the components
  cargo torvyn check -p router --built --locked   check one stage, with Cargo.lock as it is
  cargo torvyn check target/some.wasm             check a component of any language
  cargo torvyn check --deny wide-world            change the level of a lint
  cargo torvyn check --built --save-baseline copies.json
  cargo torvyn check --built --baseline copies.json
  cargo torvyn explain over-budget-component      explain a finding

Exit codes:
  0    no problems found
  2    invalid arguments
  4    nothing selected
  96   something must be installed first
  100  findings at level deny
  101  the check could not be done")]
pub(crate) struct CheckArgs {
    /// Component files to check, instead of the stages of a project
    #[arg(value_name = "COMPONENT", conflicts_with_all = ["built", "package", "workspace", "exclude", "all"])]
    pub(crate) components: Vec<PathBuf>,
    /// Build the components and check them too
    #[arg(long)]
    pub(crate) built: bool,
    /// Fail if anything that this baseline proves is no longer proven
    #[arg(long, value_name = "FILE")]
    pub(crate) baseline: Option<PathBuf>,
    /// Save what is proven now as a baseline
    #[arg(long, value_name = "FILE")]
    pub(crate) save_baseline: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) lints: LintArgs,
    #[command(flatten)]
    pub(crate) workspace: clap_cargo::Workspace,
    #[command(flatten)]
    pub(crate) cargo: CargoArgs,
    /// Output format: `human` on stderr; `json` on stdout, one object per line, as cargo and rustc print it; `sarif` on
    /// stdout, one document, for code hosts
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(crate) message_format: FindingsFormat,
}

/// Build the components of a project, in the release profile
///
/// Runs cargo to build the packages that are stages: those with a `cdylib` target and `[package.metadata.torvyn]`. Adds
/// the target wasm32-wasip2 to the toolchain if it is missing. The default profile is release, because components are
/// analysed and run as they are released.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo torvyn build                          build all stages of the project
  cargo torvyn build -p router --locked       build one stage, with Cargo.lock as it is
  cargo torvyn build --dev                    build faster, run slower
  cargo torvyn build --artifact-dir dist      copy the components to ship into `dist`
  cargo torvyn build --message-format json    print messages for programs")]
pub(crate) struct BuildArgs {
    #[command(flatten)]
    pub(crate) workspace: clap_cargo::Workspace,
    /// Also copy the components into this folder, without names and line tables
    #[arg(long, value_name = "DIR")]
    pub(crate) artifact_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) cargo: CargoArgs,
    /// Output format: `human` on stderr; `json` on stdout, cargo's messages and one line per component
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(crate) message_format: MessageFormat,
}

/// Run a pipeline and report what was copied
///
/// Builds stale components (in the release profile by default) and runs a pipeline of Torvyn.toml to the end of its
/// input. Elements go to the output of the pipeline, the run report to stderr.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo torvyn run                                    run the default pipeline of Torvyn.toml
  cargo torvyn run --input app.log --output out.log   use another input and output
  tail -f app.log | cargo torvyn run find --input -   run another pipeline on stdin
  cargo torvyn run --output out.log --message-format json    print the run report as JSON
  cargo torvyn run --trace run.json                   also write a trace for a trace viewer

Exit codes:
  0    ran to the end
  2    invalid arguments
  96   something must be installed first
  100  over the copy budget
  101  could not be built, started or finished
  129  interrupted by SIGHUP
  130  interrupted by SIGINT
  143  interrupted by SIGTERM

After an interruption, everything that was read before is in the output, unless the run was cut off after the time of
--drain.")]
pub(crate) struct RunArgs {
    /// The pipeline to run [default: the only one, or `default` in Torvyn.toml, or `main`]
    pub(crate) pipeline: Option<String>,
    /// Read this file instead of the pipeline's input; `-` is stdin
    #[arg(long, value_name = "PATH")]
    pub(crate) input: Option<PathBuf>,
    /// Write to this file instead of the pipeline's output; `-` is stdout
    #[arg(long, value_name = "PATH")]
    pub(crate) output: Option<PathBuf>,
    /// Do not enforce copy budgets: run even a pipeline that is over its budget, and only count
    #[arg(long)]
    pub(crate) ignore_budget: bool,
    /// Time limit for the run to end after SIGINT, SIGTERM or SIGHUP, from 0s to 60m [default: `runtime.drain` in
    /// Torvyn.toml, or 10s]
    #[arg(long, value_name = "TIME", value_parser = drain)]
    pub(crate) drain: Option<Duration>,
    #[command(flatten)]
    pub(crate) records: RecordArgs,
    #[command(flatten)]
    pub(crate) cargo: CargoArgs,
    /// Format of the run report: `human` a table on stderr; `json` an object on the last line of stdout
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(crate) message_format: MessageFormat,
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

fn drain(text: &str) -> Result<Duration, String> {
    let beyond = || "must be a duration from 0s to 60m".to_string();
    let drain = units::duration(text).map_err(|wrong| wrong.unwrap_or_else(beyond))?;
    if ranges::DRAIN.contains(&drain) { Ok(drain) } else { Err(beyond()) }
}

fn record_capacity(text: &str) -> Result<usize, String> {
    let capacity = text.parse().ok().filter(|capacity| (1..=MAX_RECORDS).contains(capacity));
    capacity.ok_or_else(|| format!("must be a number from 1 to {MAX_RECORDS}"))
}

/// Run the test cases of a project: inputs, expected outputs and copy counts
///
/// Builds stale components (in the release profile by default) and runs the cases in Torvyn.toml and in the TOML files of
/// the folder `tests` beside it. A case runs a pipeline or a single stage on its own input, in its own flow. A mismatch is
/// shown at its place in the case.
#[derive(Debug, Default, Args)]
#[command(after_help = "\
Examples:
  cargo torvyn test                       run all cases
  cargo torvyn test empty long            run the cases with `empty` or `long` in their names
  cargo torvyn test -p router --list      list the cases that run a stage of this package
  cargo torvyn test --no-fail-fast        do not stop at the first failure
  cargo torvyn test --watch               rerun affected cases after each change
  cargo torvyn test --retries 2           retry a failed case up to twice
  cargo torvyn test --bless               update the expected files
  cargo torvyn test --schedules 100       run each case under 100 schedules
  cargo torvyn test --seed 17             run all cases under the schedule of this seed
  cargo torvyn test --junit report.xml    also write a JUnit report

Exit codes:
  0    all cases passed
  2    invalid arguments
  4    no case selected
  96   something must be installed first
  100  a case failed
  101  the cases could not be run
  129  interrupted by SIGHUP
  130  interrupted by SIGINT
  143  interrupted by SIGTERM")]
pub(crate) struct TestArgs {
    /// Only cases whose names contain one of these strings
    #[arg(value_name = "FILTER")]
    pub(crate) filters: Vec<String>,
    /// Match FILTER against whole case names
    #[arg(long)]
    pub(crate) exact: bool,
    /// Only cases that run a stage of this package (a name, glob pattern or package ID, as with cargo)
    #[arg(short, long, value_name = "SPEC")]
    pub(crate) package: Vec<String>,
    /// Exclude cases that run a stage of this package
    #[arg(long, value_name = "SPEC")]
    pub(crate) exclude: Vec<String>,
    /// Run the cases of all packages; this is the default
    #[arg(long, alias = "all", conflicts_with = "package")]
    pub(crate) workspace: bool,
    /// List the names of the cases and exit
    #[arg(long)]
    pub(crate) list: bool,
    /// Run all cases even if one fails
    #[arg(long)]
    pub(crate) no_fail_fast: bool,
    /// Retry a failed case up to N times; a case that then passes is flaky
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(..=1000))]
    pub(crate) retries: u32,
    /// Keep running, and rerun the affected cases after each change
    #[arg(long, conflicts_with_all = ["list", "junit"])]
    pub(crate) watch: bool,
    /// Update the expected files with the actual output
    #[arg(long)]
    pub(crate) bless: bool,
    /// Run under the schedule and with the random numbers of this seed; with --schedules, of this seed and the ones after
    /// it
    #[arg(long, value_name = "SEED", conflicts_with = "bless", allow_negative_numbers = true)]
    pub(crate) seed: Option<u64>,
    /// Run each case under N schedules: of consecutive seeds from --seed, or from a random seed
    #[arg(long, value_name = "N", conflicts_with = "bless", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) schedules: Option<u32>,
    /// Also write the results to FILE, as JUnit XML
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) cargo: CargoArgs,
    /// Output format: `human` on stderr; `json` on stdout, one line per case and a summary
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(crate) message_format: MessageFormat,
}

/// Show a demo: create, build, check, test and run a pipeline on real input
///
/// Creates a project from the template `pipeline`, builds its components, proves what they can copy, runs their tests and
/// the project's cases, and then runs the pipeline on the output of cargo's own build. Ends with the run report.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo torvyn demo                  use a temporary folder
  cargo torvyn demo --keep ./demo    keep the project")]
pub(crate) struct DemoArgs {
    /// Create the project in this folder and keep it
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,
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
    fn format(self) -> Option<Format> {
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
    fn format(self) -> Option<Format> {
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

/// Explain an error or warning code
///
/// Prints the code's page of the guide: what the code means, an example, and how to fix it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo torvyn explain              list all codes
  cargo torvyn explain wide-world   explain one code")]
pub(crate) struct ExplainArgs {
    /// The code, as shown in brackets after `error` or `warning`
    pub(crate) code: Option<String>,
}

/// Check what is missing on this machine and how to fix it
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo torvyn doctor
  cargo torvyn doctor && cargo torvyn build")]
pub(crate) struct DoctorArgs {}

/// Parses the arguments of this process; the first is the name of the program.
///
/// # Errors
///
/// What to print before exiting; this includes help and version.
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
    fn declares_every_argument_once() {
        Cli::command().debug_assert();
    }

    #[test]
    fn skips_the_subcommand_name_that_cargo_adds() {
        for line in ["cargo-torvyn new logs -t router", "cargo-torvyn torvyn new logs -t router"] {
            match parsed(line).unwrap().command {
                Command::New(args) => assert_eq!(args.path, Some(PathBuf::from("logs"))),
                other => panic!("{other:?}"),
            }
        }
        // Cargo adds only the first `torvyn`.
        match parsed("cargo-torvyn torvyn new torvyn").unwrap().command {
            Command::New(args) => assert_eq!(args.path, Some(PathBuf::from("torvyn"))),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn usage_shows_the_program_name_as_typed() {
        let usage = |line| parsed(line).unwrap_err().to_string();
        assert!(usage("cargo-torvyn torvyn new --nope").contains("Usage: cargo torvyn new"));
        assert!(usage("/opt/bin/cargo-torvyn new --nope").contains("Usage: cargo-torvyn new"));
    }

    #[test]
    fn requires_a_command_and_accepts_help() {
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
    fn recognizes_the_output_format_in_invalid_arguments() {
        let request = |line: &str| output_request_of_invalid(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        let audience = |line| request(line).audience.map(|audience| (audience.format, audience.summary));
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
        assert_eq!(request("t test --nope --junit=r.xml").junit, Some(PathBuf::from("r.xml")));
        assert_eq!(request("t run --junit r.xml"), OutputRequest::default());
    }

    #[test]
    fn accepts_output_options_before_and_after_the_command() {
        for line in ["cargo-torvyn -q doctor", "cargo-torvyn doctor -q"] {
            assert_eq!(parsed(line).unwrap().output.verbosity(), Verbosity::Quiet);
        }
    }
}
