//! The input that cuts a file without reading it: its elements are ranges of the file.

use std::io;

use super::{Input, Pull, Pulled};
use crate::ledger::Kernel;
use crate::payload::{Payload, Reads, SourceFile};

/// A regular file, as one element or in chunks. Its bytes are read only when an element is read.
#[derive(Debug)]
pub struct Ranges {
    file: From,
    /// Bytes of an element; the last one may be shorter.
    size: usize,
    /// Bytes of the elements returned so far.
    given: usize,
    reads: Reads,
}

#[derive(Debug)]
enum From {
    /// No element was returned yet.
    File(SourceFile),
    Payload(Payload),
    Ended,
}

impl Ranges {
    /// Elements of `size` bytes from a file that is not empty.
    pub(super) fn new(file: SourceFile, size: usize, reads: Reads) -> Ranges {
        Ranges { file: From::File(file), size, given: 0, reads }
    }
}

impl Input for Ranges {
    fn pull(&mut self, pull: &mut Pull<'_>) -> io::Result<Pulled> {
        let whole = match std::mem::replace(&mut self.file, From::Ended) {
            From::File(file) => pull.pool.adopt_file(file),
            From::Payload(payload) => payload,
            From::Ended => return Ok(Pulled::End),
        };
        while self.given < whole.len() {
            if !pull.has_room() {
                self.file = From::Payload(whole);
                return Ok(Pulled::More);
            }
            let size = self.size.min(whole.len() - self.given);
            pull.give(whole.slice(self.given, size).expect("the range is within the file"));
            self.given += size;
        }
        // If nobody reads the elements, a changed file is noticed nowhere else.
        whole.check()?;
        Ok(Pulled::End)
    }

    fn touches_bytes(&self) -> bool {
        false
    }

    fn kernel(&self) -> Kernel {
        Kernel { reads: self.reads.count(), ..Kernel::default() }
    }
}
