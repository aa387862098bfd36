//! The W3C Trace Context, level 1: the trace that elements are part of, and the span in which they entered the flow.

use std::fmt;
use std::str::FromStr;

use crate::base::rng::Rng;

/// A trace, and a span in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    /// The trace ID; not 0.
    pub id: u128,
    /// The ID of the parent span; not 0.
    pub span: u64,
    /// Whether the trace may have been recorded. Other flags have no meaning in level 1, and are not kept.
    pub sampled: bool,
}

/// Why a text is not a valid `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TraceError {
    /// The text does not have four parts of the right length, or has a character other than `0` to `9` and `a` to `f`.
    #[error("a traceparent is 00-TRACE-SPAN-FLAGS, with 2, 32, 16 and 2 lowercase hexadecimal digits")]
    Form,
    /// The version is `ff`, which is not valid.
    #[error("the version `ff` is not valid")]
    Version,
    /// The trace ID is 0.
    #[error("the trace is all zeros")]
    Trace,
    /// The span ID is 0.
    #[error("the span is all zeros")]
    Span,
}

impl FromStr for Trace {
    type Err = TraceError;

    /// Parses a `traceparent`: version, trace, span and flags. Further parts of a later version are ignored.
    fn from_str(text: &str) -> Result<Self, TraceError> {
        let mut parts = text.splitn(5, '-');
        let mut part = |digits| parts.next().and_then(|part| hex(part, digits)).ok_or(TraceError::Form);
        let (version, id, span, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
        match version {
            0xff => Err(TraceError::Version),
            0 if parts.next().is_some() => Err(TraceError::Form),
            _ if id == 0 => Err(TraceError::Trace),
            _ if span == 0 => Err(TraceError::Span),
            _ => Ok(Trace { id, span: span as u64, sampled: flags & 1 != 0 }),
        }
    }
}

fn hex(part: &str, digits: usize) -> Option<u128> {
    let known = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    (part.len() == digits && part.bytes().all(known)).then(|| u128::from_str_radix(part, 16).ok())?
}

impl fmt::Display for Trace {
    /// Formats a `traceparent`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.id, self.span, u8::from(self.sampled))
    }
}

/// Generates unique span IDs.
#[derive(Debug)]
pub(crate) struct Spans(Rng);

impl Spans {
    /// Starts at `first`, which should be random.
    pub(crate) fn new(first: u64) -> Self {
        Spans(Rng::new(first))
    }

    /// The next span ID: never 0 and never one that was returned before. The generator is a counter, mixed by invertible
    /// steps, so no value repeats.
    pub(crate) fn next(&mut self) -> u64 {
        loop {
            let span = self.0.next();
            if span != 0 {
                return span;
            }
        }
    }
}

/// A new random trace ID.
pub(crate) fn new_id<E>(mut draw: impl FnMut() -> Result<u64, E>) -> Result<u128, E> {
    loop {
        let id = u128::from(draw()?) << 64 | u128::from(draw()?);
        if id != 0 {
            return Ok(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn parses_and_formats_a_traceparent() {
        let trace: Trace = EXAMPLE.parse().unwrap();
        let expected = (0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736, 0x00f0_67aa_0ba9_02b7, true);
        assert_eq!((trace.id, trace.span, trace.sampled), expected);
        assert_eq!(trace.to_string(), EXAMPLE);
        let with = |flags: &str| EXAMPLE.replace("-01", flags).parse::<Trace>().unwrap();
        assert_eq!((with("-00").sampled, with("-09").sampled, with("-fe").sampled), (false, true, false));
        assert_eq!(with("-09").to_string(), EXAMPLE, "only the defined flag is kept");
        assert_eq!(format!("cc{}-more-of-it", &EXAMPLE[2..]).parse(), Ok(trace), "a later version");
    }

    #[test]
    fn rejects_invalid_traceparents() {
        let read = |text: &str| text.parse::<Trace>().unwrap_err();
        for text in [
            "",
            "00",
            &EXAMPLE[..54],
            &EXAMPLE.to_uppercase(),
            &format!("{EXAMPLE}-00"),
            &format!("{EXAMPLE}0"),
            &format!(" {EXAMPLE}"),
            &EXAMPLE.replace("4bf9", "+bf9"),
            &EXAMPLE.replace("4bf9", "4bé"),
            &EXAMPLE.replace("00-4bf9", "0-04bf9"),
        ] {
            assert_eq!(read(text), TraceError::Form, "{text}");
        }
        assert_eq!(read(&EXAMPLE.replacen("00", "ff", 1)), TraceError::Version);
        assert_eq!(read("00-00000000000000000000000000000000-00f067aa0ba902b7-01"), TraceError::Trace);
        assert_eq!(read("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01"), TraceError::Span);
    }

    #[test]
    fn spans_and_traces_are_unique() {
        let mut spans = Spans::new(getrandom::u64().unwrap());
        let given: std::collections::BTreeSet<_> = (0..1000).map(|_| spans.next()).collect();
        assert!(given.len() == 1000 && !given.contains(&0));
        assert_ne!(new_id(getrandom::u64).unwrap(), new_id(getrandom::u64).unwrap());
    }
}
