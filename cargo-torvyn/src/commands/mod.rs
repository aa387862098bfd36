//! The commands, one file each.

use crate::cli::Command;
use crate::exit::Exit;
use crate::output::shell::Shell;

mod build;
mod check;
mod demo;
mod doctor;
mod explain;
mod new;
mod run;
mod test;

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
        Command::Demo(args) => demo::exec(args, shell),
        Command::Explain(args) => explain::exec(args, shell),
        Command::Doctor(args) => doctor::exec(args, shell),
    }
}
