//! What `--watch` looks at: files and folders, and how one finds that something in them has changed.
//!
//! The times and sizes of the files are looked at again and again, instead of having the system tell of each change. That
//! is the same on every system and file system, needs nothing besides, and loses nothing in a queue; of a folder with a
//! thousand files it takes a few milliseconds, and the pause after it is as much longer as it was slow.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use torvyn_runtime::base::regular_file;
use torvyn_runtime::endpoint::FileId;

use crate::fs::standard_streams;

/// How often to look.
const PAUSE: Duration = Duration::from_millis(100);
/// The part of the time that looking may take is 1 in so many.
const SHARE: u32 = 20;
/// For so long nothing has to change before what has changed is told: an editor writes several files, and a file in parts.
const QUIET: Duration = Duration::from_millis(80);
/// For so long a change is not told because others follow.
const LONGEST_UNREST: Duration = Duration::from_secs(1);
/// The mark of folders that can be made again: <https://bford.info/cachedir/>. Cargo puts it into its target folder.
const CACHE_MARK: &str = "CACHEDIR.TAG";

/// Where to look.
#[derive(Debug, Clone, Default)]
pub(crate) struct WatchPaths {
    /// Files, and folders with all that is in them.
    pub(crate) paths: Vec<PathBuf>,
    /// Files and folders that are left out, besides those that are hidden, can be made again, or are what editors save and
    /// lock files with.
    pub(crate) except: Vec<PathBuf>,
}

/// Whether an editor makes a file of this name beside the one that is edited: a backup, a lock, or what it writes first.
fn is_of_editor(name: &[u8]) -> bool {
    let ends = |ending: &[u8]| name.ends_with(ending);
    // Vim tries with 4913 whether it can write to a folder; `#x#` is of Emacs, and the rest of JetBrains.
    name == b"4913"
        || ends(b"~")
        || name.starts_with(b"#") && ends(b"#")
        || [&b".swp"[..], b".swo", b".swx", b"___jb_tmp___", b"___jb_old___"].into_iter().any(ends)
}

/// What the output of this process goes to, as far as that is files.
fn outputs() -> Vec<FileId> {
    let streams = [standard_streams::opened(io::stdout()), standard_streams::opened(io::stderr())];
    streams.into_iter().flatten().filter(|(_, is_file)| *is_file).map(|(id, _)| id).collect()
}

/// Whether the last line of a file has this text.
pub(crate) fn ends_with_line(path: &Path, text: &str) -> bool {
    let tail = || {
        let mut file = regular_file::open(path).ok()?;
        let size = file.metadata().ok()?.len();
        file.seek(SeekFrom::Start(size.saturating_sub(LINE))).ok()?;
        let mut tail = Vec::new();
        file.take(LINE).read_to_end(&mut tail).ok()?;
        Some(tail)
    };
    let tail = tail().unwrap_or_default();
    let last = tail.trim_ascii_end().rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    memchr::memmem::find(last, text.as_bytes()).is_some()
}

/// No line of ours is longer.
const LINE: u64 = 64 * 1024;

/// The files at some places, as they were at a time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Snapshot(BTreeMap<PathBuf, State>);

/// What tells a file from what it was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct State {
    modified: Option<SystemTime>,
    size: u64,
}

impl State {
    fn of(metadata: &Metadata) -> State {
        State { modified: metadata.modified().ok(), size: metadata.len() }
    }
}

impl Snapshot {
    /// As they are now. What cannot be read is not there.
    pub(crate) fn of(places: &WatchPaths) -> Snapshot {
        let (mut snapshot, outputs) = (Snapshot::default(), outputs());
        places.paths.iter().for_each(|path| snapshot.look(path, &places.except, &outputs));
        snapshot
    }

