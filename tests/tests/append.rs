//! Files that are appended to, on real file systems, while other programs do what they like with them.

#![allow(clippy::unwrap_used, reason = "a failed `unwrap` fails the test")]

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::thread;
use std::time::Duration;

use cli_tests::SmallDisk;
use torvyn_runtime::endpoint::{
    AppendSettings, ByAttribute, Flush, Generate, OutputFraming, PathTemplate, Rotation, Timed, append_by_attribute,
    append_to, open_file,
};
use torvyn_runtime::flow::Step;
use torvyn_runtime::payload::attributes::{Attribute, Attributes};
use torvyn_runtime::payload::element::{Context, Element};
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

#[test]
fn a_full_disk_has_whole_elements() {
    let Some(full) = SmallDisk::mount("64k") else { return };
    let path = full.path().join("it");
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

fn rotated(bytes: Option<u64>, every: Option<Duration>, keep: u32) -> AppendSettings {
    AppendSettings { rotation: Some(Rotation { bytes, every, keep }), ..AppendSettings::default() }
}

/// The files of a folder, by name, each with its text.
fn files(folder: &Path) -> Vec<(String, String)> {
    let file = |entry: fs::DirEntry| {
        (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap_or("not a file".to_string()))
    };
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| file(entry.unwrap())).collect();
    files.sort();
    files
}

#[track_caller]
fn assert_files(folder: &Path, expected: &[(&str, &str)]) {
    let expected: Vec<_> = expected.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect();
    assert_eq!(files(folder), expected);
}

#[test]
fn a_full_file_is_rotated_between_elements() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("it");
    fs::write(&path, "old\n").unwrap();
    for sync in [false, true] {
        let mut to = append_to(&path, &AppendSettings { sync, ..rotated(Some(10), None, 3) }).unwrap();
        to.push(&batch(&["one", "two", "three", "a line that is too long", "x", ""])).unwrap();
        assert!(to.settle().unwrap());
        to.complete().unwrap();
        let all =
            [("it", "x\n\n"), ("it.1", "a line that is too long\n"), ("it.2", "two\nthree\n"), ("it.3", "old\none\n")];
        assert_files(folder.path(), &all);
        fs::write(&path, "old\n").unwrap();
    }
    let small = fs::metadata(&path).unwrap().ino();
    append_to(&path, &rotated(Some(10), None, 3)).unwrap().push(&batch(&["12345"])).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().ino(), small, "what just fits is not rotated");
}

#[test]
fn a_file_is_rotated_when_a_period_begins() {
    const HOUR: Duration = Duration::from_secs(3600);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("it");
    let clock = Clock::virtual_from(4_000_000_000_000_000_000);
    let mut to = append_to(&path, &rotated(None, Some(HOUR), 9)).unwrap();
    to.use_clock(&clock);
    for text in ["a", "b", "c", "d"] {
        to.push(&batch(&[text])).unwrap();
        clock.wait(HOUR / 2);
    }
    to.push(&batch(&["e"])).unwrap();
    assert_eq!(4_000_000_000_u64 % 3600, 400, "the clock starts in the first half of an hour");
    assert_files(folder.path(), &[("it", "e\n"), ("it.1", "c\nd\n"), ("it.2", "a\nb\n")]);
    clock.wait(10 * HOUR);
    clock.set(4_000_000_000_000_000_000);
    to.push(&batch(&["f"])).unwrap();
    assert_eq!(files(folder.path()).len(), 3, "a clock that is set back rotates nothing");
    drop(to);
    // What an earlier run has written has its own time.
    let mut to = append_to(&path, &rotated(None, Some(HOUR), 9)).unwrap();
    to.use_clock(&clock);
    to.push(&batch(&["g"])).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "g\n");
    assert_eq!(files(folder.path()).len(), 4);
}

