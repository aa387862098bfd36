//! The endpoints of the host, on real files.

#![allow(clippy::unwrap_used, reason = "a failed `unwrap` fails the test")]

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::rc::Rc;
use std::thread;

use torvyn_runtime::endpoint::{
    Directory, Discard, FileOutput, Framing, Generate, Input, Output, OutputFraming, Pull, Pulled, Writer, open_file,
};
use torvyn_runtime::payload::Batch;
use torvyn_runtime::pipeline::graph::Capacity;
use torvyn_runtime::{Account, Error};
use torvyn_tests::random::Random;
use torvyn_tests::{Collected, Part, input, output, programs, run, stage, start};

fn read(path: &Path, framing: Framing) -> Result<(Vec<Vec<u8>>, Account), Error> {
    let collected = Collected::default();
    let account = run(vec![input(open_file(path, framing).unwrap()), output("out", collected.clone())])?;
    Ok((collected.payloads(), account))
}

fn read_bytes(bytes: &[u8], framing: Framing) -> Result<(Vec<Vec<u8>>, Account), Error> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    read(file.path(), framing)
}

/// Deterministic bytes without a pattern that a framing could follow.
fn noise(len: usize) -> Vec<u8> {
    let mut random = Random::new(0);
    std::iter::repeat_with(|| random.draw() as u8).take(len).collect()
}

#[test]
fn lines_can_keep_what_ends_them() {
    let framing = Framing::Lines { keep_newline: true };
    for text in ["", "\n", "\n\n", "a", "a\n", "a\r\n\nb", "a\nb\n"] {
        let (lines, _) = read_bytes(text.as_bytes(), framing).unwrap();
        let expected: Vec<_> = text.as_bytes().split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        assert_eq!(lines, expected, "{text:?}");
    }
    let text: Vec<_> = noise(1_000_000).into_iter().map(|byte| if byte % 200 == 0 { b'\n' } else { byte }).collect();
    let (lines, account) = read_bytes(&text, framing).unwrap();
    let (without, same) = read_bytes(&text, Framing::default()).unwrap();
    assert_eq!(lines.concat(), text);
    assert_eq!(lines.len(), without.len());
    assert_eq!(account.copies.host_serialize, same.copies.host_serialize, "what is copied is the same");
}

#[test]
fn lines_are_what_lines_are() {
    for text in ["", "\n", "one", "one\n", "one\n\ntwo", "a\r\nb\r\n", "\n\n\n"] {
        let (lines, _) = read_bytes(text.as_bytes(), Framing::default()).unwrap();
        let expected: Vec<_> = text.split_terminator('\n').map(|line| line.as_bytes().to_vec()).collect();
        assert_eq!(lines, expected, "{text:?}");
    }
}

#[test]
fn lines_across_blocks_are_whole_and_their_copies_counted() {
    let bytes: Vec<u8> =
        noise(3_000_000).into_iter().map(|byte| if byte < 3 { b'\n' } else { byte.max(b' ') }).collect();
    let (lines, account) = read_bytes(&bytes, Framing::default()).unwrap();
    let expected: Vec<_> = bytes.strip_suffix(b"\n").unwrap_or(&bytes).split(|byte| *byte == b'\n').collect();
    assert_eq!(lines, expected);
    // Only the incomplete line at the end of a block is copied, and there are 23 blocks.
    let joined = account.copies.host_serialize;
    assert!(joined.ops <= 24 && joined.bytes < 24 * 2_000, "{joined:?}");
    assert_eq!(account.copies.payload_bytes(), 0);
}

#[test]
fn a_line_of_many_blocks_is_one_element() {
    let mut text = vec![b'x'; 10 << 20];
    text.extend_from_slice(b"\nshort\n");
    let (lines, account) = read_bytes(&text, Framing::default()).unwrap();
    assert_eq!(lines, [vec![b'x'; 10 << 20], b"short".to_vec()]);
    assert!(account.copies.host_serialize.bytes < 32 << 20, "copied while it grew: {:?}", account.copies);
}

#[test]
fn an_element_beyond_the_limit_is_an_error() {
    let path = tempfile::NamedTempFile::new().unwrap();
    path.as_file().set_len((64 << 20) + 1).unwrap();
    let Err(Error::Input { source, .. }) = read(path.path(), Framing::default()) else {
        panic!("there is no line in it")
    };
    assert!(source.to_string().contains("the element at byte 0 is longer than 64 MiB"), "{source}");
    // A payload that is never read has no such limit.
    for framing in [Framing::Whole, Framing::Chunks((64 << 20) + 1)] {
        let account = run(vec![input(open_file(path.path(), framing).unwrap()), output("out", Discard)]).unwrap();
        assert_eq!((account.elements.left, account.pool.allocated), (1, 0));
    }
}

#[test]
fn chunks_end_with_what_is_left() {
    let bytes = noise(1_000_001);
    for size in [1000, 4096, 300_000, 2_000_000] {
        let (chunks, _) = read_bytes(&bytes, Framing::Chunks(size)).unwrap();
        assert_eq!(chunks, bytes.chunks(size).collect::<Vec<_>>(), "{size}");
    }
}

