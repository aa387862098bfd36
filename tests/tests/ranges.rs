//! Payloads that are ranges of files: they go from file to output without passing through host memory, are read only if
//! a stage reads them, and a file that changes meanwhile is an error.

#![allow(clippy::unwrap_used, reason = "a failed `unwrap` fails the test")]

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tempfile::TempDir;
use torvyn_runtime::endpoint::{
    Directory, Discard, FileOutput, Framing, Input, Output, OutputFraming, Pull, Pulled, Writer, open_file,
};
use torvyn_runtime::ledger::Count;
use torvyn_runtime::payload::{Batch, Unreadable, UnreadableReason};
use torvyn_runtime::{Account, Component, Error, Limits};
use torvyn_tests::{Collected, Part, engine, input, output, programs, run, stage, stage_of};

const CHUNK: usize = 128 << 10;

struct Files {
    folder: TempDir,
    path: PathBuf,
    bytes: Vec<u8>,
}

/// A file of 4 chunks and a part of one.
fn files() -> Files {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in.bin");
    let bytes: Vec<u8> = (0..4 * CHUNK + 1000).map(|index| ((index * index) >> 7) as u8).collect();
    fs::write(&path, &bytes).unwrap();
    Files { folder, path, bytes }
}

impl Files {
    fn chunks(&self) -> Part {
        input(open_file(&self.path, Framing::Chunks(CHUNK)).unwrap())
    }

    fn copied_to<W: Write + AsFd + 'static>(&self, to: W, framing: OutputFraming) -> Account {
        run(vec![self.chunks(), output("out", Writer::new(to, framing))]).unwrap()
    }
}

/// The system calls of the last endpoint.
fn written(account: &Account) -> (Count, Count) {
    let kernel = account.endpoints.last().unwrap().kernel;
    (kernel.writes, kernel.ranges)
}

/// Reads of the files of the first endpoint.
fn reads(account: &Account) -> Count {
    account.endpoints[0].kernel.reads
}

#[test]
fn a_file_goes_to_a_file_without_memory_of_the_host() {
    let files = files();
    let path = files.folder.path().join("out");
    for (framing, len) in [(Framing::Chunks(CHUNK), 5), (Framing::Whole, 1)] {
        let to = FileOutput::create(&path, OutputFraming::Raw).unwrap();
        let account = run(vec![input(open_file(&files.path, framing).unwrap()), output("out", to)]).unwrap();
        assert!(fs::read(&path).unwrap() == files.bytes);
        assert_eq!((account.elements.left, account.pool.allocated, reads(&account).bytes), (len, 0, 0));
        assert_eq!((written(&account).0.ops, written(&account).1.bytes), (0, files.bytes.len() as u64));
    }
}

#[test]
fn framing_is_written_between_ranges() {
    let files = files();
    let path = files.folder.path().join("out");
    for framing in [OutputFraming::Lines, OutputFraming::LengthPrefixed] {
        let account = files.copied_to(File::create(&path).unwrap(), framing);
        let mut expected = Vec::new();
        for chunk in files.bytes.chunks(CHUNK) {
            if framing == OutputFraming::LengthPrefixed {
                expected.extend((chunk.len() as u32).to_be_bytes());
            }
            expected.extend(chunk);
            if framing == OutputFraming::Lines {
                expected.push(b'\n');
            }
        }
        assert!(fs::read(&path).unwrap() == expected);
        let framed = (expected.len() - files.bytes.len()) as u64;
        assert_eq!((written(&account).0.bytes, written(&account).1.bytes), (framed, files.bytes.len() as u64));
    }
}

#[test]
fn a_pipe_and_a_socket_take_ranges_too() {
    let files = files();
    let (mut from, to) = io::pipe().unwrap();
    let reader = thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).map(|_| bytes)
    });
    let account = files.copied_to(to, OutputFraming::Raw);
    assert!(reader.join().unwrap().unwrap() == files.bytes);
    assert_eq!((written(&account).0.ops, written(&account).1.bytes), (0, files.bytes.len() as u64));

    let (mut from, to) = UnixStream::pair().unwrap();
    let reader = thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).map(|_| bytes)
    });
    let account = files.copied_to(to, OutputFraming::Raw);
    assert!(reader.join().unwrap().unwrap() == files.bytes);
    assert_eq!((written(&account).0.ops, written(&account).1.bytes), (0, files.bytes.len() as u64));
}

