//! What moves through a flow.

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
    /// When it should have reached the end, in nanoseconds since the Unix epoch.
    #[inline]
    pub fn deadline(&self) -> Option<u64> {
        self.context.as_ref()?.deadline
    }

    /// The trace it is part of.
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

    /// Bytes of host memory that its attributes and the list of the pieces of its payload take; 0 for most elements. What
    /// every element has, such as its number, is not in it.
    #[inline]
    pub(crate) fn structure_bytes(&self) -> usize {
        let attributes = self.context.as_ref().map_or(0, |context| context.attributes.structure_bytes());
        self.payload.structure_bytes() + attributes
    }
}

/// What elements carry besides their payload, number and time. All elements of one pull share it, and what is made of
/// them, until a stage gives one of them attributes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context {
    /// When they should have reached the end, in nanoseconds since the Unix epoch; below 2^64 - 1.
    pub deadline: Option<u64>,
    /// The trace they are part of, and in it the span of the pull.
    pub trace: Option<Trace>,
    /// The attributes of this element, and of what came of it.
    pub attributes: Attributes,
}

/// What is made without lineage carries of what the last element does: not its attributes, which are of that one.
pub(crate) fn without_attributes(context: Option<&Arc<Context>>) -> Option<Arc<Context>> {
    let context = context?;
    if context.attributes.is_empty() {
        return Some(context.clone());
    }
    let Context { deadline, trace, .. } = **context;
    (deadline.is_some() || trace.is_some()).then(|| Arc::new(Context { deadline, trace, ..Context::default() }))
}

/// What an input says of an element of its own, in place of what the flow would say of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Its number; those after it are counted on from there.
    pub sequence: Option<u64>,
    /// When it entered the flow, in nanoseconds since the Unix epoch.
    pub timestamp: Option<u64>,
    /// The deadline: this long after the timestamp.
    pub deadline: Option<Duration>,
    /// The trace it is part of, and the span that it was brought in.
    pub trace: Option<Trace>,
    /// All its attributes.
    pub attributes: Option<Attributes>,
}

impl Metadata {
    /// Puts what is said in the place of what the element has.
    pub(crate) fn put_on(self, element: &mut Element) {
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

/// So long after a time, in nanoseconds since the Unix epoch.
fn time_after(timestamp: u64, time: Duration) -> u64 {
    timestamp.saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)).min(u64::MAX - 1)
}

/// The stamp of a source that runs.
pub(crate) struct Stamps {
    deadline: Option<u64>,
    trace: Option<(Trace, Spans)>,
}

impl Stamps {
    /// `of_flow` is the trace of the flow, made where a source first asks for it; `draw` gives random numbers.
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

    /// For the elements of a pull of this time.
    pub(crate) fn next(&mut self, timestamp: u64) -> Arc<Context> {
        let trace = self.trace.as_mut().map(|(trace, spans)| Trace { span: spans.next(), ..*trace });
        let deadline = self.deadline.map(|time| timestamp.saturating_add(time).min(u64::MAX - 1));
        Arc::new(Context { deadline, trace, ..Context::default() })
    }
}
