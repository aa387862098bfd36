//! Package ID specifications and name patterns, as cargo accepts them for `--package` and `--exclude`:
//! <https://doc.rust-lang.org/cargo/reference/pkgid-spec.html>.

use std::path;

use cargo_metadata::Package;

use crate::exit::{Exit, Stop};

/// A way to name packages.
#[derive(Debug)]
pub(super) enum Spec {
    /// A pattern for names.
    Pattern(glob::Pattern),
    /// Parts of a package id, all of which must match.
    Id { url: Option<String>, name: Option<String>, version: Option<Version> },
}

/// A version or the beginning of one.
#[derive(Debug)]
pub(super) struct Version {
    /// One to three numbers.
    numbers: Vec<u64>,
    /// The rest from a `-` or a `+` on.
    rest: String,
}

impl Spec {
    /// Parses an argument.
    ///
    /// # Errors
    ///
    /// A usage [`Stop`] if it is neither a specification nor a pattern.
    pub(super) fn parse(text: &str) -> Result<Spec, Stop> {
        let wrong = |help: String| {
            Stop::new(Exit::Usage, format!("`{}` does not name a package", text.escape_debug())).help(help)
        };
        if text.contains("://") {
            let (url, fragment) = text.split_once('#').map_or((text, None), |(url, rest)| (url, Some(rest)));
            let url = url.strip_prefix("path+").unwrap_or(url);
            let url = Some(url.trim_end_matches('/').to_string());
            let (name, version) = match fragment {
                None => (None, None),
                Some(version) if version.starts_with(|letter: char| letter.is_ascii_digit()) => (None, Some(version)),
                Some(name) => split(name),
            };
            let version = version.map(Version::parse).transpose().map_err(wrong)?;
            return Ok(Spec::Id { url, name: name.map(str::to_string), version });
        }
        if text.contains(['*', '?', '[', ']']) {
            return glob::Pattern::new(text)
                .map(Spec::Pattern)
                .map_err(|error| wrong(format!("as a pattern: {error}")));
        }
        if text.is_empty() || text.contains(['/', '\\']) {
            let path = path::absolute(text).unwrap_or_default();
            return Err(wrong(format!(
                "give a name, `NAME@VERSION` or a pattern; a folder is `file://{}`",
                path.display()
            )));
        }
        let (name, version) = split(text);
        let version = version.map(Version::parse).transpose().map_err(wrong)?;
        Ok(Spec::Id { url: None, name: name.map(str::to_string), version })
    }

    /// Whether it is a pattern, which can match several packages.
    pub(super) fn is_pattern(&self) -> bool {
        matches!(self, Spec::Pattern(_))
    }

    /// Whether it matches this package of a workspace.
    pub(super) fn matches(&self, package: &Package) -> bool {
        match self {
            Spec::Pattern(pattern) => pattern.matches(&package.name),
            Spec::Id { url, name, version } => {
                // `path+file:///folder#0.1.0`
                let id = package.id.repr.split('#').next().unwrap_or_default();
                let own = id.strip_prefix("path+").unwrap_or(id);
                url.as_ref().is_none_or(|url| url == own)
                    && name.as_ref().is_none_or(|name| *name == *package.name)
                    && version.as_ref().is_none_or(|version| version.matches(&package.version.to_string()))
            }
        }
    }
}

/// Splits `NAME@VERSION`, or the older `NAME:VERSION`.
fn split(text: &str) -> (Option<&str>, Option<&str>) {
    text.split_once(['@', ':']).map_or((Some(text), None), |(name, version)| (Some(name), Some(version)))
}

impl Version {
    fn parse(text: &str) -> Result<Version, String> {
        let end = text.find(['-', '+']).unwrap_or(text.len());
        let numbers: Result<Vec<u64>, _> = text[..end].split('.').map(str::parse).collect();
        match numbers {
            Ok(numbers) if numbers.len() == 3 || numbers.len() < 3 && end == text.len() => {
                Ok(Version { numbers, rest: text[end..].to_string() })
            }
            _ => Err(format!("`{}` is not a version such as `1.2.3` or `1.2`", text.escape_debug())),
        }
    }

    /// Whether a full version equals this one or begins with it.
    fn matches(&self, whole: &str) -> bool {
        let Ok(whole) = Version::parse(whole) else { return false };
        // As in cargo, a partial version does not match pre-releases.
        let rest = if self.numbers.len() == 3 { whole.rest == self.rest } else { !whole.rest.starts_with('-') };
        whole.numbers.starts_with(&self.numbers) && rest
    }
}

#[cfg(test)]
mod tests {
    use cargo_metadata::MetadataCommand;

    use super::*;

    #[test]
    fn matches_packages_as_cargo_does() {
        let metadata = MetadataCommand::new().no_deps().exec().unwrap();
        let package = metadata.packages.iter().find(|package| package.name == "cargo-torvyn").unwrap();
        let version = package.version.to_string();
        let (major_minor, folder) = (version.rsplit_once('.').unwrap().0, env!("CARGO_MANIFEST_DIR"));
        let matches = |text: &str| Spec::parse(text).unwrap().matches(package);
        for text in [
            "cargo-torvyn",
            &format!("cargo-torvyn@{version}"),
            &format!("cargo-torvyn:{version}"),
            &format!("cargo-torvyn@{major_minor}"),
            "cargo-*",
            "*",
            "c?rgo-[st]orvyn",
            &format!("file://{folder}"),
            &format!("path+file://{folder}#{version}"),
            &format!("path+file://{folder}#cargo-torvyn@{version}"),
            &format!("file://{folder}#cargo-torvyn"),
            &package.id.repr,
        ] {
            assert!(matches(text), "{text}");
        }
        for text in [
            "cargo-torvy",
            "Cargo-torvyn",
            "cargo-torvyn@99",
            "cargo-torvyn@0.1.0-alpha",
            "cargo-?",
            "file:///elsewhere",
            &format!("file://{folder}#99.0.0"),
            "https://github.com/rust-lang/cargo#cargo-torvyn",
            "registry+https://github.com/rust-lang/crates.io-index#cargo-torvyn@0.1.0",
        ] {
            assert!(!matches(text), "{text}");
        }
        for text in ["", "a/b", "./a", "a@", "a@x", "a@1.2.3.4", "a@1-b", "a[", "file:///a#1.x"] {
            assert_eq!(Exit::from_error(&Spec::parse(text).unwrap_err().into()), Exit::Usage, "{text}");
        }
    }
}
