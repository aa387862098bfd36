//! Endpoints: inputs and outputs of the host, where elements enter and leave a flow without a component.

use std::io;
use std::time::{Duration, Instant};

use crate::base::clock::Clock;
use crate::base::cut::Cut;
use crate::ledger::{Boundary, Count, Kernel};
use crate::payload::element::{Element, Metadata};
use crate::payload::run::{Header, PartsOf, Runs};
use crate::payload::{Batch, Payload, Pool};

pub use append::append_to;
pub use append_by_attribute::{ByAttribute, append_by_attribute};
pub use append_settings::{AppendSettings, Flush};
pub use appending::Appending;
pub use atomic_file::{AtomicFile, check_append, open_to_append};
pub use directory::Directory;
pub use discard::Discard;
pub use file::{FileInput, FileOutput, open_file};
pub use file_id::{FileId, is_descriptor, is_device};
pub use generate::Generate;
pub use interruptible_file::{InterruptibleFile, NoReader, open_to_write, share_to_write};
pub use path_template::{PathTemplate, TemplateError, check_value};
pub use range::Ranges;
pub use reader::{Framing, Reader, Ready};
pub use rotation::Rotation;
pub use stdio::{Stdin, open_stdin, open_stdout};
pub use tail::{Tail, TailOptions};
pub use timed::Timed;
pub use writer::{OutputFraming, Writer};

mod append;
mod append_by_attribute;
mod append_settings;
mod append_stream;
mod appending;
mod atomic_file;
mod checkpoint;
mod directory;
mod discard;
mod file;
mod file_id;
mod generate;
mod interruptible_file;
mod kernel_copy;
mod log_file;
mod path_template;
mod range;
mod reader;
mod rotation;
mod stdio;
mod tail;
mod timed;
mod writer;

/// A pull from an input: its limits, and where the elements go.
pub struct Pull<'a> {
    /// Payload memory.
    pub pool: &'a Pool,
    /// The most elements to return; at least 1.
    pub max_elements: usize,
    /// Payload bytes after which no further element is returned; the last one may exceed them.
    pub max_bytes: usize,
    /// How many elements it was given.
    pub(crate) given: usize,
    /// Receives the elements; empty at first. They have no numbers, times and contexts yet.
    pub(crate) runs: &'a mut Runs,
    /// Receives metadata, by the index of its run, which has one element; most inputs give none.
    pub(crate) metadata: &'a mut Vec<(usize, Metadata)>,
    /// Receives the copies within the host.
    pub host_serialize: CopyRecorder<'a>,
    pub(crate) clock: &'a Clock,
    pub(crate) began: Instant,
}

/// Records the copies that an input makes within the host.
pub struct CopyRecorder<'a> {
    pub(crate) count: &'a mut Count,
    pub(crate) boundary: &'a Boundary,
}

impl CopyRecorder<'_> {
    /// Records a copy of this many bytes.
    pub fn record(&mut self, bytes: u64) {
        self.count.record(1, bytes);
        self.boundary.joined(bytes);
    }
}

impl Pull<'_> {
    /// The time since the flow began, by its clock.
    pub fn time(&self) -> Duration {
        self.clock.now().saturating_duration_since(self.began)
    }

    /// Returns the payload of one element. Returns whether there is room for another.
    pub fn give(&mut self, payload: Payload) -> bool {
        self.count(payload.len());
        self.runs.add(Element { payload, sequence: 0, timestamp: 0, context: None });
        self.has_room()
    }

    /// Returns parts of one payload as elements. They move together through the flow, which is far quicker than a payload for
    /// each.
    ///
    /// # Panics
    ///
    /// If the payload is not in memory in one piece, or has 4 GiB or more.
    pub fn parts(&mut self, payload: &Payload) -> PullParts<'_> {
        let like = Header { sequence: self.given as u64, timestamp: 0, context: None };
        let parts = self.runs.parts_of(payload, like);
        PullParts { parts, given: &mut self.given, max_elements: self.max_elements, max_bytes: &mut self.max_bytes }
    }

    fn count(&mut self, bytes: usize) {
        self.max_bytes = self.max_bytes.saturating_sub(bytes);
        self.given += 1;
    }

    /// Returns the payload of one element with its metadata. Returns whether there is room for another.
    pub fn give_with(&mut self, payload: Payload, metadata: Metadata) -> bool {
        if metadata != Metadata::default() {
            self.metadata.push((self.runs.count(), metadata));
        }
        self.give(payload)
    }

    /// Whether no element was returned yet.
    pub fn is_empty(&self) -> bool {
        self.given == 0
    }

    /// Whether there is room for another element.
    #[inline]
    pub fn has_room(&self) -> bool {
        self.given < self.max_elements && self.max_bytes > 0
    }
}

/// Returns parts of one payload to a pull; see [`Pull::parts`].
pub struct PullParts<'a> {
    parts: PartsOf<'a>,
    given: &'a mut usize,
    max_elements: usize,
    max_bytes: &'a mut usize,
}

