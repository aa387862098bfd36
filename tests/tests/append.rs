//! Files that are appended to, on real file systems, while other programs do what they like with them.

#![allow(clippy::unwrap_used, reason = "a failed `unwrap` fails the test")]

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use torvyn_runtime::endpoint::{AppendSettings, Flush, Generate, OutputFraming, Timed, append_to, open_file};
use torvyn_runtime::flow::Step;
use torvyn_runtime::payload::element::Element;
use torvyn_runtime::payload::{Batch, Pool};
use torvyn_runtime::pipeline::graph::Capacity;
use torvyn_runtime::{Clock, Control};
use torvyn_tests::{boxed_output, input, run, start_with};

/// A batch of these payloads.
fn batch(payloads: &[&str]) -> Batch {
    let element = |payload: &&str| Element {
        payload: Pool::default().adopt(payload.as_bytes().to_vec().into()),
        sequence: 0,
        timestamp: 0,
        context: None,
    };
    payloads.iter().map(element).collect()
}

fn settings(flush: Flush) -> AppendSettings {
    AppendSettings { flush, ..AppendSettings::default() }
}

#[test]
fn appends_after_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("it");
    symlink("it", folder.path().join("link")).unwrap();
    for (before, after) in [(None, "a\n\nb\n"), (Some("old\n"), "old\na\n\nb\n"), (Some("torn"), "torn\na\n\nb\n")] {
        for name in ["it", "link"] {
            before.map_or_else(|| _ = fs::remove_file(&path), |before| fs::write(&path, before).unwrap());
            let mut to = append_to(&folder.path().join(name), &AppendSettings::default()).unwrap();
            to.push(&batch(&["a", "", "b"])).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), after, "it is there before the end");
            assert!(to.settle().unwrap());
            to.complete().unwrap();
            assert_eq!(to.written() as usize, after.len() - before.map_or(0, str::len));
            assert_eq!(fs::read_to_string(&path).unwrap(), after);
        }
    }
    for (framing, after) in
        [(OutputFraming::Raw, &b"tornab"[..]), (OutputFraming::LengthPrefixed, b"torn\0\0\0\x01a\0\0\0\x01b")]
    {
        fs::write(&path, "torn").unwrap();
        let mut to = append_to(&path, &AppendSettings { framing, ..AppendSettings::default() }).unwrap();
        to.push(&batch(&["a", "b"])).unwrap();
        assert_eq!(fs::read(&path).unwrap(), after);
    }
    let refused = append_to(folder.path(), &AppendSettings::default()).err().unwrap();
    assert_eq!(refused.kind(), std::io::ErrorKind::IsADirectory);
    append_to(&folder.path().join("no/it"), &AppendSettings::default()).err().unwrap();
    let synced = AppendSettings { sync: true, ..AppendSettings::default() };
    let refused = append_to(Path::new("/dev/null"), &synced).err().unwrap();
    assert!(refused.to_string().contains("`sync` needs a regular file"), "{refused}");
    append_to(Path::new("/dev/null"), &AppendSettings::default()).unwrap().push(&batch(&["a"])).unwrap();
}

#[test]
fn a_flush_comes_when_it_should() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("it");
    let len = || fs::metadata(&path).unwrap().len();
    for sync in [false, true] {
        for (flush, delay) in [(Flush::End, None), (Flush::Every(Duration::from_secs(1)), Some(Duration::from_secs(1)))]
        {
            fs::write(&path, "").unwrap();
            let mut to = append_to(&path, &AppendSettings { sync, ..settings(flush) }).unwrap();
            to.push(&batch(&["abc"])).unwrap();
            assert_eq!((len(), to.settle().unwrap(), to.flush_delay()), (0, false, delay));
            to.flush().unwrap();
            assert_eq!((len(), to.settle().unwrap()), (4, true));
            let many = "x".repeat(10_000);
            (0..200).for_each(|_| to.push(&batch(&[&many])).unwrap());
            assert!(len() > 1 << 20 && to.written() == len(), "what is much does not wait");
            assert!(!to.settle().unwrap());
            to.complete().unwrap();
            assert_eq!((len(), to.settle().unwrap()), (4 + 200 * 10_001, true));
            // A flow that fails keeps what was pushed.
            let mut to = append_to(&path, &settings(flush)).unwrap();
            to.push(&batch(&["last"])).unwrap();
            drop(to);
            assert_eq!(len(), 4 + 200 * 10_001 + 5);
        }
    }
}

/// The flow flushes by its own clock, also while nothing more comes.
#[test]
fn a_flow_flushes_what_waits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("it");
    let clock = Clock::virtual_from(0);
    let control = |control| Control { clock: clock.clone(), ..control };
    let elements = Timed::every(Box::new(Generate::new(3, 4)), Duration::from_secs(60));
    let to = append_to(&path, &settings(Flush::Every(Duration::from_secs(1)))).unwrap();
    let parts = vec![input(elements), boxed_output("out", to)];
    let (mut flow, _) = start_with(parts, &[(0, 0, 1, Capacity::default())], control).unwrap();
    let mut seen = Vec::new();
    loop {
        match flow.step().unwrap() {
            Step::Ended => break,
            Step::Wait(time) => clock.wait(time),
            Step::Moved => {}
        }
        seen.push((clock.unix_ns() / 1_000_000_000, fs::metadata(&path).unwrap().len()));
    }
    for second in [1, 61] {
        let lines = 1 + second / 60;
        assert!(seen.contains(&(second, 5 * lines)), "{lines} after {second} s: {seen:?}");
        assert!(!seen.iter().any(|(at, len)| *at < second && *len >= 5 * lines), "not before: {seen:?}");
    }
}

