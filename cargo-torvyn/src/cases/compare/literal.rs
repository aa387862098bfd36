//! The bytes of an element as a case writes them: a text, or bytes in hexadecimal, in base64 or in a file.

use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::DeValue;
use torvyn_runtime::base::regular_file;

use crate::config::toml_reader::{Field, Report, Table};
use crate::config::{base64, document};
use crate::output::codes;
use crate::output::diagnostic::Diagnostic;

/// The bytes of an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Literal {
    /// Bytes that the case writes itself.
    Bytes(Vec<u8>),
    /// The contents of a file.
    File {
        /// Where it is.
        path: PathBuf,
        /// Where it is named.
        span: Range<usize>,
    },
}

/// The keys for the bytes of an element.
pub(crate) const KEYS: [&str; 4] = ["text", "hex", "base64", "file"];

impl Literal {
    /// Reads a text, or a table with one of [`KEYS`].
    pub(crate) fn read(field: &Field, report: &mut Report) -> Option<Literal> {
        match field.value {
            DeValue::String(text) => Some(Literal::Bytes(text.as_bytes().to_vec())),
            DeValue::Table(_) => Literal::read_table(&field.table("an element", &KEYS, report)?, report),
            _ => {
                field.wrong_type("a string or a table", report);
                None
            }
        }
    }

    /// Reads the one of [`KEYS`] that a table has.
    pub(crate) fn read_table(table: &Table, report: &mut Report) -> Option<Literal> {
        let field = table.need_one(&KEYS, report)?;
        let DeValue::String(text) = field.value else {
            field.wrong_type("a string", report);
            return None;
        };
        let decoded = match field.key {
            "text" => Ok(text.as_bytes().to_vec()),
            "hex" => hex(text),
            "base64" => base64::decode(text),
            _ => {
                let path = report.folder().join(field.text(report)?);
                return Some(Literal::File { path, span: field.span });
            }
        };
        let wrong = |help: String| {
            let message = format!("`{}` is not valid {}", field.key, encoding(field.key));
            field.wrong(codes::BAD_ENCODING, message, "", report).help = Some(help);
        };
        decoded.map_err(wrong).ok().map(Literal::Bytes)
    }

    /// Reads `lines`: a text that is split into lines, or an array of lines.
    pub(crate) fn read_lines(field: &Field, report: &mut Report) -> Option<Vec<Literal>> {
        let line = |line: &str| Literal::Bytes(line.as_bytes().to_vec());
        match field.value {
            DeValue::String(text) => Some(text.split_terminator('\n').map(line).collect()),
            DeValue::Array(_) => {
                let items = field.items(report)?;
                let mut item = |item: &Field| match item.value {
                    DeValue::String(text) => Some(line(text)),
                    _ => {
                        item.wrong_type("a string", report);
                        None
                    }
                };
                items.iter().map(&mut item).collect()
            }
            _ => {
                field.wrong_type("a string or an array of strings", report);
                None
            }
        }
    }

    /// The file, if the bytes are in one.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Literal::Bytes(_) => None,
            Literal::File { path, .. } => Some(path),
        }
    }

    /// The bytes; those of a file are read now. `file` is the file of the case.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub(crate) fn bytes(&self, file: &Path) -> Result<Vec<u8>, Diagnostic> {
        match self {
            Literal::Bytes(bytes) => Ok(bytes.clone()),
            Literal::File { path, span } => regular_file::read(path)
                .map_err(|error| document::unreadable(path, &error).label(file, span.clone(), "")),
        }
    }
}

fn encoding(key: &str) -> &'static str {
    if key == "hex" { "hexadecimal" } else { "base64" }
}

/// Decodes pairs of hexadecimal digits, with optional white space between them.
fn hex(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    for word in text.split_whitespace() {
        let digits: Vec<_> = word
            .chars()
            .map(|digit| digit.to_digit(16).ok_or(digit))
            .collect::<Result<_, _>>()
            .map_err(|other| format!("`{}` is not a hexadecimal digit", other.escape_debug()))?;
        if digits.len() % 2 == 1 {
            return Err(format!("a byte needs two digits, but `{word}` has {}", digits.len()));
        }
        bytes.extend(digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_hexadecimal() {
        assert_eq!(hex("00 fF\n1002"), Ok(vec![0, 255, 16, 2]));
        assert_eq!(hex(""), Ok(vec![]));
        assert_eq!(hex("0"), Err("a byte needs two digits, but `0` has 1".to_string()));
        assert_eq!(hex("0g"), Err("`g` is not a hexadecimal digit".to_string()));
    }
}
