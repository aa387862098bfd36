//! `cargo torvyn cache`: shows and empties the compile cache.

use anyhow::Context as _;
use clap::{Args, Subcommand};
use torvyn_runtime::base::plural::{counted, noun};
use torvyn_runtime::component::compile::Cache;

use crate::exit::{Exit, Stop};
use crate::output::run_report::grouped;
use crate::output::shell::Shell;
use crate::run::compile_cache;

/// Show or empty the compile cache
///
/// `run` and `test` keep the machine code of components in a folder that only you can use, and compile a component again
/// only if it has changed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo torvyn cache dir     print the folder of the cache
  cargo torvyn cache clean   remove its files
  CARGO_TORVYN_CACHE_DIR=/var/tmp/mine cargo torvyn run   use another folder; if empty, no cache")]
pub(crate) struct CacheCommandArgs {
    #[command(subcommand)]
    pub(crate) command: CacheCommand,
}

#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum CacheCommand {
    /// Print the folder of the cache
    Dir,
    /// Remove the files of the cache
    Clean,
}

pub(crate) fn exec(args: &CacheCommandArgs, shell: &mut Shell) -> anyhow::Result<Exit> {
    let no_folder =
        || Stop::new(Exit::Failed, "the compile cache is off: `CARGO_TORVYN_CACHE_DIR` is empty, or `HOME` is not set");
    let folder = compile_cache::folder().ok_or_else(no_folder)?;
    match args.command {
        CacheCommand::Dir => shell.result(folder.display())?,
        CacheCommand::Clean => {
            let removed = Cache::clean(&folder).with_context(|| format!("could not clean `{}`", folder.display()))?;
            let (files, bytes) = (counted(removed.files, "file"), grouped(removed.bytes));
            let bytes = format!("{bytes} {}", noun(removed.bytes, "byte"));
            shell.status("Removed", format_args!("{files}, {bytes}, from `{}`", folder.display()))?;
        }
    }
    Ok(Exit::Ok)
}
