//! `cargo torvyn`, which knows people: their arguments, their files, their terminal. What it knows of components and
//! flows it asks of `torvyn-runtime`.
//!
//! The life of a command:
//!
//! 1. `cli` parses the arguments; what is wrong with them ends here, as usage.
//! 2. A command of `commands`, one file each, reads what it needs: `workspace` finds the stages among the packages,
//!    `scaffold` renders templates, `member` knows the workspace that a new project lands in.
//! 3. `cargo` has the components built, with what `toolchain` finds or installs.
//! 4. The `shell` says what happened: status and problems on stderr for a person, results on stdout for a pipe.
//! 5. `exit` makes the exit code of it, and is the only place that knows the numbers. `programs` ends what a program reads
//!    with a summary, however the command ended: by an error, a `failure` with a stable code; or where it `panicked`.
//!
//! The life of a check: arguments → the workspace → `settings`, what packages declare, with places → the verdicts of
//! `torvyn_runtime::analysis`, from WIT and from components → `check` pushes diagnostics where they are beyond what is
//! declared → the `shell` renders them, or `findings` does for programs → the exit code of the worst. `run`, `test` and
//! `demo` go through the same before a flow begins.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed"))]

use std::env;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;

use anstream::ColorChoice;

use crate::exit::{Exit, Stop};
use crate::output::failure::FailureRecord;
use crate::output::programs::Asked;
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

/// Runs the program with the arguments and the terminal of this process.
pub fn main() -> ExitCode {
    if env::args_os().nth(1).is_some_and(|argument| argument == run::components::COMPILE) {
        // This program was started by itself. It has no terminal: what went wrong is told by its end.
        return if torvyn_runtime::component::compile::serve().is_ok() { Exit::Ok } else { Exit::Failed }.into();
    }
    output::panicked::remember();
    fs::standard_streams::mark_closed();
    let args: Vec<_> = env::args_os().collect();
    let exit = match cli::parse(&args) {
        Ok(cli) => run(cli),
        Err(parsed) => print_usage_error(&parsed, &args),
    };
    exit.into()
}

fn run(cli: cli::Cli) -> Exit {
    let mut shell = Shell::new(cli.output.color(), cli.output.verbosity(), cli.command.asked());
    let last_words = shell.last_words();
    process::interrupt::last_words(move |exit, error, until| last_words.say(exit, error, until));
    let done = output::panicked::caught(|| {
        process::interrupt::watch()?;
        if shell.is_for_programs() {
            shell.check_stdout()?;
        }
        commands::exec(cli.command, &mut shell)
    });
    let exit = match done {
        Ok(exit) => exit,
        // Whoever closed the pipe has read what they wanted.
        Err(error) if error.is::<StdoutClosed>() => Exit::Ok,
        Err(error) => {
            // What failed because of a signal is told by the signal.
            let is_own = error.is::<Stop>() && error.source().is_none();
            let stop = process::interrupt::check().err().filter(|_| !is_own);
            let error = stop.map_or(error, anyhow::Error::from);
            // Where stderr is gone too, the exit code is all that can still be said.
            shell.error(&error).ok();
            Exit::of(&error)
        }
    };
    let exit = shell.end(process::interrupt::exit().unwrap_or(exit));
    shell.finish();
    exit
}

fn help_printed(printed: io::Result<()>) -> Exit {
    match printed {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let mut shell = Shell::new(ColorChoice::Never, Verbosity::Normal, Asked::default());
            shell.error(&anyhow::Error::from(error).context(output::shell::stdout_failed())).ok();
            shell.finish();
            Exit::Failed
        }
        _ => Exit::Ok,
    }
}

/// Help, the version, or what is wrong with the arguments; clap prints each where it belongs. A program that can be seen to
/// read the result is told too.
fn print_usage_error(parsed: &clap::Error, args: &[OsString]) -> Exit {
    let is_help = !parsed.use_stderr();
    let printed = if is_help { fs::standard_streams::check_stdout() } else { Ok(()) };
    let printed = printed.and_then(|()| parsed.print()).and_then(|()| io::stdout().flush());
    if is_help {
        return help_printed(printed);
    }
    let mut shell = Shell::new(ColorChoice::Never, Verbosity::Normal, cli::asked_by_invalid(args));
    let text = parsed.to_string();
    let first = text.lines().next().unwrap_or_default();
    shell.record(FailureRecord::new(output::failure::USAGE, first.trim_start_matches("error: ")));
    shell.end(Exit::Usage)
}
