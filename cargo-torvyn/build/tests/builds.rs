//! Real builds by real cargo in a shared target folder: whose code is in the file.

#![allow(clippy::unwrap_used, reason = "a failed `unwrap` fails the test")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, SystemTime};

use torvyn_build::{Builds, Component, Judged, Report, TARGET};

/// A workspace with two libraries that both depend on a third, with a target folder outside of it.
struct Workspace {
    root: PathBuf,
    target: PathBuf,
    /// Where cargo puts its intermediate files.
    build: PathBuf,
}

impl Workspace {
    fn new(folder: &Path, name: &str, target: &Path) -> Workspace {
        let workspace = Workspace { root: folder.join(name), target: target.into(), build: target.into() };
        workspace.write("Cargo.toml", "[workspace]\nresolver = '3'\nmembers = ['my-stage', 'my_stage', 'beneath']\n");
        for package in ["my-stage", "my_stage"] {
            let library = "[lib]\ncrate-type = ['cdylib']\n[dependencies]\nbeneath = { path = '../beneath' }\n";
            workspace.package(package, library);
            workspace.code(package, &format!("{name} {package}"));
        }
        workspace.package("beneath", "");
        workspace.beneath(&format!("{name} beneath"));
        workspace
    }

    fn package(&self, name: &str, library: &str) {
        let text = format!("[package]\nname = '{name}'\nversion = '0.1.0'\nedition = '2024'\n{library}");
        self.write(&format!("{name}/Cargo.toml"), &text);
    }

    /// Writes code that contains this text, and that of the package below.
    fn code(&self, package: &str, text: &str) {
        let code = format!(
            "#[unsafe(no_mangle)] pub extern \"C\" fn text(i: usize) -> u8 {{ b\"<{text}>\"[i] }}\n\
             #[unsafe(no_mangle)] pub extern \"C\" fn beneath(i: usize) -> u8 {{ beneath::TEXT[i] }}\n"
        );
        self.write(&format!("{package}/src/lib.rs"), &code);
    }

    fn beneath(&self, text: &str) {
        self.write("beneath/src/lib.rs", &format!("pub const TEXT: &[u8] = b\"<{text}>\";\n"));
    }

    fn write(&self, file: &str, text: &str) -> PathBuf {
        let path = self.root.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// Builds with plain cargo, without this library.
    fn cargo(&self, package: &str) -> Command {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--quiet", "--offline", "--target", TARGET, "--lib", "--package", package]);
        cargo.args(["--message-format", "json"]).current_dir(&self.root).env("CARGO_TARGET_DIR", &self.target);
        cargo.env("CARGO_BUILD_BUILD_DIR", &self.build);
        cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS").stdin(Stdio::null());
        cargo
    }

    /// How often cargo ran, and the component.
    fn build(&self, package: &str) -> (usize, Component) {
        let mut builds = Builds::lock(&self.target, || ()).unwrap();
        for runs in 1.. {
            let mut report = Report::new(&self.build);
            let output = self.cargo(package).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap().lines().for_each(|line| report.add(line));
            if let Judged::Built(mut components) = builds.judge(&report).unwrap() {
                assert_eq!(components.len(), 1);
                return (runs, components.remove(0));
            }
        }
        unreachable!("it gives up before");
    }

    /// How often cargo ran, and the text in the component.
    fn texts(&self, package: &str) -> (usize, Vec<String>) {
        let (runs, component) = self.build(package);
        let is_text = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_ ".contains(byte);
        let parts = component.bytes.split(|byte| *byte == b'<').skip(1);
        let texts =
            parts.filter_map(|part| part.split(|byte| *byte == b'>').next().filter(|text| text.len() < part.len()));
        let texts = texts.filter(|text| text.len() > 2 && text.iter().all(is_text));
        let mut texts: Vec<_> = texts.map(|text| String::from_utf8(text.to_vec()).unwrap()).collect();
        texts.retain(|text| text.starts_with("one ") || text.starts_with("two ") || text.starts_with("new "));
        texts.sort();
        (runs, texts)
    }

    #[track_caller]
    fn expect(&self, package: &str, texts: [&str; 2]) {
        assert_eq!(self.texts(package).1, texts, "{package} in {}", self.root.display());
    }
}

fn two(folder: &Path) -> [Workspace; 2] {
    let target = folder.join("target");
    ["one", "two"].map(|name| Workspace::new(folder, name, &target))
}

#[test]
fn two_workspaces_share_a_target_folder() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two] = two(folder.path());
    one.expect("my-stage", ["one beneath", "one my-stage"]);
    let (runs, again) = one.build("my-stage");
    assert!(runs == 1 && again.fresh, "what was built is not built again");
    two.expect("my-stage", ["two beneath", "two my-stage"]);
    one.expect("my-stage", ["one beneath", "one my-stage"]);
    // Plain cargo builds there too, and its last build was that of the other workspace.
    two.code("my-stage", "new my-stage");
    assert!(two.cargo("my-stage").stdout(Stdio::null()).status().unwrap().success());
    one.expect("my-stage", ["one beneath", "one my-stage"]);
    two.expect("my-stage", ["new my-stage", "two beneath"]);
}

