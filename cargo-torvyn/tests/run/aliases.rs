//! A random attack by names: file systems with links, hard links and `..`, in which the input, the outputs and the
//! files of the project are given by names that may lead to the same file. Nothing may be lost, and nothing harmless
//! may be refused.
//!
//! `TORVYN_RANDOM_ALIASES=10000` tries this many layouts; `TORVYN_RANDOM_SEED` sets the first seed.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use cli_tests::{project, said, target, torvyn};
use serde_json::Value;

const LAYOUTS: u64 = 60;
const MANIFEST: &str = r#"
[pipeline.main]
stages = [{ name = "faulty", component = "c.wasm", config = { how = "fail", at = "process" }, on-failure = FAILED }]
"#;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % below as u64) as usize
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.next(all.len())]
    }

    fn chance(&mut self, of: usize) -> bool {
        self.next(of) == 0
    }
}

/// What exists under a name, without following links.
#[derive(Debug, Clone, PartialEq)]
enum Entry {
    Folder,
    Link(PathBuf),
    File { inode: u64, bytes: Vec<u8> },
}

/// How a role uses its file.
#[derive(Debug, Clone, Copy, PartialEq)]
enum How {
    Read,
    Replace,
    Append,
}

#[derive(Debug)]
struct Role {
    name: &'static str,
    path: PathBuf,
    how: How,
}

struct Layout {
    root: tempfile::TempDir,
    random: Random,
    folders: Vec<&'static str>,
}

impl Layout {
    fn new(seed: u64) -> Layout {
        let root = tempfile::tempdir().unwrap();
        let (mut random, at) = (Random(seed), |name: &str| root.path().join(name));
        let folders = vec!["", "d", "d/e", "g"];
        folders[1..].iter().for_each(|folder| fs::create_dir(at(folder)).unwrap());
        fs::copy(target().join("wasm32-wasip2/release/inspector.wasm"), at("c.wasm")).unwrap();
        fs::write(at("Torvyn.toml"), MANIFEST).unwrap();
        let mut files = vec!["Torvyn.toml".to_string(), "c.wasm".to_string()];
        for number in 0..3 {
            let file = format!("{}/f{number}", random.of(&folders));
            let end = if random.chance(2) { "\n" } else { "" };
            let text = if number == 2 { String::new() } else { format!("one {number}\npoison\ntwo{end}") };
            fs::write(root.path().join(file.trim_start_matches('/')), text).unwrap();
            files.push(file.trim_start_matches('/').to_string());
        }
        for number in 0..random.next(3) {
            let name = format!("{}/h{number}", random.of(&folders));
            fs::hard_link(at(random.of(&files).as_str()), at(name.trim_start_matches('/'))).unwrap();
            files.push(name.trim_start_matches('/').to_string());
        }
        let mut targets = files.clone();
        targets.extend(["d", "d/e", "g", "n0", "d/n1", "g/n0"].map(String::from));
        for number in 0..random.next(5) {
            let folder = *random.of(&folders);
            let target = random.of(&targets).clone();
            let up = "../".repeat(if folder.is_empty() { 0 } else { folder.split('/').count() });
            let target = if random.chance(3) { at(&target) } else { PathBuf::from(up + &target) };
            let name = format!("{folder}/s{number}").trim_start_matches('/').to_string();
            symlink(target, at(&name)).unwrap();
            targets.push(name);
        }
        Layout { root, random, folders }
    }

    fn at(&self, path: &Path) -> PathBuf {
        self.root.path().join(path)
    }

    /// A spelling of a name of something that exists, or of something new.
    fn name(&mut self) -> PathBuf {
        let known: Vec<PathBuf> = self.entries().into_keys().collect();
        let base = match self.random.chance(3) {
            true => Path::new(*self.random.of(&self.folders.clone())).join(*self.random.of(&["n0", "n1"])),
            false => self.random.of(&known).clone(),
        };
        match self.random.next(6) {
            0 => Path::new(".").join(base),
            1 => Path::new("d/..").join(base),
            2 => Path::new("g/../d/e/../..").join(base),
            3 => self.at(&base),
            4 => Path::new("/proc/self/cwd").join(base),
            _ => base,
        }
    }

