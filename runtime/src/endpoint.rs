//! Where elements enter and leave a flow without a component: code of the host.

use std::io;
use std::time::{Duration, Instant};

use crate::base::clock::Clock;
use crate::base::cut::Cut;
use crate::ledger::{Boundary, Count, Kernel};
use crate::payload::element::{Element, Metadata};
use crate::payload::{Payload, Pool};

pub use atomic_file::{AtomicFile, open_to_append};
pub use directory::Directory;
pub use discard::Discard;
pub use file::{FileInput, FileOutput, open_file};
pub use file_id::{FileId, is_descriptor, is_device};
pub use generate::Generate;
pub use interruptible_file::{InterruptibleFile, NoReader, open_to_write, share_to_write};
pub use range::Ranges;
pub use reader::{Framing, Reader, Ready};
pub use stdio::{Stdin, open_stdin, open_stdout};
pub use timed::Timed;
pub use writer::{OutputFraming, Writer};

mod atomic_file;
mod directory;
mod discard;
mod file;
mod file_id;
mod generate;
mod interruptible_file;
mod kernel_copy;
mod range;
mod reader;
mod stdio;
mod timed;
mod writer;

/// What an input is asked for.
pub struct Pull<'a> {
    /// Payload memory.
    pub pool: &'a Pool,
    /// At most this many elements; at least 1.
    pub max_elements: usize,
    /// No element after these many payload bytes; the last one may go beyond.
    pub max_bytes: usize,
    /// Where the payloads go; empty at the beginning.
    pub payloads: &'a mut Vec<Payload>,
    /// What is said of the payloads of these indices; most inputs say nothing.
    pub(crate) metadata: &'a mut Vec<(usize, Metadata)>,
    /// Where copies within the host are recorded.
    pub host_serialize: CopyRecorder<'a>,
    pub(crate) clock: &'a Clock,
    pub(crate) began: Instant,
}

/// The copies that an input makes within the host.
pub struct CopyRecorder<'a> {
    pub(crate) count: &'a mut Count,
    pub(crate) boundary: &'a Boundary,
}

impl CopyRecorder<'_> {
    /// Records a copy of so many bytes.
    pub fn record(&mut self, bytes: u64) {
        self.count.record(1, bytes);
        self.boundary.joined(bytes);
    }
}

impl Pull<'_> {
    /// How long ago the flow began, by its clock.
    pub fn time(&self) -> Duration {
        self.clock.now().saturating_duration_since(self.began)
    }

    /// Hands over the payload of one element. Tells whether there is room for another.
    pub fn give(&mut self, payload: Payload) -> bool {
        self.max_bytes = self.max_bytes.saturating_sub(payload.len());
        self.payloads.push(payload);
        self.has_room()
    }

    /// Hands over the payload of one element, and what is to be said of it. Tells whether there is room for another.
    pub fn give_with(&mut self, payload: Payload, metadata: Metadata) -> bool {
        if metadata != Metadata::default() {
            self.metadata.push((self.payloads.len(), metadata));
        }
        self.give(payload)
    }

    /// Whether there is room for another element.
    pub fn has_room(&self) -> bool {
        self.payloads.len() < self.max_elements && self.max_bytes > 0
    }
}

/// What an input says after it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pulled {
    /// Ask again.
    More,
    /// There is nothing just now. Ask again a little later.
    Idle,
    /// There is nothing before the flow is this old: see [`Pull::time`].
    Until(Duration),
    /// There will be nothing more.
    End,
}

/// Brings elements into a flow.
pub trait Input {
    /// Hands over elements, as far as they are there.
    ///
    /// # Errors
    ///
    /// What keeps it from going on; the flow fails with it.
    fn pull(&mut self, pull: &mut Pull<'_>) -> io::Result<Pulled>;

    /// Called in place of [`Input::pull`] once the flow is to end early: hands over the elements that were read and cannot be
    /// read again, and reads no more.
    ///
    /// # Errors
    ///
    /// What keeps it from going on; the flow fails with it.
    fn drain(&mut self, _: &mut Pull<'_>) -> io::Result<Pulled> {
        Ok(Pulled::End)
    }

    /// Bytes that were read, cannot be read again, and are in no element so far.
    fn left_over(&self) -> u64 {
        0
    }

    /// Called once, before anything else: what waits in it gives up with [`CutOff`](crate::base::cut::CutOff) when that is due.
    fn give_up_at(&mut self, _: &Cut) {}

    /// Whether it gives elements deadlines of their own, which ends look for then.
    fn gives_deadlines(&self) -> bool {
        false
    }

    /// What the operating system did for it so far, and for who read its elements later.
    fn kernel(&self) -> Kernel {
        Kernel::default()
    }
}

/// Takes elements out of a flow.
pub trait Output {
    /// Called once, before anything else: what waits in it gives up with [`CutOff`](crate::base::cut::CutOff) when that is due.
    fn give_up_at(&mut self, _: &Cut) {}

    /// Takes these elements.
    ///
    /// # Errors
    ///
    /// What keeps it from taking all of them; the flow fails with it.
    fn push(&mut self, elements: &[Element]) -> io::Result<()>;

    /// Called once, last, when the whole flow has succeeded. Until then nothing has to show outside.
    ///
    /// # Errors
    ///
    /// What keeps it from finishing; the flow fails with it.
    fn complete(&mut self) -> io::Result<()>;

    /// Bytes written so far, framing included.
    fn written(&self) -> u64;

    /// What the operating system did for it so far.
    fn kernel(&self) -> Kernel {
        Kernel::default()
    }
}
