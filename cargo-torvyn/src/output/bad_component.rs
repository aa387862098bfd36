//! Why a file is not the component of a stage, and what to do about it.

use torvyn_runtime::error::{Error, LoadError};

use crate::output::codes;
use crate::output::diagnostic::Diagnostic;

/// Why a file is not the component of a stage.
#[derive(Debug, Clone)]
pub(crate) struct BadComponent {
    /// From the outermost cause to the innermost.
    pub(crate) causes: Vec<String>,
    /// What to type, where that is known.
    pub(crate) help: Option<String>,
}

const EXPORT: &str = "is `torvyn_guest::export!` missing? A stage in Rust names its type and its world: \
                      `torvyn_guest::export!(MyStage: Processor<Router>);`";

impl BadComponent {
    /// What the runtime says of it.
    pub(crate) fn of(error: Error) -> BadComponent {
        let exports_nothing = matches!(&error, Error::Load { reason: LoadError::NoExports { .. }, .. });
        let causes = anyhow::Error::from(error).chain().map(ToString::to_string).collect();
        BadComponent { causes, help: exports_nothing.then(|| EXPORT.to_string()) }
    }

    /// As a diagnostic without a place.
    pub(crate) fn diagnostic(&self) -> Diagnostic {
        let diagnostic = Diagnostic::error(codes::BAD_COMPONENT, self.causes.join(": "));
        Diagnostic { help: self.help.clone(), ..diagnostic }
    }
}
