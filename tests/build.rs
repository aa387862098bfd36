//! Builds the guest programs once, and lists them for the tests.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-wasip2";

/// The programs that are also built with the default settings of cargo, and the profile for that.
const AS_CARGO_DOES: [&str; 10] = [
    "above",
    "digest",
    "first_byte",
    "ignores",
    "inspect",
    "magic",
    "reads_in_two_passes",
    "reads_twice",
    "upper",
    "upper_on_demand",
];
const CARGO_DEFAULTS: [&str; 4] =
    ["--config", "profile.release.panic='unwind'", "--config", "profile.release.debug=false"];
/// The programs that are also built for size.
const FOR_SIZE: [&str; 5] = ["inspect", "reads_in_two_passes", "reads_twice", "upper", "upper_on_demand"];

fn main() {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let programs = here.join("programs");
    for watched in [&programs.join("examples"), &programs.join("Cargo.toml"), &here.join("../wit")] {
        println!("cargo::rerun-if-changed={}", watched.display());
    }
    add_target();
    build(&programs, &out.join("target"), &["--examples"]);
    let others = [
        ("PROGRAMS_AS_CARGO_DOES", "as-cargo-does", &CARGO_DEFAULTS[..], &AS_CARGO_DOES[..]),
        ("PROGRAMS_FOR_SIZE", "for-size", &["--config", "profile.release.opt-level='s'"], &FOR_SIZE),
    ];
    for (variable, folder, profile, names) in others {
        let folder = out.join(folder);
        let examples = names.iter().flat_map(|name| ["--example", name]);
        build(&programs, &folder, &profile.iter().copied().chain(examples).collect::<Vec<_>>());
        println!("cargo::rustc-env={variable}={}", folder.join(TARGET).join("release/examples").display());
    }
    fs::write(out.join("programs.rs"), list(&programs, &out.join("target"))).expect("OUT_DIR can be written");
}

/// The target may be missing although the toolchain is installed.
fn add_target() {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let sysroot = Command::new(rustc).args(["--print", "sysroot"]).output().expect("rustc runs");
    let sysroot = String::from_utf8(sysroot.stdout).expect("the sysroot is UTF-8");
    if !Path::new(sysroot.trim()).join("lib/rustlib").join(TARGET).is_dir() {
        let added = Command::new("rustup").args(["target", "add", TARGET]).status();
        assert!(added.is_ok_and(|status| status.success()), "type `rustup target add {TARGET}`");
    }
}

/// With the environment of a shell: variables that this cargo set for its own build are removed.
fn build(programs: &Path, target: &Path, what: &[&str]) {
    let mut cargo = Command::new(env::var_os("CARGO").expect("cargo sets it"));
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let ours = text.starts_with("CARGO") && text != "CARGO_HOME" && !text.starts_with("CARGO_NET");
        if ours || text.starts_with("RUSTC") || text.starts_with("RUSTFLAGS") {
            cargo.env_remove(&name);
        }
    }
    let status = cargo
        .args(["build", "--locked", "--release", "--target", TARGET, "--target-dir"])
        .arg(target)
        .args(what)
        .current_dir(programs)
        .status();
    assert!(status.is_ok_and(|status| status.success()), "the guest programs do not build");
}

/// A constant for the path of each program, and a macro that names them all.
fn list(programs: &Path, target: &Path) -> String {
    let examples = fs::read_dir(programs.join("examples")).expect("the programs are there");
    let mut names: Vec<String> =
        examples.filter_map(|entry| entry.ok()?.path().file_stem()?.to_str().map(str::to_string)).collect();
    names.sort();
    let mut list = String::new();
    for name in &names {
        let path = target.join(TARGET).join("release/examples").join(format!("{name}.wasm"));
        let constant = name.to_uppercase();
        writeln!(list, "/// `programs/examples/{name}.rs`, built.\npub const {constant}: &str = {path:?};")
            .expect("a string can be written to");
    }
    let all: String = names.iter().map(|name| format!("({name:?}, {}), ", name.to_uppercase())).collect();
    writeln!(list, "/// All programs: their names, and where they are.\npub const ALL: &[(&str, &str)] = &[{all}];")
        .expect("a string can be written to");
    let names = names.join(" ");
    writeln!(list, "/// Calls `$each!` with the names of all programs.\n#[macro_export]\nmacro_rules! for_each_program {{ ($each:ident) => {{ $crate::$each! {{ {names} }} }}; }}")
        .expect("a string can be written to");
    list
}
