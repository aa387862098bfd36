//! The worlds of the contract as types: what a stage can do with payloads is a bound on one of these.

use crate::bindings::lifecycle::types::Failure;
use crate::columns::Columns;
use crate::host::{self, Lent, Made};
use crate::making::{self, Kind, OutputBuilder};
use crate::output::{Outcome, Output};
use crate::stage::BatchProcessor;
use crate::writer::Writer;

mod sealed {
    pub trait Sealed {}
}

/// World `router`: neither reads nor writes payloads.
#[derive(Debug, Clone, Copy)]
pub enum Router {}

/// World `inspector`: reads payloads.
#[derive(Debug, Clone, Copy)]
pub enum Inspector {}

/// World `replacer`: writes payloads, and reads none.
#[derive(Debug, Clone, Copy)]
pub enum Replacer {}

/// World `transform`: reads and writes payloads.
#[derive(Debug, Clone, Copy)]
pub enum Transform {}

/// World `chunker`: cuts payloads into parts without a copy, and reads none.
#[derive(Debug, Clone, Copy)]
pub enum Chunker {}

/// World `slicer`: reads payloads, and cuts them into parts without a copy.
#[derive(Debug, Clone, Copy)]
pub enum Slicer {}

/// World `holder`: holds payloads beyond a call, passes them on and joins them; neither reads nor writes one.
#[derive(Debug, Clone, Copy)]
pub enum Holder {}

/// World `collector`: reads payloads, holds them beyond a call, passes them on and joins them; writes none.
#[derive(Debug, Clone, Copy)]
pub enum Collector {}

/// World `windowed`: holds payloads beyond a call, and can do all the others can.
#[derive(Debug, Clone, Copy)]
pub enum Windowed {}

/// World `data-source`: writes payloads.
#[derive(Debug, Clone, Copy)]
pub enum DataSource {}

/// World `bulk-source`: writes payloads, also piece by piece.
#[derive(Debug, Clone, Copy)]
pub enum BulkSource {}

/// World `metadata-sink`: takes elements, and reads no payload.
#[derive(Debug, Clone, Copy)]
pub enum MetadataSink {}

/// World `data-sink`: reads payloads.
#[derive(Debug, Clone, Copy)]
pub enum DataSink {}

/// A world that imports `payload-read`.
pub trait CanRead: sealed::Sealed {}

/// A world in which elements can be made without a batch, in `pull` or `flush`: by writing, or of what is held.
pub trait CanMake: sealed::Sealed + Sized + 'static {
    /// What was made without a batch.
    #[doc(hidden)]
    fn made(making: &mut OutputBuilder) -> Result<Option<Made>, Failure> {
        making.settle(None)
    }
}

/// A world that imports `payload-write`.
pub trait CanWrite: CanMake {
    /// Before something is written. Where all that is made is written, there is nothing to say.
    #[doc(hidden)]
    #[inline(always)]
    fn begin_written(_making: &mut OutputBuilder, _lent: Option<Lent<'_>>) {}
}

/// A world that imports `payload-view`.
pub trait CanSlice: ProcessorWorld {}

/// A world that imports `payload-buffer`.
pub trait CanBuffer: CanWrite {}

/// A world that imports `payload-lease`.
pub trait CanHold: ProcessorWorld + CanMake {}

/// A world that exports `source`.
pub trait SourceWorld: CanWrite {
    /// What was made; no elements where there are none.
    #[doc(hidden)]
    fn made_or_none(making: &mut OutputBuilder) -> Result<Made, Failure> {
        match Self::made(making)? {
            Some(made) => Ok(made),
            None => host::emit_all(&Columns::default(), None),
        }
    }
}

/// A world that exports `sink`.
pub trait SinkWorld: sealed::Sealed + Sized + 'static {}

/// How a processor can make elements of others. It is known when a stage is compiled: what only other worlds need is not
/// even looked at, and does not get into the way of a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Makes {
    /// It only passes them on.
    Nothing,
    /// It writes.
    Written,
    /// It cuts, holds or writes: by different calls, whose elements are appended.
    Several,
}

/// A world that exports `processor`.
///
/// The hidden functions are where the worlds differ at the end of a call. They are in the trait so that a stage that
/// cannot write has no code that could: the import is then absent from its component.
pub trait ProcessorWorld: sealed::Sealed + Sized + 'static {
    #[doc(hidden)]
    const MAKES: Makes = Makes::Nothing;

    /// Before an element of the batch is passed on.
    #[doc(hidden)]
    #[inline(always)]
    fn begin_forwarded(_making: &mut OutputBuilder) {}

    #[doc(hidden)]
    fn finish(output: Output<'_, Self>) -> Result<Outcome, Failure> {
        Ok(Outcome::Routes(output.into_routes()))
    }

    #[doc(hidden)]
    fn flush<S: BatchProcessor<Self>>(_stage: &mut S, _writer: &mut Writer<Self>) -> Result<(), Failure> {
        Ok(())
    }

    #[doc(hidden)]
    fn flushed(_making: &mut OutputBuilder) -> Result<Option<Made>, Failure> {
        Ok(None)
    }
}

