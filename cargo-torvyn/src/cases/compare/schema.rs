//! A JSON Schema that elements are to be accepted by.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::Write as _;
use std::ops::Range;
use std::path::{self, Path};

use boon::{CompileError, Compiler, FileLoader, InstanceToken, SchemaIndex, Schemas, UrlLoader, ValidationError};

use torvyn_runtime::base::regular_file;

use crate::cases::compare::json::{self, Step};
use crate::config::document;
use crate::output::codes;
use crate::output::diagnostic::Diagnostic;
use crate::output::printable::printable;

/// Reasons for one element that are shown.
const REASONS: usize = 8;

/// A schema that was read, with those that it refers to.
pub(crate) struct Schema {
    schemas: Schemas,
    index: SchemaIndex,
}

impl Schema {
    /// Reads a schema, and those in files that it refers to; none is fetched. `file` and `span` are where it is named.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(crate) fn load(path: &Path, file: &Path, span: &Range<usize>) -> Result<Schema, Diagnostic> {
        let unreadable = |error| document::unreadable(path, &error).label(file, span.clone(), "");
        let wrong = |reason: String| {
            let message = format!("`{}` is no JSON Schema", path.display());
            Diagnostic::error(codes::BAD_SCHEMA, message).label(file, span.clone(), "").note(printable(&reason, true))
        };
        let bytes = regular_file::read(path).map_err(unreadable)?;
        let schema = parse(&bytes).map_err(|error| wrong(format!("it is no JSON: {error}")))?;
        let url = url_of(&path::absolute(path).map_err(unreadable)?);
        let (mut compiler, mut schemas) = (Compiler::new(), Schemas::new());
        compiler.enable_format_assertions();
        compiler.use_loader(Box::new(Files));
        let refused = |error: CompileError| match error {
            CompileError::ValidationError { src, .. } => wrong(reasons(&src).join("\n")),
            other => wrong(format!("{other:#}")),
        };
        compiler.add_resource(&url, schema).map_err(refused)?;
        let index = compiler.compile(&url, &mut schemas).map_err(refused)?;
        Ok(Schema { schemas, index })
    }

    /// Why an element is not accepted; nothing where it is.
    pub(crate) fn refuses(&self, bytes: &[u8]) -> Vec<String> {
        match parse(bytes) {
            Err(error) => vec![format!("no JSON: {error}")],
            Ok(value) => self.schemas.validate(&value, self.index).err().map_or_else(Vec::new, |error| reasons(&error)),
        }
    }
}

/// What a schema judges: numbers are as good as `f64` there, and one beyond it is refused by its name.
fn parse(bytes: &[u8]) -> Result<serde_json::Value, String> {
    serde_json::from_slice(bytes).map_err(|error| error.to_string())
}

/// Schemas that a schema refers to: those in files beside it, and no others.
struct Files;

impl UrlLoader for Files {
    fn load(&self, url: &str) -> Result<serde_json::Value, Box<dyn Error>> {
        match url.starts_with("file:") {
            true => FileLoader.load(url),
            false => Err("it is not in a file, and nothing is fetched; keep a copy beside the schema".into()),
        }
    }
}

/// The URL of a file, whatever letters its path has.
fn url_of(path: &Path) -> String {
    let mut url = "file://".to_string();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => url.push(char::from(*byte)),
            // Writing to a string cannot fail.
            other => _ = write!(url, "%{other:02X}"),
        }
    }
    url
}

/// The innermost reasons of an error, each with the path to the value.
fn reasons(error: &ValidationError<'_, '_>) -> Vec<String> {
    let (mut reasons, mut more) = (Vec::new(), 0);
    let mut waiting = vec![error];
    while let Some(error) = waiting.pop() {
        if !error.causes.is_empty() {
            waiting.extend(error.causes.iter().rev());
        } else if reasons.len() < REASONS {
            let step = |token: &InstanceToken<'_>| match token {
                InstanceToken::Prop(key) => Step::Key(Cow::Owned(key.to_string())),
                InstanceToken::Item(index) => Step::Item(*index),
            };
            let path: Vec<_> = error.instance_location.tokens.iter().map(step).collect();
            reasons.push(format!("{}: {}", json::written(&path), printable(&error.kind.to_string(), false)));
        } else {
            more += 1;
        }
    }
    if more > 0 {
        reasons.push(format!("... and {more} more"));
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_path_has_a_url() {
        assert_eq!(url_of(Path::new("/a b/ä#%.json")), "file:///a%20b/%C3%A4%23%25.json");
    }
}
