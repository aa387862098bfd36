//! The worlds of the contract as types. Their traits say what a stage in each world can do with payloads.

use crate::bindings::lifecycle::types::Failure;
use crate::columns::Columns;
use crate::host::{self, HostOutput, Lent};
use crate::output::{Outcome, Output};
use crate::output_builder::{self, EntryKind, OutputBuilder};
use crate::stage::BatchProcessor;
use crate::writer::Writer;

mod sealed {
    pub trait Sealed {}
}

/// World `router`: forwards elements; neither reads nor writes payloads.
#[derive(Debug, Clone, Copy)]
pub enum Router {}

/// World `inspector`: reads payloads.
#[derive(Debug, Clone, Copy)]
pub enum Inspector {}

/// World `replacer`: writes payloads; cannot read them.
#[derive(Debug, Clone, Copy)]
pub enum Replacer {}

/// World `transform`: reads and writes payloads.
#[derive(Debug, Clone, Copy)]
pub enum Transform {}

/// World `chunker`: cuts payloads into parts without a copy; cannot read them.
#[derive(Debug, Clone, Copy)]
pub enum Chunker {}

/// World `slicer`: reads payloads, and cuts them into parts without a copy.
#[derive(Debug, Clone, Copy)]
pub enum Slicer {}

/// World `holder`: holds payloads beyond the call, forwards and joins them; neither reads nor writes them.
#[derive(Debug, Clone, Copy)]
pub enum Holder {}

/// World `collector`: reads payloads, holds them beyond the call, forwards and joins them; cannot write them.
#[derive(Debug, Clone, Copy)]
pub enum Collector {}

/// World `windowed`: holds payloads beyond the call, and can do everything that the other worlds of processors can.
#[derive(Debug, Clone, Copy)]
pub enum Windowed {}

/// World `data-source`: writes payloads.
#[derive(Debug, Clone, Copy)]
pub enum DataSource {}

/// World `bulk-source`: writes payloads, whole or piece by piece.
#[derive(Debug, Clone, Copy)]
pub enum BulkSource {}

/// World `metadata-sink`: takes elements; cannot read payloads.
#[derive(Debug, Clone, Copy)]
pub enum MetadataSink {}

/// World `data-sink`: takes elements, and reads payloads.
#[derive(Debug, Clone, Copy)]
pub enum DataSink {}

/// A world that imports `payload-read`.
pub trait CanRead: sealed::Sealed {}

/// A world in which elements can be made without a batch, in `pull` or `flush`: by writing, or from held elements.
pub trait CanMake: sealed::Sealed + Sized + 'static {
    /// Emits and returns the elements that were made without a batch.
    #[doc(hidden)]
    fn take_output(builder: &mut OutputBuilder) -> Result<Option<HostOutput>, Failure> {
        builder.finish(None)
    }
}

/// A world that imports `payload-write`.
pub trait CanWrite: CanMake {
    /// Called before an element is written. Does nothing in worlds that make elements by writing only.
    #[doc(hidden)]
    #[inline(always)]
    fn begin_written(_builder: &mut OutputBuilder, _lent: Option<Lent<'_>>) {}
}

/// A world that imports `payload-view`.
pub trait CanSlice: ProcessorWorld {}

/// A world that imports `payload-buffer`.
pub trait CanBuffer: CanWrite {}

/// A world that imports `payload-lease`.
pub trait CanHold: ProcessorWorld + CanMake {}

/// A world that exports `source`.
pub trait SourceWorld: CanWrite {
    /// Emits and returns the elements that were made: an output without elements if there are none.
    #[doc(hidden)]
    fn take_or_empty(builder: &mut OutputBuilder) -> Result<HostOutput, Failure> {
        match Self::take_output(builder)? {
            Some(made) => Ok(made),
            None => host::emit_all(&Columns::default(), None),
        }
    }
}

/// A world that exports `sink`.
pub trait SinkWorld: sealed::Sealed + Sized + 'static {}

/// How a processor can make elements. Known at compile time, so that a stage contains no code that only other worlds
/// need and that would get in the way of a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Makes {
    /// It only forwards elements.
    Nothing,
    /// It writes payloads.
    Written,
    /// It cuts, holds or writes, with different host functions whose outputs are appended.
    Several,
}

