//! Detects changes of the files and folders that `--watch` observes.
//!
//! It polls modification times and sizes instead of using change notifications of the system. Polling works the same on every
//! system and file system, needs no dependency and cannot lose events. A folder with a thousand files takes a few
//! milliseconds, and the pause between polls grows with the time that a poll takes.

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

/// The minimum pause between polls.
const PAUSE: Duration = Duration::from_millis(100);
/// The pause is at least this many times as long as the poll before it.
const SHARE: u32 = 20;
/// A change is reported after this time without further changes: an editor writes several files, and a file in parts.
const QUIET: Duration = Duration::from_millis(80);
/// A change is reported after this time even if others follow, or if a changed file is still empty.
const LONGEST_UNREST: Duration = Duration::from_secs(1);
/// The marker file of cache folders: <https://bford.info/cachedir/>. Cargo puts one into its target folder.
const CACHE_MARK: &str = "CACHEDIR.TAG";

/// The paths to watch.
#[derive(Debug, Clone, Default)]
pub(crate) struct WatchPaths {
    /// Files, and folders with their whole content.
    pub(crate) paths: Vec<PathBuf>,
    /// Files and folders to ignore, in addition to hidden ones, caches, and the lock and backup files of editors.
    pub(crate) except: Vec<PathBuf>,
}

/// Whether a file of this name is a backup, lock or temporary file of an editor.
fn is_editor_file(name: &[u8]) -> bool {
    let ends = |ending: &[u8]| name.ends_with(ending);
    // Vim creates 4913 to test whether a folder is writable; `#x#` is from Emacs, `___jb` from JetBrains.
    name == b"4913"
        || ends(b"~")
        || name.starts_with(b"#") && ends(b"#")
        || [&b".swp"[..], b".swo", b".swx", b"___jb_tmp___", b"___jb_old___"].into_iter().any(ends)
}

/// The regular files that stdout and stderr of this process go to.
fn outputs() -> Vec<FileId> {
    let streams = [standard_streams::opened(io::stdout()), standard_streams::opened(io::stderr())];
    streams.into_iter().flatten().filter(|(_, is_file)| *is_file).map(|(id, _)| id).collect()
}

/// Whether the last line of a file contains this text.
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

/// The maximum length of a line of this program.
const LINE: u64 = 64 * 1024;

/// The state of the watched files at one time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Snapshot(BTreeMap<PathBuf, State>);

/// The state of a file that shows a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct State {
    modified: Option<SystemTime>,
    size: u64,
}

impl State {
    fn from_metadata(metadata: &Metadata) -> State {
        State { modified: metadata.modified().ok(), size: metadata.len() }
    }
}

impl Snapshot {
    /// Takes a snapshot of the current state. Files that cannot be read are missing from it.
    pub(crate) fn take(places: &WatchPaths) -> Snapshot {
        let (mut snapshot, outputs) = (Snapshot::default(), outputs());
        places.paths.iter().for_each(|path| snapshot.look(path, &places.except, &outputs));
        snapshot
    }

    fn look(&mut self, path: &Path, except: &[PathBuf], outputs: &[FileId]) {
        let here = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let Ok(metadata) = fs::metadata(here) else { return };
        if !metadata.is_dir() {
            // Only regular files: a FIFO, for example, changes with each write.
            if metadata.is_file() && !outputs.contains(&FileId::from_metadata(&metadata)) {
                self.0.insert(path.to_path_buf(), State::from_metadata(&metadata));
            }
            return;
        }
        for entry in fs::read_dir(here).into_iter().flatten().flatten() {
            let (child, name) = (path.join(entry.file_name()), entry.file_name());
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
            let bytes = name.as_encoded_bytes();
            if bytes.starts_with(b".") || is_editor_file(bytes) || is_link && child.is_dir() {
                continue;
            }
            let is_left_out = || name == "node_modules" || child.join(CACHE_MARK).is_file();
            if !(except.contains(&child) || is_folder && is_left_out()) {
                self.look(&child, except, outputs);
            }
        }
    }