#[test]
fn two_workspaces_share_only_the_folder_of_what_is_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let [mut one, mut two] = two(folder.path());
    for (workspace, name) in [(&mut one, "one"), (&mut two, "two")] {
        workspace.build = folder.path().join("build");
        workspace.target = folder.path().join(name).join("target");
    }
    for _ in 0..2 {
        one.expect("my-stage", ["one beneath", "one my-stage"]);
        two.expect("my-stage", ["two beneath", "two my-stage"]);
    }
    let (runs, built) = two.build("my-stage");
    assert!(runs == 1 && built.fresh && built.path.starts_with(&two.target));
    assert_eq!(built.sources, ["beneath/src/lib.rs", "my-stage/src/lib.rs"].map(|file| two.root.join(file)));
}

#[test]
fn two_packages_have_one_file_name() {
    let folder = tempfile::tempdir().unwrap();
    let [one, _] = two(folder.path());
    for _ in 0..2 {
        one.expect("my-stage", ["one beneath", "one my-stage"]);
        one.expect("my_stage", ["one beneath", "one my_stage"]);
    }
}

#[test]
fn what_changes_under_its_old_time_is_built() {
    let folder = tempfile::tempdir().unwrap();
    let [one, _] = two(folder.path());
    one.expect("my-stage", ["one beneath", "one my-stage"]);
    let long_ago = SystemTime::now() - Duration::from_secs(1_000_000);
    one.code("my-stage", "new my-stage");
    File::options().write(true).open(one.root.join("my-stage/src/lib.rs")).unwrap().set_modified(long_ago).unwrap();
    one.expect("my-stage", ["new my-stage", "one beneath"]);
    one.beneath("new beneath");
    File::options().write(true).open(one.root.join("beneath/src/lib.rs")).unwrap().set_modified(long_ago).unwrap();
    one.expect("my-stage", ["new beneath", "new my-stage"]);
}

#[test]
fn what_somebody_has_put_there_is_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let [one, _] = two(folder.path());
    let (_, built) = one.build("my-stage");
    let deps = one.target.join(TARGET).join("debug/deps/my_stage.wasm");
    for path in [&built.path, &deps] {
        fs::remove_file(path).unwrap();
        fs::write(path, "something else").unwrap();
        one.expect("my-stage", ["one beneath", "one my-stage"]);
    }
    fs::write(one.target.join("torvyn/built.json"), "{").unwrap();
    one.expect("my-stage", ["one beneath", "one my-stage"]);
}

#[test]
fn a_build_script_that_another_workspace_has_run_is_run_again() {
    let folder = tempfile::tempdir().unwrap();
    let workspaces = two(folder.path());
    for (workspace, name) in workspaces.iter().zip(["one", "two"]) {
        let script = format!(
            "fn main() {{ println!(\"cargo::rerun-if-changed=build.rs\"); \
             std::fs::write(std::env::var(\"OUT_DIR\").unwrap() + \"/text\", \"<{name} script>\").unwrap(); }}"
        );
        workspace.write("my-stage/build.rs", &script);
        let code = "#[unsafe(no_mangle)] pub extern \"C\" fn text(i: usize) -> u8 {\n\
                    include_bytes!(concat!(env!(\"OUT_DIR\"), \"/text\"))[i] + beneath::TEXT[i]\n}\n";
        workspace.write("my-stage/src/lib.rs", code);
    }
    for _ in 0..2 {
        workspaces[0].expect("my-stage", ["one beneath", "one script"]);
        workspaces[1].expect("my-stage", ["two beneath", "two script"]);
    }
}