    fn entries(&self) -> BTreeMap<PathBuf, Entry> {
        fn walk(root: &Path, folder: &Path, entries: &mut BTreeMap<PathBuf, Entry>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let metadata = fs::symlink_metadata(&path).unwrap();
                let entry = if metadata.is_dir() {
                    walk(root, &path, entries);
                    Entry::Folder
                } else if metadata.is_symlink() {
                    Entry::Link(fs::read_link(&path).unwrap())
                } else {
                    Entry::File { inode: metadata.ino(), bytes: fs::read(&path).unwrap() }
                };
                entries.insert(path.strip_prefix(root).unwrap().to_path_buf(), entry);
            }
        }
        let mut entries = BTreeMap::new();
        walk(self.root.path(), self.root.path(), &mut entries);
        entries
    }

    /// Where a path really leads, according to another program.
    fn real(&self, path: &Path) -> PathBuf {
        let mut command = Command::new("realpath");
        // `/proc/self/cwd` is the folder of that program itself.
        let output = command.arg("-m").arg("--").arg(path).current_dir(self.root.path()).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let root = self.root.path().canonicalize().unwrap();
        let real = PathBuf::from(text.trim_end_matches('\n'));
        real.strip_prefix(&root).map(Path::to_path_buf).unwrap_or(real)
    }

    fn roles(&mut self) -> Vec<Role> {
        let input = loop {
            let name = self.name();
            if self.at(&name).is_file() || name.starts_with("/proc") && self.at(&self.real(&name)).is_file() {
                break name;
            }
        };
        let mut roles = vec![
            Role { name: "manifest", path: "Torvyn.toml".into(), how: How::Read },
            Role { name: "component", path: "c.wasm".into(), how: How::Read },
            Role { name: "--input", path: input, how: How::Read },
            Role { name: "--output", path: self.name(), how: How::Replace },
        ];
        for (name, how) in [("--records", How::Replace), ("--trace", How::Replace), ("dead", How::Append)] {
            if self.random.chance(2) {
                let path = self.name();
                roles.push(Role { name, path, how });
            }
        }
        roles
    }
}

/// Whether all files can be used as they are meant to be.
fn is_well(layout: &Layout, roles: &[Role], before: &BTreeMap<PathBuf, Entry>) -> bool {
    let real: Vec<PathBuf> = roles.iter().map(|role| layout.real(&role.path)).collect();
    let can_be = roles.iter().zip(&real).all(|(role, real)| match fs::metadata(layout.at(real)) {
        // What is in them is neither records nor a trace.
        Ok(metadata) if matches!(role.name, "--records" | "--trace") => metadata.is_file() && metadata.len() == 0,
        Ok(metadata) => metadata.is_file(),
        Err(_) => {
            let folder = layout.at(real.parent().unwrap_or(Path::new("")));
            role.how != How::Read && folder.is_dir() && !layout.at(real).is_symlink()
        }
    });
    let id = |real: &PathBuf| match before.get(real) {
        Some(Entry::File { inode, .. }) => Err(*inode),
        _ => Ok(real.clone()),
    };
    let apart = (0..roles.len()).all(|a| {
        (0..a).all(|b| roles[a].how == How::Read && roles[b].how == How::Read || id(&real[a]) != id(&real[b]))
    });
    can_be && apart
}

