//! The traits that a stage implements: [`Stage`] and one role. The wrappers in `export` turn the per-element and
//! payload roles into batch roles.

use crate::batch::{Batch, Element};
use crate::bindings::lifecycle::types::{BackpressureSignal, Columns, Failure};
use crate::config::Config;
use crate::failure::BatchFailure;
use crate::output::Output;
use crate::world::{CanMake, CanRead, DataSink, DataSource, ProcessorWorld, SinkWorld, SourceWorld};
use crate::writer::Writer;

/// A stage: how it starts and ends.
pub trait Stage: Sized + 'static {
    /// The metadata columns that the stage wants with each batch, besides the payload sizes. A column costs 8 bytes per
    /// element; [`Columns::TRACE`] is three columns.
    const COLUMNS: Columns = Columns::empty();

    /// Creates the stage from its settings in the pipeline.
    ///
    /// # Errors
    ///
    /// If the settings are not valid. The flow then does not start.
    fn new(config: &Config) -> Result<Self, Failure>;

    /// Ends the stage. Called once, unless the stage trapped.
    fn teardown(self) {}
}

/// A processor that takes one element at a time, and reads payloads on demand.
///
/// A stage in world [`Router`](crate::Router) cannot read payloads, which proves that no payload byte crosses its
/// boundary:
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
    /// Forwards the element, makes other elements of it, or drops it by doing neither.
    ///
    /// # Errors
    ///
    /// A failure fails the stage on this element: what was made of it is discarded, and leases that were taken of it no
    /// longer contain it. What was made of earlier elements is emitted.
    fn process(&mut self, element: Element<'_, W>, out: &mut Output<'_, W>) -> Result<(), Failure>;

    /// Makes the elements that the stage still holds back. Called once the input has ended.
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

/// A processor that takes one element at a time, with its payload: each payload is read once, and a whole batch in one
/// crossing. If the pipeline retries failed elements, each payload is read in a crossing of its own.
///
/// ```
/// use torvyn_guest::{Config, Element, Failure, Inspector, Output, PayloadProcessor, Stage, testing};
///
/// /// Forwards JSON objects, judged by the first byte.
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

    /// Makes the elements that the stage still holds back. Called once the input has ended.
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

/// A processor that takes a whole batch at a time.
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
    /// As [`Processor::process`], for all elements of the batch; [`Output::at`] sets the current element.
    ///
    /// # Errors
    ///
    /// A failure fails the stage on the element that [`Failure::at`] names, or on the whole batch. What was made of
    /// that element and of later ones is discarded, and leases that were taken of them in this call no longer contain
    /// them.
    fn process(&mut self, batch: Batch<'_, W>, out: &mut Output<'_, W>) -> Result<(), BatchFailure>;

    /// Makes the elements that the stage still holds back. Called once the input has ended.
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

/// Whether a source has more elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// There are more elements: pull again.
    More,
    /// There are no elements right now. The host pulls again a little later.
    Idle,
    /// The stream has ended.
    End,
}

/// A source that makes one element at a time.
pub trait Source<W: SourceWorld = DataSource>: Stage {
    /// Writes the next element, and returns whether there are more. It may write several elements, or none.
    ///
    /// # Errors
    ///
    /// A failure fails the stage.
    fn pull(&mut self, out: &mut Writer<W>) -> Result<Next, Failure>;
}

/// A source that makes a whole batch at a time.
pub trait BatchSource<W: SourceWorld = DataSource>: Stage {
    /// Writes at most `max_elements` elements, and no more once the total size of their payloads has reached
    /// `max_bytes`.
    ///
    /// # Errors
    ///
    /// A failure fails the stage.
    fn pull(&mut self, max_elements: u32, max_bytes: u64, out: &mut Writer<W>) -> Result<Next, Failure>;
}

/// A sink that takes one element at a time, and reads payloads on demand.
///
/// A stage in world [`MetadataSink`](crate::MetadataSink) cannot read payloads, which proves that no payload byte
/// crosses its boundary:
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
    /// Takes the element. If it returns [`BackpressureSignal::Pause`] for one element of a batch, the host waits before
    /// the next batch.
    ///
    /// # Errors
    ///
    /// A failure fails the stage.
    fn push(&mut self, element: Element<'_, W>) -> Result<BackpressureSignal, Failure>;

    /// Writes what the sink still holds back. Called once the input has ended.
    ///
    /// # Errors
    ///
    /// A failure fails the stage.
    fn complete(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}

/// A sink that takes one element at a time, with its payload: each payload is read once, and a whole batch in one
/// crossing. If the pipeline retries failed elements, each payload is read in a crossing of its own.
pub trait PayloadSink: Stage {
    /// As [`Sink::push`], with the payload.
    ///
    /// # Errors
    ///
    /// A failure fails the stage.
    fn push(&mut self, element: Element<'_, DataSink>, payload: &[u8]) -> Result<BackpressureSignal, Failure>;

    /// Writes what the sink still holds back. Called once the input has ended.
    ///
    /// # Errors
    ///
    /// A failure fails the stage.
    fn complete(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}

/// A sink that takes a whole batch at a time.
pub trait BatchSink<W: SinkWorld = DataSink>: Stage {
    /// Takes the batch.
    ///
    /// # Errors
    ///
    /// A failure fails the stage on the element that [`Failure::at`] names, and earlier elements count as taken; or on
    /// the whole batch, and no element counts as taken.
    fn push(&mut self, batch: Batch<'_, W>) -> Result<BackpressureSignal, BatchFailure>;

    /// Writes what the sink still holds back. Called once the input has ended.
    ///
    /// # Errors
    ///
    /// A failure fails the stage.
    fn complete(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}
