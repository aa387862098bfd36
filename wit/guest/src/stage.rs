//! The roles of a stage. Per-element and payload-taking roles are batch roles too, through the wrappers in `export`.

use crate::batch::{Batch, Element};
use crate::bindings::lifecycle::types::{BackpressureSignal, Columns, Failure};
use crate::config::Config;
use crate::failure::BatchFailure;
use crate::output::Output;
use crate::world::{CanMake, CanRead, DataSink, DataSource, ProcessorWorld, SinkWorld, SourceWorld};
use crate::writer::Writer;

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
///
/// In world [`Router`](crate::Router) it cannot, and so proves that no payload byte crosses its boundary:
///
/// ```
/// use torvyn_guest::{Config, Element, Failure, Output, Processor, Router, Stage, testing};
///
/// /// Small elements to output 0, large ones to output 1.
/// struct BySize {
///     limit: u64,
/// }
///
/// impl Stage for BySize {
///     fn new(config: &Config) -> Result<Self, Failure> {
///         Ok(BySize { limit: config.parse("limit")?.unwrap_or(4) })
///     }
/// }
///
/// impl Processor<Router> for BySize {
///     fn process(&mut self, element: Element<'_, Router>, out: &mut Output<'_, Router>) -> Result<(), Failure> {
///         out.forward_to(u32::from(element.size() > self.limit));
///         Ok(())
///     }
/// }
///
/// let emitted = testing::process(&mut BySize { limit: 4 }, &[b"tiny", b"larger"])?;
/// assert_eq!((emitted[0].outputs[0], emitted[1].outputs[0]), (0, 1));
/// assert!(emitted.iter().all(|element| element.by_handle));
/// # Ok::<(), Failure>(())
/// ```
pub trait Processor<W: ProcessorWorld>: Stage {
    /// Forwards the element, makes others of it, or does neither and so drops it.
    ///
    /// # Errors
    ///
    /// A failure fails the stage at this element: what was made of it does not go on, and what was made of those before it
    /// does. A lease that was taken of it has it no more.
    fn process(&mut self, element: Element<'_, W>, out: &mut Output<'_, W>) -> Result<(), Failure>;

    /// Makes what it held back, once the input has ended.
    ///
    /// # Errors
    ///
    /// A failure fails the stage.
    fn flush(&mut self, _out: &mut Writer<W>) -> Result<(), Failure>
    where
        W: CanMake,
    {
        Ok(())
    }
}

/// Takes one element at a time, with its payload: every payload is read once, a batch in one crossing.
///
/// ```
/// use torvyn_guest::{Config, Element, Failure, Inspector, Output, PayloadProcessor, Stage, testing};
///
/// /// Forwards what is JSON, as far as its first byte tells.
/// struct Objects;
///
/// impl Stage for Objects {
///     fn new(_: &Config) -> Result<Self, Failure> {
///         Ok(Objects)
///     }
/// }
///
/// impl PayloadProcessor<Inspector> for Objects {
///     fn process(
///         &mut self,
///         _: Element<'_, Inspector>,
///         payload: &[u8],
///         out: &mut Output<'_, Inspector>,
///     ) -> Result<(), Failure> {
///         if payload.starts_with(b"{") {
///             out.forward();
///         }
///         Ok(())
///     }
/// }
///
/// let emitted = testing::process_with_payloads(&mut Objects, &[b"{}", b"[]"])?;
/// assert_eq!(emitted.len(), 1);
/// # Ok::<(), Failure>(())
/// ```
pub trait PayloadProcessor<W: ProcessorWorld + CanRead>: Stage {
    /// As [`Processor::process`], with the payload.
    ///
    /// # Errors
    ///
    /// A failure fails the stage.
    fn process(&mut self, element: Element<'_, W>, payload: &[u8], out: &mut Output<'_, W>) -> Result<(), Failure>;

    /// Makes what it held back, once the input has ended.
    ///
    /// # Errors
    ///
    /// A failure fails the stage.
    fn flush(&mut self, _out: &mut Writer<W>) -> Result<(), Failure>
    where
        W: CanMake,
    {
        Ok(())
    }
}

