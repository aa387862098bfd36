//! `cargo torvyn`: the front end, which handles arguments, files and the terminal. Components and flows are the work of
//! `torvyn-runtime`.
//!
//! How a command runs:
//!
//! 1. `cli` parses the arguments. Invalid arguments end the command here.
//! 2. A command in `commands`, one file each, loads what it needs from `project`: `workspace` finds the stages among the
//!    packages, `scaffold` renders templates, `add_member` adds a new project to its enclosing workspace.
//! 3. `cargo` builds the components with the toolchain that `toolchain` finds or installs.
//! 4. `shell` prints status and problems on stderr for people, and results on stdout for pipes.
//! 5. `exit` defines the exit codes; no other place has the numbers. `programs` ends the machine-readable output with a
//!    summary, however the command ended: with a result, with a `failure` that has a stable code, or by a panic.
//!
//! How `check` runs: arguments → the workspace → `settings`: the declarations of the packages, with places → the verdicts of
//! `torvyn_runtime::analysis`, from WIT and from components → `check` pushes a diagnostic for each verdict that exceeds a
//! declaration → `shell` renders the diagnostics for people, `findings` for programs → the exit code of the worst one. `run`,
//! `test` and `demo` do the same before a flow starts.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a panic fails the test"))]

use std::env;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;

use anstream::ColorChoice;

use crate::exit::{Exit, Stop};
use crate::output::failure::FailureRecord;
use crate::output::programs::OutputRequest;
use crate::output::shell::{Shell, StdoutClosed, Verbosity};

mod cases;
mod check;
mod cli;
mod commands;
mod config;
mod exit;
mod fs;
mod output;
mod process;
mod project;
mod run;

/// Runs the program with the arguments and the standard streams of this process.
pub fn main() -> ExitCode {
    if env::args_os().nth(1).is_some_and(|argument| argument == run::components::COMPILE) {
        // This is the compile process that the program starts. It has no terminal and reports errors by its exit code.
        return if torvyn_runtime::component::compile::serve().is_ok() { Exit::Ok } else { Exit::Failed }.into();
    }
    output::panicked::install_hook();
    fs::standard_streams::mark_closed();
    let args: Vec<_> = env::args_os().collect();
    let exit = match cli::parse(&args) {
        Ok(cli) => run(cli),
        Err(parsed) => print_usage_error(&parsed, &args),
    };
    exit.into()
}

fn run(cli: cli::Cli) -> Exit {
    let mut shell = Shell::new(cli.output.color(), cli.output.verbosity(), cli.command.output_request());
    let last_words = shell.last_words();
    process::interrupt::set_last_words(move |exit, error, until| last_words.write(exit, error, until));
    let done = output::panicked::catch_panic(|| {
        process::interrupt::watch()?;
        if shell.is_for_programs() {
            shell.check_stdout()?;
        }
        commands::exec(cli.command, &mut shell)
    });
    let exit = match done {
        Ok(exit) => exit,
        // The reader closed the pipe because it had read enough.
        Err(error) if error.is::<StdoutClosed>() => Exit::Ok,
        Err(error) => {
            // An error that a signal caused is reported as that signal.
            let is_own = error.is::<Stop>() && error.source().is_none();
            let stop = process::interrupt::check().err().filter(|_| !is_own);
            let error = stop.map_or(error, anyhow::Error::from);
            // If stderr is closed too, only the exit code remains.
            shell.error(&error).ok();
            Exit::from_error(&error)
        }
    };
    let exit = shell.end(process::interrupt::exit().unwrap_or(exit));
    shell.finish();
    exit
}

fn exit_after_help(printed: io::Result<()>) -> Exit {
    match printed {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let mut shell = Shell::new(ColorChoice::Never, Verbosity::Normal, OutputRequest::default());
            shell.error(&anyhow::Error::from(error).context(output::shell::stdout_failed())).ok();
            shell.finish();
            Exit::Failed
        }
        _ => Exit::Ok,
    }
}

/// Prints help, the version or an error in the arguments to the stream that clap chooses. If the arguments request
/// machine-readable output, also ends that output with the error.
fn print_usage_error(parsed: &clap::Error, args: &[OsString]) -> Exit {
    let is_help = !parsed.use_stderr();
    let printed = if is_help { fs::standard_streams::check_stdout() } else { Ok(()) };
    let printed = printed.and_then(|()| parsed.print()).and_then(|()| io::stdout().flush());
    if is_help {
        return exit_after_help(printed);
    }
    let mut shell = Shell::new(ColorChoice::Never, Verbosity::Normal, cli::output_request_of_invalid(args));
    let text = parsed.to_string();
    let first = text.lines().next().unwrap_or_default();
    shell.record(FailureRecord::new(output::failure::USAGE, first.trim_start_matches("error: ")));
    shell.end(Exit::Usage)
}
