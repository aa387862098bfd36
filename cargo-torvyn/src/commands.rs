//! The commands, one file each with its arguments and its help, and the command line that they make together. Options that
//! several commands have are in `cli`.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::cli::OutputArgs;
use crate::exit::Exit;
use crate::output::programs::{Audience, Format, OutputRequest};
use crate::output::shell::Shell;

mod bench;
mod build;
mod cache;
mod check;
mod demo;
mod doctor;
mod explain;
mod new;
mod run;
mod test;

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
  cargo torvyn bench                          measure its pipeline
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
    New(new::NewArgs),
    Check(check::CheckArgs),
    Build(build::BuildArgs),
    Run(run::RunArgs),
    Test(test::TestArgs),
    Bench(bench::BenchArgs),
    Demo(demo::DemoArgs),
    Explain(explain::ExplainArgs),
    Doctor(doctor::DoctorArgs),
    Cache(cache::CacheCommandArgs),
}

/// Runs a command.
///
/// # Errors
///
/// Why the command failed; a [`Stop`](crate::exit::Stop) among the causes decides how the program ends.
pub(crate) fn exec(command: Command, shell: &mut Shell) -> anyhow::Result<Exit> {
    match command {
        Command::New(args) => new::exec(args, shell),
        Command::Check(args) => check::exec(args, shell),
        Command::Build(args) => build::exec(args, shell),
        Command::Run(args) => run::exec(args, shell),
        Command::Test(args) => test::exec(args, shell),
        Command::Bench(args) => bench::exec(args, shell),
        Command::Demo(args) => demo::exec(args, shell),
        Command::Explain(args) => explain::exec(args, shell),
        Command::Doctor(args) => doctor::exec(args, shell),
        Command::Cache(args) => cache::exec(&args, shell),
    }
}

impl Command {
    /// The machine-readable output that the arguments request.
    pub(crate) fn output_request(&self) -> OutputRequest {
        match self {
            Command::Check(args) => output_request("check", args.message_format.format(), None),
            Command::Build(args) => output_request("build", args.message_format.format(), None),
            Command::Run(args) => output_request("run", args.message_format.format(), None),
            Command::Bench(args) => output_request("bench", args.message_format.format(), None),
            Command::Test(args) => output_request("test", args.message_format.format(), args.junit.clone()),
            _ => OutputRequest::default(),
        }
    }
}

fn output_request(command: &str, format: Option<Format>, junit: Option<PathBuf>) -> OutputRequest {
    let is_json = format == Some(Format::Json);
    let (summary, reads_cargo, sees_workspace) = match command {
        "check" => ("check-summary", is_json, is_json),
        "build" => ("build-summary", true, false),
        "run" => ("run-summary", false, false),
        "bench" => ("bench-summary", false, false),
        _ => ("test-summary", false, false),
    };
    OutputRequest { audience: format.map(|format| Audience { format, summary, reads_cargo, sees_workspace }), junit }
}

/// The machine-readable output that invalid arguments request, as far as it can be recognized.
pub(crate) fn output_request_of_invalid(args: &[OsString]) -> OutputRequest {
    let args: Vec<_> = args.iter().skip(1).map(|arg| arg.to_string_lossy()).take_while(|arg| arg != "--").collect();
    let cli = Cli::command();
    let Some(command) = args.iter().find_map(|arg| cli.find_subcommand(&**arg)) else {
        return OutputRequest::default();
    };
    let value = |option: &str| {
        let declared = command.get_arguments().find(|arg| arg.get_long() == Some(option))?;
        let flag = format!("--{option}");
        let beside = args.iter().find_map(|arg| arg.strip_prefix(&flag)?.strip_prefix('='));
        let value = beside.or_else(|| args.iter().skip_while(|arg| **arg != flag).nth(1).map(|arg| &**arg))?;
        let possible = declared.get_possible_values();
        (possible.is_empty() || possible.iter().any(|possible| possible.matches(value, false))).then_some(value)
    };
    let format = match value("message-format") {
        Some("json") => Some(Format::Json),
        Some("sarif") => Some(Format::Sarif),
        _ => None,
    };
    output_request(command.get_name(), format, value("junit").map(PathBuf::from))
}

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
    use crate::output::shell::Verbosity;

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