impl sealed::Sealed for Router {}
impl sealed::Sealed for Inspector {}
impl sealed::Sealed for Replacer {}
impl sealed::Sealed for Transform {}
impl sealed::Sealed for Chunker {}
impl sealed::Sealed for Slicer {}
impl sealed::Sealed for Holder {}
impl sealed::Sealed for Collector {}
impl sealed::Sealed for Windowed {}
impl sealed::Sealed for DataSource {}
impl sealed::Sealed for BulkSource {}
impl sealed::Sealed for MetadataSink {}
impl sealed::Sealed for DataSink {}

impl CanRead for Inspector {}
impl CanRead for Transform {}
impl CanRead for Slicer {}
impl CanRead for Collector {}
impl CanRead for Windowed {}
impl CanRead for DataSink {}

impl CanMake for DataSource {
    fn made(making: &mut OutputBuilder) -> Result<Option<Made>, Failure> {
        if making.len() == 0 { Ok(None) } else { host::emit_all(&making.columns, None).map(Some) }
    }
}

impl CanMake for Windowed {}
impl CanMake for BulkSource {}

impl CanWrite for DataSource {}

impl CanWrite for Windowed {
    #[inline]
    fn begin_written(making: &mut OutputBuilder, lent: Option<Lent<'_>>) {
        making.ways.written = Some(making::written);
        making.turn_to(Kind::Written, lent);
    }
}

impl CanWrite for BulkSource {
    #[inline]
    fn begin_written(making: &mut OutputBuilder, lent: Option<Lent<'_>>) {
        making.ways.written = Some(making::written);
        making.turn_to(Kind::Written, lent);
    }
}

impl SourceWorld for DataSource {
    fn made_or_none(making: &mut OutputBuilder) -> Result<Made, Failure> {
        host::emit_all(&making.columns, None)
    }
}

impl SourceWorld for BulkSource {}

impl CanSlice for Windowed {}
impl CanBuffer for Windowed {}
impl CanBuffer for BulkSource {}
impl CanHold for Windowed {}

impl SinkWorld for MetadataSink {}
impl SinkWorld for DataSink {}

impl ProcessorWorld for Router {}
impl ProcessorWorld for Inspector {}

/// Worlds in which all that is made is written.
macro_rules! writes {
    ($($world:ident),*) => {$(
        impl CanMake for $world {
            #[inline(always)]
            fn made(making: &mut OutputBuilder) -> Result<Option<Made>, Failure> {
                let mut made = None;
                if let Some(way) = making.ways.written {
                    way(&making.columns, None, &mut made)?;
                }
                Ok(made)
            }
        }

        impl CanWrite for $world {
            /// What is written in `flush` is made there by the way that is known from the first write on: a stage that
            /// writes nothing there has no code for it.
            #[inline(always)]
            fn begin_written(making: &mut OutputBuilder, lent: Option<Lent<'_>>) {
                if lent.is_none() {
                    making.ways.written = Some(making::all_written);
                }
            }
        }

        impl ProcessorWorld for $world {
            const MAKES: Makes = Makes::Written;

            fn finish(output: Output<'_, Self>) -> Result<Outcome, Failure> {
                output.emit()
            }

            #[inline(always)]
            fn flush<S: BatchProcessor<Self>>(stage: &mut S, writer: &mut Writer<Self>) -> Result<(), Failure> {
                stage.flush(writer)
            }

            #[inline(always)]
            fn flushed(making: &mut OutputBuilder) -> Result<Option<Made>, Failure> {
                Self::made(making)
            }
        }
    )*};
}
writes!(Replacer, Transform);

/// Worlds in which all that is made is cut.
macro_rules! cuts {
    ($($world:ident),*) => {$(
        impl CanSlice for $world {}

        impl ProcessorWorld for $world {
            const MAKES: Makes = Makes::Several;

            fn finish(output: Output<'_, Self>) -> Result<Outcome, Failure> {
                output.settle()
            }
        }
    )*};
}
cuts!(Chunker, Slicer);

/// Worlds in which all that is made is made of what is held.
macro_rules! holds {
    ($($world:ident),*) => {$(
        impl CanMake for $world {}
        impl CanHold for $world {}

        impl ProcessorWorld for $world {
            const MAKES: Makes = Makes::Several;

            #[inline(always)]
            fn begin_forwarded(making: &mut OutputBuilder) {
                making.ways.parts = Some(making::wholes);
            }

            fn finish(output: Output<'_, Self>) -> Result<Outcome, Failure> {
                output.settle()
            }

            fn flush<S: BatchProcessor<Self>>(stage: &mut S, writer: &mut Writer<Self>) -> Result<(), Failure> {
                stage.flush(writer)
            }

            fn flushed(making: &mut OutputBuilder) -> Result<Option<Made>, Failure> {
                Self::made(making)
            }
        }
    )*};
}
holds!(Holder, Collector);

impl ProcessorWorld for Windowed {
    const MAKES: Makes = Makes::Several;

    #[inline(always)]
    fn begin_forwarded(making: &mut OutputBuilder) {
        making.ways.parts = Some(making::parts);
    }

    fn finish(output: Output<'_, Self>) -> Result<Outcome, Failure> {
        output.settle()
    }

    fn flush<S: BatchProcessor<Self>>(stage: &mut S, writer: &mut Writer<Self>) -> Result<(), Failure> {
        stage.flush(writer)
    }

    fn flushed(making: &mut OutputBuilder) -> Result<Option<Made>, Failure> {
        Self::made(making)
    }
}
