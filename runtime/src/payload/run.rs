//! Runs: consecutive elements that move together.
//!
//! An input cuts many elements out of one block, and a stage writes many into one. A run has such a block once, and for each
//! element only where its bytes are and its number. So moving a run costs the same however many elements it has, and nothing
//! is counted up or down per element. An element that is not like that is a run by itself.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::attributes::Attributes;
use super::element::{Context, Element};
use super::view::Piece;
use super::{Block, Gathered, Payload, Pool};
use crate::contract::Trace;
use crate::ledger::ownership::BufferId;

/// Where the bytes of an element are in the payload of its run, and its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    start: u32,
    len: u32,
    /// Its sequence number, less that of the run.
    number: u32,
}

/// Bytes of memory for an element of a run.
pub(crate) const SPAN_BYTES: usize = size_of::<Span>();

/// One element, or consecutive elements whose payloads are parts of one payload. They have the same timestamp and context.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    /// The element; or, if there are parts, what they have in common: its payload contains theirs, and its number is the least
    /// that theirs count from.
    whole: Element,
    parts: Option<Parts>,
}

#[derive(Debug, Clone)]
struct Parts {
    /// Shared by the runs that were split off.
    spans: Arc<[Span]>,
    from: u32,
    to: u32,
    /// Payload bytes from `from` to `to`.
    bytes: usize,
}

impl Parts {
    fn spans(&self) -> &[Span] {
        &self.spans[self.from as usize..self.to as usize]
    }
}

impl From<Element> for Run {
    #[inline]
    fn from(whole: Element) -> Run {
        Run { whole, parts: None }
    }
}

