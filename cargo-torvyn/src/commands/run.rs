//! `cargo torvyn run`: runs a pipeline and prints its account.

use crate::cli::{MessageFormat, RunArgs};
use crate::exit::Exit;
use crate::output::run_report::Summary;
use crate::output::shell::Shell;
use crate::run::run_pipeline::{self, Request};

pub(crate) fn exec(args: RunArgs, shell: &mut Shell) -> anyhow::Result<Exit> {
    let request = Request {
        cargo: &args.cargo,
        pipeline: args.pipeline.as_deref(),
        input: args.input.as_deref(),
        output: args.output.as_deref(),
        ignore_budget: args.ignore_budget,
        records: &args.records,
        drain: args.drain,
    };
    shell.summary(&Summary::default())?;
    let finished = run_pipeline::run(&request, shell)?;
    match args.message_format {
        MessageFormat::Human => shell.report(&finished.pipeline, &finished.account)?,
        MessageFormat::Json => shell.summary(&finished.summary(&shell.sources))?,
    }
    finished.report(shell)
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