/// A world that exports `processor`.
///
/// The hidden functions are what the worlds do differently at the end of a call. They are functions of the trait so
/// that a stage that cannot write has no code that could: its component then lacks the import.
pub trait ProcessorWorld: sealed::Sealed + Sized + 'static {
    #[doc(hidden)]
    const MAKES: Makes = Makes::Nothing;

    /// Called before an element of the batch is forwarded.
    #[doc(hidden)]
    #[inline(always)]
    fn begin_forwarded(_builder: &mut OutputBuilder) {}

    #[doc(hidden)]
    fn finish(output: Output<'_, Self>) -> Result<Outcome, Failure> {
        Ok(Outcome::Routes(output.into_routes()))
    }

    #[doc(hidden)]
    fn flush<S: BatchProcessor<Self>>(_stage: &mut S, _writer: &mut Writer<Self>) -> Result<(), Failure> {
        Ok(())
    }

    #[doc(hidden)]
    fn take_flushed(_builder: &mut OutputBuilder) -> Result<Option<HostOutput>, Failure> {
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
    fn take_output(builder: &mut OutputBuilder) -> Result<Option<HostOutput>, Failure> {
        if builder.len() == 0 { Ok(None) } else { host::emit_all(&builder.columns, None).map(Some) }
    }
}

impl CanMake for Windowed {}
impl CanMake for BulkSource {}

impl CanWrite for DataSource {}

impl CanWrite for Windowed {
    #[inline]
    fn begin_written(builder: &mut OutputBuilder, lent: Option<Lent<'_>>) {
        builder.emit_fns.written = Some(output_builder::emit_written);
        builder.set_kind(EntryKind::Written, lent);
    }
}

impl CanWrite for BulkSource {
    #[inline]
    fn begin_written(builder: &mut OutputBuilder, lent: Option<Lent<'_>>) {
        builder.emit_fns.written = Some(output_builder::emit_written);
        builder.set_kind(EntryKind::Written, lent);
    }
}

impl SourceWorld for DataSource {
    fn take_or_empty(builder: &mut OutputBuilder) -> Result<HostOutput, Failure> {
        host::emit_all(&builder.columns, None)
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

/// Worlds that make elements by writing only.
macro_rules! writes {
    ($($world:ident),*) => {$(
        impl CanMake for $world {
            #[inline(always)]
            fn take_output(builder: &mut OutputBuilder) -> Result<Option<HostOutput>, Failure> {
                let mut output = None;
                if let Some(emit_fn) = builder.emit_fns.written {
                    emit_fn(&builder.columns, None, &mut output)?;
                }
                Ok(output)
            }
        }

        impl CanWrite for $world {
            /// In `flush`, the first write sets the function that emits: a stage that writes nothing there has no code
            /// for it.
            #[inline(always)]
            fn begin_written(builder: &mut OutputBuilder, lent: Option<Lent<'_>>) {
                if lent.is_none() {
                    builder.emit_fns.written = Some(output_builder::emit_only_written);
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
            fn take_flushed(builder: &mut OutputBuilder) -> Result<Option<HostOutput>, Failure> {
                Self::take_output(builder)
            }
        }
    )*};
}
writes!(Replacer, Transform);

/// Worlds that make elements by cutting only.
macro_rules! cuts {
    ($($world:ident),*) => {$(
        impl CanSlice for $world {}

        impl ProcessorWorld for $world {
            const MAKES: Makes = Makes::Several;

            fn finish(output: Output<'_, Self>) -> Result<Outcome, Failure> {
                output.finish()
            }
        }
    )*};
}
cuts!(Chunker, Slicer);

/// Worlds that make elements from held elements only.
macro_rules! holds {
    ($($world:ident),*) => {$(
        impl CanMake for $world {}
        impl CanHold for $world {}

        impl ProcessorWorld for $world {
            const MAKES: Makes = Makes::Several;

            #[inline(always)]
            fn begin_forwarded(builder: &mut OutputBuilder) {
                builder.emit_fns.parts = Some(output_builder::emit_wholes);
            }

            fn finish(output: Output<'_, Self>) -> Result<Outcome, Failure> {
                output.finish()
            }

            fn flush<S: BatchProcessor<Self>>(stage: &mut S, writer: &mut Writer<Self>) -> Result<(), Failure> {
                stage.flush(writer)
            }

            fn take_flushed(builder: &mut OutputBuilder) -> Result<Option<HostOutput>, Failure> {
                Self::take_output(builder)
            }
        }
    )*};
}
holds!(Holder, Collector);

impl ProcessorWorld for Windowed {
    const MAKES: Makes = Makes::Several;

    #[inline(always)]
    fn begin_forwarded(builder: &mut OutputBuilder) {
        builder.emit_fns.parts = Some(output_builder::emit_parts);
    }

    fn finish(output: Output<'_, Self>) -> Result<Outcome, Failure> {
        output.finish()
    }

    fn flush<S: BatchProcessor<Self>>(stage: &mut S, writer: &mut Writer<Self>) -> Result<(), Failure> {
        stage.flush(writer)
    }

    fn take_flushed(builder: &mut OutputBuilder) -> Result<Option<HostOutput>, Failure> {
        Self::take_output(builder)
    }
}