    fn look(&mut self, path: &Path, except: &[PathBuf], outputs: &[FileId]) {
        let here = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let Ok(metadata) = fs::metadata(here) else { return };
        if !metadata.is_dir() {
            // What is no regular file is no source either, and a FIFO changes with each write.
            if metadata.is_file() && !outputs.contains(&FileId::from_metadata(&metadata)) {
                self.0.insert(path.to_path_buf(), State::of(&metadata));
            }
            return;
        }
        for entry in fs::read_dir(here).into_iter().flatten().flatten() {
            let (child, name) = (path.join(entry.file_name()), entry.file_name());
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
            let letters = name.as_encoded_bytes();
            if letters.starts_with(b".") || is_of_editor(letters) || is_link && child.is_dir() {
                continue;
            }
            let is_left_out = || name == "node_modules" || child.join(CACHE_MARK).is_file();
            if !(except.contains(&child) || is_folder && is_left_out()) {
                self.look(&child, except, outputs);
            }
        }
    }

    /// Waits until something is not as it was, and then until nothing more changes. What has changed; nothing where `cancel`
    /// was set before.
    pub(crate) fn wait(&self, places: &WatchPaths, cancel: &AtomicBool) -> Vec<PathBuf> {
        let mut pause = PAUSE;
        loop {
            thread::sleep(pause);
            if cancel.load(Ordering::Relaxed) {
                return Vec::new();
            }
            let began = Instant::now();
            let mut now = Snapshot::of(places);
            pause = PAUSE.max(began.elapsed() * SHARE);
            if now == *self {
                continue;
            }
            let changed = Instant::now();
            loop {
                thread::sleep(QUIET);
                if cancel.load(Ordering::Relaxed) {
                    return Vec::new();
                }
                let next = Snapshot::of(places);
                // A file that somebody writes to all the time, as to a log, keeps nobody waiting.
                if next == now || changed.elapsed() >= LONGEST_UNREST {
                    break;
                }
                now = next;
            }
            let changed = self.changed(&now);
            if !changed.is_empty() {
                return changed;
            }
        }
    }

    /// The files that are not the same in another one.
    pub(crate) fn changed(&self, other: &Snapshot) -> Vec<PathBuf> {
        let here = self.0.iter().filter(|(path, state)| other.0.get(*path) != Some(state));
        let new = other.0.iter().filter(|(path, _)| !self.0.contains_key(*path));
        let mut changed: Vec<_> = here.chain(new).map(|(path, _)| path.clone()).collect();
        changed.sort();
        changed
    }

    /// Adds what is in another one and not in this.
    pub(crate) fn add(&mut self, other: Snapshot) {
        for (path, state) in other.0 {
            self.0.entry(path).or_insert(state);
        }
    }

    /// Leaves out what is not at these places.
    pub(crate) fn keep(&mut self, places: &WatchPaths) {
        let is_in = |path: &Path, place: &PathBuf| match place.as_os_str().is_empty() {
            true => path.is_relative() && !path.starts_with(".."),
            false => path.starts_with(place),
        };
        self.0.retain(|path, _| {
            let is_named = places.paths.contains(path);
            let is_looked_at = || places.paths.iter().any(|place| is_in(path, place));
            is_named || is_looked_at() && !places.except.iter().any(|place| is_in(path, place))
        });
    }

    /// Takes a file as it is now: this program has written it.
    pub(crate) fn renew(&mut self, path: &Path) {
        match fs::metadata(path) {
            Ok(metadata) => _ = self.0.insert(path.to_path_buf(), State::of(&metadata)),
            Err(_) => _ = self.0.remove(path),
        }
    }

