//! The folders of the sources are rooms: each may use those that stand before it, and no file of a room uses one that uses
//! it, unless a file of such a cycle says why, in a line of its documentation that begins with `Cycle:`.

#![allow(clippy::unwrap_used, reason = "a failed `unwrap` fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// From those that use nothing of ours to those that use everything.
const RUNTIME: [&str; 11] = [
    "base",
    "contract",
    "error",
    "pipeline",
    "ledger",
    "payload",
    "component",
    "analysis",
    "endpoint",
    "stage",
    "flow",
];
const PLUGIN: [&str; 14] = [
    "exit",
    "process",
    "fs",
    "output",
    "config",
    "endpoints",
    "manifest",
    "cli",
    "project",
    "check",
    "run",
    "cases",
    "bench",
    "commands",
];
const CASES: [&str; 5] = ["compare", "case", "plan", "run", "report"];

/// A module: a file, the folder of its name, or both.
#[derive(Default)]
struct Module {
    /// Of the file and of all in the folder, without tests: the path from the folder that the module is in, and the text.
    files: Vec<(PathBuf, String)>,
}

fn sources(of: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(of).join("src")
}

/// A file without its comments, documentation apart, and without its module of tests.
fn code(text: &str) -> String {
    let text = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).map(|line| format!("{line}\n")).collect()
}

/// The name of the module that a line declares.
fn declared(line: &str) -> Option<&str> {
    Some(line.trim().strip_suffix(';')?.rsplit_once("mod ")?.1)
}

/// Modules that only tests have.
fn tests_of(parent: &str) -> BTreeSet<&str> {
    let lines: Vec<_> = parent.lines().collect();
    let pairs = lines.windows(2).filter(|pair| pair[0].trim() == "#[cfg(test)]");
    pairs.filter_map(|pair| declared(pair[1])).collect()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The files of a folder and of those in it, without the modules that only tests have.
fn files(folder: &Path, parent: &str, found: &mut Vec<PathBuf>) {
    let tests = tests_of(parent);
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_string();
        if tests.contains(name.as_str()) {
            continue;
        }
        if path.is_dir() {
            files(&path, &read(&path.with_extension("rs")), found);
        } else {
            found.push(path);
        }
    }
}

/// The modules of a folder, by name.
fn modules(folder: &Path) -> BTreeMap<String, Module> {
    let mut modules: BTreeMap<String, Module> = BTreeMap::new();
    let mut found = Vec::new();
    let parent = read(&folder.with_extension("rs")) + &read(&folder.join("lib.rs")) + &read(&folder.join("mod.rs"));
    files(folder, &parent, &mut found);
    for path in found {
        let below = path.strip_prefix(folder).unwrap().to_path_buf();
        let first = below.iter().next().unwrap().to_str().unwrap();
        let name = first.strip_suffix(".rs").unwrap_or(first).to_string();
        if !["lib", "main", "mod"].contains(&name.as_str()) {
            modules.entry(name).or_default().files.push((below, read(&path)));
        }
    }
    modules
}

fn is_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

/// The names that stand after `prefix`: one, or those in braces.
fn named_after<'a>(text: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    let places = text.match_indices(prefix).filter(move |(at, _)| {
        let before = text[..*at].chars().next_back();
        !before.is_some_and(|letter| is_word(letter) || letter == ':')
    });
    places.flat_map(move |(at, _)| {
        let rest = &text[at + prefix.len()..];
        let end = match rest.strip_prefix('{') {
            Some(list) => list.find('}').map_or(rest.len(), |end| end + 1),
            None => rest.find(|letter| !is_word(letter)).unwrap_or(rest.len()),
        };
        rest[..end].split(|letter| !is_word(letter)).filter(|name| !name.is_empty())
    })
}

/// Who uses whom among the modules of a folder, whose path in the crate is `path`: `crate::flow::`.
fn uses(folder: &Path, path: &str) -> BTreeMap<String, BTreeSet<String>> {
    let modules = modules(folder);
    let parent = code(&(read(&folder.with_extension("rs")) + &read(&folder.join("lib.rs"))));
    // What the parent passes on under a name of its own.
    let mut passed_on: BTreeMap<&str, &str> = BTreeMap::new();
    for module in modules.keys() {
        for prefix in [format!("use {module}::"), format!("use self::{module}::")] {
            let prefix: &str = Box::leak(prefix.into_boxed_str());
            for name in named_after(&parent, prefix) {
                passed_on.insert(name, module);
            }
        }
    }
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, module) in &modules {
        let used = uses.entry(name.clone()).or_default();
        for (below, text) in &module.files {
            let text = code(text);
            let up = "super::".repeat(below.components().count());
            for prefix in [path, &up] {
                for word in named_after(&text, prefix) {
                    let module = modules.get_key_value(word).map(|(module, _)| module.as_str());
                    let module = module.or_else(|| passed_on.get(word).copied());
                    used.extend(module.filter(|module| module != name).map(str::to_string));
                }
            }
        }
    }
    uses
}