    /// Waits for a change, and then until the files are quiet. Returns the changed files; none if `cancel` was set.
    pub(crate) fn wait(&self, places: &WatchPaths, cancel: &AtomicBool) -> Vec<PathBuf> {
        let mut pause = PAUSE;
        loop {
            thread::sleep(pause);
            if cancel.load(Ordering::Relaxed) {
                return Vec::new();
            }
            let began = Instant::now();
            let mut now = Snapshot::take(places);
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
                let next = Snapshot::take(places);
                let is_quiet = next == now && !self.is_being_written(&next);
                now = next;
                // A file that is written continually, such as a log, must not delay the report.
                if is_quiet || changed.elapsed() >= LONGEST_UNREST {
                    break;
                }
            }
            let changed = self.changed(&now);
            if !changed.is_empty() {
                return changed;
            }
        }
    }

    /// Whether a file has become empty. Most programs empty a file before they write it, and the system may take long in
    /// between.
    fn is_being_written(&self, now: &Snapshot) -> bool {
        now.0.iter().any(|(path, state)| state.size == 0 && self.0.get(path).is_some_and(|before| before.size > 0))
    }

    /// The files that differ from another snapshot.
    pub(crate) fn changed(&self, other: &Snapshot) -> Vec<PathBuf> {
        let here = self.0.iter().filter(|(path, state)| other.0.get(*path) != Some(state));
        let new = other.0.iter().filter(|(path, _)| !self.0.contains_key(*path));
        let mut changed: Vec<_> = here.chain(new).map(|(path, _)| path.clone()).collect();
        changed.sort();
        changed
    }

    /// Adds the files of another snapshot that this one does not have.
    pub(crate) fn add(&mut self, other: Snapshot) {
        for (path, state) in other.0 {
            self.0.entry(path).or_insert(state);
        }
    }

    /// Removes the files that are not in these paths.
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

    /// Updates the state of one file, which this program has written.
    pub(crate) fn renew(&mut self, path: &Path) {
        match fs::metadata(path) {
            Ok(metadata) => _ = self.0.insert(path.to_path_buf(), State::from_metadata(&metadata)),
            Err(_) => _ = self.0.remove(path),
        }
    }

    /// The files at or below a path.
    pub(crate) fn at<'a>(&'a self, place: &'a Path) -> impl Iterator<Item = (&'a Path, State)> {
        self.filter(move |path| path.starts_with(place))
    }

    /// The files whose paths match.
    pub(crate) fn filter(&self, is_in: impl Fn(&Path) -> bool) -> impl Iterator<Item = (&Path, State)> {
        self.0.iter().filter(move |(path, _)| is_in(path)).map(|(path, state)| (path.as_path(), *state))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::Command;

    use super::*;

    #[test]
    fn continual_changes_and_fifos_do_not_block() {
        let folder = tempfile::tempdir().unwrap();
        let [log, fifo] = ["log", "fifo"].map(|name| folder.path().join(name));
        fs::write(&log, "").unwrap();
        assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let places = WatchPaths { paths: vec![folder.path().to_path_buf()], except: Vec::new() };
        let before = Snapshot::take(&places);
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
            // A signal is not delayed either.
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

    /// A file that is emptied and written only later is one change.
    #[test]
    fn waits_for_what_follows_in_an_emptied_file() {
        let folder = tempfile::tempdir().unwrap();
        let [slow, emptied] = ["slow", "emptied"].map(|name| folder.path().join(name));
        let places = WatchPaths { paths: vec![folder.path().to_path_buf()], except: Vec::new() };
        [&slow, &emptied].into_iter().for_each(|file| fs::write(file, "before").unwrap());
        let before = Snapshot::take(&places);
        let changed = thread::scope(|scope| {
            scope.spawn(|| {
                let mut file = fs::File::create(&slow).unwrap();
                thread::sleep(PAUSE + 3 * QUIET);
                file.write_all(b"after").unwrap();
            });
            before.wait(&places, &AtomicBool::new(false))
        });
        assert_eq!(fs::read(&slow).unwrap(), b"after", "it is reported when it is written");
        assert_eq!(changed, [slow]);

        let before = Snapshot::take(&places);
        fs::write(&emptied, "").unwrap();
        assert_eq!(before.wait(&places, &AtomicBool::new(false)), [emptied], "one that stays empty is reported too");
    }

    #[test]
    fn reports_changes_and_ignores_caches() {
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
        // A hidden file counts if it is listed.
        let hidden = write("src/.data", "1");
        let places = WatchPaths {
            paths: vec![root.to_path_buf(), lib.clone(), hidden.clone(), root.join("not-there")],
            except: vec![root.join("out"), root.join("made/log.txt")],
        };
        let before = Snapshot::take(&places);
        assert_eq!(before.0.keys().collect::<Vec<_>>(), [&gone, &hidden, &lib]);
        assert_eq!(before.at(&root.join("src")).count(), 2);

        write("target/a.wasm", "changed");
        write("out/a", "changed");
        write("made/log.txt", "changed");
        assert_eq!(Snapshot::take(&places), before);
        let new = write("src/new.rs", "");
        write("src/lib.rs", "other");
        write("src/.data", "22");
        fs::remove_file(&gone).unwrap();
        let waited = before.wait(&places, &AtomicBool::new(false));
        assert_eq!(waited, [gone, hidden, lib.clone(), new]);

        let mut all = Snapshot::take(&WatchPaths { paths: places.paths.clone(), except: Vec::new() });
        assert_ne!(all, Snapshot::take(&places));
        all.keep(&places);
        assert_eq!(all, Snapshot::take(&places));

        let log = write("out/log", "    Watching\x1b[0m 2 cases, of which none fails\n\n");
        assert!(ends_with_line(&log, "2 cases, of which none fails") && !ends_with_line(&log, "3 cases"));
        let log = write("out/log", &format!("2 cases\n{}", "x".repeat(100_000)));
        assert!(!ends_with_line(&log, "2 cases") && !ends_with_line(&root.join("none"), "2 cases"));

        let mut after = Snapshot::take(&places);
        write("src/lib.rs", "written by this program");
        after.renew(&lib);
        assert_eq!(Snapshot::take(&places), after);
    }
}