#[test]
fn what_a_build_script_reads_and_does_not_name_is_built_in() {
    let folder = tempfile::tempdir().unwrap();
    let [one, _] = two(folder.path());
    for (named, texts) in [("", ["one script", "new script"]), ("data", ["one other", "new other"])] {
        let line =
            if named.is_empty() { String::new() } else { format!("println!(\"cargo::rerun-if-changed={named}\");") };
        let script = format!(
            "fn main() {{ {line} std::fs::copy(\"data/text\", std::env::var(\"OUT_DIR\").unwrap() + \"/text\").unwrap(); }}"
        );
        one.write("my-stage/build.rs", &script);
        let code = "#[unsafe(no_mangle)] pub extern \"C\" fn text(i: usize) -> u8 {\n\
                    include_bytes!(concat!(env!(\"OUT_DIR\"), \"/text\"))[i] + beneath::TEXT[i]\n}\n";
        one.write("my-stage/src/lib.rs", code);
        for text in texts {
            let data = one.write("my-stage/data/text", &format!("<{text}>"));
            let long_ago = SystemTime::now() - Duration::from_secs(1_000_000);
            File::options().write(true).open(data).unwrap().set_modified(long_ago).unwrap();
            let mut expected = ["one beneath", text];
            expected.sort_unstable();
            one.expect("my-stage", expected);
        }
        let (runs, again) = one.build("my-stage");
        assert!(runs == 1 && again.fresh, "what was built is not built again");
    }
}

#[test]
fn what_another_layout_of_the_target_folder_has_left_is_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let [one, _] = two(folder.path());
    one.expect("my-stage", ["one beneath", "one my-stage"]);
    // Like a newer cargo, which keeps each unit in its own folder and does not touch `deps`.
    let (_, built) = one.build("my-stage");
    let unit = one.target.join(TARGET).join("debug/build/my-stage/0123/out");
    fs::create_dir_all(&unit).unwrap();
    let name = b"one my-stage";
    let at = built.bytes.windows(name.len()).position(|window| window == name).unwrap();
    let mut bytes = built.bytes.clone();
    bytes[at..at + 3].copy_from_slice(b"new");
    fs::write(unit.join("my_stage.wasm"), &bytes).unwrap();
    fs::remove_file(&built.path).unwrap();
    fs::hard_link(unit.join("my_stage.wasm"), &built.path).unwrap();
    let artifact = format!(
        r#"{{"reason":"compiler-artifact","package_id":"path+file://{0}/my-stage#0.1.0","manifest_path":"{0}/my-stage/Cargo.toml","target":{{"kind":["cdylib"]}},"filenames":["{1}"],"fresh":false}}"#,
        one.root.display(),
        built.path.display()
    );
    let mut report = Report::new(&one.build);
    report.add(&artifact);
    let Judged::Built(components) = Builds::lock(&one.target, || ()).unwrap().judge(&report).unwrap() else {
        panic!("it was built just now");
    };
    assert_eq!(components[0].bytes, bytes);
}

#[test]
fn builds_at_the_same_time_wait_for_one_another() {
    let folder = tempfile::tempdir().unwrap();
    let workspaces = two(folder.path());
    thread::scope(|scope| {
        for (workspace, name) in workspaces.iter().zip(["one", "two"]) {
            scope.spawn(move || {
                for round in 0..4 {
                    workspace.code("my-stage", &format!("{name} my-stage {round}"));
                    let expected = [format!("{name} beneath"), format!("{name} my-stage {round}")];
                    assert_eq!(workspace.texts("my-stage").1, expected);
                }
            });
        }
    });
}