/// Modules that use one another, all together.
fn cycle(uses: &BTreeMap<String, BTreeSet<String>>, from: &str) -> BTreeSet<String> {
    let reached = |from: &str| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from.to_string()]);
        while let Some(module) = next.pop() {
            next.extend(uses.get(&module).into_iter().flatten().filter(|used| seen.insert((*used).clone())).cloned());
        }
        seen
    };
    reached(from).into_iter().filter(|other| reached(other).contains(from)).collect()
}

fn wrong_order(krate: &str, folder: &str, rooms: &[&str]) -> Vec<String> {
    let folder = sources(krate).join(folder);
    let inner = folder.strip_prefix(sources(krate)).unwrap().to_str().unwrap().replace('/', "::");
    let path = if inner.is_empty() { "crate::".to_string() } else { format!("crate::{inner}::") };
    let rank = |room: &str| rooms.iter().position(|known| *known == room);
    let mut wrong = Vec::new();
    for (room, used) in uses(&folder, &path) {
        let Some(own) = rank(&room) else {
            wrong.push(format!("{krate}: `{room}` is no room that this test knows"));
            continue;
        };
        let later = used.iter().filter(|used| rank(used).is_none_or(|used| used > own));
        wrong.extend(later.map(|used| format!("{krate}: `{room}` uses `{used}`, which stands after it")));
    }
    wrong
}

#[test]
fn rooms_use_those_before_them() {
    let mut wrong = wrong_order("runtime", "", &RUNTIME);
    wrong.extend(wrong_order("cargo-torvyn", "", &PLUGIN));
    wrong.extend(wrong_order("cargo-torvyn", "cases", &CASES));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Adds what is wrong in a folder and in those in it. Returns how many modules were looked at.
fn look_for_cycles(root: &Path, folder: &Path, wrong: &mut Vec<String>) -> usize {
    let inner = folder.strip_prefix(root).unwrap().to_str().unwrap().replace('/', "::");
    let uses = uses(folder, &if inner.is_empty() { "crate::".to_string() } else { format!("crate::{inner}::") });
    let mut seen = BTreeSet::new();
    for module in uses.keys() {
        let cycle = cycle(&uses, module);
        let says_why = |module: &String| {
            let text = read(&folder.join(module).with_extension("rs"));
            text.lines().any(|line| line.starts_with("//! Cycle:"))
        };
        if !cycle.is_empty() && seen.insert(cycle.clone()) && !cycle.iter().any(says_why) {
            let cycle: Vec<_> = cycle.into_iter().collect();
            wrong.push(format!("{}: {} use one another", folder.display(), cycle.join(", ")));
        }
    }
    let below: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    let folders = below.iter().filter(|path| path.is_dir());
    uses.len() + folders.map(|folder| look_for_cycles(root, folder, wrong)).sum::<usize>()
}

#[test]
fn no_files_of_a_room_use_one_another() {
    let mut wrong = Vec::new();
    let looked_at = ["runtime", "cargo-torvyn"].map(|krate| {
        let root = sources(krate);
        look_for_cycles(&root, &root, &mut wrong)
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(looked_at.iter().all(|modules| *modules > 80), "modules looked at: {looked_at:?}");
}

#[test]
fn what_uses_something_is_seen() {
    let text = code(
        "use crate::a::{B, c};\n// crate::d::E\nfn f() { crate::g::h(); mycrate::i::j() }\n#[cfg(test)]\nmod tests {\nuse crate::k;\n}",
    );
    assert_eq!(named_after(&text, "crate::").collect::<Vec<_>>(), ["a", "g"]);
    assert_eq!(named_after(&text, "crate::a::").collect::<Vec<_>>(), ["B", "c"]);
    assert_eq!(tests_of("#[cfg(test)]\npub(crate) mod tests;\nmod a;\n#[cfg(test)]\nmod b;\n"), ["b", "tests"].into());
    let uses =
        [("a", "b"), ("b", "c"), ("c", "a"), ("d", "a")].map(|(from, to)| (from.to_string(), [to.to_string()].into()));
    let uses = uses.into();
    assert_eq!(cycle(&uses, "a"), ["a", "b", "c"].map(str::to_string).into());
    assert!(cycle(&uses, "d").is_empty());
}
