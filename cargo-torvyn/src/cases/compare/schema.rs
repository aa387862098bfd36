//! A JSON Schema that elements must match.

use std::borrow::Cow;
use std::error::Error;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::ops::Range;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{self, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use boon::{CompileError, Compiler, FileLoader, InstanceToken, SchemaIndex, Schemas, UrlLoader, ValidationError};
use torvyn_runtime::base::regular_file;

use self::numbers::Numbers;
use crate::cases::compare::json::{self, Step};
use crate::config::document;
use crate::output::codes;
use crate::output::diagnostic::Diagnostic;
use crate::output::printable::printable;

mod numbers;

/// The most reasons that are shown for one element.
const REASONS: usize = 8;

/// A compiled schema, with the schemas that it refers to.
pub(crate) struct Schema {
    schemas: Schemas,
    index: SchemaIndex,
    /// The numbers in all of these schemas.
    numbers: Numbers,
}

impl Schema {
    /// Loads a schema and the schemas in local files that it refers to. Nothing is downloaded. `file` and `span` are where the
    /// schema is named.
    ///
    /// # Errors
    ///
    /// Why the schema cannot be used.
    pub(crate) fn load(path: &Path, file: &Path, span: &Range<usize>) -> Result<Schema, Diagnostic> {
        let unreadable = |error| document::unreadable(path, &error).label(file, span.clone(), "");
        let wrong = |reason: String| {
            let message = format!("`{}` is not a valid JSON Schema", path.display());
            Diagnostic::error(codes::BAD_SCHEMA, message).label(file, span.clone(), "").note(printable(&reason, true))
        };
        let bytes = regular_file::read(path).map_err(unreadable)?;
        let schema = parse(&bytes).map_err(|error| wrong(format!("not valid JSON: {error}")))?;
        let files = Files::default();
        files.add_numbers(&schema, &bytes);
        let url = url_of(&path::absolute(path).map_err(unreadable)?);
        let (mut compiler, mut schemas) = (Compiler::new(), Schemas::new());
        compiler.enable_format_assertions();
        compiler.use_loader(Box::new(files.clone()));
        let refused = |error: CompileError| match error {
            CompileError::ValidationError { src, .. } => wrong(reasons(&src).join("\n")),
            other => wrong(format!("{other:#}")),
        };
        compiler.add_resource(&url, schema).map_err(refused)?;
        let index = compiler.compile(&url, &mut schemas).map_err(refused)?;
        let numbers = std::mem::take(&mut *files.numbers.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(Schema { schemas, index, numbers })
    }

    /// Why an element does not match; empty if it does.
    pub(crate) fn refuses(&self, bytes: &[u8]) -> Vec<String> {
        match parse(bytes) {
            Err(error) => vec![format!("not valid JSON: {error}")],
            Ok(value) => {
                // First, because with such numbers the result of the schema can be wrong either way.
                let unchecked = json::parse(bytes).map(|exact| self.numbers.refuses(&value, &exact));
                match unchecked {
                    Ok(unchecked) if !unchecked.is_empty() => unchecked,
                    _ => {
                        self.schemas.validate(&value, self.index).map_or_else(|error| reasons(&error), |()| Vec::new())
                    }
                }
            }
        }
    }
}

/// Parses the value that a schema checks. Its numbers are `f64`. A number for which that precision could decide the result
/// is refused: see `numbers`.
fn parse(bytes: &[u8]) -> Result<serde_json::Value, String> {
    serde_json::from_slice(bytes).map_err(|error| error.to_string())
}

/// Loads the schemas that a schema refers to, from local files only.
#[derive(Clone, Default)]
struct Files {
    numbers: Arc<Mutex<Numbers>>,
}

impl Files {
    /// Adds the numbers of a schema, given as parsed and as text.
    fn add_numbers(&self, schema: &serde_json::Value, bytes: &[u8]) {
        if let Ok(exact) = json::parse(bytes) {
            self.numbers.lock().unwrap_or_else(PoisonError::into_inner).add(schema, &exact);
        }
    }
}

impl UrlLoader for Files {
    fn load(&self, url: &str) -> Result<serde_json::Value, Box<dyn Error>> {
        if !url.starts_with("file:") {
            return Err("not a local file, and nothing is downloaded: keep a copy beside the schema".into());
        }
        let schema = FileLoader.load(url)?;
        // The exact numbers are only in the text.
        if let Some(bytes) = path_of(url).and_then(|path| regular_file::read(&path).ok()) {
            self.add_numbers(&schema, &bytes);
        }
        Ok(schema)
    }
}

/// The URL of a file, with escapes for other characters.
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

/// The path of a file URL.
fn path_of(url: &str) -> Option<PathBuf> {
    let mut bytes = Vec::new();
    let mut rest = url.strip_prefix("file://")?.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => u8::from_str_radix(str::from_utf8(&[rest.next()?, rest.next()?]).ok()?, 16).ok()?,
            other => other,
        });
    }
    Some(PathBuf::from(OsString::from_vec(bytes)))
}

/// The innermost reasons of an error, each with the path to its value.
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
        assert_eq!(path_of("file:///a%20b/%C3%A4%23%25.json"), Some(PathBuf::from("/a b/ä#%.json")));
        assert_eq!(path_of("file:///a%2"), None);
    }
}