#[test]
fn a_file_that_is_moved_removed_or_truncated_loses_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let read = |name: &str| fs::read_to_string(at(name)).unwrap();
    let mut to = append_to(&at("it"), &AppendSettings::default()).unwrap();
    let mut push = |text: &str| to.push(&batch(&[text])).unwrap();
    push("one");
    fs::set_permissions(at("it"), fs::Permissions::from_mode(0o640)).unwrap();
    fs::rename(at("it"), at("it.1")).unwrap();
    push("two");
    assert_eq!((read("it.1"), read("it")), ("one\n".into(), "two\n".into()));
    assert_eq!(fs::metadata(at("it")).unwrap().mode() & 0o7777, 0o640, "a new file has the mode of the one before");
    fs::remove_file(at("it")).unwrap();
    push("three");
    assert_eq!(read("it"), "three\n");
    File::options().write(true).open(at("it")).unwrap().set_len(0).unwrap();
    push("four");
    assert_eq!(read("it"), "four\n");
    fs::write(at("it"), "written by another").unwrap();
    push("five");
    assert_eq!(read("it"), "written by another\nfive\n");
    fs::remove_file(at("it")).unwrap();
    symlink("elsewhere", at("it")).unwrap();
    let refused = to.push(&batch(&["six"])).unwrap_err();
    assert!(refused.to_string().contains("symbolic link"), "{refused}");
    assert!(!at("elsewhere").exists());
}

#[test]
fn several_can_append_to_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("it");
    thread::scope(|scope| {
        for letter in ["a", "b", "c"] {
            let path = &path;
            scope.spawn(move || {
                let mut to = append_to(path, &AppendSettings::default()).unwrap();
                for len in 0..1_000 {
                    to.push(&batch(&[&letter.repeat(len), &letter.repeat(7 * len)])).unwrap();
                }
            });
        }
    });
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 6_000);
    for line in text.lines() {
        assert!(line.bytes().all(|byte| byte == line.as_bytes()[0]), "a line is torn");
    }
}

#[test]
fn parts_of_a_file_are_appended_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (from, path) = (folder.path().join("from"), folder.path().join("it"));
    let bytes: Vec<u8> = (0..5_000_000_u32).map(|at| (at % 251) as u8).collect();
    fs::write(&from, &bytes).unwrap();
    for (size, sync) in [(200_000, false), (2_000_000, true)] {
        fs::write(&path, "").unwrap();
        let framing = OutputFraming::Raw;
        let to = append_to(&path, &AppendSettings { framing, sync, ..AppendSettings::default() }).unwrap();
        let from = open_file(&from, torvyn_runtime::endpoint::Framing::Chunks(size)).unwrap();
        let account = run(vec![input(from), boxed_output("out", to)]).unwrap();
        assert!(fs::read(&path).unwrap() == bytes, "{size}");
        assert_eq!(account.copies.host_serialize.bytes, 5_000_000, "what is gathered is counted");
        assert_eq!(account.endpoints[1].kernel.writes.bytes, 5_000_000);
    }
}

/// A file system that is full after this many bytes. `None`, with a message, if it cannot be mounted.
struct Full(tempfile::TempDir);

impl Full {
    fn mount(size: &str) -> Option<Full> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(folder.path());
        if mount.output().is_ok_and(|mounted| mounted.status.success()) {
            return Some(Full(folder));
        }
        writeln!(std::io::stderr(), "skipped: only root can mount a file system that is full").unwrap();
        None
    }
}

impl Drop for Full {
    fn drop(&mut self) {
        Command::new("umount").arg(self.0.path()).status().ok();
    }
}

#[test]
fn a_full_disk_has_whole_elements() {
    let Some(full) = Full::mount("64k") else { return };
    let path = full.0.path().join("it");
    for flush in [Flush::Element, Flush::End] {
        fs::write(&path, "before\n").unwrap();
        let mut to = append_to(&path, &settings(flush)).unwrap();
        let line = "x".repeat(999);
        let mut pushed = 0;
        let error = loop {
            if let Err(error) =
                to.push(&batch(&[&line])).and_then(|()| if pushed > 80 { to.complete() } else { Ok(()) })
            {
                break error;
            }
            pushed += 1;
        };
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
        drop(to);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("before\n") && text.ends_with('\n'));
        assert_eq!(text.lines().skip(1).filter(|text| *text == line).count(), text.lines().count() - 1);
        assert_eq!(text.lines().count() - 1, if flush == Flush::Element { pushed } else { 0 });
    }
}
