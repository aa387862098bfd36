//! Executes every console block of README.md and of the guide, and compares the output with the document.
//!
//! Each document has a temporary folder. Its blocks are executed in order:
//!
//! - In a `console` block, a line that starts with `$ ` is a command for `sh`; lines that start with `> ` continue it. The
//!   lines below are its output, standard output and standard error together. `? 101` is its exit code, if it is not 0. `[..]`
//!   matches any text within a line, a line of `...` matches any lines.
//! - Durations, and the number of spaces outside of excerpts of files, are not compared: they differ between runs.
//! - A block with `file=PATH` in its information string is written to that file.
//!
//! All other blocks are only for reading. mdBook includes listings of files of this repository; a test checks that they exist.

#![allow(clippy::unwrap_used, reason = "a failed `unwrap` fails the test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use snapbox::IntoData as _;

/// The tests build components into one folder, where components of the same name replace each other.
fn lock_target_folder() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    LOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// README.md and the pages of the guide, in the order of its summary.
fn documents() -> Vec<PathBuf> {
    let book = root().join("guide/src");
    let summary = fs::read_to_string(book.join("SUMMARY.md")).unwrap();
    let pages = summary.split("](").skip(1).map(|rest| book.join(rest.split(')').next().unwrap()));
    [root().join("README.md")].into_iter().chain(pages).collect()
}

/// A fenced block of a document.
struct Block<'a> {
    /// The line of its first line, from 1.
    line: usize,
    info: &'a str,
    lines: Vec<&'a str>,
}

fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        if let Some(info) = line.strip_prefix("```") {
            let lines = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```").collect();
            blocks.push(Block { line: index + 2, info, lines });
        }
    }
    blocks
}

/// A command of a console block.
#[derive(Default)]
struct Step {
    line: usize,
    command: String,
    printed: String,
    code: i32,
}

fn steps(block: &Block<'_>) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for (index, line) in block.lines.iter().enumerate() {
        if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step { line: block.line + index, command: command.to_string(), ..Step::default() });
            continue;
        }
        let step = steps.last_mut().unwrap_or_else(|| panic!("line {}: output without a command", block.line));
        if let Some(more) = line.strip_prefix("> ").filter(|_| step.printed.is_empty()) {
            step.command += &format!("\n{more}");
        } else if let Some(code) = line.strip_prefix("? ").and_then(|code| code.parse().ok()) {
            step.code = code;
        } else {
            step.printed += &format!("{line}\n");
        }
    }
    steps
}

/// The folder that a document is executed in.
struct Session {
    temp: tempfile::TempDir,
    /// The current folder, which a command may change.
    folder: PathBuf,
}

impl Session {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().canonicalize().unwrap().join("here");
        fs::create_dir(&folder).unwrap();
        Session { temp, folder }
    }

    /// Runs a command and returns its exit code and output.
    fn execute(&mut self, command: &str) -> (i32, String) {
        let pwd = self.temp.path().join("pwd");
        let script = format!("exec 2>&1\n{command}\ncode=$?\npwd >'{}'\nexit $code", pwd.display());
        let tools = Path::new(env!("CARGO_BIN_EXE_cargo-torvyn")).parent().unwrap();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = [tools.to_path_buf()].into_iter().chain(std::env::split_paths(&path));
        let mut sh = Command::new("sh");
        sh.arg("-c").arg(script).current_dir(&self.folder).stdin(Stdio::null());
        sh.env("PATH", std::env::join_paths(path).unwrap());
        sh.env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("guide"));
        sh.env("CARGO_TERM_COLOR", "never").env("CARGO_TERM_PROGRESS_WHEN", "never").env("NO_COLOR", "1");
        sh.env("CARGO_TORVYN_CACHE_DIR", self.temp.path().join("cache"));
        for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WORKSPACE_WRAPPER", "RUST_BACKTRACE"] {
            sh.env_remove(name);
        }
        let output = sh.output().unwrap();
        self.folder = fs::read_to_string(&pwd).unwrap().trim_end().into();
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// The part of an output that is the same in every run: without durations and column widths. Excerpts of files, which have
/// a `|`, are unchanged. On a slow machine, components are named while they are compiled; these lines are removed.
fn comparable(text: &str) -> String {
    let line = |line: &str| {
        if line.contains('|') {
            return format!("{}\n", line.trim_end());
        }
        let words: Vec<_> = line.split(' ').filter(|word| !word.is_empty()).collect();
        let mut plain = Vec::new();
        for (index, word) in words.iter().enumerate() {
            let unit = words.get(index + 1).map_or("", |next| next.trim_end_matches([':', ',']));
            let is_duration = match word.strip_suffix('s') {
                Some(seconds) => seconds.contains('.') && seconds.parse::<f64>().is_ok(),
                None => ["ns", "µs", "ms", "s"].contains(&unit) && word.parse::<f64>().is_ok(),
            };
            let is_minutes = is_whole(word, 'm') && is_whole(unit, 's');
            match plain.last() {
                Some(&"[TIME]") if is_unit(word) || is_whole(word, 's') => {}
                _ => plain.push(if is_duration || is_minutes { "[TIME]" } else { word }),
            }
        }
        format!("{}\n", plain.join(" "))
    };
    let is_reproducible = |line: &&str| !line.trim_start().starts_with("Compiling component ");
    text.lines().filter(is_reproducible).map(line).collect()
}

/// A part of a duration as cargo prints it: `1m 20s`.
fn is_whole(word: &str, unit: char) -> bool {
    word.strip_suffix(unit).is_some_and(|number| number.parse::<u64>().is_ok())
}

fn is_unit(word: &str) -> bool {
    ["ns", "µs", "ms", "s"].contains(&word.trim_end_matches([':', ',']))
}

/// How the result of a command differs from its document.
fn difference(step: &Step, code: i32, printed: &str) -> Option<String> {
    let check = snapbox::Assert::new().normalize_paths(false).palette(snapbox::report::Palette::plain());
    let (actual, expected) = (comparable(printed), comparable(&step.printed));
    let compared = check.try_eq(Some(&"output"), actual.into_data(), expected.into_data());
    let text = match compared {
        Err(difference) => difference.to_string(),
        Ok(()) if code == step.code => return None,
        Ok(()) => String::new(),
    };
    Some(format!("$ {}\nexit code {code}, {} in the document\n{text}\noutput:\n{printed}", step.command, step.code))
}

/// Executes a document until the first difference.
fn execute(document: &Path, text: &str) -> Result<(), String> {
    let mut session = Session::new();
    let name = document.strip_prefix(root()).unwrap().display();
    for block in blocks(text) {
        if let Some(file) = block.info.split(',').find_map(|word| word.strip_prefix("file=")) {
            fs::write(session.folder.join(file), block.lines.join("\n") + "\n").unwrap();
        } else if block.info == "console" {
            for step in steps(&block) {
                let (code, printed) = session.execute(&step.command);
                if let Some(difference) = difference(&step, code, &printed) {
                    return Err(format!("{name}:{}: {difference}", step.line));
                }
            }
        }
    }
    Ok(())
}

#[test]
fn documents_show_what_is_printed() {
    let _lock = lock_target_folder();
    let mut wrong = Vec::new();
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        wrong.extend(execute(&document, &text).err());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn included_files_exist() {
    let mut included = 0;
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for rest in text.split("{{#include ").skip(1) {
            let path = rest.split("}}").next().unwrap();
            let path = path.split(':').next().unwrap();
            assert!(document.with_file_name(path).is_file(), "{}: {path}", document.display());
            included += 1;
        }
    }
    assert!(included > 0);
}

/// The folders that the paths of source files in documents are relative to.
const FOLDERS: [&str; 9] = [
    "",
    "runtime/src",
    "runtime/src/analysis",
    "runtime/src/ledger",
    "cargo-torvyn/src",
    "cargo-torvyn/src/check",
    "cargo-torvyn/src/config",
    "cargo-torvyn/src/output",
    "wit/src",
];

#[test]
fn named_source_files_exist() {
    let design = fs::read_dir(root().join("guide/src/design")).unwrap().map(|entry| entry.unwrap().path());
    let documents = ["ARCHITECTURE.md", "CONTRIBUTING.md"].map(|name| root().join(name)).into_iter().chain(design);
    let mut missing = Vec::new();
    for document in documents {
        let text = fs::read_to_string(&document).unwrap();
        // Upper case stands for a name to choose.
        let is_path = |name: &&str| name.ends_with(".rs") && !name.contains(|c: char| c == ' ' || c.is_uppercase());
        let exists = |name: &str| FOLDERS.iter().any(|folder| root().join(folder).join(name).is_file());
        let names = text.split('`').skip(1).step_by(2).filter(is_path);
        missing.extend(names.filter(|name| !exists(name)).map(|name| format!("{}: {name}", document.display())));
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn readme_has_the_two_commands() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    for command in ["cargo demo", "cargo test --workspace --locked"] {
        let stands = |block: &Block<'_>| block.info == "sh" && block.lines.contains(&command);
        assert!(blocks(&readme).iter().any(stands), "`{command}`");
    }
    assert!(fs::read_to_string(root().join(".cargo/config.toml")).unwrap().contains("\ndemo = \"run "));
}

/// A transcript without its numbers, which depend on how much cargo printed.
fn without_numbers(text: &str) -> String {
    let number = |word: &str| word.trim_end_matches(['×', '%']).replace([',', '.'], "").parse::<u64>().is_ok();
    let unit = |word: &str| ["B", "KiB", "MiB"].contains(&word);
    let line = |line: &str| {
        let words = line.split(' ').filter(|word| !unit(word));
        let words: Vec<_> = words.map(|word| if number(word) { "N" } else { word }).collect();
        format!("{}\n", words.join(" "))
    };
    comparable(text).lines().map(line).collect()
}