/// Takes a batch at a time.
///
/// ```
/// use torvyn_guest::{Batch, BatchFailure, BatchProcessor, Config, Failure, Output, Router, Stage, testing};
///
/// /// Forwards the largest element of each batch.
/// struct Largest;
///
/// impl Stage for Largest {
///     fn new(_: &Config) -> Result<Self, Failure> {
///         Ok(Largest)
///     }
/// }
///
/// impl BatchProcessor<Router> for Largest {
///     fn process(&mut self, batch: Batch<'_, Router>, out: &mut Output<'_, Router>) -> Result<(), BatchFailure> {
///         if let Some(largest) = batch.iter().max_by_key(|element| element.size()) {
///             out.at(largest).forward();
///         }
///         Ok(())
///     }
/// }
///
/// let emitted = testing::process_batch(&mut Largest, &[b"a", b"abc", b"ab"])?;
/// assert_eq!(emitted[0].payload, b"abc");
/// # Ok::<(), Failure>(())
/// ```
pub trait BatchProcessor<W: ProcessorWorld>: Stage {
    /// As [`Processor::process`], for every element of the batch; [`Output::at`] says which one is meant.
    ///
    /// # Errors
    ///
    /// A failure fails the stage at the element that it names, by [`Failure::at`], or at the whole batch. Of that one and
    /// those after it nothing goes on, and no lease that was taken of them in this call has them any more.
    fn process(&mut self, batch: Batch<'_, W>, out: &mut Output<'_, W>) -> Result<(), BatchFailure>;

    /// Makes what it held back, once the input has ended.
    ///
    /// # Errors
    ///
    /// A failure fails the stage.
    fn flush(&mut self, _out: &mut Writer<W>) -> Result<(), Failure>
    where
        W: CanMake,
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
pub trait Source<W: SourceWorld = DataSource>: Stage {
    /// Writes the next element, and says whether to ask again. It may write several, or none.
    ///
    /// # Errors
    ///
    /// A failure fails the stage.
    fn pull(&mut self, out: &mut Writer<W>) -> Result<Next, Failure>;
}

/// Makes a batch at a time.
pub trait BatchSource<W: SourceWorld = DataSource>: Stage {
    /// Writes at most `max_elements` elements, and none after their payloads together have reached `max_bytes`.
    ///
    /// # Errors
    ///
    /// A failure fails the stage.
    fn pull(&mut self, max_elements: u32, max_bytes: u64, out: &mut Writer<W>) -> Result<Next, Failure>;
}

/// Takes one element at a time out of the flow; reads its payload, if at all, when it wants to.
///
/// In world [`MetadataSink`](crate::MetadataSink) it cannot, and so proves that no payload byte crosses its boundary:
///
/// ```
/// use torvyn_guest::{BackpressureSignal, Config, Element, Failure, MetadataSink, Sink, Stage, testing};
///
/// /// Counts bytes without seeing one.
/// struct Total(u64);
///
/// impl Stage for Total {
///     fn new(_: &Config) -> Result<Self, Failure> {
///         Ok(Total(0))
///     }
/// }
///
/// impl Sink<MetadataSink> for Total {
///     fn push(&mut self, element: Element<'_, MetadataSink>) -> Result<BackpressureSignal, Failure> {
///         self.0 += element.size();
///         Ok(BackpressureSignal::Ready)
///     }
/// }
///
/// let mut total = Total(0);
/// assert_eq!(testing::push(&mut total, &[b"one", b"three"])?, BackpressureSignal::Ready);
/// assert_eq!(total.0, 8);
/// # Ok::<(), Failure>(())
/// ```
pub trait Sink<W: SinkWorld = DataSink>: Stage {
    /// Takes the element. Where one element of a batch asks for a pause, the batch does.
    ///
    /// # Errors
    ///
    /// A failure fails the stage.
    fn push(&mut self, element: Element<'_, W>) -> Result<BackpressureSignal, Failure>;

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
pub trait BatchSink<W: SinkWorld = DataSink>: Stage {
    /// Takes the batch.
    ///
    /// # Errors
    ///
    /// A failure fails the stage at the element that it names, by [`Failure::at`], and those before it are taken; or at the
    /// whole batch, of which nothing is taken then.
    fn push(&mut self, batch: Batch<'_, W>) -> Result<BackpressureSignal, BatchFailure>;

    /// Finishes what it held back, once the input has ended.
    ///
    /// # Errors
    ///
    /// A failure fails the stage.
    fn complete(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}