#[test]
fn a_file_that_cannot_be_rotated_keeps_everything() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("it");
    let settings = rotated(Some(4), None, 2);
    let mut to = append_to(&path, &settings).unwrap();
    to.push(&batch(&["one"])).unwrap();
    fs::create_dir(folder.path().join("it.1")).unwrap();
    let error = to.push(&batch(&["two"])).unwrap_err();
    assert!(error.to_string().contains("cannot rotate it: `it.1` is a directory"), "{error}");
    drop(to);
    assert_files(folder.path(), &[("it", "one\n"), ("it.1", "not a file")]);
    let error = append_to(&path, &settings).err().unwrap();
    assert!(error.to_string().contains("`it.1` is a directory"), "before the work begins: {error}");
    let error = append_to(Path::new("/dev/null"), &settings).err().unwrap();
    assert!(error.to_string().contains("`rotate` needs a regular file"), "{error}");
}

#[test]
fn a_full_disk_loses_nothing_while_rotating() {
    let Some(full) = SmallDisk::mount("64k") else { return };
    let path = full.path().join("it");
    let mut to = append_to(&path, &rotated(Some(8_000), None, 100)).unwrap();
    let mut pushed = 0;
    let error = loop {
        match to.push(&batch(&[&format!("{pushed:0999}")])) {
            Ok(()) => pushed += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull, "{error}");
    drop(to);
    let mut lines: Vec<u32> = Vec::new();
    for (name, text) in files(full.path()) {
        assert!(text.is_empty() || text.ends_with('\n'), "{name}");
        lines.extend(text.lines().map(|line| line.parse::<u32>().unwrap()));
    }
    lines.sort_unstable();
    assert_eq!(lines, (0..pushed).collect::<Vec<_>>());
}

/// Several that rotate one file, as several runs would: every line is in one of the files, once.
#[test]
fn several_can_rotate_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("it");
    thread::scope(|scope| {
        for writer in 0..3 {
            let path = &path;
            scope.spawn(move || {
                let mut to = append_to(path, &rotated(Some(5_000), None, 1_000)).unwrap();
                for number in 0..1_000 {
                    to.push(&batch(&[&format!("{writer} {number:090}")])).unwrap();
                }
            });
        }
    });
    let mut lines: Vec<String> = files(folder.path())
        .iter()
        .flat_map(|(_, text)| text.lines().map(str::to_string).collect::<Vec<_>>())
        .collect();
    assert!(files(folder.path()).len() > 20, "{}", files(folder.path()).len());
    lines.sort_unstable();
    lines.dedup();
    assert_eq!(lines.len(), 3_000);
}

/// A batch of elements with these attributes; the payload of each is its number.
fn labelled(elements: &[&[(&str, &str)]]) -> Batch {
    let element = |(number, pairs): (usize, &&[(&str, &str)])| {
        let mut attributes = Attributes::new();
        pairs.iter().for_each(|(name, value)| attributes.set(Attribute::new(name, value).unwrap()).unwrap());
        let payload = Pool::default().adopt(number.to_string().into());
        let context = Some(std::sync::Arc::new(Context { attributes, ..Context::default() }));
        Element { payload, sequence: number as u64, timestamp: 0, context }
    };
    elements.iter().enumerate().map(element).collect()
}

fn by_attribute(open_files: usize, files: usize) -> ByAttribute {
    ByAttribute { missing: None, unfit: None, open_files, files }
}

#[test]
fn attributes_choose_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    fs::create_dir(&out).unwrap();
    let template = PathTemplate::parse("out/{tenant}/{level}.log", folder.path()).unwrap().unwrap();
    // One open file shows that a file that was closed is continued.
    for open_files in [1, 2, 64] {
        for flush in [Flush::Element, Flush::End] {
            let settings = AppendSettings { flush, sync: open_files == 2, ..AppendSettings::default() };
            let mut to = append_by_attribute(&template, &settings, &by_attribute(open_files, 3)).unwrap();
            let [a, b, c] = [
                &[("tenant", "größe"), ("level", "info")][..],
                &[("tenant", "größe"), ("level", "error")],
                &[("tenant", "t"), ("level", "info"), ("other", "x")],
            ];
            to.push(&labelled(&[a, a, b, c])).unwrap();
            to.push(&labelled(&[c, b, a])).unwrap();
            assert_eq!(to.settle().unwrap(), flush == Flush::Element);
            let error = to.push(&labelled(&[&[("tenant", "t"), ("level", "new")]])).unwrap_err();
            assert!(error.to_string().contains("`t/new.log` would be one file more than 3 (`files`)"), "{error}");
            to.complete().unwrap();
            assert_eq!((to.written(), to.kernel().writes.bytes), (14, 14));
            assert_files(&out.join("größe"), &[("error.log", "2\n1\n"), ("info.log", "0\n1\n2\n")]);
            assert_files(&out.join("t"), &[("info.log", "3\n0\n")]);
            fs::remove_dir_all(out.join("größe")).unwrap();
            fs::remove_dir_all(out.join("t")).unwrap();
        }
    }
}