impl Run {
    /// The number of elements; at least 1.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.parts.as_ref().map_or(1, |parts| (parts.to - parts.from) as usize)
    }

    /// Payload bytes of all elements.
    #[inline]
    pub(crate) fn bytes(&self) -> usize {
        self.parts.as_ref().map_or_else(|| self.whole.payload.len(), |parts| parts.bytes)
    }

    /// Bytes of host memory for attributes and piece lists of all elements; 0 for most.
    #[inline]
    pub(crate) fn structure_bytes(&self) -> usize {
        self.whole.structure_bytes() * self.len()
    }

    /// The payload that has the payloads of all elements.
    #[inline]
    pub(crate) fn payload(&self) -> &Payload {
        &self.whole.payload
    }

    /// The element at `index`, which must be one.
    #[inline]
    pub(crate) fn get(&self, index: usize) -> ElementRef<'_> {
        match &self.parts {
            None => ElementRef::from(&self.whole),
            Some(parts) => self.part(parts.spans()[index]),
        }
    }

    #[inline]
    fn part(&self, span: Span) -> ElementRef<'_> {
        let Span { start, len, number } = span;
        let sequence = self.whole.sequence.saturating_add(number.into());
        ElementRef { whole: &self.whole, start: start as usize, len: len as usize, sequence }
    }

    /// The elements, in order.
    #[inline]
    pub(crate) fn iter(&self) -> impl Iterator<Item = ElementRef<'_>> + Clone {
        let spans = self.parts.as_ref().map_or(&[][..], Parts::spans);
        let alone = self.parts.is_none().then(|| ElementRef::from(&self.whole));
        alone.into_iter().chain(spans.iter().map(|span| self.part(*span)))
    }

    /// The number of the last element.
    #[inline]
    pub(crate) fn last_sequence(&self) -> u64 {
        self.get(self.len() - 1).sequence
    }

    /// Appends the payload bytes of each element to `column`.
    #[inline]
    pub(crate) fn append_sizes(&self, column: &mut Vec<u64>) {
        match &self.parts {
            None => column.push(self.whole.payload.len() as u64),
            Some(parts) => column.extend(parts.spans().iter().map(|span| u64::from(span.len))),
        }
    }

    /// Appends the sequence number of each element to `column`.
    pub(crate) fn append_sequences(&self, column: &mut Vec<u64>) {
        let first = self.whole.sequence;
        match &self.parts {
            None => column.push(first),
            Some(parts) => column.extend(parts.spans().iter().map(|span| first.saturating_add(span.number.into()))),
        }
    }

    /// Sets the number of the first element, from which those of the others count, and the time and context of all.
    pub(crate) fn stamp(&mut self, first: u64, timestamp: u64, context: Option<Arc<Context>>) {
        let payload = std::mem::take(&mut self.whole.payload);
        self.whole = Element { payload, sequence: first, timestamp, context };
    }

    /// How many elements, from the first on, have at most `bytes` payload bytes in all. At most `most`.
    pub(crate) fn count_within(&self, bytes: usize, most: usize) -> usize {
        if self.bytes() <= bytes {
            return self.len().min(most);
        }
        let mut left = bytes;
        let fits = |element: &ElementRef<'_>| {
            let rest = left.checked_sub(element.len());
            left = rest.unwrap_or(left);
            rest.is_some()
        };
        self.iter().take(most).take_while(fits).count()
    }

    /// Splits off the first `count` elements: at least one, and not all.
    pub(crate) fn split_to(&mut self, count: usize) -> Run {
        let Some(parts) = &mut self.parts else { unreachable!("an element by itself cannot be split") };
        debug_assert!(0 < count && count < parts.spans().len(), "both runs have elements");
        let at = parts.from + count as u32;
        let bytes = parts.spans()[..count].iter().map(|span| span.len as usize).sum();
        let first = Parts { spans: parts.spans.clone(), from: parts.from, to: at, bytes };
        (parts.from, parts.bytes) = (at, parts.bytes - bytes);
        Run { whole: self.whole.clone(), parts: Some(first) }
    }

    /// The elements for whose index `keep` is true, if there are any.
    pub(crate) fn select(&self, mut keep: impl FnMut(usize) -> bool) -> Option<Run> {
        let Some(parts) = &self.parts else { return keep(0).then(|| self.clone()) };
        let kept = parts.spans().iter().enumerate().filter(|(index, _)| keep(*index));
        let kept: Vec<Span> = kept.map(|(_, span)| *span).collect();
        (!kept.is_empty()).then(|| Run { whole: self.whole.clone(), parts: Some(Parts::from(&kept[..])) })
    }

    /// The elements, each by itself.
    pub(crate) fn into_elements(self) -> impl Iterator<Item = Element> {
        let of_parts: Vec<Element> = match &self.parts {
            None => Vec::new(),
            Some(_) => self.iter().map(|element| element.to_element()).collect(),
        };
        self.parts.is_none().then_some(self.whole).into_iter().chain(of_parts)
    }

    /// The parts of the payload with the bytes of the elements, in order. Elements that follow one another in it are in one part;
    /// none is empty.
    pub(super) fn stretches(&self) -> impl Iterator<Item = Range<usize>> {
        let alone = self.parts.is_none().then(|| 0..self.whole.payload.len());
        let of_parts = self.stretches_with(b"").into_iter().flat_map(|(_, stretches)| stretches.map(|(part, _)| part));
        alone.into_iter().chain(of_parts).filter(|part| !part.is_empty())
    }

    /// Appends the payload bytes of all elements to `block`, which must have room for them. Returns how many were in memory.
    pub(super) fn append_to(&self, block: &mut Block) -> io::Result<u64> {
        let Some((bytes, stretches)) = self.stretches_with(b"") else {
            return self.whole.payload.append_views_to(block);
        };
        block.append_all(stretches.map(|(part, _)| &bytes[part]), &[]).map_err(io::Error::other)?;
        Ok(self.bytes() as u64)
    }

    /// The payload, and its parts with the bytes of the elements, each followed by `end`; `None` for an element by itself.
    pub(crate) fn stretches_with(&self, end: &'static [u8]) -> Option<(&[u8], Stretches<'_>)> {
        let (parts, bytes) = (self.parts.as_ref()?, self.whole.payload.as_slice()?);
        Some((bytes, Stretches { bytes, spans: parts.spans(), end }))
    }

    /// The element of a run of one, by itself from now on.
    pub(crate) fn make_alone(&mut self) -> &mut Element {
        debug_assert_eq!(self.len(), 1, "the run has one element");
        if self.parts.is_some() {
            *self = self.get(0).to_element().into();
        }
        &mut self.whole
    }
}

