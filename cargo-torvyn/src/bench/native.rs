//! The first rival: the same bytes through native code, without a sandbox. It reads the input in blocks, cuts it into the same
//! elements, passes each through as many calls as the pipeline has stages, and writes it as the output does. It does none of
//! the work of the stages.

use std::fs::File;
use std::hint::black_box;
use std::io::{self, BufWriter, Read as _, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use torvyn_runtime::endpoint::{Framing, OutputFraming};

/// Bytes of a block that is read at once, and of what is gathered before it is written.
const BLOCK: usize = 256 << 10;
/// Bytes of the length before an element: a 32-bit big-endian number.
const LENGTH_BYTES: usize = 4;
/// After how many generated elements the pass looks whether it is to stop.
const LOOK: u64 = 1 << 14;

/// A native pass.
#[derive(Debug)]
pub(crate) struct Native {
    pub(crate) from: Origin,
    /// Calls for each element.
    pub(crate) stages: usize,
    /// The file that is written, and how; none if the elements are dropped.
    pub(crate) to: Option<(PathBuf, OutputFraming)>,
}

/// Where elements come from.
#[derive(Debug)]
pub(crate) enum Origin {
    File(PathBuf, Framing),
    /// So many elements of so many bytes, which are the same in each.
    Generated(u64, usize),
}

/// What a pass did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Passed {
    pub(crate) time: Duration,
    pub(crate) elements: u64,
    /// Their payload bytes.
    pub(crate) bytes: u64,
}

impl Native {
    /// Passes all elements. Stops early, with an error of the kind `Interrupted`, once `cancel` is set.
    ///
    /// # Errors
    ///
    /// If a file cannot be read or written.
    pub(crate) fn run(&self, cancel: &Arc<AtomicBool>) -> io::Result<Passed> {
        let mut sink: Box<dyn Sink> = match &self.to {
            Some((path, framing)) => {
                Box::new(Written { file: BufWriter::with_capacity(BLOCK, File::create(path)?), framing: *framing })
            }
            None => Box::new(Dropped),
        };
        let mut pass = Pass { stages: self.stages, sink: &mut *sink, elements: 0, bytes: 0, cancel };
        let began = Instant::now();
        match &self.from {
            Origin::File(path, framing) => pass.file(path, *framing)?,
            Origin::Generated(count, size) => pass.generated(*count, *size)?,
        }
        let Pass { elements, bytes, .. } = pass;
        sink.finish()?;
        Ok(Passed { time: began.elapsed(), elements, bytes })
    }
}

/// Where elements go.
trait Sink {
    fn push(&mut self, element: &Bytes) -> io::Result<()>;
    fn finish(&mut self) -> io::Result<()>;
}

struct Dropped;

