//! The documents do what they say: every console block of README.md and of the guide is executed as it is written, and
//! what it prints is what stands there.
//!
//! A document has one temporary folder, and its blocks are executed in order:
//!
//! - In a `console` block, a line that begins with `$ ` is a command for `sh`, and lines that begin with `> ` continue
//!   it. Below it stands what it prints, on both streams together, and `? 101` where it ends with that exit code instead
//!   of 0. `[..]` stands for anything within a line, a line of `...` for any lines.
//! - Durations, and the number of spaces outside excerpts of files, are not compared: they differ from run to run.
//! - A block with `file=PATH` in its information string is written to that file.
//!
//! A block of any other kind is for reading. Listings of files of this repository are included by mdBook; that they are
//! there is tested.

#![allow(clippy::unwrap_used, reason = "a test that unwraps in vain has failed")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use snapbox::IntoData as _;

/// The tests build components into one folder, where those of one name replace each other.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// README.md and the chapters of the guide, in the order of its summary.
fn documents() -> Vec<PathBuf> {
    let book = root().join("guide/src");
    let summary = fs::read_to_string(book.join("SUMMARY.md")).unwrap();
    let chapters = summary.split("](").skip(1).map(|rest| book.join(rest.split(')').next().unwrap()));
    [root().join("README.md")].into_iter().chain(chapters).collect()
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

/// Where a document is executed.
struct Place {
    temp: tempfile::TempDir,
    /// The current folder, which a command may change.
    folder: PathBuf,
}

impl Place {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().canonicalize().unwrap().join("here");
        fs::create_dir(&folder).unwrap();
        Place { temp, folder }
    }

    /// The exit code, and what was printed.
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
        for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WORKSPACE_WRAPPER", "RUST_BACKTRACE"] {
            sh.env_remove(name);
        }
        let output = sh.output().unwrap();
        self.folder = fs::read_to_string(&pwd).unwrap().trim_end().into();
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// What the lines of two runs have in common: durations are all the same, and so are columns of any width. Excerpts of
/// files, which have a `|`, stay as they are. On a machine that is slow just then, components are named as they are compiled.
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
            match plain.last() {
                Some(&"[TIME]") if unit_of(word) => {}
                _ => plain.push(if is_duration { "[TIME]" } else { word }),
            }
        }
        format!("{}\n", plain.join(" "))
    };
    let is_of_any = |line: &&str| !line.trim_start().starts_with("Compiling component ");
    text.lines().filter(is_of_any).map(line).collect()
}

fn unit_of(word: &str) -> bool {
    ["ns", "µs", "ms", "s"].contains(&word.trim_end_matches([':', ',']))
}

/// What differs between a step and what happens.
fn difference(step: &Step, code: i32, printed: &str) -> Option<String> {
    let check = snapbox::Assert::new().normalize_paths(false).palette(snapbox::report::Palette::plain());
    let (actual, expected) = (comparable(printed), comparable(&step.printed));
    let compared = check.try_eq(Some(&"what is printed"), actual.into_data(), expected.into_data());
    let text = match compared {
        Err(difference) => difference.to_string(),
        Ok(()) if code == step.code => return None,
        Ok(()) => String::new(),
    };
    Some(format!("$ {}\nexit code {code}, {} in the document\n{text}\nprinted:\n{printed}", step.command, step.code))
}

/// Executes a document, until something is not as it says.
fn execute(document: &Path, text: &str) -> Result<(), String> {
    let mut place = Place::new();
    let name = document.strip_prefix(root()).unwrap().display();
    for block in blocks(text) {
        if let Some(file) = block.info.split(',').find_map(|word| word.strip_prefix("file=")) {
            fs::write(place.folder.join(file), block.lines.join("\n") + "\n").unwrap();
        } else if block.info == "console" {
            for step in steps(&block) {
                let (code, printed) = place.execute(&step.command);
                if let Some(difference) = difference(&step, code, &printed) {
                    return Err(format!("{name}:{}: {difference}", step.line));
                }
            }
        }
    }
    Ok(())
}

#[test]
fn every_document_does_what_it_says() {
    let _alone = alone();
    let mut wrong = Vec::new();
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        wrong.extend(execute(&document, &text).err());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn what_is_included_is_there() {
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

#[test]
fn the_readme_has_the_two_commands() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    for command in ["cargo demo", "cargo test --workspace --locked"] {
        let stands = |block: &Block<'_>| block.info == "sh" && block.lines.contains(&command);
        assert!(blocks(&readme).iter().any(stands), "`{command}`");
    }
    assert!(fs::read_to_string(root().join(".cargo/config.toml")).unwrap().contains("\ndemo = \"run "));
}

/// The sentence around the numbers of a transcript: they are how much cargo said this time.
fn numberless(text: &str) -> String {
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
fn the_demo_prints_what_the_readme_shows() {
    let _alone = alone();
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let shown = blocks(&readme).into_iter().find(|block| block.info == "text").unwrap();
    let (code, printed) = Place::new().execute("cargo torvyn demo");
    assert_eq!(code, 0, "{printed}");
    let (actual, expected) = (numberless(&printed), numberless(&(shown.lines.join("\n") + "\n")));
    snapbox::Assert::new().normalize_paths(false).eq(actual, expected);
}

/// The paths of all values in `value`. What copies there are is said once, for every `copies`.
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
fn the_documented_fields_are_those_of_the_summary() {
    let _alone = alone();
    let mut place = Place::new();
    let (code, printed) = place.execute(
        "cargo torvyn new one --template router --quiet && cd one && \
         cargo torvyn run --quiet --input Cargo.toml --output /dev/null --message-format json",
    );
    assert_eq!(code, 0, "{printed}");
    let mut printed_fields = BTreeSet::new();
    fields("", &serde_json::from_str(printed.lines().last().unwrap()).unwrap(), &mut printed_fields);

    assert_eq!(documented("reference/json.md", "## Lines of `run`"), printed_fields);
}

#[test]
fn the_documented_fields_are_those_of_the_lines_of_check() {
    let _alone = alone();
    let (code, printed) = Place::new().execute(
        "cargo torvyn new some --template pipeline --quiet && cd some && \
         printf '\n[pipeline.skip]\nstages = [{ component = \"inspector\", on-failure = \"skip\" }]\n' >> Torvyn.toml && \
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
fn the_documented_fields_are_those_of_the_records() {
    let _alone = alone();
    let mut place = Place::new();
    let (code, printed) = place.execute(
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

/// The fields in the table below a heading of a chapter.
fn documented(chapter: &str, heading: &str) -> BTreeSet<String> {
    let chapter = fs::read_to_string(root().join("guide/src").join(chapter)).unwrap();
    let (_, section) = chapter.split_once(&format!("\n{heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap().split("\n### ").next().unwrap();
    let row = |line: &str| Some(line.strip_prefix("| `")?.split('`').next()?.to_string());
    section.lines().filter_map(row).collect()
}

#[test]
fn what_differs_from_run_to_run_is_not_compared() {
    let (a, b) = (" a   1   748.6 µs  2 × 3 B \nin 1.2 ms: 4", " a 1 1.00 s 2 × 3 B\nin 12 ns: 4");
    assert_eq!(comparable(a), "a 1 [TIME] 2 × 3 B\nin [TIME] 4\n");
    assert_eq!(comparable(a), comparable(b));
    assert_eq!(comparable("target(s) in 0.05s"), "target(s) in [TIME]\n");
    assert_eq!(comparable("2 |  a  = \"1 s\" "), "2 |  a  = \"1 s\"\n");
}