/// The parts of a payload that have the bytes of elements with the end of each, in order. Elements that follow one another there,
/// with the end between them, are in one part.
pub(crate) struct Stretches<'a> {
    bytes: &'a [u8],
    spans: &'a [Span],
    end: &'static [u8],
}

impl Iterator for Stretches<'_> {
    /// The part, and whether the end of its last element is missing: it does not follow in the payload.
    type Item = (Range<usize>, bool);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let [first, rest @ ..] = self.spans else { return None };
        self.spans = rest;
        let start = first.start as usize;
        let mut at = start + first.len as usize;
        loop {
            let ends = match self.end {
                [] => true,
                [byte] => self.bytes.get(at) == Some(byte),
                end => self.bytes[at..].starts_with(end),
            };
            if !ends {
                return Some((start..at, true));
            }
            at += self.end.len();
            match self.spans {
                [next, rest @ ..] if next.start as usize == at => {
                    self.spans = rest;
                    at += next.len as usize;
                }
                _ => return Some((start..at, false)),
            }
        }
    }
}

/// The element at `index` of these runs.
pub(crate) fn find<'a>(mut runs: impl Iterator<Item = &'a Run>, mut index: usize) -> Option<ElementRef<'a>> {
    runs.find_map(|run| match index.checked_sub(run.len()) {
        Some(rest) => {
            index = rest;
            None
        }
        None => Some(run.get(index)),
    })
}

impl From<&[Span]> for Parts {
    fn from(spans: &[Span]) -> Parts {
        let bytes = spans.iter().map(|span| span.len as usize).sum();
        Parts { spans: spans.into(), from: 0, to: spans.len() as u32, bytes }
    }
}

/// An element of a run.
#[derive(Debug, Clone, Copy)]
pub struct ElementRef<'a> {
    whole: &'a Element,
    start: usize,
    len: usize,
    sequence: u64,
}

impl<'a> From<&'a Element> for ElementRef<'a> {
    #[inline]
    fn from(element: &'a Element) -> ElementRef<'a> {
        ElementRef { whole: element, start: 0, len: element.payload.len(), sequence: element.sequence }
    }
}

impl<'a> ElementRef<'a> {
    /// Bytes of the payload.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the payload has no bytes.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether it has all of the payload of its run.
    #[inline]
    fn is_whole(&self) -> bool {
        self.len == self.whole.payload.len()
    }

    /// Its number at the source it came from, from 0.
    #[inline]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// When it entered the flow, in nanoseconds since the Unix epoch.
    #[inline]
    pub fn timestamp(&self) -> u64 {
        self.whole.timestamp
    }

    /// What it carries besides, if anything.
    #[inline]
    pub fn context(&self) -> Option<&'a Arc<Context>> {
        self.whole.context.as_ref()
    }

    /// When it is due at the end of the flow, in nanoseconds since the Unix epoch.
    #[inline]
    pub fn deadline(&self) -> Option<u64> {
        self.whole.deadline()
    }

    /// The trace that it belongs to.
    #[inline]
    pub fn trace(&self) -> Option<Trace> {
        self.whole.trace()
    }

    /// Its attributes.
    #[inline]
    pub fn attributes(&self) -> &'a Attributes {
        self.whole.attributes()
    }

    /// Its payload, which shares the bytes.
    #[inline]
    pub fn payload(&self) -> Payload {
        if self.is_whole() {
            return self.whole.payload.clone();
        }
        self.whole.payload.slice(self.start, self.len).expect("the element is within its run")
    }

    /// Bytes of its payload, if they are in memory in one piece.
    #[inline]
    pub fn as_slice(&self) -> Option<&'a [u8]> {
        Some(&self.whole.payload.as_slice()?[self.start..self.start + self.len])
    }

    /// The parts of its payload, in order, wherever they are.
    pub fn parts(&self) -> impl Iterator<Item = Piece<'a>> {
        let is_whole = self.is_whole();
        let part = self.as_slice().filter(|_| !is_whole).map(Piece::Memory);
        part.into_iter().chain(self.whole.payload.parts().filter(move |_| is_whole))
    }

    /// As [`Payload::slice`], for a part of its payload.
    #[inline]
    pub fn slice(&self, offset: usize, len: usize) -> Option<Payload> {
        (offset.checked_add(len)? <= self.len).then(|| self.whole.payload.slice(self.start + offset, len))?
    }

    /// As [`Payload::gather`], for a part of its payload.
    ///
    /// # Errors
    ///
    /// As [`Payload::gather`].
    ///
    /// # Panics
    ///
    /// If it does not have these bytes.
    #[inline]
    pub fn gather(&self, offset: usize, len: usize, pool: &Pool) -> io::Result<Gathered> {
        assert!(offset + len <= self.len, "the bytes are of the element");
        self.whole.payload.gather(self.start + offset, len, pool)
    }

    /// The number of pieces of its payload; 0 if it is empty.
    pub fn piece_count(&self) -> usize {
        if self.is_whole() { self.whole.payload.piece_count() } else { usize::from(self.len > 0) }
    }

    /// The buffer that holds all its bytes, if there is one.
    #[inline]
    pub(crate) fn buffer(&self) -> Option<BufferId> {
        self.whole.payload.buffer().filter(|_| self.len > 0)
    }

    /// The element, which shares the bytes.
    pub fn to_element(&self) -> Element {
        let &Element { timestamp, ref context, .. } = self.whole;
        Element { payload: self.payload(), sequence: self.sequence, timestamp, context: context.clone() }
    }
}

