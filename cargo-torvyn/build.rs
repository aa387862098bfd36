//! Lists the lints, which are the files of a folder. Builds again when a file is added to what the program embeds, too: a new
//! one is in no dependency list yet.

#![allow(clippy::print_stdout, reason = "this is how a build script talks to cargo")]

use std::path::{Path, PathBuf};
use std::{env, fs, io};

const LINTS: &str = "src/check/lints";

fn main() -> io::Result<()> {
    for path in ["build.rs", "templates", "contract", "codes", LINTS] {
        println!("cargo::rerun-if-changed={path}");
    }
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let target = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    fs::write(target.join("lints.rs"), list_lints(&root.join(LINTS))?)
}

/// The modules of the lints, and the list of what they declare, in alphabetical order.
fn list_lints(folder: &Path) -> io::Result<String> {
    let mut files = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    files.sort();
    let (mut modules, mut list) = (String::new(), String::new());
    for path in &files {
        let name = path.file_stem().unwrap_or_default().display();
        modules += &format!("#[path = {path:?}]\nmod {name};\n");
        list += &format!("({name}::LINT, {name}::CHECKS),\n");
    }
    Ok(format!("{modules}const ALL: &[(crate::config::lint::Lint, &[Check])] = &[\n{list}];\n"))
}
