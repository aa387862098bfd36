//! A log is followed while it is written and rotated: every line arrives once, in order. A run that begins at a checkpoint goes
//! on where the one before stopped, whatever happened to the file meanwhile.

#![allow(clippy::unwrap_used, reason = "a failed `unwrap` fails the test")]

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use torvyn_runtime::endpoint::{Framing, Tail, TailOptions};
use torvyn_runtime::flow::Step;
use torvyn_runtime::pipeline::graph::Capacity;
use torvyn_tests::random::Random;
use torvyn_tests::{Collected, input, output, start};

fn options(folder: &Path, follow: bool) -> TailOptions {
    TailOptions { follow, checkpoint: Some(folder.join("state")), ..TailOptions::default() }
}

/// Runs a tail until `is_over`, given how many lines have arrived. Returns the lines.
fn follow(path: &Path, options: TailOptions, is_over: impl Fn(usize) -> bool) -> Vec<String> {
    let tail = Tail::open(path, Framing::default(), options).unwrap();
    let collected = Collected::default();
    let edges = [(0, 0, 1, Capacity::default())];
    let (mut flow, _) = start(vec![input(tail), output("out", collected.clone())], &edges).unwrap();
    let mut arrived = 0;
    loop {
        match flow.step().unwrap() {
            Step::Ended => break,
            Step::Wait(time) => thread::sleep(time),
            Step::Moved => {}
        }
        arrived = arrived.max(flow.snapshot().left as usize);
        if is_over(arrived) {
            flow.control().cancel.store(true, Ordering::Relaxed);
        }
    }
    flow.run().unwrap();
    collected.payloads().into_iter().map(|line| String::from_utf8(line).unwrap()).collect()
}

fn lines(range: std::ops::Range<u64>) -> Vec<String> {
    range.map(|number| format!("line {number} of the log")).collect()
}

fn append(path: &Path, lines: &[String]) {
    let mut file = File::options().append(true).create(true).open(path).unwrap();
    file.write_all((lines.join("\n") + "\n").as_bytes()).unwrap();
}

/// How a log is rotated.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Rotation {
    /// The file is renamed, and a new one is created.
    Rename,
    /// As `Rename`, and no more than two old files are kept: numbers of the file system are used again.
    KeepTwo,
    /// The file is copied, and truncated.
    Copy,
    /// `Rename` or `Copy`, at random.
    Either,
}

fn rotate(path: &Path, rotation: Rotation) {
    let name = |number: usize| PathBuf::from(format!("{}.{number}", path.display()));
    let count = (1..).find(|number| !name(*number).exists()).unwrap();
    for number in (1..count).rev() {
        fs::rename(name(number), name(number + 1)).unwrap();
    }
    match rotation {
        Rotation::Copy => {
            fs::copy(path, name(1)).unwrap();
            File::options().write(true).truncate(true).open(path).unwrap();
        }
        Rotation::Rename | Rotation::KeepTwo | Rotation::Either => {
            fs::rename(path, name(1)).unwrap();
            File::create(path).unwrap();
        }
    }
    if rotation == Rotation::KeepTwo && count > 2 {
        fs::remove_file(name(3)).unwrap();
    }
}

#[test]
fn a_log_that_rotates_arrives_whole() {
    const LINES: u64 = 60_000;
    let rotations = [Rotation::Rename, Rotation::KeepTwo, Rotation::Copy, Rotation::Either, Rotation::Either];
    for (rotation, seed) in rotations.into_iter().zip(1..) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.log");
        let (log, arrived) = (path.clone(), Arc::new(AtomicU64::new(0)));
        let seen = arrived.clone();
        let writer = thread::spawn(move || {
            let mut random = Random::new(seed);
            let mut next = 0;
            while next < LINES {
                let end = (next + 1 + random.below(2_000) as u64).min(LINES);
                append(&log, &lines(next..end));
                next = end;
                // What is removed before it was read is lost, whoever follows.
                if rotation == Rotation::KeepTwo {
                    while arrived.load(Ordering::Relaxed) < next {
                        thread::sleep(Duration::from_millis(1));
                    }
                }
                if random.once_in(8) {
                    // Times of files are a few milliseconds apart at least.
                    thread::sleep(Duration::from_millis(10));
                    match rotation {
                        Rotation::Either => rotate(&log, *random.of(&[Rotation::Rename, Rotation::Copy])),
                        rotation => rotate(&log, rotation),
                    }
                    thread::sleep(Duration::from_millis(10));
                }
                thread::sleep(Duration::from_millis(random.below(8) as u64));
            }
        });
        let began = Instant::now();
        let got = follow(&path, options(folder.path(), true), |arrived| {
            seen.store(arrived as u64, Ordering::Relaxed);
            arrived as u64 >= LINES || began.elapsed() > Duration::from_secs(100)
        });
        writer.join().unwrap();
        let all = lines(0..LINES);
        let wrong = got.iter().zip(&all).position(|(got, expected)| got != expected);
        assert_eq!(
            (got.len(), wrong),
            (all.len(), None),
            "{rotation:?}: {:?}",
            wrong.map(|at| &got[at.saturating_sub(1)..=at])
        );
    }
}

