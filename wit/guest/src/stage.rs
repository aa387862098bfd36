//! The roles of a stage. Per-element and payload-taking roles are batch roles too, through the wrappers in `export`.

use crate::batch::{Batch, Element};
use crate::bindings::lifecycle::types::{BackpressureSignal, Columns, Failure};
use crate::config::Config;
use crate::output::{Output, Writer};
use crate::world::{CanRead, CanWrite, DataSink, ProcessorWorld};

/// A running stage: how it begins and ends.
pub trait Stage: Sized + 'static {
    /// The metadata it wants with every batch, besides the sizes of the payloads. Each column costs 8 bytes an element.
    const COLUMNS: Columns = Columns::empty();

    /// Begins with the settings that the pipeline gives this stage.
    ///
    /// # Errors
    ///
    /// Whatever makes the settings unusable: the flow then does not start.
    fn new(config: &Config) -> Result<Self, Failure>;

    /// Ends. Called once, unless the stage trapped.
    fn teardown(self) {}
}

/// Takes one element at a time; reads its payload, if at all, when it wants to.
pub trait Processor<W: ProcessorWorld>: Stage {
    /// Forwards the element, writes others from it, or does neither and so drops it.
    ///
    /// # Errors
    ///
    /// A failure fails the stage.
    fn process(&mut self, element: Element<'_, W>, out: &mut Output<'_, W>) -> Result<(), Failure>;

    /// Writes what it held back, once the input has ended.
    ///
    /// # Errors
    ///
    /// A failure fails the stage.
    fn flush(&mut self, _out: &mut Writer) -> Result<(), Failure>
    where
        W: CanWrite,
    {
        Ok(())
    }
}

/// Takes one element at a time, with its payload: every payload is read once, a batch in one crossing.
pub trait PayloadProcessor<W: ProcessorWorld + CanRead>: Stage {
    /// As [`Processor::process`], with the payload.
    ///
    /// # Errors
    ///
    /// A failure fails the stage.
    fn process(&mut self, element: Element<'_, W>, payload: &[u8], out: &mut Output<'_, W>) -> Result<(), Failure>;

    /// Writes what it held back, once the input has ended.
    ///
    /// # Errors
    ///
    /// A failure fails the stage.
    fn flush(&mut self, _out: &mut Writer) -> Result<(), Failure>
    where
        W: CanWrite,
    {
        Ok(())
    }
}

/// Takes a batch at a time.
pub trait BatchProcessor<W: ProcessorWorld>: Stage {
    /// As [`Processor::process`], for every element of the batch; [`Output::at`] says which one is meant.
    ///
    /// # Errors
    ///
    /// A failure fails the stage.
    fn process(&mut self, batch: Batch<'_, W>, out: &mut Output<'_, W>) -> Result<(), Failure>;

    /// Writes what it held back, once the input has ended.
    ///
    /// # Errors
    ///
    /// A failure fails the stage.
    fn flush(&mut self, _out: &mut Writer) -> Result<(), Failure>
    where
        W: CanWrite,
    {
        Ok(())
    }
}

/// What a source says after it was asked for an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Ask again.
    More,
    /// There is nothing just now. The host asks again a little later.
    Idle,
    /// There will be nothing more.
    End,
}

/// Makes one element at a time.
pub trait Source: Stage {
    /// Writes the next element, and says whether to ask again. It may write several, or none.
    ///
    /// # Errors
    ///
    /// A failure fails the stage.
    fn pull(&mut self, out: &mut Writer) -> Result<Next, Failure>;
}

/// Makes a batch at a time.
pub trait BatchSource: Stage {
    /// Writes at most `max_elements` elements, and none after their payloads together have reached `max_bytes`.
    ///
    /// # Errors
    ///
    /// A failure fails the stage.
    fn pull(&mut self, max_elements: u32, max_bytes: u64, out: &mut Writer) -> Result<Next, Failure>;
}

/// Takes one element at a time out of the flow; reads its payload, if at all, when it wants to.
pub trait Sink: Stage {
    /// Takes the element. Where one element of a batch asks for a pause, the batch does.
    ///
    /// # Errors
    ///
    /// A failure fails the stage.
    fn push(&mut self, element: Element<'_, DataSink>) -> Result<BackpressureSignal, Failure>;

    /// Finishes what it held back, once the input has ended.
    ///
    /// # Errors
    ///
    /// A failure fails the stage.
    fn complete(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}

/// Takes one element at a time out of the flow, with its payload: every payload is read once, a batch in one crossing.
pub trait PayloadSink: Stage {
    /// As [`Sink::push`], with the payload.
    ///
    /// # Errors
    ///
    /// A failure fails the stage.
    fn push(&mut self, element: Element<'_, DataSink>, payload: &[u8]) -> Result<BackpressureSignal, Failure>;

    /// Finishes what it held back, once the input has ended.
    ///
    /// # Errors
    ///
    /// A failure fails the stage.
    fn complete(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}

/// Takes a batch at a time out of the flow.
pub trait BatchSink: Stage {
    /// Takes the batch.
    ///
    /// # Errors
    ///
    /// A failure fails the stage.
    fn push(&mut self, batch: Batch<'_, DataSink>) -> Result<BackpressureSignal, Failure>;

    /// Finishes what it held back, once the input has ended.
    ///
    /// # Errors
    ///
    /// A failure fails the stage.
    fn complete(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}
