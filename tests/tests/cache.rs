//! The compile cache: what it loads, and above all what it does not load.

#![allow(clippy::unwrap_used, reason = "a failed `unwrap` fails the test")]

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;
use torvyn_runtime::component::compile::{Cache, Compiler};
use torvyn_runtime::stage::component::Binary;
use torvyn_runtime::{Component, Limits};
use torvyn_tests::guest::{ComponentFile, Guest, PROCESSOR, by_size, drop_all};
use torvyn_tests::random::Random;
use torvyn_tests::{Collected, Elements, engine, input, output, run, stage_of};

/// How often each kind of tampering is tried, at random places.
const TIMES: usize = 20;

/// Loads a component as a new start of the program does.
fn load_within(folder: &Path, component: &ComponentFile, limits: &Limits) -> Component {
    let cache = Arc::new(Cache::open(folder, Cache::DEFAULT_SIZE).unwrap());
    // Small components need no process to compile.
    let compiler = Compiler::new(["no such argument"]).with_cache(Some(cache.clone()));
    let loaded = Binary::read(&component.path, limits).unwrap().compile_with(engine(), &compiler, limits).unwrap();
    assert!(cache.take_problem().is_none());
    loaded
}

fn load(folder: &Path, component: &ComponentFile) -> Component {
    load_within(folder, component, &Limits::default())
}

fn is_loaded(folder: &Path, component: &ComponentFile) -> bool {
    load(folder, component).is_from_cache()
}

/// The payloads that come out of a stage of the component.
fn result(component: &Component) -> Vec<Vec<u8>> {
    let collected = Collected::default();
    let stage = stage_of("stage", component, &[], Limits::default());
    run(vec![input(Elements::new(["1", ""])), stage, output("output", collected.clone())]).unwrap();
    collected.payloads()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|end| end == "machine-code")).collect()
}

/// A folder that only this user can use.
fn private_folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    set_mode(folder.path(), 0o700);
    folder
}

