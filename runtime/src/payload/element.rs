//! Elements: what moves through a flow.

use std::sync::Arc;
use std::time::Duration;

use crate::contract::trace::{Spans, new_id};
use crate::contract::{Stamp, Trace, TraceOrigin};
use crate::payload::Payload;
use crate::payload::attributes::Attributes;

/// An element: metadata, and the payload in host memory.
#[derive(Debug, Clone)]
pub struct Element {
    /// The payload. Cloning it shares the bytes.
    pub payload: Payload,
    /// Its number at the source it came from, from 0.
    pub sequence: u64,
    /// When it entered the flow, in nanoseconds since the Unix epoch.
    pub timestamp: u64,
    /// What it carries besides, if anything.
    pub context: Option<Arc<Context>>,
}

impl Element {
    /// When it is due at the end of the flow, in nanoseconds since the Unix epoch.
    #[inline]
    pub fn deadline(&self) -> Option<u64> {
        self.context.as_ref()?.deadline
    }

    /// The trace that it belongs to.
    #[inline]
    pub fn trace(&self) -> Option<Trace> {
        self.context.as_ref()?.trace
    }

    /// Its attributes.
    #[inline]
    pub fn attributes(&self) -> &Attributes {
        static NONE: Attributes = Attributes::new();
        self.context.as_ref().map_or(&NONE, |context| &context.attributes)
    }

    /// Bytes of host memory for its attributes and the piece list of its payload; 0 for most elements. The fixed size of an
    /// element is not included.
    #[inline]
    pub(crate) fn structure_bytes(&self) -> usize {
        let attributes = self.context.as_ref().map_or(0, |context| context.attributes.structure_bytes());
        self.payload.structure_bytes() + attributes
    }
}

/// What elements carry besides payload, number and timestamp. All elements of one pull share it, together with the elements
/// made of them, until a stage gives one of them attributes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context {
    /// When they are due at the end of the flow, in nanoseconds since the Unix epoch; below 2^64 - 1.
    pub deadline: Option<u64>,
    /// The trace that they belong to, with the span of the pull.
    pub trace: Option<Trace>,
    /// The attributes of this element, and of the elements made of it.
    pub attributes: Attributes,
}

/// The context of an element made without lineage: that of the last element, without its attributes.
pub(crate) fn without_attributes(context: Option<&Arc<Context>>) -> Option<Arc<Context>> {
    let context = context?;
    if context.attributes.is_empty() {
        return Some(context.clone());
    }
    let Context { deadline, trace, .. } = **context;
    (deadline.is_some() || trace.is_some()).then(|| Arc::new(Context { deadline, trace, ..Context::default() }))
}

/// Metadata that an input gives one of its elements, in place of what the flow would set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Its number; the elements after it continue from there.
    pub sequence: Option<u64>,
    /// When it entered the flow, in nanoseconds since the Unix epoch.
    pub timestamp: Option<u64>,
    /// The deadline, as the time after the timestamp.
    pub deadline: Option<Duration>,
    /// The trace that it belongs to, with the span that brought it.
    pub trace: Option<Trace>,
    /// All its attributes.
    pub attributes: Option<Attributes>,
}

impl Metadata {
    /// Replaces the metadata of the element where this one says something.
    pub(crate) fn apply_to(self, element: &mut Element) {
        let Metadata { sequence, timestamp, deadline, trace, attributes } = self;
        element.sequence = sequence.unwrap_or(element.sequence);
        element.timestamp = timestamp.unwrap_or(element.timestamp);
        if deadline.is_some() || trace.is_some() || attributes.is_some() {
            let deadline = deadline.map(|time| time_after(element.timestamp, time));
            let (deadline, trace) = (deadline.or(element.deadline()), trace.or(element.trace()));
            let attributes = attributes.unwrap_or_else(|| element.attributes().clone());
            element.context = Some(Arc::new(Context { deadline, trace, attributes }));
        }
    }
}

/// The time after a timestamp, in nanoseconds since the Unix epoch.
fn time_after(timestamp: u64, time: Duration) -> u64 {
    timestamp.saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)).min(u64::MAX - 1)
}

/// Stamps the elements of a running source.
pub(crate) struct Stamps {
    deadline: Option<u64>,
    trace: Option<(Trace, Spans)>,
}

impl Stamps {
    /// `of_flow` is the trace of the flow, created when a source first needs it; `draw` returns random numbers.
    pub(crate) fn new<E>(
        stamp: Stamp,
        of_flow: &mut Option<u128>,
        mut draw: impl FnMut() -> Result<u64, E>,
    ) -> Result<Option<Self>, E> {
        if stamp == Stamp::default() {
            return Ok(None);
        }
        let trace = match stamp.trace {
            None => None,
            Some(TraceOrigin::Given(trace)) => Some((trace, Spans::new(draw()?))),
            Some(TraceOrigin::Flow) => {
                let id = of_flow.map_or_else(|| new_id(&mut draw), Ok)?;
                *of_flow = Some(id);
                Some((Trace { id, span: 0, sampled: true }, Spans::new(draw()?)))
            }
        };
        let deadline = stamp.deadline.map(|time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        Ok(Some(Stamps { deadline, trace }))
    }

    /// The trace of the elements.
    pub(crate) fn trace_id(&self) -> Option<u128> {
        self.trace.as_ref().map(|(trace, _)| trace.id)
    }

    /// The context of the elements of a pull at this time.
    pub(crate) fn next(&mut self, timestamp: u64) -> Arc<Context> {
        let trace = self.trace.as_mut().map(|(trace, spans)| Trace { span: spans.next(), ..*trace });
        let deadline = self.deadline.map(|time| timestamp.saturating_add(time).min(u64::MAX - 1));
        Arc::new(Context { deadline, trace, ..Context::default() })
    }
}
