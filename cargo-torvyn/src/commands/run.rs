//! `cargo torvyn run`: runs a pipeline and prints its account.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::cli::{CacheArgs, CargoArgs, MessageFormat, RecordArgs};
use crate::config::{ranges, units};
use crate::exit::Exit;
use crate::output::run_report::Summary;
use crate::output::shell::Shell;
use crate::output::{page, result_file};
use crate::run::run_pipeline::{self, Request};

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
  cargo torvyn run --report run.html                  also write the run report as a page with plots

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
    /// Write the run report with plots to FILE, as HTML
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) records: RecordArgs,
    #[command(flatten)]
    pub(crate) cache: CacheArgs,
    #[command(flatten)]
    pub(crate) cargo: CargoArgs,
    /// Format of the run report: `human` a table on stderr; `json` an object on the last line of stdout
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(crate) message_format: MessageFormat,
}

pub(crate) fn exec(args: RunArgs, shell: &mut Shell) -> anyhow::Result<Exit> {
    let request = Request {
        cargo: &args.cargo,
        cache: &args.cache,
        pipeline: args.pipeline.as_deref(),
        input: args.input.as_deref(),
        output: args.output.as_deref(),
        ignore_budget: args.ignore_budget,
        report: args.report.as_deref(),
        records: &args.records,
        drain: args.drain,
    };
    shell.summary(&Summary::default())?;
    let finished = run_pipeline::run(&request, shell)?;
    match args.message_format {
        MessageFormat::Human => shell.report(&finished.pipeline, &finished.account)?,
        MessageFormat::Json => shell.summary(&finished.summary(&shell.sources))?,
    }
    if let Some(path) = &args.report {
        let text = page::account::page(&finished.pipeline, &finished.account);
        result_file::write_page(path, &text)?;
        shell.status("Reported", format_args!("to `{}`", path.display()))?;
    }
    finished.report(shell)
}

fn drain(text: &str) -> Result<Duration, String> {
    let beyond = || "must be a duration from 0s to 60m".to_string();
    let drain = units::duration(text).map_err(|wrong| wrong.unwrap_or_else(beyond))?;
    if ranges::DRAIN.contains(&drain) { Ok(drain) } else { Err(beyond()) }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use torvyn_runtime::Account;

    use super::*;
    use crate::output::run_report;

    #[test]
    fn the_summary_has_the_fields_of_the_account() {
        let account = Account {
            elements: Default::default(),
            traces: Vec::new(),
            stages: Vec::new(),
            endpoints: Vec::new(),
            copies: Default::default(),
            amplification: None,
            pool: torvyn_runtime::payload::Pool::default().usage(),
            wall_ns: 1,
            cancelled: false,
            cut_off: None,
        };
        let summary = Summary { pipeline: Some("main"), account: Some(&account), findings: Vec::new() };
        let line = serde_json::to_string(&summary).unwrap();
        assert!(line.starts_with(r#"{"pipeline":"main","elements":{"in":0"#), "{line}");
        let failed = serde_json::to_string(&Summary::default()).unwrap();
        assert_eq!(failed, r#"{"pipeline":null,"findings":[]}"#);
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["copies"]["payload_read"]["ops"], 0);
        assert!(run_report::text(&account).contains("flow amplification"));
    }
}