#[test]
fn nothing_outside_the_folder_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("out")).unwrap();
    fs::create_dir(at("elsewhere")).unwrap();
    symlink("../elsewhere", at("out/link")).unwrap();
    fs::create_dir(at("out/t")).unwrap();
    symlink("../../elsewhere/file", at("out/t/link.log")).unwrap();
    fs::create_dir(at("out/t/folder.log")).unwrap();
    let template = PathTemplate::parse("out/{tenant}/{level}.log", folder.path()).unwrap().unwrap();
    let long = "x".repeat(201);
    for (tenant, level, text) in [
        ("..", "a", "its attribute `tenant`, \"..\", begins with `.`"),
        ("t", "../../a", "its attribute `level`, \"../../a\", begins with `.`"),
        ("t", "a/../../b", "contains `/`"),
        ("", "a", "its attribute `tenant`, \"\", is empty"),
        ("t", ".hidden", "begins with `.`"),
        ("t", &long, "is longer than 200 bytes"),
        ("link", "a", "`link/a.log`: `link` is not a directory; links are not followed here"),
        ("t", "link", "`t/link.log`: it is a symbolic link"),
        ("t", "folder", "`t/folder.log`: "),
    ] {
        let mut to = append_by_attribute(&template, &AppendSettings::default(), &by_attribute(64, 10)).unwrap();
        let error = to.push(&labelled(&[&[("tenant", tenant), ("level", level)]])).unwrap_err();
        assert!(error.to_string().contains(text), "{tenant} {level}: {error}");
        assert!(error.to_string().len() < 300, "{error}");
    }
    let mut to = append_by_attribute(&template, &AppendSettings::default(), &by_attribute(64, 10)).unwrap();
    let error = to.push(&labelled(&[&[("tenant", "t")]])).unwrap_err();
    assert!(error.to_string().contains("element 0 has no file: it has no attribute `level`"), "{error}");
    let by = ByAttribute { missing: Some("none".into()), unfit: Some("odd".into()), ..by_attribute(64, 10) };
    let mut to = append_by_attribute(&template, &AppendSettings::default(), &by).unwrap();
    to.push(&labelled(&[&[("tenant", "t")], &[("tenant", "../../elsewhere"), ("level", "a")], &[]])).unwrap();
    assert_eq!(fs::read_to_string(at("out/t/none.log")).unwrap(), "0\n");
    assert_files(&at("out/odd"), &[("odd.log", "1\n")]);
    assert_files(&at("out/none"), &[("none.log", "2\n")]);
    assert_files(&at("elsewhere"), &[]);
    assert_files(folder.path(), &[("elsewhere", "not a file"), ("out", "not a file")]);
}

/// An attribute must not name a file that rotation would then rename or remove.
#[test]
fn names_of_rotated_files_cannot_be_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let template = PathTemplate::parse("{name}", folder.path()).unwrap().unwrap();
    let mut to = append_by_attribute(&template, &rotated(Some(2), None, 1), &by_attribute(2, 9)).unwrap();
    to.push(&labelled(&[&[("name", "a")], &[("name", "a")], &[("name", "b")], &[("name", "a")]])).unwrap();
    assert_files(folder.path(), &[("a", "3\n"), ("a.1", "1\n"), ("b", "2\n")]);
    let error = to.push(&labelled(&[&[("name", "a.1")]])).unwrap_err();
    assert!(error.to_string().contains("`a.1` would be the name of a rotated file"), "{error}");
}
