//! Paths with attributes: `out/{tenant}/{level}.log` is another file for elements with other attributes.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use crate::payload::attributes::{Attributes, check_name};

/// The most bytes of an attribute's value in a path.
const VALUE_BYTES: usize = 200;
/// The most bytes of a file name, as in most file systems.
const NAME_BYTES: usize = 255;

/// A path in which attributes of elements stand for parts of names. Only what comes after the last folder without an attribute
/// depends on the element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathTemplate {
    folder: PathBuf,
    /// The names below the folder, at least one.
    names: Vec<Vec<Part>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    /// The value of the attribute with this name.
    Attribute(String),
}

/// Why a path with attributes is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A `{` without `}`.
    #[error("`{{` has no `}}` in the same part of the path")]
    Unclosed,
    /// A `}` without `{`.
    #[error("`}}` has no `{{` before it; write `}}}}` for a brace in a file name")]
    Unopened,
    /// No element can have an attribute of this name.
    #[error("`{{{0}}}` is not the name of an attribute")]
    Name(String),
    /// A part of the path is `.` or `..` or empty after an attribute.
    #[error("`{0}` is not a file name, which every part of the path after an attribute must be")]
    NotAName(String),
}

/// Why an element has no file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unfit<'a> {
    /// It lacks the attribute with this name.
    Missing(&'a str),
    /// The value of the attribute with this name cannot be part of a file name.
    Value { name: &'a str, reason: &'static str },
}

impl PathTemplate {
    /// Parses a path; `{{` and `}}` are braces. `None` if it has no attributes. It is relative to `folder`.
    ///
    /// # Errors
    ///
    /// What is not valid.
    pub fn parse(path: &str, folder: &Path) -> Result<Option<PathTemplate>, TemplateError> {
        let (mut root, mut names) = (String::new(), Vec::new());
        let parts: Vec<_> = path.split('/').collect();
        for (index, text) in parts.iter().enumerate() {
            let name = parse_name(text)?;
            let has_attribute = name.iter().any(|part| matches!(part, Part::Attribute(_)));
            if names.is_empty() && !has_attribute && index + 1 < parts.len() {
                let text = name.iter().map(|part| match part {
                    Part::Text(text) | Part::Attribute(text) => text.as_str(),
                });
                root.extend(text);
                root.push('/');
            } else if !has_attribute && matches!(*text, "" | "." | "..") {
                return Err(TemplateError::NotAName(text.to_string()));
            } else {
                names.push(name);
            }
        }
        let has_attribute = names.iter().flatten().any(|part| matches!(part, Part::Attribute(_)));
        let folder = folder.join(root);
        let folder = if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder };
        Ok(has_attribute.then_some(PathTemplate { folder, names }))
    }

    /// The folder that all files are in.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// How many folders deep the files are, at least 1.
    pub fn depth(&self) -> usize {
        self.names.len()
    }

    /// Writes the path of an element's file in the folder to `path`. `missing` is the value of every attribute that is missing.
    pub(super) fn fill<'a>(
        &'a self,
        attributes: &Attributes,
        missing: Option<&str>,
        path: &mut String,
    ) -> Result<(), Unfit<'a>> {
        path.clear();
        for name in &self.names {
            if !path.is_empty() {
                path.push('/');
            }
            let start = path.len();
            for part in name {
                match part {
                    Part::Text(text) => path.push_str(text),
                    Part::Attribute(name) => {
                        let value = attributes.get(name).or(missing).ok_or(Unfit::Missing(name))?;
                        check_value(value).map_err(|reason| Unfit::Value { name, reason })?;
                        path.push_str(value);
                        if path.len() - start > NAME_BYTES {
                            return Err(Unfit::Value { name, reason: "makes a file name longer than 255 bytes" });
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Writes the path of the file with `value` in place of every attribute to `path`.
    pub(super) fn fill_with(&self, value: &str, path: &mut String) {
        path.clear();
        for name in &self.names {
            if !path.is_empty() {
                path.push('/');
            }
            for part in name {
                path.push_str(match part {
                    Part::Text(text) => text,
                    Part::Attribute(_) => value,
                });
            }
        }
    }

    /// Whether an element can have the file with this path below the folder, or a file in the folder with this path.
    pub fn can_be(&self, path: &Path) -> bool {
        let names: Vec<_> = path.components().collect();
        names.len() <= self.names.len()
            && names.iter().zip(&self.names).all(|(found, parts)| match found {
                Component::Normal(found) => matches(parts, found),
                _ => false,
            })
    }
}

/// Checks that a value can be part of a file name.
///
/// # Errors
///
/// The reason if it cannot, as a clause without its subject.
pub fn check_value(value: &str) -> Result<(), &'static str> {
    match value {
        "" => Err("is empty"),
        _ if value.starts_with('.') => Err("begins with `.`"),
        _ if value.contains('/') => Err("contains `/`"),
        _ if value.contains(char::is_control) => Err("contains a control character"),
        _ if value.len() > VALUE_BYTES => Err("is longer than 200 bytes"),
        _ => Ok(()),
    }
}

/// Splits one name of a path into text and attributes.
fn parse_name(text: &str) -> Result<Vec<Part>, TemplateError> {
    let (mut parts, mut plain) = (Vec::new(), String::new());
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        plain.push_str(&rest[..at]);
        let (brace, after) = rest[at..].split_at(1);
        if let Some(after) = after.strip_prefix(brace) {
            plain.push_str(brace);
            rest = after;
            continue;
        }
        if brace == "}" {
            return Err(TemplateError::Unopened);
        }
        let (name, after) = after.split_once('}').ok_or(TemplateError::Unclosed)?;
        check_name(name).map_err(|_| TemplateError::Name(name.to_string()))?;
        if !plain.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut plain)));
        }
        parts.push(Part::Attribute(name.to_string()));
        rest = after;
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        parts.push(Part::Text(plain));
    }
    Ok(parts)
}

