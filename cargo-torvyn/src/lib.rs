//! `cargo torvyn`: reads arguments and files, has cargo build, and prints for people and programs. Everything about
//! components and flows is in `torvyn-runtime`.
//!
//! # How a command runs
//!
//! 1. `commands` parses the arguments; usage errors end here.
//! 2. A file of `commands` calls the rooms below. `manifest` parses `Torvyn.toml`, and `config` the tables in `Cargo.toml`,
//!    with spans; errors are collected as diagnostics.
//! 3. `project` finds the stages among the packages of the workspace and has cargo build them; `run` loads the components.
//! 4. `check` has `torvyn_runtime::analysis` make a verdict of each stage, from WIT and from its component, and reports as
//!    diagnostics what exceeds the declared budgets. `run`, `test` and `demo` do the same before a flow starts.
//! 5. `run` runs a pipeline; `cases` runs each case in a flow of its own and compares the results; `bench` runs a pipeline in
//!    rounds and measures it.
//! 6. `output` prints: status and problems on standard error for people, results on standard output. A program always gets a
//!    summary at the end, however the command ended: with an error, a `failure` with a stable code, or a panic.
//! 7. `exit` makes the exit code, and is the only place that knows the numbers.

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

mod bench;
mod cases;
mod check;
mod cli;
mod commands;
mod config;
mod endpoints;
mod exit;
mod fs;
mod manifest;
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
    if env::args_os().nth(1).is_some_and(|argument| argument == bench::stage_process::RUN_STAGE) {
        return bench::stage_process::main(env::args_os().nth(2).as_deref()).into();
    }
    fs::standard_streams::mark_closed();
    let args: Vec<_> = env::args_os().collect();
    let exit = match commands::parse(&args) {
        Ok(cli) => run(cli),
        Err(parsed) => print_usage_error(&parsed, &args),
    };
    exit.into()
}

fn run(cli: commands::Cli) -> Exit {
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
    let mut shell = Shell::new(ColorChoice::Never, Verbosity::Normal, commands::output_request_of_invalid(args));
    let text = parsed.to_string();
    let first = text.lines().next().unwrap_or_default();
    shell.record(FailureRecord::new(output::failure::USAGE, first.trim_start_matches("error: ")));
    shell.end(Exit::Usage)
}