/// Collects elements into runs.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    /// What the parts in `spans` have in common.
    open: Option<Element>,
    spans: Vec<Span>,
    done: Vec<Run>,
}

impl Runs {
    /// Adds an element by itself.
    pub(crate) fn add(&mut self, element: Element) {
        self.close();
        self.done.push(element.into());
    }

    /// Adds an element of a run.
    #[inline]
    pub(crate) fn add_ref(&mut self, element: ElementRef<'_>) {
        if element.is_whole() {
            self.add(element.to_element());
        } else {
            self.add_part(&element.whole.payload, element.start, element.len, element.into());
        }
    }

    /// Adds `len` bytes of `payload` from `start` on as an element. It must have them.
    #[inline]
    pub(crate) fn add_part(&mut self, payload: &Payload, start: usize, len: usize, like: Header<'_>) {
        if let Some(number) = self.next_number(payload, like) {
            // A payload in one piece of memory is far shorter than 2^32 bytes, or it is never opened.
            self.spans.push(Span { start: start as u32, len: len as u32, number });
        } else {
            self.open(payload, start, len, like);
        }
    }

    /// The number of an element that continues the open run, if it does.
    #[inline]
    fn next_number(&self, payload: &Payload, like: Header<'_>) -> Option<u32> {
        let open = self.open.as_ref()?;
        let same = open.payload.is_same(payload)
            && open.timestamp == like.timestamp
            && open.context.as_ref().map(Arc::as_ptr) == like.context.map(Arc::as_ptr);
        u32::try_from(like.sequence.checked_sub(open.sequence)?).ok().filter(|_| same)
    }

