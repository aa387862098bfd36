//! [`BatchFailure`]: a failure, and where in the batch it occurred.

use std::error::Error;
use std::fmt;

use crate::batch::Element;
use crate::bindings::lifecycle::types::{Failure, ProcessFailure, PushFailure};

/// A failure of a stage that takes whole batches, and the element it failed on.
///
/// `?` converts a [`Failure`] into a `BatchFailure` without an element: the whole batch has then failed, and nothing
/// that was made of it is emitted. [`Failure::at`] names the element.
#[derive(Debug, Clone)]
pub struct BatchFailure {
    /// What went wrong.
    pub failure: Failure,
    /// The index of the element that the stage failed on, if it knows: what it did with earlier elements then counts.
    pub index: Option<u32>,
}

impl Failure {
    /// A failure on `element` of the batch. What was made of earlier elements is emitted; what was made of `element`
    /// since [`Output::at`](crate::Output::at) is discarded.
    ///
    /// ```
    /// use torvyn_guest::{Batch, BatchFailure, BatchProcessor, Config, Failure, Inspector, Output, Stage, testing};
    ///
    /// /// Accepts non-empty elements only.
    /// struct Strict;
    ///
    /// impl Stage for Strict {
    ///     fn new(_: &Config) -> Result<Self, Failure> {
    ///         Ok(Strict)
    ///     }
    /// }
    ///
    /// impl BatchProcessor<Inspector> for Strict {
    ///     fn process(
    ///         &mut self,
    ///         batch: Batch<'_, Inspector>,
    ///         out: &mut Output<'_, Inspector>,
    ///     ) -> Result<(), BatchFailure> {
    ///         for element in batch.iter() {
    ///             if element.size() == 0 {
    ///                 return Err(Failure::InvalidInput("the element is empty".to_string()).at(element));
    ///             }
    ///             out.at(element).forward();
    ///         }
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let failed = testing::process_batch(&mut Strict, &[b"one", b"", b"three"]).unwrap_err();
    /// assert_eq!(failed.index, Some(1));
    /// assert_eq!(failed.emitted[0].payload, b"one");
    /// ```
    #[inline]
    pub fn at<W>(self, element: Element<'_, W>) -> BatchFailure {
        BatchFailure { failure: self, index: Some(element.index()) }
    }
}

impl From<Failure> for BatchFailure {
    fn from(failure: Failure) -> Self {
        BatchFailure { failure, index: None }
    }
}

impl From<BatchFailure> for Failure {
    fn from(failed: BatchFailure) -> Self {
        failed.failure
    }
}

impl From<Failure> for ProcessFailure {
    fn from(failure: Failure) -> Self {
        ProcessFailure { failure, reached: None }
    }
}

impl From<Failure> for PushFailure {
    fn from(failure: Failure) -> Self {
        PushFailure { failure, index: None }
    }
}

impl From<BatchFailure> for PushFailure {
    fn from(failed: BatchFailure) -> Self {
        PushFailure { failure: failed.failure, index: failed.index }
    }
}

impl fmt::Display for BatchFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            Some(index) => write!(f, "{} at element {index} of the batch", self.failure),
            None => write!(f, "{}", self.failure),
        }
    }
}

impl Error for BatchFailure {}
