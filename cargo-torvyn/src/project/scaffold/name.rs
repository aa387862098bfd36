//! Names of projects: what cargo takes as the name of a package, told before anything is written.

use crate::exit::{Exit, Stop};

/// What Rust reserves; a crate of such a name cannot be named in code.
const KEYWORDS: &[&str] = &[
    "Self", "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro",
    "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static", "struct", "super",
    "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield", "_",
];
/// Crates that come with the compiler.
const SYSROOT: &[&str] = &["alloc", "core", "proc_macro", "std", "test"];
/// Crates that a project here depends on, or may: two packages of one name do not build.
const DEPENDENCIES: &[&str] = &["cargo-torvyn", "torvyn-guest", "torvyn-runtime", "torvyn-testing", "wit-bindgen"];
/// Folders of cargo's in the target folder, beside which nothing that is built can have such a name.
const OF_CARGO: &[&str] = &["build", "deps", "examples", "incremental", "target"];
/// What crates.io takes; from 128 on, the names of the files that rustc makes are too long for some file systems.
const LONGEST: usize = 64;
/// What stages of a pipeline cannot be called, because its two ends are.
const ENDS: &[&str] = &["input", "output"];
/// Names that Windows keeps for devices, whatever their case.
const DEVICES: &[&str] = &[
    "aux", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8", "com9", "con", "lpt1", "lpt2", "lpt3",
    "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9", "nul", "prn",
];

/// Checks the name of a project.
///
/// # Errors
///
/// A [`Stop`] with usage that says what is wrong with it.
pub(crate) fn check(name: &str) -> Result<(), Stop> {
    match problem(name) {
        None => Ok(()),
        Some(problem) => {
            Err(Stop::new(Exit::Usage, format!("invalid project name `{}`: {problem}", name.escape_debug()))
                .help("give another one with `--name NAME`, of letters, digits, `-` and `_`"))
        }
    }
}

fn problem(name: &str) -> Option<String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let known = |names: &[&str]| names.contains(&name);
    // Files of such names are one file, on some systems at least.
    let known_as = |names: &[&str]| names.iter().any(|known| artifact(known) == artifact(name));
    if name.is_empty() {
        Some("it is empty".to_owned())
    } else if let Some(other) = name.chars().find(|&c| !allowed(c)) {
        Some(format!("`{}` cannot be in it", other.escape_debug()))
    } else if name.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
        Some("it begins with neither a letter nor `_`".to_owned())
    } else if name.len() > LONGEST {
        Some(format!("it has {} letters, and can have {LONGEST}", name.len()))
    } else if known(KEYWORDS) {
        Some("it is a keyword of Rust".to_owned())
    } else if known_as(SYSROOT) {
        Some("it conflicts with a crate of the standard library".to_owned())
    } else if known_as(DEPENDENCIES) {
        Some("it conflicts with a crate that stages are built with".to_owned())
    } else if known_as(OF_CARGO) {
        Some("cargo has a folder of that name where it builds".to_owned())
    } else if known(ENDS) {
        Some("a pipeline has its ends by that name, and so no stage".to_owned())
    } else if is_device(name) {
        Some("Windows cannot have a file of that name".to_owned())
    } else {
        None
    }
}

/// Whether Windows keeps this name of a file or folder for a device, which it does with any extension too.
pub(crate) fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end();
    DEVICES.contains(&stem.to_ascii_lowercase().as_str())
}

/// What is the same for two names whose components can be one file: cargo writes `_` for `-`, and not every file system
/// tells upper from lower case.
pub(crate) fn artifact(name: &str) -> String {
    name.to_lowercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cargo_takes_is_taken() {
        for name in ["logs", "log-filter", "a", "_x", "A1", "x_2", "source", "transform", &"x".repeat(64)] {
            assert!(check(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn what_would_not_build_is_refused_with_the_reason() {
        for (name, reason) in [
            ("", "empty"),
            (".", "`.` cannot be in it"),
            ("../up", "`.` cannot be in it"),
            ("a/b", "`/` cannot be in it"),
            ("a b", "` ` cannot be in it"),
            ("a\nb", r"`\n` cannot be in it"),
            ("a\0", r"`\0` cannot be in it"),
            ("\"quoted\"", "cannot be in it"),
            ("{{name}}", "`{` cannot be in it"),
            ("straße", "`ß` cannot be in it"),
            ("9lives", "begins with"),
            ("-x", "begins with"),
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
            ("target", "cargo has a folder"),
            ("deps", "cargo has a folder"),
            (&"x".repeat(65), "it has 65 letters, and can have 64"),
            ("input", "a pipeline has its ends"),
            ("NUL", "Windows"),
            ("com1", "Windows"),
        ] {
            let stop = check(name).unwrap_err();
            assert!(stop.to_string().contains(reason), "{stop}");
            assert_eq!(Exit::from_error(&stop.into()), Exit::Usage);
        }
    }
}