#[test]
fn what_the_system_cannot_copy_is_read_and_written() {
    let files = files();
    let path = files.folder.path().join("log");
    fs::write(&path, "before ").unwrap();
    let to = File::options().append(true).open(&path).unwrap();
    let account = files.copied_to(to, OutputFraming::Raw);
    assert!(fs::read(&path).unwrap() == [b"before ", &files.bytes[..]].concat());
    let len = files.bytes.len() as u64;
    assert_eq!((written(&account).0.bytes, written(&account).1.bytes, reads(&account).bytes), (len, 0, len));
}

#[test]
fn a_stage_reads_what_it_asks_for() {
    let files = files();
    let all = run(vec![files.chunks(), stage("upper", programs::UPPER, &[]), output("out", Discard)]).unwrap();
    assert_eq!(all.copies.payload_read.bytes, files.bytes.len() as u64);
    assert_eq!((reads(&all).bytes, all.copies.host_serialize.ops), (files.bytes.len() as u64, 0));
}

#[test]
fn large_files_of_a_directory_are_ranges_and_small_ones_are_read() {
    let files = files();
    fs::write(files.folder.path().join("small"), "few bytes").unwrap();
    fs::write(files.folder.path().join("void"), "").unwrap();
    let path = files.folder.path().join("../all");
    let to = FileOutput::create(&path, OutputFraming::LengthPrefixed);
    let to = to.unwrap();
    let account = run(vec![input(Directory::open(files.folder.path()).unwrap()), output("out", to)]).unwrap();
    fs::remove_file(&path).unwrap();
    assert_eq!((account.elements.left, account.endpoints[0].payload_bytes), (3, files.bytes.len() as u64 + 9));
    assert_eq!((reads(&account).bytes, written(&account).1.bytes), (9, files.bytes.len() as u64));
}

#[test]
fn an_element_can_be_larger_than_memory_and_is_not_read_whole() {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(1 << 40).unwrap();
    let whole = || input(open_file(file.path(), Framing::Whole).unwrap());
    let account = run(vec![whole(), stage("router", programs::EVERY_OTHER, &[]), output("out", Discard)]).unwrap();
    assert_eq!((account.endpoints[0].payload_bytes, account.pool.allocated), (1 << 40, 0));
    let Err(error) = run(vec![whole(), stage("upper", programs::UPPER, &[]), output("out", Discard)]) else {
        panic!("it does not fit anywhere");
    };
    let Error::Stage { stage, source, .. } = &error else { panic!("{error:?}") };
    assert_eq!(stage, "upper");
    assert!(source.to_string().contains("limit-exceeded: one read can have at most 64 MiB"), "{source}");
}

/// Changes a file before the first element moves on.
struct Changed<I> {
    input: I,
    change: Option<Box<dyn FnOnce()>>,
}

impl<I: Input> Input for Changed<I> {
    fn pull(&mut self, pull: &mut Pull<'_>) -> io::Result<Pulled> {
        let pulled = self.input.pull(pull)?;
        if let Some(change) = self.change.take() {
            change();
        }
        Ok(pulled)
    }
}

fn changed(files: &Files, change: impl FnOnce(&Path) + 'static) -> Part {
    let path = files.path.clone();
    let change: Box<dyn FnOnce()> = Box::new(move || change(&path));
    input(Changed { input: open_file(&files.path, Framing::Chunks(CHUNK)).unwrap(), change: Some(change) })
}

fn cut(path: &Path) {
    File::options().write(true).open(path).unwrap().set_len(1000).unwrap();
}