/// Writes the first three lines of a log, and delivers them.
fn follow_from(path: &Path, folder: &Path) -> Vec<String> {
    append(path, &lines(0..3));
    follow(path, options(folder, false), |_| false)
}

#[test]
fn a_run_goes_on_where_the_one_before_stopped() {
    for seed in 0..40 {
        let mut random = Random::new(seed);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.log");
        let rotation = *random.of(&[Rotation::Rename, Rotation::Copy]);
        let (mut written, mut got) = (3, follow_from(&path, folder.path()));
        for _ in 0..4 {
            for _ in 0..random.below(4) {
                let end = written + 1 + random.below(300) as u64;
                append(&path, &lines(written..end));
                written = end;
                if random.once_in(3) {
                    rotate(&path, rotation);
                }
            }
            got.extend(follow(&path, options(folder.path(), false), |_| false));
            assert_eq!(got, lines(0..written), "seed {seed}, {rotation:?}");
        }
    }
}

#[test]
fn an_unfinished_line_waits_for_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.log");
    let log = path.clone();
    let writer = thread::spawn(move || {
        for part in ["one\ntw", "o\nthr", "ee", "\n"] {
            let mut file = File::options().append(true).create(true).open(&log).unwrap();
            file.write_all(part.as_bytes()).unwrap();
            thread::sleep(Duration::from_millis(150));
        }
    });
    let began = Instant::now();
    let is_over = |arrived| arrived == 3 || began.elapsed() > Duration::from_secs(60);
    assert_eq!(follow(&path, options(folder.path(), true), is_over), ["one", "two", "three"]);
    writer.join().unwrap();
}

#[test]
fn a_log_can_be_followed_from_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.log");
    append(&path, &lines(0..100));
    let tail = TailOptions { follow: true, from_end: true, checkpoint: None };
    let log = path.clone();
    let writer = thread::spawn(move || {
        thread::sleep(Duration::from_millis(200));
        append(&log, &lines(100..103));
    });
    let began = Instant::now();
    let is_over = |arrived| arrived == 3 || began.elapsed() > Duration::from_secs(60);
    assert_eq!(follow(&path, tail, is_over), lines(100..103));
    writer.join().unwrap();
}

/// What cannot be continued is said, and nothing is skipped silently.
#[test]
fn a_checkpoint_of_another_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.log");
    let opened = || Tail::open(&path, Framing::default(), options(folder.path(), false)).map(drop);
    append(&path, &lines(0..10));
    assert_eq!(follow(&path, options(folder.path(), false), |_| false).len(), 10);
    // Its content is another now, also with the same number.
    fs::write(&path, "something else that is longer than what was there before\n".repeat(10)).unwrap();
    let error = opened().unwrap_err().to_string();
    assert!(error.contains("is neither") && error.contains("remove the checkpoint"), "{error}");

    fs::remove_dir_all(folder.path().join("state")).unwrap();
    assert_eq!(follow(&path, options(folder.path(), false), |_| false).len(), 10);
    rotate(&path, Rotation::Rename);
    append(&path, &lines(10..20));
    rotate(&path, Rotation::Rename);
    fs::rename(path.with_extension("log.1"), path.with_extension("log.1.gz")).unwrap();
    let error = opened().unwrap_err().to_string();
    assert!(error.contains("app.log.1.gz` was compressed before it was read"), "{error}");
    fs::remove_file(&path).unwrap();
    assert!(opened().is_err(), "a file that is not followed has to exist");
}