#[test]
fn whole_is_one_element_even_of_nothing() {
    for len in [0, 1, 128 << 10, (128 << 10) + 1, 5_000_000] {
        let bytes = noise(len);
        let (elements, account) = read_bytes(&bytes, Framing::Whole).unwrap();
        assert_eq!(elements, [bytes], "{len}");
        assert_eq!(account.copies.host_serialize.bytes, 0, "a file of known size is read in one piece");
    }
}

#[test]
fn what_is_length_prefixed_comes_back_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let (path, again) = (folder.path().join("a"), folder.path().join("b"));
    let payloads: Vec<Vec<u8>> = [0, 1, 5, 300_000, 0, 77].map(noise).to_vec();
    let bytes: Vec<u8> =
        payloads.iter().flat_map(|payload| [&(payload.len() as u32).to_be_bytes()[..], payload].concat()).collect();
    fs::write(&path, &bytes).unwrap();
    assert_eq!(read(&path, Framing::LengthPrefixed).unwrap().0, payloads);
    let to = FileOutput::create(&again, OutputFraming::LengthPrefixed).unwrap();
    run(vec![input(open_file(&path, Framing::LengthPrefixed).unwrap()), output("out", to)]).unwrap();
    assert_eq!(fs::read(&again).unwrap(), bytes);
    for cut in [1, 3, bytes.len() - 1] {
        let Err(Error::Input { source, .. }) = read_bytes(&bytes[..cut], Framing::LengthPrefixed) else {
            panic!("cut at {cut}");
        };
        assert!(source.to_string().starts_with("the last element is incomplete"), "{source}");
    }
}

#[test]
fn a_directory_gives_its_files_by_name() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("b", "second"), ("a", "first"), ("c", "")] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    fs::create_dir(folder.path().join("aa")).unwrap();
    let collected = Collected::default();
    run(vec![input(Directory::open(folder.path()).unwrap()), output("out", collected.clone())]).unwrap();
    assert_eq!(collected.payloads(), [b"first".to_vec(), b"second".to_vec(), b"".to_vec()]);
}

#[test]
fn an_input_truncated_while_it_is_read_is_an_error() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "0123456789\n".repeat(100_000)).unwrap();
    let reader = open_file(file.path(), Framing::default()).unwrap();
    fs::OpenOptions::new().write(true).open(file.path()).unwrap().set_len(500_000).unwrap();
    let Err(Error::Input { source, elements, .. }) = run(vec![input(reader), output("out", Collected::default())])
    else {
        panic!("it is shorter than it was");
    };
    assert_eq!(source.to_string(), "it was truncated while it was read: 500000 bytes of 1100000");
    assert!(elements > 0);
}

#[test]
fn an_output_shows_only_when_the_flow_has_succeeded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out");
    fs::write(&path, "before").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let text = folder.path().join("in");
    fs::write(&text, "fine\n".repeat(1000) + "poison\n").unwrap();
    let flow = |how| {
        run(vec![
            input(open_file(&text, Framing::default()).unwrap()),
            stage("faulty", programs::FAULTY, &[("how", how), ("at", "process")]),
            output("out", FileOutput::create(&path, OutputFraming::Lines).unwrap()),
        ])
    };
    flow("trap").unwrap_err();
    assert_eq!(fs::read_to_string(&path).unwrap(), "before");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left beside it");
    flow("print").unwrap();
    assert_eq!(fs::read(&path).unwrap(), fs::read(&text).unwrap());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn a_full_or_closed_output_says_how_far_it_came() {
    let to = FileOutput::create(Path::new("/dev/full"), OutputFraming::Lines).unwrap();
    let Err(Error::Output { output: name, bytes, source }) =
        run(vec![input(Generate::new(10, 64)), output("full", to)])
    else {
        panic!("it is full");
    };
    assert_eq!((name.as_str(), bytes, source.kind()), ("full", 0, std::io::ErrorKind::StorageFull));

    let (mut reader, writer) = std::io::pipe().unwrap();
    let closer = thread::spawn(move || {
        reader.read_exact(&mut [0; 65]).unwrap();
        drop(reader);
    });
    let to = torvyn_runtime::endpoint::Writer::new(writer, OutputFraming::Lines);
    let Err(Error::Output { bytes, source, .. }) = run(vec![input(Generate::new(100_000, 64)), output("pipe", to)])
    else {
        panic!("nobody reads it");
    };
    closer.join().unwrap();
    assert_eq!(source.kind(), std::io::ErrorKind::BrokenPipe);
    assert!((65..65 * 100_000).contains(&bytes), "{bytes}");
}

#[test]
fn generated_elements_are_counted_and_alike() {
    let collected = Collected::default();
    run(vec![input(Generate::new(1000, 28)), output("out", collected.clone())]).unwrap();
    assert_eq!(collected.payloads(), vec![b"abcdefghijklmnopqrstuvwxyzab".to_vec(); 1000]);
}

