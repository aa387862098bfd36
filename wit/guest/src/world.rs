//! The worlds of the contract as types: what a stage can do with payloads is a bound on one of these.

use crate::bindings::lifecycle::types::{self, Failure};
use crate::output::{Output, Writer};
use crate::stage::BatchProcessor;

mod sealed {
    pub trait Sealed {}
}

/// World `router`: neither reads nor writes payloads.
#[derive(Debug, Clone, Copy)]
pub enum Router {}

/// World `inspector`: reads payloads.
#[derive(Debug, Clone, Copy)]
pub enum Inspector {}

/// World `transform`: reads and writes payloads.
#[derive(Debug, Clone, Copy)]
pub enum Transform {}

/// World `data-sink`: reads payloads.
#[derive(Debug, Clone, Copy)]
pub enum DataSink {}

/// A world that imports `payload-read`.
pub trait CanRead: sealed::Sealed {}

/// A world that imports `payload-write`.
pub trait CanWrite: sealed::Sealed {}

/// A world that exports `processor`.
///
/// The hidden functions are where the worlds differ at the end of a call. They are in the trait so that a stage that
/// cannot write has no code that could: the import is then absent from its component.
pub trait ProcessorWorld: sealed::Sealed + Sized + 'static {
    #[doc(hidden)]
    fn finish(output: Output<'_, Self>) -> Result<types::Outcome, Failure> {
        Ok(types::Outcome::Routes(output.into_routes()))
    }

    #[doc(hidden)]
    fn flush<S: BatchProcessor<Self>>(_stage: &mut S, _writer: &mut Writer) -> Result<(), Failure> {
        Ok(())
    }

    #[doc(hidden)]
    fn emit(_writer: &mut Writer) -> Result<Option<types::Output>, Failure> {
        Ok(None)
    }
}

impl sealed::Sealed for Router {}
impl sealed::Sealed for Inspector {}
impl sealed::Sealed for Transform {}
impl sealed::Sealed for DataSink {}

impl CanRead for Inspector {}
impl CanRead for Transform {}
impl CanRead for DataSink {}
impl CanWrite for Transform {}

impl ProcessorWorld for Router {}
impl ProcessorWorld for Inspector {}

impl ProcessorWorld for Transform {
    fn finish(output: Output<'_, Self>) -> Result<types::Outcome, Failure> {
        output.into_outcome()
    }

    fn flush<S: BatchProcessor<Self>>(stage: &mut S, writer: &mut Writer) -> Result<(), Failure> {
        stage.flush(writer)
    }

    fn emit(writer: &mut Writer) -> Result<Option<types::Output>, Failure> {
        if writer.is_empty() { Ok(None) } else { writer.emit().map(Some) }
    }
}