    /// Begins a run of parts of `payload`, of which the first is `like` this; or continues the open run, if it can.
    ///
    /// # Panics
    ///
    /// If the payload [has no parts](has_parts).
    pub(crate) fn parts_of(&mut self, payload: &Payload, like: Header<'_>) -> PartsOf<'_> {
        let next = self.next_number(payload, like).unwrap_or_else(|| {
            assert!(has_parts(payload), "the payload is in memory in one piece, and below 4 GiB");
            self.close();
            self.open = Some(like.element(payload.clone()));
            0
        });
        PartsOf { len: payload.len(), first: like.sequence - u64::from(next), spans: &mut self.spans, next }
    }

    /// Adds a part of `payload` for each element of `like`, with its number, time and context, until there are no more `sizes`: the
    /// first from `start` on, and each `gap` bytes after the one before. Returns where the next one would begin.
    ///
    /// # Panics
    ///
    /// If `sizes` is empty, if a part is out of bounds, or if the payload [has no parts](has_parts).
    pub(crate) fn add_parts_like(
        &mut self,
        like: &Run,
        payload: &Payload,
        mut start: usize,
        sizes: &[u64],
        gap: usize,
    ) -> usize {
        let mut parts = self.parts_of(payload, like.get(0).into());
        let Some(of_like) = &like.parts else {
            let len = sizes[0] as usize;
            parts.add(start, len);
            return start + len + gap;
        };
        for (span, &size) in of_like.spans().iter().zip(sizes) {
            let (element, len) = (like.part(*span), size as usize);
            if !parts.add_numbered(start, len, element.sequence) {
                parts = self.parts_of(payload, element.into());
                parts.add(start, len);
            }
            start += len + gap;
        }
        start
    }

    fn open(&mut self, payload: &Payload, start: usize, len: usize, like: Header<'_>) {
        if has_parts(payload) {
            self.parts_of(payload, like).add(start, len);
        } else {
            self.close();
            let part = payload.slice(start, len).expect("the payload has the part");
            self.done.push(like.element(part).into());
        }
    }

    fn close(&mut self) {
        let Some(mut whole) = self.open.take() else { return };
        let run = match self.spans[..] {
            [] => return,
            [Span { start, len, .. }] => {
                whole.payload = whole.payload.slice(start as usize, len as usize).expect("the payload has the part");
                whole.into()
            }
            ref spans => Run { whole, parts: Some(spans.into()) },
        };
        self.spans.clear();
        self.done.push(run);
    }

    /// The number of complete runs, after the open one is completed.
    pub(crate) fn count(&mut self) -> usize {
        self.close();
        self.done.len()
    }

    /// Takes the runs.
    pub(crate) fn drain(&mut self) -> std::vec::Drain<'_, Run> {
        self.close();
        self.done.drain(..)
    }
}

/// Whether parts of the payload can be a run: it is in memory in one piece, and places in it fit into a span.
pub(crate) fn has_parts(payload: &Payload) -> bool {
    payload.as_slice().is_some() && u32::try_from(payload.len()).is_ok()
}

/// Adds consecutive elements that are parts of one payload.
pub(crate) struct PartsOf<'a> {
    /// Bytes of the payload.
    len: usize,
    /// The number that those of the run count from.
    first: u64,
    spans: &'a mut Vec<Span>,
    /// The number of the next element, less `first`.
    next: u32,
}

impl PartsOf<'_> {
    /// Adds `len` bytes from `start` on as the element with the next number.
    ///
    /// # Panics
    ///
    /// If the payload does not have these bytes.
    #[inline]
    pub(crate) fn add(&mut self, start: usize, len: usize) {
        self.push(start, len, self.next);
        self.next += 1;
    }

    /// As [`PartsOf::add`], with this number. Returns whether the run can have it; if not, nothing is added.
    #[inline]
    fn add_numbered(&mut self, start: usize, len: usize, sequence: u64) -> bool {
        let number = u32::try_from(sequence.wrapping_sub(self.first));
        number.map(|number| self.push(start, len, number)).is_ok()
    }

    #[inline]
    fn push(&mut self, start: usize, len: usize, number: u32) {
        assert!(start <= self.len && len <= self.len - start, "the payload has the part");
        self.spans.push(Span { start: start as u32, len: len as u32, number });
    }
}

/// What an element has besides its payload.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Header<'a> {
    pub(crate) sequence: u64,
    pub(crate) timestamp: u64,
    pub(crate) context: Option<&'a Arc<Context>>,
}

impl Header<'_> {
    fn element(self, payload: Payload) -> Element {
        Element { payload, sequence: self.sequence, timestamp: self.timestamp, context: self.context.cloned() }
    }
}