/// The only entry of a cache.
fn entry(folder: &Path) -> PathBuf {
    let mut entries = entries(folder);
    assert_eq!(entries.len(), 1, "{entries:?}");
    entries.remove(0)
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// A cache folder with the component in it, and the bytes of its entry.
fn filled(component: &ComponentFile) -> (TempDir, PathBuf, Vec<u8>) {
    let folder = private_folder();
    assert!(!is_loaded(folder.path(), component));
    assert!(is_loaded(folder.path(), component));
    let entry = entry(folder.path());
    let bytes = fs::read(&entry).unwrap();
    (folder, entry, bytes)
}

/// Tampers with an entry again and again. Each time it is not loaded, the component does what it did, and the entry is
/// replaced by one that is loaded. `tamper` gets the path and the bytes of a good entry.
fn assert_never_loaded(mut tamper: impl FnMut(&Path, &[u8], &mut Random)) {
    let component = by_size();
    let (folder, entry, bytes) = filled(&component);
    let mut random = Random::new(17);
    for time in 0..TIMES {
        tamper(&entry, &bytes, &mut random);
        let loaded = load(folder.path(), &component);
        assert!(!loaded.is_from_cache(), "time {time}");
        assert_eq!(result(&loaded), [b"1"]);
        let loaded = load(folder.path(), &component);
        assert!(loaded.is_from_cache() && !entry.is_symlink(), "time {time}: it is replaced");
        assert_eq!(result(&loaded), [b"1"]);
    }
}

fn flip(bytes: &[u8], at: usize, random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 1 << random.below(8);
    bytes
}

#[test]
fn an_entry_with_a_flipped_bit_is_not_loaded() {
    assert_never_loaded(|entry, bytes, random| {
        let at = random.below(bytes.len());
        fs::write(entry, flip(bytes, at, random)).unwrap();
    });
}

/// The header of the machine code, and the code of the entry at its end.
#[test]
fn an_entry_with_a_flipped_bit_at_an_end_is_not_loaded() {
    assert_never_loaded(|entry, bytes, random| {
        let at = random.below(64);
        let at = if random.once_in(2) { at } else { bytes.len() - 1 - at / 2 };
        fs::write(entry, flip(bytes, at, random)).unwrap();
    });
}

#[test]
fn a_truncated_entry_is_not_loaded() {
    let mut short = (0..TIMES / 2).collect::<Vec<_>>();
    assert_never_loaded(|entry, bytes, random| {
        let len = short.pop().unwrap_or_else(|| random.below(bytes.len()));
        fs::write(entry, &bytes[..len]).unwrap();
    });
}

#[test]
fn an_entry_with_more_bytes_is_not_loaded() {
    assert_never_loaded(|entry, bytes, random| {
        let more: Vec<_> = (0..=random.below(100)).map(|_| random.draw() as u8).collect();
        let (before, after) = bytes.split_at(if random.once_in(2) { bytes.len() } else { random.below(bytes.len()) });
        fs::write(entry, [before, &more, after].concat()).unwrap();
    });
}

/// The entry of another component is good machine code with a good code, and would give other results.
#[test]
fn an_entry_of_another_component_is_not_loaded() {
    let mut other = 0;
    assert_never_loaded(|entry, _, _| {
        other += 1;
        let work = format!(
            "(drop (i32.const {other})) (call $drop_batch (local.get $batch)) (call $all_to (local.get $count) (i32.const 0))"
        );
        let component = Guest { work: &work, ..PROCESSOR }.file();
        let folder = entry.parent().unwrap();
        assert!(!is_loaded(folder, &component));
        let others = entries(folder).into_iter().find(|path| path != entry).unwrap();
        fs::rename(others, entry).unwrap();
    });
}

#[test]
fn an_entry_that_was_made_with_another_key_is_not_loaded() {
    let component = by_size();
    assert_never_loaded(|path, _, _| {
        let (_folder, other, _) = filled(&component);
        assert_eq!(other.file_name(), path.file_name());
        fs::copy(other, path).unwrap();
    });
}

/// Also a link to a good entry.
#[test]
fn a_link_in_place_of_an_entry_is_not_loaded() {
    let elsewhere = tempfile::tempdir().unwrap();
    let mut count = 0;
    assert_never_loaded(|entry, bytes, _| {
        count += 1;
        let good = elsewhere.path().join(count.to_string());
        fs::write(&good, bytes).unwrap();
        set_mode(&good, 0o600);
        fs::remove_file(entry).unwrap();
        symlink(&good, entry).unwrap();
    });
    for good in fs::read_dir(elsewhere.path()).unwrap() {
        assert!(!fs::read(good.unwrap().path()).unwrap().is_empty(), "the link is replaced, and not what it names");
    }
}

#[test]
fn an_entry_that_others_can_use_is_not_loaded() {
    assert_never_loaded(|entry, bytes, random| {
        fs::write(entry, bytes).unwrap();
        set_mode(entry, 0o600 | random.from(1, 0o77) as u32);
    });
}

/// Without the checks of modes and owners, nothing of the above would mean much.
#[test]
fn a_folder_or_key_that_others_can_use_is_refused() {
    let component = by_size();
    let (folder, _, _) = filled(&component);
    let key = folder.path().join("compile-cache.key");
    let refused = |folder: &Path| Cache::open(folder, Cache::DEFAULT_SIZE).unwrap_err();
    let mut random = Random::new(18);
    for _ in 0..TIMES {
        for (path, mode) in [(folder.path(), 0o700), (&*key, 0o600)] {
            set_mode(path, mode | random.from(1, 0o77) as u32);
            let error = refused(folder.path());
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
            assert!(error.to_string().contains(&format!("its mode must be {mode:04o}, not ")), "{error}");
            set_mode(path, mode);
            assert!(is_loaded(folder.path(), &component));
        }
    }
    let bytes = fs::read(&key).unwrap();
    for wrong in [&bytes[..31], b"", &[&bytes[..], b"1"].concat()] {
        fs::write(&key, wrong).unwrap();
        assert!(refused(folder.path()).to_string().contains("compile-cache.key"));
    }
    fs::rename(&key, folder.path().join("else")).unwrap();
    symlink("else", &key).unwrap();
    assert!(refused(folder.path()).to_string().contains("must be a regular file, and not a link"));
    let link = tempfile::tempdir().unwrap();
    symlink(folder.path(), link.path().join("link")).unwrap();
    assert!(refused(&link.path().join("link")).to_string().contains("must be a folder, and not a link"));
    fs::write(link.path().join("file"), "").unwrap();
    refused(&link.path().join("file"));
    // Only root can give files away.
    fs::remove_file(&key).unwrap();
    fs::write(&key, &bytes).unwrap();
    set_mode(&key, 0o600);
    assert!(is_loaded(folder.path(), &component));
    for path in [folder.path(), &key] {
        if std::os::unix::fs::chown(path, Some(1), None).is_ok() {
            assert!(refused(folder.path()).to_string().contains("belongs to another user"));
            std::os::unix::fs::chown(path, Some(0), None).unwrap();
        }
    }
}

#[test]
fn the_folder_and_its_files_are_private() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("a/b");
    load(&folder, &by_size());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode(&folder), mode(&folder.join("compile-cache.key"))), (0o700, 0o600));
    assert_eq!(mode(&entry(&folder)), 0o600);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
}

