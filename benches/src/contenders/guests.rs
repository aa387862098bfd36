//! Builds the guest programs of a contender, once per run, with the release profile of their workspace.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A folder beside this program, in the target folder.
pub(crate) fn beside_program(name: &str) -> PathBuf {
    let program = std::env::current_exe().expect("a program knows where it is");
    program.parent().expect("a program is in a folder").join("benches").join(name)
}

/// Builds every example of the workspace at `manifest`, a path from the root of the repository, as a component. Returns
/// the path of each, by name.
pub(crate) fn build_guests(manifest: &str) -> BTreeMap<String, PathBuf> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(manifest);
    let name = manifest.parent().and_then(Path::file_name).expect("a manifest lies in a folder");
    let target = beside_program("guests").join(name);
    let built = Command::new(env!("CARGO"))
        .args(["build", "--locked", "--release", "--examples", "--target", "wasm32-wasip2", "--message-format", "json"])
        .arg("--manifest-path")
        .arg(&manifest)
        .arg("--target-dir")
        .arg(target)
        // As in the projects of `cargo torvyn new`; the native contenders have the SIMD of their target.
        .args(["--config", "target.wasm32-wasip2.rustflags = ['-Ctarget-feature=+simd128']"])
        // Flags for the processor of the host do not fit the guests.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo starts");
    assert!(
        built.status.success(),
        "the guests of {} do not build; `rustup target add wasm32-wasip2` adds their target",
        manifest.display()
    );
    let components: BTreeMap<_, _> = built
        .stdout
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<serde_json::Value>(line).ok())
        .filter_map(|message| {
            let name = message["target"]["name"].as_str()?.to_owned();
            let component = message["filenames"].as_array()?.iter().filter_map(|file| file.as_str());
            let component =
                component.map(PathBuf::from).find(|file| file.extension().is_some_and(|it| it == "wasm"))?;
            Some((name, component))
        })
        .collect();
    assert!(!components.is_empty(), "{} has no guests", manifest.display());
    components
}
