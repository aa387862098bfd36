//! Elements as they are written in a case: a text, or bytes in hexadecimal, in base64 or in a file.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::DeValue;

use crate::diagnostic::Diagnostic;
use crate::table::{Field, Report};
use crate::{code, document};

/// The bytes of an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Literal {
    /// As they are written.
    Bytes(Vec<u8>),
    /// All that is in a file.
    File {
        /// Where it is.
        path: PathBuf,
        /// Where it is named.
        span: Range<usize>,
    },
}

impl Literal {
    /// Reads a text, or a table that says how the bytes are written.
    pub(super) fn read(field: &Field, report: &mut Report) -> Option<Literal> {
        match field.value {
            DeValue::String(text) => Some(Literal::Bytes(text.as_bytes().to_vec())),
            DeValue::Table(_) => {
                let keys = ["text", "hex", "base64", "file"];
                let table = field.table("an element", &keys, report)?;
                let field = table.need_one(&keys, report)?;
                let DeValue::String(text) = field.value else {
                    field.wrong_type("a string", report);
                    return None;
                };
                let decoded = match field.key {
                    "text" => Ok(text.as_bytes().to_vec()),
                    "hex" => hex(text),
                    "base64" => base64(text),
                    _ => {
                        let path = report.folder().join(field.text(report)?);
                        return Some(Literal::File { path, span: field.span });
                    }
                };
                let wrong = |help: String| {
                    let message = format!("`{}` is not in {}", field.key, encoding(field.key));
                    field.wrong(code::BAD_ENCODING, message, "", report).help = Some(help);
                };
                decoded.map_err(wrong).ok().map(Literal::Bytes)
            }
            _ => {
                field.wrong_type("a string or a table", report);
                None
            }
        }
    }

    /// Reads an array of elements.
    pub(super) fn read_all(field: &Field, report: &mut Report) -> Option<Vec<Literal>> {
        let items = field.items(report)?;
        items.iter().map(|item| Literal::read(item, report)).collect()
    }

    /// Reads `lines`: a text that is cut at its line ends, or an array of lines.
    pub(super) fn read_lines(field: &Field, report: &mut Report) -> Option<Vec<Literal>> {
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

    /// The file that it is, where it is one.
    pub(super) fn path(&self) -> Option<&Path> {
        match self {
            Literal::Bytes(_) => None,
            Literal::File { path, .. } => Some(path),
        }
    }

    /// The bytes; those of a file are read now. `file` is the one that the element is written in.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read.
    pub(super) fn bytes(&self, file: &Path) -> Result<Vec<u8>, Diagnostic> {
        match self {
            Literal::Bytes(bytes) => Ok(bytes.clone()),
            Literal::File { path, span } => {
                fs::read(path).map_err(|error| document::unreadable(path, &error).label(file, span.clone(), ""))
            }
        }
    }
}

fn encoding(key: &str) -> &'static str {
    if key == "hex" { "hexadecimal" } else { "base64" }
}

/// Pairs of hexadecimal digits, white space between them.
fn hex(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    for word in text.split_whitespace() {
        let digits: Vec<_> = word
            .chars()
            .map(|digit| digit.to_digit(16).ok_or(digit))
            .collect::<Result<_, _>>()
            .map_err(|other| format!("`{}` is no hexadecimal digit", other.escape_debug()))?;
        if digits.len() % 2 == 1 {
            return Err(format!("a byte is two digits, and `{word}` has {}", digits.len()));
        }
        bytes.extend(digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8));
    }
    Ok(bytes)
}

/// Base64 of RFC 4648, in its standard alphabet, with padding or without, white space anywhere.
fn base64(text: &str) -> Result<Vec<u8>, String> {
    let letters: Vec<_> = text.chars().filter(|letter| !letter.is_whitespace()).collect();
    let end = letters.iter().rposition(|letter| *letter != '=').map_or(0, |last| last + 1);
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0u32, 0);
    for &letter in &letters[..end] {
        let value = match letter {
            'A'..='Z' => letter as u32 - 'A' as u32,
            'a'..='z' => letter as u32 - 'a' as u32 + 26,
            '0'..='9' => letter as u32 - '0' as u32 + 52,
            '+' => 62,
            '/' => 63,
            other => return Err(format!("`{}` is no letter of base64", other.escape_debug())),
        };
        bits = bits << 6 | value;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    let padding = letters.len() - end;
    if end % 4 == 1 || (padding > 0 && (padding > 2 || letters.len() % 4 != 0)) {
        return Err("it is cut off: four letters are three bytes".to_string());
    }
    if bits != 0 {
        return Err("its last letter has bits that are of no byte".to_string());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal() {
        assert_eq!(hex("00 fF\n1002"), Ok(vec![0, 255, 16, 2]));
        assert_eq!(hex(""), Ok(vec![]));
        assert_eq!(hex("0"), Err("a byte is two digits, and `0` has 1".to_string()));
        assert_eq!(hex("0g"), Err("`g` is no hexadecimal digit".to_string()));
    }

    /// The vectors of RFC 4648, section 10.
    #[test]
    fn base64_of_the_standard() {
        for (text, bytes) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYg==", "foob"),
            ("Zm9vYmE=", "fooba"),
            ("Zm9v\nYmFy", "foobar"),
            ("Zm9vYg", "foob"),
        ] {
            assert_eq!(base64(text), Ok(bytes.as_bytes().to_vec()), "{text}");
        }
        assert_eq!(base64("//79"), Ok(vec![255, 254, 253]));
        for wrong in ["Z", "Zg=", "Zg===", "Zh==", "Z_==", "=Zg="] {
            assert!(base64(wrong).is_err(), "{wrong}");
        }
    }
}