impl Sink for Dropped {
    fn push(&mut self, element: &Bytes) -> io::Result<()> {
        black_box(element);
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Written {
    file: BufWriter<File>,
    framing: OutputFraming,
}

impl Sink for Written {
    fn push(&mut self, element: &Bytes) -> io::Result<()> {
        if self.framing == OutputFraming::LengthPrefixed {
            let length = u32::try_from(element.len()).map_err(io::Error::other)?;
            self.file.write_all(&length.to_be_bytes())?;
        }
        self.file.write_all(element)?;
        if self.framing == OutputFraming::Lines { self.file.write_all(b"\n") } else { Ok(()) }
    }

    fn finish(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

struct Pass<'a> {
    stages: usize,
    sink: &'a mut dyn Sink,
    elements: u64,
    bytes: u64,
    cancel: &'a AtomicBool,
}

/// A stage that only passes on. It is not inlined, because otherwise the compiler could merge the stages.
#[inline(never)]
fn pass_on(element: Bytes) -> Bytes {
    black_box(element)
}

impl Pass<'_> {
    fn check(&self) -> io::Result<()> {
        if self.cancel.load(Ordering::Relaxed) { Err(io::ErrorKind::Interrupted.into()) } else { Ok(()) }
    }

    #[inline]
    fn element(&mut self, mut element: Bytes) -> io::Result<()> {
        self.elements += 1;
        self.bytes += element.len() as u64;
        for _ in 0..self.stages {
            element = pass_on(element);
        }
        self.sink.push(&element)
    }

    fn generated(&mut self, count: u64, size: usize) -> io::Result<()> {
        let payload: Bytes = (b'a'..=b'z').cycle().take(size).collect();
        for number in 0..count {
            if number.is_multiple_of(LOOK) {
                self.check()?;
            }
            self.element(payload.clone())?;
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, framing: Framing) -> io::Result<()> {
        let mut file = File::open(path)?;
        // The incomplete element at the end of the last block.
        let mut rest = Bytes::new();
        let mut wanted = BLOCK;
        loop {
            self.check()?;
            let mut block = Vec::with_capacity(rest.len() + wanted);
            block.extend_from_slice(&rest);
            let read = (&mut file).take(wanted as u64).read_to_end(&mut block)?;
            let block = Bytes::from(block);
            if read == 0 {
                return self.last(block, framing);
            }
            let used = match framing {
                Framing::Lines { keep_newline } => self.lines(&block, keep_newline, rest.len())?,
                Framing::Chunks(size) => self.chunks(&block, size)?,
                Framing::LengthPrefixed => self.prefixed(&block)?,
                Framing::Whole => 0,
            };
            rest = block.slice(used..);
            // An element that is longer than a block is read in ever greater ones, so that it is not copied too often.
            wanted = BLOCK.max(rest.len());
        }
    }

    /// Passes the complete lines. The first `seen` bytes have no line end. Returns how many bytes they take.
    fn lines(&mut self, block: &Bytes, keep_newline: bool, seen: usize) -> io::Result<usize> {
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', &block[seen..]) {
            let end = seen + end;
            self.element(block.slice(start..end + usize::from(keep_newline)))?;
            start = end + 1;
        }
        Ok(start)
    }

    fn chunks(&mut self, block: &Bytes, size: usize) -> io::Result<usize> {
        let mut start = 0;
        while block.len() - start >= size {
            self.element(block.slice(start..start + size))?;
            start += size;
        }
        Ok(start)
    }

    fn prefixed(&mut self, block: &Bytes) -> io::Result<usize> {
        let mut start = 0;
        while let Some(length) = block[start..].first_chunk::<LENGTH_BYTES>() {
            let end = start + LENGTH_BYTES + u32::from_be_bytes(*length) as usize;
            if end > block.len() {
                break;
            }
            self.element(block.slice(start + LENGTH_BYTES..end))?;
            start = end;
        }
        Ok(start)
    }

    /// Passes what is left at the end of the file.
    fn last(&mut self, rest: Bytes, framing: Framing) -> io::Result<()> {
        match framing {
            Framing::LengthPrefixed if !rest.is_empty() => Err(io::ErrorKind::UnexpectedEof.into()),
            Framing::Whole => self.element(rest),
            _ if rest.is_empty() => Ok(()),
            _ => self.element(rest),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// What a pass over a file of these bytes counts and writes.
    fn passed(content: &[u8], framing: Framing, to: OutputFraming) -> (u64, u64, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let [from, out] = ["in", "out"].map(|name| folder.path().join(name));
        fs::write(&from, content).unwrap();
        let native = Native { from: Origin::File(from, framing), stages: 3, to: Some((out.clone(), to)) };
        let Passed { elements, bytes, .. } = native.run(&Arc::default()).unwrap();
        (elements, bytes, fs::read(out).unwrap())
    }

    #[test]
    fn cuts_what_the_inputs_cut() {
        let lines = Framing::Lines { keep_newline: false };
        assert_eq!(passed(b"one\n\ntwo", lines, OutputFraming::Lines), (3, 6, b"one\n\ntwo\n".to_vec()));
        let kept = Framing::Lines { keep_newline: true };
        assert_eq!(passed(b"one\n\ntwo", kept, OutputFraming::Raw), (3, 8, b"one\n\ntwo".to_vec()));
        assert_eq!(passed(b"", lines, OutputFraming::Lines), (0, 0, Vec::new()));
        assert_eq!(passed(b"12345", Framing::Chunks(2), OutputFraming::Lines), (3, 5, b"12\n34\n5\n".to_vec()));
        assert_eq!(passed(b"12345", Framing::Whole, OutputFraming::Raw), (1, 5, b"12345".to_vec()));
        assert_eq!(passed(b"", Framing::Whole, OutputFraming::Raw), (1, 0, Vec::new()));
        let prefixed = b"\0\0\0\x02ab\0\0\0\0\0\0\0\x01c";
        let found = passed(prefixed, Framing::LengthPrefixed, OutputFraming::LengthPrefixed);
        assert_eq!(found, (3, 3, prefixed.to_vec()));
    }

    #[test]
    fn joins_elements_that_blocks_divide() {
        let line = |len: usize| [vec![b'x'; len], b"\n".to_vec()].concat();
        let lines = [line(BLOCK - 3), line(5), line(3 * BLOCK), line(0), line(1)].concat();
        let framing = Framing::Lines { keep_newline: false };
        let (elements, bytes, out) = passed(&lines, framing, OutputFraming::Lines);
        assert_eq!((elements, bytes), (5, (4 * BLOCK + 3) as u64));
        assert!(out == lines);
    }

    #[test]
    fn stops_when_it_is_cancelled() {
        let native = Native { from: Origin::Generated(u64::MAX, 1), stages: 1, to: None };
        let error = native.run(&Arc::new(AtomicBool::new(true))).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Interrupted);
        let few = Native { from: Origin::Generated(3, 5), stages: 0, to: None };
        let Passed { elements, bytes, .. } = few.run(&Arc::default()).unwrap();
        assert_eq!((elements, bytes), (3, 15));
    }
}
