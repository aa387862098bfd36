//! `cargo torvyn explain`: explains an error or warning code.

use clap::Args;

use crate::exit::{Exit, Stop};
use crate::output::diagnostic::nearest;
use crate::output::explanation;
use crate::output::shell::Shell;

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

pub(crate) fn exec(args: ExplainArgs, shell: &mut Shell) -> anyhow::Result<Exit> {
    match &args.code {
        Some(code) => shell.result(page(code)?.trim_end())?,
        None => list(shell)?,
    }
    Ok(Exit::Ok)
}

fn page(code: &str) -> Result<&'static str, Stop> {
    // Accept the code as it is printed too: `error[wide-world]`.
    let code = code.trim_start_matches("error").trim_start_matches("warning").trim_matches(['[', ']']);
    explanation::find(code).ok_or_else(|| {
        let all: Vec<_> = explanation::all().into_iter().map(|(code, ..)| code).collect();
        let meant = nearest(code, &all).map(|meant| format!("did you mean `{meant}`? ")).unwrap_or_default();
        Stop::new(Exit::Usage, format!("unknown code `{}`", code.escape_debug()))
            .help(format!("{meant}`cargo torvyn explain` lists all codes"))
    })
}

fn list(shell: &mut Shell) -> anyhow::Result<()> {
    let all = explanation::all();
    let width = all.iter().map(|(code, ..)| code.len()).max().unwrap_or_default();
    all.iter().try_for_each(|(code, level, about)| shell.result(format_args!("{code:width$}  {level:5}  {about}")))
}