#[test]
fn readme_shows_the_demo() {
    let _lock = lock_target_folder();
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let shown = blocks(&readme).into_iter().find(|block| block.info == "text").unwrap();
    let (code, printed) = Session::new().execute("cargo torvyn demo");
    assert_eq!(code, 0, "{printed}");
    let (actual, expected) = (without_numbers(&printed), without_numbers(&(shown.lines.join("\n") + "\n")));
    snapbox::Assert::new().normalize_paths(false).eq(actual, expected);
}

/// The paths of all values in `value`. The fields of `copies` are listed once, for all of its places.
fn fields(path: &str, value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(entries) => {
            let copies = path == "copies" || [".copies", ".failed_copies"].iter().any(|end| path.ends_with(end));
            if copies {
                into.insert(path.to_string());
            }
            let path = if copies { "copies" } else { path };
            let dot = if path.is_empty() { "" } else { "." };
            entries.iter().for_each(|(key, value)| fields(&format!("{path}{dot}{key}"), value, into));
        }
        Value::Array(items) if items.is_empty() => _ = into.insert(format!("{path}[]")),
        Value::Array(items) => items.iter().for_each(|item| fields(&format!("{path}[]"), item, into)),
        _ => _ = into.insert(path.to_string()),
    }
}

#[test]
fn documents_the_fields_of_the_run_summary() {
    let _lock = lock_target_folder();
    let mut session = Session::new();
    let (code, printed) = session.execute(
        "cargo torvyn new one --template router --quiet && cd one && \
         cargo torvyn run --quiet --input Cargo.toml --output /dev/null --message-format json",
    );
    assert_eq!(code, 0, "{printed}");
    let mut printed_fields = BTreeSet::new();
    fields("", &serde_json::from_str(printed.lines().last().unwrap()).unwrap(), &mut printed_fields);

    assert_eq!(documented("reference/json.md", "## Lines of `run`"), printed_fields);
}

#[test]
fn documents_the_fields_of_check() {
    let _lock = lock_target_folder();
    let (code, printed) = Session::new().execute(
        "cargo torvyn new some --template pipeline --quiet && cd some && \
         printf '\n[pipeline.skip]\nstages = [{ component = \"inspector\", on-failure = \"skip\", \
         replicas = 2, stateless = true }]\n[pipeline.on]\nstages = [\"transform\"]\n\
         input = { file = \"Cargo.toml\", checkpoint = \"state\" }\n' >> Torvyn.toml && \
         cargo torvyn check --quiet --message-format json",
    );
    assert_eq!(code, 0, "{printed}");
    let lines: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for reason in ["stage-verdict", "pipeline-verdict", "check-summary"] {
        let mut printed_fields = BTreeSet::new();
        for line in lines.iter().filter(|line| line["reason"] == reason) {
            fields("", line, &mut printed_fields);
        }
        assert_eq!(documented("reference/json.md", &format!("### `{reason}`")), printed_fields, "{reason}");
    }
}

#[test]
fn documents_the_fields_of_records() {
    let _lock = lock_target_folder();
    let mut session = Session::new();
    let (code, printed) = session.execute(
        "cargo torvyn new one --template router --quiet && cd one && cargo torvyn run --quiet --input Cargo.toml \
         --output /dev/null --records records.ndjson && cat records.ndjson",
    );
    assert_eq!(code, 0, "{printed}");
    let lines: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let reasons: BTreeSet<_> = lines.iter().map(|line| line["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, BTreeSet::from(["transfer", "transition", "call", "hand-off", "records-summary"]));
    for reason in reasons {
        let mut printed_fields = BTreeSet::new();
        lines.iter().filter(|line| line["reason"] == reason).for_each(|line| fields("", line, &mut printed_fields));
        assert_eq!(documented("reference/records.md", &format!("### `{reason}`")), printed_fields, "{reason}");
    }
}

/// The fields in the table below a heading of a page.
fn documented(page: &str, heading: &str) -> BTreeSet<String> {
    let page = fs::read_to_string(root().join("guide/src").join(page)).unwrap();
    let (_, section) = page.split_once(&format!("\n{heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap().split("\n### ").next().unwrap();
    let row = |line: &str| Some(line.strip_prefix("| `")?.split('`').next()?.to_string());
    section.lines().filter_map(row).collect()
}

#[test]
fn durations_are_not_compared() {
    let (a, b) = (" a   1   748.6 µs  2 × 3 B \nin 1.2 ms: 4", " a 1 1.00 s 2 × 3 B\nin 12 ns: 4");
    assert_eq!(comparable(a), "a 1 [TIME] 2 × 3 B\nin [TIME] 4\n");
    assert_eq!(comparable(a), comparable(b));
    assert_eq!(comparable("target(s) in 0.05s"), "target(s) in [TIME]\n");
    assert_eq!(comparable("target(s) in 1m 20s"), "target(s) in [TIME]\n");
    assert_eq!(comparable("2 |  a  = \"1 s\" "), "2 |  a  = \"1 s\"\n");
}