/// Whether a name could be made of these parts.
fn matches(parts: &[Part], name: &OsStr) -> bool {
    fn rest_matches(parts: &[Part], name: &[u8]) -> bool {
        match parts {
            [] => name.is_empty(),
            [Part::Text(text), rest @ ..] => {
                name.strip_prefix(text.as_bytes()).is_some_and(|name| rest_matches(rest, name))
            }
            // A value has at least a byte.
            [Part::Attribute(_)] => !name.is_empty(),
            [Part::Attribute(_), rest @ ..] => (1..=name.len()).any(|value| rest_matches(rest, &name[value..])),
        }
    }
    rest_matches(parts, name.as_encoded_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::attributes::tests::attributes;

    fn parse(path: &str) -> PathTemplate {
        PathTemplate::parse(path, Path::new("in")).unwrap().unwrap()
    }

    #[test]
    fn attributes_choose_the_path() {
        for (path, folder, expected) in [
            ("{level}.log", "in/", "error.log"),
            ("out/{level}.log", "in/out/", "error.log"),
            ("/var/{tenant}/{level}-{tenant}.log", "/var/", "größe/error-größe.log"),
            ("../a/{tenant}/all.log", "in/../a/", "größe/all.log"),
            ("o{{u}}t/{{{level}}}", "in/o{u}t/", "{error}"),
        ] {
            let (template, mut filled) = (parse(path), String::new());
            let attributes = attributes(&[("level", "error"), ("tenant", "größe")]);
            template.fill(&attributes, None, &mut filled).unwrap();
            assert_eq!((template.folder(), filled.as_str()), (Path::new(folder), expected), "{path}");
            assert!(template.can_be(Path::new(expected)));
        }
        let here = PathTemplate::parse("{level}.log", Path::new("")).unwrap().unwrap();
        assert_eq!(here.folder(), Path::new("."));
        assert_eq!(PathTemplate::parse("a/b{{}}.log", Path::new("")), Ok(None));
        for (path, error) in [
            ("a{b", TemplateError::Unclosed),
            ("{a/b}", TemplateError::Unclosed),
            ("a}b", TemplateError::Unopened),
            ("{}", TemplateError::Name(String::new())),
            ("{a\u{1b}}", TemplateError::Name("a\u{1b}".to_string())),
            ("{a}/..", TemplateError::NotAName("..".to_string())),
            ("{a}/", TemplateError::NotAName(String::new())),
        ] {
            assert_eq!(PathTemplate::parse(path, Path::new("")), Err(error), "{path}");
        }
    }

    #[test]
    fn refuses_hostile_values() {
        let template = parse("{tenant}/x{level}.log");
        let mut path = String::new();
        let long = "x".repeat(201);
        for hostile in ["", ".", "..", "../up", "/etc/passwd", "a/b", ".hidden", &long] {
            for (tenant, level) in [(hostile, "a"), ("a", hostile)] {
                let attributes = attributes(&[("tenant", tenant), ("level", level)]);
                let refused = template.fill(&attributes, None, &mut path).unwrap_err();
                assert!(matches!(refused, Unfit::Value { .. }), "{hostile:?}: {path}");
            }
            assert!(check_value(hostile).is_err());
        }
        let twice = parse("{a}{a}");
        let attributes = attributes(&[("a", &"x".repeat(200))]);
        assert!(matches!(twice.fill(&attributes, None, &mut path), Err(Unfit::Value { name: "a", .. })));
        assert_eq!(twice.fill(&Attributes::new(), None, &mut path), Err(Unfit::Missing("a")));
        twice.fill(&Attributes::new(), Some("none"), &mut path).unwrap();
        assert_eq!(path, "nonenone");
        template.fill_with("odd", &mut path);
        assert_eq!(path, "odd/xodd.log");
    }

    #[test]
    fn knows_which_paths_elements_can_have() {
        let template = parse("{a}/x-{b}-y{c}.log");
        for (path, expected) in [
            ("t/x-1-y2.log", true),
            ("t/x-1-y-y-y.log", true),
            ("t", true),
            ("t/x--y2.log", false),
            ("t/x-1-y.log", false),
            ("t/x-1-y2.txt", false),
            ("t/u/x-1-y2.log", false),
            ("../x-1-y2.log", false),
        ] {
            assert_eq!(template.can_be(Path::new(path)), expected, "{path}");
        }
    }
}