/// A low limit is not hidden, and what limits allow is compiled once.
#[test]
fn each_component_and_limit_has_its_own_entry() {
    let (folder, components) = (private_folder(), [by_size(), drop_all()]);
    let low = Limits { compile_memory: 128 << 20, ..Limits::default() };
    for is_from_cache in [false, true] {
        for component in &components {
            let [one, two] =
                [Limits::default(), low.clone()].map(|limits| load_within(folder.path(), component, &limits));
            assert_eq!([one.is_from_cache(), two.is_from_cache()], [is_from_cache; 2]);
        }
    }
    assert_eq!(entries(folder.path()).len(), 4);
    assert_eq!(result(&load(folder.path(), &components[0])), [b"1"]);
    assert!(result(&load(folder.path(), &components[1])).is_empty());
}

#[test]
fn several_processes_share_a_cache() {
    let (folder, component) = (private_folder(), by_size());
    for _ in 0..TIMES {
        let start = Barrier::new(4);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    start.wait();
                    load(folder.path(), &component);
                });
            }
        });
        assert!(is_loaded(folder.path(), &component), "they agree on the key");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left over");
        fs::remove_file(folder.path().join("compile-cache.key")).unwrap();
    }
}

#[test]
fn the_cache_has_a_size() {
    let (folder, components) = (private_folder(), [by_size(), drop_all()]);
    load(folder.path(), &components[0]);
    let first = entry(folder.path());
    let ago = |seconds| SystemTime::now() - Duration::from_secs(seconds);
    let age = |path: &Path, seconds| {
        fs::File::options().append(true).open(path).unwrap().set_modified(ago(seconds)).unwrap();
    };
    // Left over from a process that was killed.
    let left = folder.path().join("0123456789abcdef.unfinished");
    fs::write(&left, [0; 1000]).unwrap();
    age(&left, 120);
    let most = fs::metadata(&first).unwrap().len() * 3 / 2;
    let load = |component: &ComponentFile, most: u64| {
        let cache = Arc::new(Cache::open(folder.path(), most).unwrap());
        let compiler = Compiler::new(["no such argument"]).with_cache(Some(cache));
        let limits = Limits::default();
        Binary::read(&component.path, &limits).unwrap().compile_with(engine(), &compiler, &limits).unwrap()
    };
    age(&first, 60);
    assert!(load(&components[0], most).is_from_cache(), "it is used, and younger from now on");
    assert!(fs::metadata(&first).unwrap().modified().unwrap() > ago(30));
    age(&first, 60);
    assert!(!load(&components[1], most).is_from_cache());
    assert!(!first.exists() && !left.exists(), "the oldest are removed");
    assert!(load(&components[1], most).is_from_cache());
    assert!(!load(&components[0], 1000).is_from_cache());
    assert_eq!(entries(folder.path()).len(), 1, "what is larger than the cache is not kept");
}

#[test]
fn a_cache_that_cannot_be_written_stops_nothing() {
    let (component, limits) = (by_size(), Limits::default());
    let (folder, entry, _) = filled(&component);
    fs::remove_file(&entry).unwrap();
    fs::create_dir(&entry).unwrap();
    let cache = Arc::new(Cache::open(folder.path(), Cache::DEFAULT_SIZE).unwrap());
    let compiler = Compiler::new(["no such argument"]).with_cache(Some(cache.clone()));
    let loaded = Binary::read(&component.path, &limits).unwrap().compile_with(engine(), &compiler, &limits).unwrap();
    assert!(!loaded.is_from_cache());
    assert_eq!(result(&loaded), [b"1"]);
    assert!(cache.take_problem().is_some() && cache.take_problem().is_none());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left over");
    assert!(Cache::open(Path::new("/proc/cache"), 1).is_err());
}

#[test]
fn cleaning_removes_only_files_of_the_cache() {
    let (folder, _, bytes) = filled(&by_size());
    let other = folder.path().join("other");
    fs::write(&other, "").unwrap();
    // Also what is refused.
    set_mode(folder.path(), 0o755);
    let removed = Cache::clean(folder.path()).unwrap();
    assert_eq!((removed.files, removed.bytes), (2, bytes.len() as u64 + 32));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    assert!(other.exists());
    assert_eq!(Cache::clean(folder.path()).unwrap().files, 0);
    assert_eq!(Cache::clean(&folder.path().join("no")).unwrap().files, 0);
}