/// The contents of the files after a run that succeeded.
fn check(layout: &Layout, roles: &[Role], before: &BTreeMap<PathBuf, Entry>) {
    let mut after = layout.entries();
    let input = roles.iter().find(|role| role.name == "--input").unwrap();
    let input = fs::read(layout.at(&layout.real(&input.path))).unwrap();
    let mut lines: Vec<&[u8]> = input.split(|byte| *byte == b'\n').collect();
    if lines.last() == Some(&&b""[..]) {
        lines.pop();
    }
    let fails = lines.iter().filter(|line| **line == b"poison").count();
    let json = |bytes: &[u8]| -> Vec<Value> {
        let text = std::str::from_utf8(bytes).unwrap();
        text.lines().filter(|line| !line.is_empty()).map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    for role in roles.iter().filter(|role| role.how != How::Read) {
        let real = layout.real(&role.path);
        let old = before.get(&real).cloned();
        let Some(Entry::File { inode, bytes }) = after.remove(&real) else {
            assert!(role.name == "dead" && fails == 0, "{} is not there", role.name);
            continue;
        };
        match role.name {
            "--output" => {
                let sent = lines.iter().filter(|line| **line != b"poison");
                let expected: Vec<u8> = sent.flat_map(|line| [*line, b"\n"].concat()).collect();
                assert!(bytes == expected, "{}", String::from_utf8_lossy(&bytes));
            }
            "--records" => assert_eq!(json(&bytes).last().unwrap()["reason"], "records-summary"),
            "--trace" => _ = serde_json::from_slice::<Value>(&bytes).unwrap(),
            _ => {
                let old = match old {
                    Some(Entry::File { bytes, .. }) => bytes,
                    _ => Vec::new(),
                };
                let letters = bytes.strip_prefix(&old[..]).expect("what was in it is still in it");
                assert_eq!(json(letters).len(), fails);
                assert!(letters.is_empty() || old.is_empty() || old.ends_with(b"\n") || letters[0] == b'\n');
                // All of its names have the dead letters.
                after.retain(|_, entry| !matches!(entry, Entry::File { inode: other, .. } if *other == inode));
            }
        }
    }
    let changed = after.iter().filter(|(path, entry)| before.get(*path) != Some(entry));
    let changed: Vec<_> = changed.map(|(path, _)| path).collect();
    assert!(changed.is_empty(), "{changed:?}");
    let gone = before.keys().filter(|path| !layout.at(path).is_symlink() && !layout.at(path).exists());
    assert_eq!(gone.count(), 0);
}

/// Everything that exists, one line each.
fn listed(entries: &BTreeMap<PathBuf, Entry>) -> String {
    let line = |(path, entry): (&PathBuf, &Entry)| match entry {
        Entry::Folder => format!("  {}/\n", path.display()),
        Entry::Link(target) => format!("  {} -> {}\n", path.display(), target.display()),
        Entry::File { inode, bytes } => format!("  {} = {inode}, {} bytes\n", path.display(), bytes.len()),
    };
    entries.iter().map(line).collect()
}

#[test]
#[expect(clippy::print_stdout, reason = "how many were tried")]
fn files_by_any_name() {
    project();
    let number = |name: &str, default: u64| env::var(name).map_or(default, |text| text.parse().expect("a number"));
    let (count, seed) = (number("TORVYN_RANDOM_ALIASES", LAYOUTS), number("TORVYN_RANDOM_SEED", 1));
    let mut well = 0;
    for seed in seed..seed + count {
        let mut layout = Layout::new(seed);
        let roles = layout.roles();
        let dead = roles.iter().find(|role| role.name == "dead");
        let failed = dead.map_or("'skip'".to_string(), |role| format!("{{ dead-letter = '{}' }}", role.path.display()));
        let manifest = layout.at(Path::new("Torvyn.toml"));
        // Overwritten, not replaced: it may have other names.
        fs::write(&manifest, MANIFEST.replace("FAILED", &failed)).unwrap();
        let mut args = vec!["run".to_string()];
        for role in roles.iter().filter(|role| role.name.starts_with("--")) {
            args.extend([role.name.to_string(), role.path.to_str().unwrap().to_string()]);
        }
        let before = layout.entries();
        let is_well = is_well(&layout, &roles, &before);
        let output = torvyn(layout.root.path(), &args.iter().map(String::as_str).collect::<Vec<_>>());
        let told = format!("seed {seed}: {roles:?}\n{}\n{}", listed(&before), said(&output));
        assert_eq!(output.status.success(), is_well, "{told}");
        let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| match is_well {
            true => check(&layout, &roles, &before),
            false => assert!(layout.entries() == before, "what is refused does nothing"),
        }));
        assert!(checked.is_ok(), "{told}");
        well += u64::from(is_well);
    }
    println!("layouts={count} run={well} refused={}", count - well);
    assert!(well > count / 10 && well < count, "{well} of {count} are well");
}