    /// The part of it at a place, or in a folder.
    pub(crate) fn at<'a>(&'a self, place: &'a Path) -> impl Iterator<Item = (&'a Path, State)> {
        self.filter(move |path| path.starts_with(place))
    }

    /// The part of it with these paths.
    pub(crate) fn filter(&self, is_in: impl Fn(&Path) -> bool) -> impl Iterator<Item = (&Path, State)> {
        self.0.iter().filter(move |(path, _)| is_in(path)).map(|(path, state)| (path.as_path(), *state))
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn what_changes_all_the_time_and_what_cannot_be_read_keep_nobody_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let [log, fifo] = ["log", "fifo"].map(|name| folder.path().join(name));
        fs::write(&log, "").unwrap();
        assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let places = WatchPaths { paths: vec![folder.path().to_path_buf()], except: Vec::new() };
        let before = Snapshot::of(&places);
        assert_eq!(before.0.keys().collect::<Vec<_>>(), [&log]);
        assert!(!ends_with_line(&fifo, "text"));
        let (is_over, cancel) = (AtomicBool::new(false), AtomicBool::new(false));
        thread::scope(|scope| {
            scope.spawn(|| {
                for lines in 0.. {
                    fs::write(&log, "line\n".repeat(lines)).unwrap();
                    thread::sleep(Duration::from_millis(10));
                    if is_over.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
            let began = Instant::now();
            let changed = before.wait(&places, &cancel);
            let took = began.elapsed();
            // Nor is a signal held up.
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(300));
                cancel.store(true, Ordering::Relaxed);
            });
            let cancelled = before.wait(&places, &cancel);
            let took_both = began.elapsed();
            is_over.store(true, Ordering::Relaxed);
            assert_eq!((changed, cancelled), (vec![log.clone()], Vec::new()));
            assert!(took < 5 * LONGEST_UNREST && took_both < 6 * LONGEST_UNREST, "{took:?}, {took_both:?}");
        });
    }

    #[test]
    fn what_changes_is_told_and_what_can_be_made_again_is_not_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let write = |file: &str, text: &str| {
            let path = root.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            path
        };
        for file in [
            "target/CACHEDIR.TAG",
            "target/a.wasm",
            ".git/HEAD",
            "node_modules/x.js",
            "out/a",
            ".hidden",
            "src/lib.rs~",
            "src/4913",
            "src/#lib.rs#",
            "src/.lib.rs.swp",
            "src/lib.rs___jb_tmp___",
            "made/log.txt",
        ] {
            write(file, "");
        }
        let (lib, gone) = (write("src/lib.rs", "a"), write("gone.rs", ""));
        // Elsewhere, and hidden, but named.
        let hidden = write("src/.data", "1");
        let places = WatchPaths {
            paths: vec![root.to_path_buf(), lib.clone(), hidden.clone(), root.join("not-there")],
            except: vec![root.join("out"), root.join("made/log.txt")],
        };
        let before = Snapshot::of(&places);
        assert_eq!(before.0.keys().collect::<Vec<_>>(), [&gone, &hidden, &lib]);
        assert_eq!(before.at(&root.join("src")).count(), 2);

        write("target/a.wasm", "changed");
        write("out/a", "changed");
        write("made/log.txt", "changed");
        assert_eq!(Snapshot::of(&places), before);
        let new = write("src/new.rs", "");
        write("src/lib.rs", "other");
        write("src/.data", "22");
        fs::remove_file(&gone).unwrap();
        let waited = before.wait(&places, &AtomicBool::new(false));
        assert_eq!(waited, [gone, hidden, lib.clone(), new]);

        let mut all = Snapshot::of(&WatchPaths { paths: places.paths.clone(), except: Vec::new() });
        assert_ne!(all, Snapshot::of(&places));
        all.keep(&places);
        assert_eq!(all, Snapshot::of(&places));

        let log = write("out/log", "    Watching\x1b[0m 2 cases, of which none fails\n\n");
        assert!(ends_with_line(&log, "2 cases, of which none fails") && !ends_with_line(&log, "3 cases"));
        let log = write("out/log", &format!("2 cases\n{}", "x".repeat(100_000)));
        assert!(!ends_with_line(&log, "2 cases") && !ends_with_line(&root.join("none"), "2 cases"));

        let mut after = Snapshot::of(&places);
        write("src/lib.rs", "written by this program");
        after.renew(&lib);
        assert_eq!(Snapshot::of(&places), after);
    }
}