#[test]
fn of_a_seed_the_same_elements_come_every_time() {
    let generated = |sizes, seed, capacity| {
        let collected = Collected::default();
        let parts = vec![input(Generate::seeded(500, sizes, seed)), output("out", collected.clone())];
        let capacity = Capacity { elements: capacity, ..Capacity::default() };
        start(parts, &[(0, 0, 1, capacity)]).unwrap().0.run().unwrap();
        collected.payloads()
    };
    let payloads = generated(3..=20, 1, 64);
    assert!(payloads.len() == 500 && (3..=20).all(|size| payloads.iter().any(|payload| payload.len() == size)));
    assert!(payloads.iter().all(|payload| (3..=20).contains(&payload.len())));
    assert_eq!(generated(3..=20, 1, 3), payloads, "however many are pulled at once");
    assert_ne!(generated(3..=20, 2, 64), payloads);
    let same = generated(9..=9, 0, 64);
    assert!(same.iter().all(|payload| payload.len() == 9) && same[0] != same[1]);
    // SplitMix64 with seed 0 starts like this; its first number decided the size.
    assert_eq!(same[0][..8], 0x6e78_9e6a_a1b9_65f4_u64.to_le_bytes());
}

/// A write takes 192 pieces. With its line end apart, each element would be two of them.
#[test]
fn payloads_that_a_stage_writes_are_one_piece_with_their_line_ends() {
    let folder = tempfile::tempdir().unwrap();
    let lines: Vec<String> = (0..20_000).map(|number| "x".repeat(number % 40)).collect();
    let path = folder.path().join("in");
    fs::write(&path, lines.join("\n") + "\n").unwrap();
    let through = |framing| {
        let path = folder.path().join("out");
        let account = run(vec![
            input(open_file(&folder.path().join("in"), Framing::default()).unwrap()),
            stage("upper", programs::UPPER, &[]),
            output("out", FileOutput::create(&path, framing).unwrap()),
        ]);
        let account = account.unwrap();
        let bytes: usize = lines.iter().map(String::len).sum();
        assert_eq!(account.copies.payload_write.bytes, bytes as u64, "line ends are part of no payload");
        (fs::read_to_string(path).unwrap(), account.endpoints[1].kernel.writes.ops)
    };
    let upper = |end: &str| lines.iter().map(|line| line.to_uppercase() + end).collect::<String>();
    let (text, writes) = through(OutputFraming::Lines);
    assert!(text == upper("\n"));
    assert!(writes <= 20_000_u64.div_ceil(192), "{writes} writes");
    assert!(through(OutputFraming::Raw).0 == upper(""));
}

#[test]
fn a_file_that_appears_whole_is_written_in_large_pieces() {
    let folder = tempfile::tempdir().unwrap();
    let [from, to] = ["in.txt", "out.txt"].map(|name| folder.path().join(name));
    fs::write(&from, "some words of a line\n".repeat(100_000)).unwrap();
    let writes = |output: Part| {
        let parts = vec![input(open_file(&from, Framing::default()).unwrap()), output];
        let account = start(parts, &[(0, 0, 1, Capacity::OUTPUT)]).unwrap().0.run().unwrap();
        assert!(fs::read(&to).unwrap() == fs::read(&from).unwrap());
        account.endpoints[1].kernel.writes
    };
    let whole = writes(output("out", FileOutput::create(&to, OutputFraming::Lines).unwrap()));
    assert!(whole.bytes / whole.ops > 80_000, "{whole:?}");
    // Somebody may read this one while it is written.
    let direct = writes(output("out", Writer::new(File::create(&to).unwrap(), OutputFraming::Lines)));
    assert!(direct.ops >= 100_000 / 256, "{direct:?}");
}

/// Gives an element, and then has nothing for a while, again and again.
struct Hesitates {
    left: u32,
    pushed: Rc<RefCell<usize>>,
    given: usize,
}

impl Input for Hesitates {
    fn pull(&mut self, pull: &mut Pull<'_>) -> io::Result<Pulled> {
        // The first pull after an element has nothing. At the second, the flow has been idle.
        if self.left.is_multiple_of(3) {
            pull.give(pull.pool.adopt("x".into()));
            self.given += 1;
        } else if self.left % 3 == 1 {
            assert_eq!(*self.pushed.borrow(), self.given, "an idle flow leaves nothing on the edge");
        }
        self.left -= 1;
        Ok(if self.left == 0 { Pulled::End } else { Pulled::Idle })
    }
}

struct Whole(Rc<RefCell<usize>>);

impl Output for Whole {
    fn push(&mut self, batch: &Batch) -> io::Result<()> {
        *self.0.borrow_mut() += batch.len();
        Ok(())
    }

    fn appears_whole(&self) -> bool {
        true
    }

    fn complete(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn written(&self) -> u64 {
        0
    }
}

#[test]
fn an_output_that_may_wait_gets_everything_when_nothing_else_moves() {
    let pushed = Rc::new(RefCell::new(0));
    let hesitates = Hesitates { left: 12, pushed: pushed.clone(), given: 0 };
    let parts = vec![input(hesitates), output("out", Whole(pushed.clone()))];
    let account = start(parts, &[(0, 0, 1, Capacity::OUTPUT)]).unwrap().0.run().unwrap();
    assert_eq!((account.elements.left, *pushed.borrow()), (4, 4));
}