fn write_over(path: &Path) {
    let mut file = File::options().write(true).open(path).unwrap();
    file.seek(io::SeekFrom::Start(7)).unwrap();
    file.write_all(b"other").unwrap();
}

#[test]
fn a_file_that_changes_ends_the_flow_and_not_the_stage() {
    type Change = fn(&Path);
    let changes: [(Change, &str); 3] = [
        (cut, "was changed while it was read: expected 525288 bytes, found 1000"),
        (write_over, "was modified while it was read: its size is still 525288 bytes"),
        (|path| File::options().append(true).open(path).unwrap().write_all(b"more").unwrap(), "found 525292"),
    ];
    for (change, said) in changes {
        let files = files();
        let Err(error) = run(vec![
            changed(&files, change),
            stage("upper", programs::UPPER, &[]),
            output("out", Collected::default()),
        ]) else {
            panic!("{said}");
        };
        let Error::Payload { reader, elements, source } = &error else { panic!("{error:?}") };
        assert_eq!((reader.as_str(), *elements), ("upper", Some((0, 0))));
        let found = Unreadable::from_error(source).unwrap();
        assert_eq!(found.path, files.path);
        assert!(source.to_string().ends_with(said) && source.to_string().contains("in.bin"), "{source}");
    }
}

#[test]
fn a_file_that_changes_is_not_written() {
    for change in [cut, write_over] {
        let files = files();
        let path = files.folder.path().join("out");
        let to = FileOutput::create(&path, OutputFraming::Raw).unwrap();
        let Err(Error::Payload { reader, source, .. }) = run(vec![changed(&files, change), output("file", to)]) else {
            panic!("it changed");
        };
        assert_eq!(reader, "file");
        assert!(
            matches!(
                Unreadable::from_error(&source).unwrap().reason,
                UnreadableReason::Size { .. } | UnreadableReason::Written { .. }
            ),
            "{source}"
        );
        assert!(!path.exists());
        // A change that no read notices is reported at the end of the input.
        let files = self::files();
        let Err(Error::Input { source, .. }) = run(vec![changed(&files, cut), output("out", Discard)]) else {
            panic!("it changed");
        };
        assert!(source.to_string().contains("was "), "{source}");
    }
}

/// Holds every payload until the end, and compares it then.
struct Slow<'a>(&'a AtomicBool, Collected);

impl Output for Slow<'static> {
    fn push(&mut self, batch: &Batch) -> io::Result<()> {
        self.0.store(true, Ordering::Relaxed);
        self.1.push(batch)
    }

    fn complete(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn written(&self) -> u64 {
        0
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "how much was tried is part of the result")]
fn a_file_cut_off_at_any_moment_gives_all_of_it_or_an_error() {
    static BEGUN: AtomicBool = AtomicBool::new(false);
    let upper = Component::load(engine(), programs::UPPER.as_ref(), &Limits::default()).unwrap();
    let (mut whole, mut refused) = (0, 0);
    for round in 0..200u64 {
        let files = files();
        BEGUN.store(false, Ordering::Relaxed);
        let path = files.path.clone();
        let cutter = thread::spawn(move || {
            while round % 4 != 0 && !BEGUN.load(Ordering::Relaxed) {
                thread::yield_now();
            }
            (0..round * 40).for_each(|_| std::hint::spin_loop());
            cut(&path);
        });
        let collected = Collected::default();
        let ran = open_file(&files.path, Framing::Chunks(CHUNK)).and_then(|reader| {
            let upper = stage_of("upper", &upper, &[], Limits::default());
            run(vec![input(reader), upper, output("out", Slow(&BEGUN, collected.clone()))]).map_err(io::Error::other)
        });
        BEGUN.store(true, Ordering::Relaxed);
        cutter.join().unwrap();
        match ran {
            Ok(_) => {
                let read = collected.payloads().concat();
                assert!(read == files.bytes.to_ascii_uppercase() || read.len() == 1000);
                whole += 1;
            }
            Err(_) => refused += 1,
        }
    }
    println!("runs=200 whole={whole} refused={refused} torn=0");
    assert!(refused > 0);
}
