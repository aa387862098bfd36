//! Checks names of projects before anything is written: by the rules of cargo for packages, and by our own.

use crate::exit::{Exit, Stop};

/// Words that Rust reserves: code cannot refer to a crate with such a name.
const KEYWORDS: &[&str] = &[
    "Self", "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro",
    "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static", "struct", "super",
    "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield", "_",
];
/// Crates that come with the compiler.
const SYSROOT: &[&str] = &["alloc", "core", "proc_macro", "std", "test"];
/// Crates that a project depends on, or may depend on: two packages of the same name do not build.
const DEPENDENCIES: &[&str] = &["cargo-torvyn", "torvyn-guest", "torvyn-runtime", "torvyn-testing", "wit-bindgen"];
/// Folders of cargo in the target folder, next to which built files are put.
const CARGO_FOLDERS: &[&str] = &["build", "deps", "examples", "incremental", "target"];
/// The limit of crates.io. From 128 characters, the file names of rustc are too long for some file systems.
const LONGEST: usize = 64;
/// The names of the ends of a pipeline, which its stages cannot have.
const ENDS: &[&str] = &["input", "output"];
/// Names that Windows reserves for devices, in any case.
const DEVICES: &[&str] = &[
    "aux", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8", "com9", "con", "lpt1", "lpt2", "lpt3",
    "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9", "nul", "prn",
];

/// Checks the name of a project.
///
/// # Errors
///
/// A usage [`Stop`] with the reason.
pub(crate) fn check(name: &str) -> Result<(), Stop> {
    match problem(name) {
        None => Ok(()),
        Some(problem) => {
            Err(Stop::new(Exit::Usage, format!("invalid project name `{}`: {problem}", name.escape_debug()))
                .help("choose another name with `--name NAME`: letters, digits, `-` and `_`"))
        }
    }
}

fn problem(name: &str) -> Option<String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let known = |names: &[&str]| names.contains(&name);
    // Files with such names are the same file, on some systems at least.
    let known_as = |names: &[&str]| names.iter().any(|known| artifact(known) == artifact(name));
    if name.is_empty() {
        Some("it is empty".to_owned())
    } else if let Some(other) = name.chars().find(|&c| !allowed(c)) {
        Some(format!("`{}` is not allowed", other.escape_debug()))
    } else if name.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
        Some("it must begin with a letter or `_`".to_owned())
    } else if name.len() > LONGEST {
        Some(format!("it has {} characters, but {LONGEST} is the maximum", name.len()))
    } else if known(KEYWORDS) {
        Some("it is a Rust keyword".to_owned())
    } else if known_as(SYSROOT) {
        Some("it conflicts with a crate of the standard library".to_owned())
    } else if known_as(DEPENDENCIES) {
        Some("it conflicts with a crate that stages are built with".to_owned())
    } else if known_as(CARGO_FOLDERS) {
        Some("it conflicts with a folder that cargo builds in".to_owned())
    } else if known(ENDS) {
        Some("it is reserved for an end of a pipeline".to_owned())
    } else if is_device(name) {
        Some("Windows does not allow a file of that name".to_owned())
    } else {
        None
    }
}

/// Whether Windows reserves this name of a file or folder for a device, with or without an extension.
pub(crate) fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end();
    DEVICES.contains(&stem.to_ascii_lowercase().as_str())
}

/// A form that is equal for names whose components can be the same file: cargo writes `_` for `-`, and some file systems
/// ignore case.
pub(crate) fn artifact(name: &str) -> String {
    name.to_lowercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_names_of_packages() {
        for name in ["logs", "log-filter", "a", "_x", "A1", "x_2", "source", "transform", &"x".repeat(64)] {
            assert!(check(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn rejects_names_that_would_not_build_with_the_reason() {
        for (name, reason) in [
            ("", "empty"),
            (".", "`.` is not allowed"),
            ("../up", "`.` is not allowed"),
            ("a/b", "`/` is not allowed"),
            ("a b", "` ` is not allowed"),
            ("a\nb", r"`\n` is not allowed"),
            ("a\0", r"`\0` is not allowed"),
            ("\"quoted\"", "is not allowed"),
            ("{{name}}", "`{` is not allowed"),
            ("straße", "`ß` is not allowed"),
            ("9lives", "must begin with"),
            ("-x", "must begin with"),
            ("fn", "keyword"),
            ("_", "keyword"),
            ("test", "standard library"),
            ("Std", "standard library"),
            ("proc-macro", "standard library"),
            ("proc_macro", "standard library"),
            ("torvyn-guest", "built with"),
            ("torvyn_guest", "built with"),
            ("Wit-Bindgen", "built with"),
            ("torvyn-testing", "built with"),
            ("cargo-torvyn", "built with"),
            ("target", "a folder that cargo builds in"),
            ("deps", "a folder that cargo builds in"),
            (&"x".repeat(65), "it has 65 characters, but 64 is the maximum"),
            ("input", "an end of a pipeline"),
            ("NUL", "Windows"),
            ("com1", "Windows"),
        ] {
            let stop = check(name).unwrap_err();
            assert!(stop.to_string().contains(reason), "{stop}");
            assert_eq!(Exit::from_error(&stop.into()), Exit::Usage);
        }
    }
}