impl PullParts<'_> {
    /// Returns `len` bytes from `start` on as one element. Returns whether there is room for another.
    ///
    /// # Panics
    ///
    /// If the payload does not have these bytes.
    #[inline]
    pub fn give(&mut self, start: usize, len: usize) -> bool {
        self.parts.add(start, len);
        *self.max_bytes = self.max_bytes.saturating_sub(len);
        *self.given += 1;
        self.has_room()
    }

    /// Whether there is room for another element.
    #[inline]
    pub fn has_room(&self) -> bool {
        *self.given < self.max_elements && *self.max_bytes > 0
    }
}

/// The answer of an input to a pull.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pulled {
    /// More elements may follow at once.
    More,
    /// There is nothing now. Pull again later.
    Idle,
    /// There is nothing until this time after the beginning of the flow; see [`Pull::time`].
    Until(Duration),
    /// There will be nothing more.
    End,
}

/// Brings elements into a flow.
pub trait Input {
    /// Returns the elements that are available.
    ///
    /// # Errors
    ///
    /// An error that prevents the input from continuing; the flow fails with it.
    fn pull(&mut self, pull: &mut Pull<'_>) -> io::Result<Pulled>;

    /// Called in place of [`Input::pull`] once the flow is to end early: returns the elements that were read and cannot be read
    /// again, and reads no more.
    ///
    /// # Errors
    ///
    /// An error that prevents the input from continuing; the flow fails with it.
    fn drain(&mut self, _: &mut Pull<'_>) -> io::Result<Pulled> {
        Ok(Pulled::End)
    }

    /// Bytes that were read, cannot be read again, and are in no element yet.
    fn left_over(&self) -> u64 {
        0
    }

    /// Whether the input reads or writes the bytes of the payloads that it gives. If it does, a pull has few enough for a cache.
    fn touches_bytes(&self) -> bool {
        true
    }

    /// Whether the input wants to know when its elements are delivered; see [`Input::acknowledge`].
    fn wants_acknowledgement(&self) -> bool {
        false
    }

    /// Called whenever more of the elements that the input gave are delivered: the first `elements` of them. Everything that was
    /// made of these has been [settled](Output::settle) by the outputs, or was dropped or kept as the stages say.
    ///
    /// # Errors
    ///
    /// An error that prevents the input from continuing; the flow fails with it.
    fn acknowledge(&mut self, _elements: u64) -> io::Result<()> {
        Ok(())
    }

    /// Called once, before anything else. Whatever waits in the input must fail with [`CutOff`](crate::base::cut::CutOff) once the
    /// cut is due.
    fn give_up_at(&mut self, _: &Cut) {}

    /// Whether the input gives elements deadlines. If it does, the ends of the flow check them.
    fn gives_deadlines(&self) -> bool {
        false
    }

    /// What the operating system did for the input so far, including later reads of its elements.
    fn kernel(&self) -> Kernel {
        Kernel::default()
    }
}

/// Takes elements out of a flow.
pub trait Output {
    /// Called once, before anything else. Whatever waits in the output must fail with [`CutOff`](crate::base::cut::CutOff) once
    /// the cut is due.
    fn give_up_at(&mut self, _: &Cut) {}

    /// Called once, before anything else: the clock of the flow.
    fn use_clock(&mut self, _: &Clock) {}

    /// Writes the elements of a batch.
    ///
    /// # Errors
    ///
    /// An error that prevents it from writing all of them; the flow fails with it.
    fn push(&mut self, batch: &Batch) -> io::Result<()>;

    /// Makes everything that was pushed as durable as the output promises, unless that comes later of itself. Returns whether
    /// everything is. Called when an input [wants to know](Input::wants_acknowledgement), again and again until it is.
    ///
    /// # Errors
    ///
    /// An error that prevents it; the flow fails with it.
    fn settle(&mut self) -> io::Result<bool> {
        Ok(true)
    }

    /// How long what was pushed may wait for [`Output::flush`], by the clock of the flow; asked once. `None` if nothing waits.
    fn flush_delay(&self) -> Option<Duration> {
        None
    }

    /// Called once [`Output::flush_delay`] has passed after a push.
    ///
    /// # Errors
    ///
    /// An error that prevents it from writing everything; the flow fails with it.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Called once, as the last call, when the whole flow has succeeded. Before that, an output need not be visible outside.
    ///
    /// # Errors
    ///
    /// An error that prevents it from finishing; the flow fails with it.
    fn complete(&mut self) -> io::Result<()>;

    /// Bytes written so far, framing included.
    fn written(&self) -> u64;

    /// What it writes after each element. A stage whose elements all go to outputs that say the same leaves these bytes between
    /// the payloads that it writes, so that neighbours in memory are neighbours in the output.
    fn end_of_element(&self) -> &'static [u8] {
        &[]
    }

    /// Whether the output reads the bytes of the payloads. If it does, a push has few enough for a cache.
    fn touches_bytes(&self) -> bool {
        true
    }

    /// Whether nobody sees what is pushed before the output is complete. Then elements may wait until there are enough for a
    /// large push.
    fn appears_whole(&self) -> bool {
        false
    }

    /// The copies within the host so far; the copies of one push count as one.
    fn host_copies(&self) -> Count {
        Count::default()
    }

    /// What the operating system did for the output so far.
    fn kernel(&self) -> Kernel {
        Kernel::default()
    }
}