impl<'a> From<ElementRef<'a>> for Header<'a> {
    fn from(element: ElementRef<'a>) -> Header<'a> {
        Header { sequence: element.sequence, timestamp: element.timestamp(), context: element.context() }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const HEADER: Header<'_> = Header { sequence: 0, timestamp: 7, context: None };

    /// A run of the lines of a text, numbered from 10.
    fn lines(pool: &Pool, text: &'static str) -> Run {
        let payload = pool.adopt(Bytes::from_static(text.as_bytes()));
        let mut runs = Runs::default();
        let mut start = 0;
        for (sequence, line) in (10..).zip(text.lines()) {
            runs.add_part(&payload, start, line.len(), Header { sequence, ..HEADER });
            start += line.len() + 1;
        }
        let [run] = runs.drain().collect::<Vec<_>>().try_into().expect("the lines are in one payload");
        run
    }

    fn shown(run: &Run) -> Vec<(u64, String)> {
        let text = |element: ElementRef<'_>| String::from_utf8(element.as_slice().unwrap().to_vec()).unwrap();
        run.iter().map(|element| (element.sequence(), text(element))).collect()
    }

    fn expected(elements: &[(u64, &str)]) -> Vec<(u64, String)> {
        elements.iter().map(|(sequence, text)| (*sequence, text.to_string())).collect()
    }

    #[test]
    fn collects_parts_of_one_payload() {
        let pool = Pool::default();
        let run = lines(&pool, "one\n\nthree");
        assert_eq!((run.len(), run.bytes(), run.last_sequence()), (3, 8, 12));
        assert_eq!(shown(&run), expected(&[(10, "one"), (11, ""), (12, "three")]));
        let elements: Vec<_> = run.clone().into_elements().collect();
        assert_eq!(elements.len(), 3);
        assert!(elements[2].payload == *b"three".as_slice() && elements[1].payload.is_empty());
        assert_eq!((elements[2].sequence, elements[2].timestamp), (12, 7));
    }

    #[test]
    fn elements_that_differ_in_more_than_their_place_are_other_runs() {
        let pool = Pool::default();
        let (one, two) = (pool.adopt("abcd".into()), pool.adopt("efgh".into()));
        let context = Arc::new(Context::default());
        let mut runs = Runs::default();
        runs.add_part(&one, 0, 2, Header { sequence: 5, ..HEADER });
        runs.add_part(&one, 2, 2, Header { sequence: 6, ..HEADER });
        runs.add_part(&two, 0, 2, Header { sequence: 7, ..HEADER });
        runs.add_part(&two, 0, 2, Header { sequence: 8, timestamp: 8, ..HEADER });
        runs.add_part(&two, 0, 2, Header { sequence: 9, timestamp: 8, context: Some(&context) });
        runs.add_part(&two, 0, 2, Header { sequence: 3, timestamp: 8, context: Some(&context) });
        runs.add_part(&two, 2, 2, Header { sequence: 3, timestamp: 8, context: Some(&context) });
        let numbers = |run: Run| run.iter().map(|element| element.sequence()).collect::<Vec<_>>();
        let runs: Vec<_> = runs.drain().map(numbers).collect();
        assert_eq!(runs, [vec![5, 6], vec![7], vec![8], vec![9], vec![3, 3]]);
        drop(context);
    }

    #[test]
    fn adds_a_part_for_each_element_of_a_run() {
        let pool = Pool::default();
        let (from, written) = (pool.adopt("abcdef".into()), pool.adopt("one.two..three.four.".into()));
        // Numbers may go back within a run, but not below its first.
        let mut numbered = Runs::default();
        for (start, sequence) in [5, 9, 7, 8].into_iter().enumerate() {
            numbered.add_part(&from, start, 1, Header { sequence, ..HEADER });
        }
        numbered.add_part(&from, 4, 1, Header { sequence: 2, ..HEADER });
        let mut numbered: Vec<_> = numbered.drain().collect();
        assert_eq!(numbered.iter().map(Run::len).collect::<Vec<_>>(), [4, 1]);
        let mut runs = Runs::default();
        let start = runs.add_parts_like(&numbered[0], &written, 0, &[3, 3, 0, 5], 1);
        assert_eq!(start, 15);
        assert_eq!(runs.add_parts_like(&numbered[1], &written, start, &[4], 1), 20);
        let runs: Vec<_> = runs.drain().map(|run| shown(&run)).collect();
        assert_eq!(runs, [expected(&[(5, "one"), (9, "two"), (7, ""), (8, "three")]), expected(&[(2, "four")])]);

        numbered[0].split_to(1);
        let mut runs = Runs::default();
        runs.add_parts_like(&numbered[0], &written, 0, &[3, 3], 1);
        let runs: Vec<_> = runs.drain().map(|run| shown(&run)).collect();
        assert_eq!(runs, [expected(&[(9, "one")]), expected(&[(7, "two")])], "7 is below 9, the first");
    }

    #[test]
    #[should_panic(expected = "the payload has the part")]
    fn a_part_is_within_its_payload() {
        let payload = Pool::default().adopt("abc".into());
        Runs::default().parts_of(&payload, HEADER).add(2, 2);
    }

    #[test]
    fn a_run_without_elements_is_none() {
        let pool = Pool::default();
        let (one, two) = (pool.adopt("abc".into()), pool.adopt("def".into()));
        let mut runs = Runs::default();
        runs.parts_of(&one, HEADER);
        let mut parts = runs.parts_of(&two, Header { sequence: 3, ..HEADER });
        parts.add(0, 1);
        parts.add(1, 2);
        runs.parts_of(&one, Header { sequence: 5, ..HEADER });
        let runs: Vec<_> = runs.drain().map(|run| shown(&run)).collect();
        assert_eq!(runs, [expected(&[(3, "d"), (4, "ef")])]);
    }

    #[test]
    fn splits_and_selects() {
        let pool = Pool::default();
        let mut rest = lines(&pool, "a\nbb\nccc\ndddd");
        let first = rest.split_to(1);
        assert_eq!(shown(&first), expected(&[(10, "a")]));
        assert_eq!((shown(&rest).len(), rest.bytes(), rest.get(0).sequence()), (3, 9, 11));
        let odd = rest.select(|index| index != 1).unwrap();
        assert_eq!((shown(&odd), odd.bytes()), (expected(&[(11, "bb"), (13, "dddd")]), 6));
        assert!(rest.select(|_| false).is_none());
        assert_eq!([0, 1, 2, 4, 5, 9].map(|bytes| rest.count_within(bytes, 9)), [0, 0, 1, 1, 2, 3]);
        assert_eq!(rest.count_within(9, 2), 2);
    }

    #[test]
    fn knows_what_follows_in_the_payload() {
        let pool = Pool::default();
        let payload = pool.adopt("abcdefgh".into());
        let mut runs = Runs::default();
        for (sequence, (start, len)) in (0..).zip([(0, 2), (2, 1), (3, 0), (5, 2), (4, 1)]) {
            runs.add_part(&payload, start, len, Header { sequence, ..HEADER });
        }
        let run = runs.drain().next().unwrap();
        assert_eq!(run.stretches().collect::<Vec<_>>(), [0..3, 5..7, 4..5]);
        let with = |end: &'static str| run.stretches_with(end.as_bytes()).unwrap().1.collect::<Vec<_>>();
        assert_eq!(with(""), [(0..3, false), (5..7, false), (4..5, false)]);
        assert_eq!(with("d"), [(0..2, true), (2..4, false), (3..4, false), (5..7, true), (4..5, true)]);
        assert_eq!(with("de"), [(0..2, true), (2..5, false), (3..7, true), (4..5, true)]);
    }

    #[test]
    fn empty_elements_are_one_run() {
        let pool = Pool::default();
        let mut runs = Runs::default();
        (0..3).for_each(|sequence| runs.add_part(&Payload::default(), 0, 0, Header { sequence, ..HEADER }));
        let runs: Vec<_> = runs.drain().collect();
        assert_eq!((runs.len(), runs[0].len(), runs[0].bytes()), (1, 3, 0));
        assert!(runs[0].iter().all(|element| element.payload().is_empty() && element.gather(0, 0, &pool).is_ok()));
    }

    #[test]
    fn files_and_ropes_are_elements_by_themselves() {
        let pool = Pool::default();
        let (one, two) = (pool.adopt("abc".into()), pool.adopt("def".into()));
        let rope = Payload::join([&one, &two]);
        let mut runs = Runs::default();
        runs.add_part(&rope, 1, 4, HEADER);
        runs.add_part(&rope, 0, 6, Header { sequence: 1, ..HEADER });
        let runs: Vec<_> = runs.drain().collect();
        assert!(runs.iter().all(|run| run.len() == 1));
        assert!(*runs[0].payload() == *b"bcde".as_slice() && *runs[1].payload() == *b"abcdef".as_slice());
    }
}
