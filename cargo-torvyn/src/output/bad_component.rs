//! The reason why a file cannot be used as the component of a stage.

use torvyn_runtime::StartLimit;
use torvyn_runtime::error::{Error, LoadError};

use crate::output::codes;
use crate::output::diagnostic::Diagnostic;

/// The reason why a file cannot be used as the component of a stage.
#[derive(Debug, Clone)]
pub(crate) struct BadComponent {
    /// From the outermost cause to the innermost.
    pub(crate) causes: Vec<String>,
    /// What to type, if known.
    pub(crate) help: Option<String>,
}

const MIB: u64 = 1 << 20;
const EXPORT: &str = "is `torvyn_guest::export!` missing? A Rust stage exports its type with its world: \
                      `torvyn_guest::export!(MyStage: Processor<Router>);`";

impl BadComponent {
    /// Takes the causes from an error of the runtime.
    pub(crate) fn from_error(error: Error) -> BadComponent {
        let exports_nothing = matches!(&error, Error::Load { reason: LoadError::NoExports { .. }, .. });
        let causes = anyhow::Error::from(error).chain().map(ToString::to_string).collect();
        BadComponent { causes, help: exports_nothing.then(|| EXPORT.to_string()) }
    }

    /// The component of this stage exceeds a limit of the stage.
    pub(crate) fn from_limit(stage: &str, reason: &LoadError) -> BadComponent {
        let key = match reason {
            LoadError::Start(StartLimit::Memory { needed, .. }) => Some(("memory", needed.div_ceil(MIB))),
            _ => None,
        };
        let raise = |(key, mib)| format!("give the stage more: `limits = {{ {key} = \"{mib}MiB\" }}`");
        BadComponent { causes: vec![format!("`{stage}` cannot start"), reason.to_string()], help: key.map(raise) }
    }

    /// A diagnostic without a place.
    pub(crate) fn diagnostic(&self) -> Diagnostic {
        let diagnostic = Diagnostic::error(codes::BAD_COMPONENT, self.causes.join(": "));
        Diagnostic { help: self.help.clone(), ..diagnostic }
    }
}
