//! The outputs that a stage makes in a call, and their contents.

use wasmtime::StoreContextMut;
use wasmtime::component::{LinkerInstance, Resource, ResourceType};

use super::host_memory::{self, limit};
use super::part::{Origin, Part, View};
use super::{Failure, Host, Output};
use crate::base::plural::counted;
use crate::base::text::format_bytes;
use crate::ledger::Count;
use crate::payload::ElementSet;

/// The most outputs that a stage can make in one call.
const MAX_OUTPUTS_A_CALL: usize = 1024;
/// The most elements that a stage can make in one call, over all outputs. Each costs host memory even without a payload.
const MAX_ELEMENTS_A_CALL: usize = 1 << 20;
/// The most pieces in the payloads that a stage makes in one call without writing them, over all outputs.
const MAX_PIECES_A_CALL: usize = 1 << 20;

/// What the current call has made and not returned yet.
pub(crate) struct Outputs {
    made: Vec<Option<OutputElements>>,
    /// The rep of the first output of this call.
    first: u32,
    /// Payload bytes written in this call.
    bytes: u64,
    /// Elements made in this call.
    pub(super) elements: usize,
    pieces: usize,
    /// Bytes of host memory charged for what this call made, besides payloads.
    pub(super) structures: u64,
    /// Payloads written in this call.
    written: u64,
    /// Whether this call may make elements.
    pub(crate) may_make: bool,
    /// Payload bytes that may be written in a call.
    most_bytes: u64,
}

/// The elements of one output, in order.
pub(crate) struct OutputElements {
    first: Part,
    /// The appended parts. Nearly every output has none.
    rest: Vec<Part>,
}

pub(super) fn link(types: &mut LinkerInstance<'_, Host>) -> wasmtime::Result<()> {
    types.resource("output", ResourceType::host::<Output>(), |mut store, rep| {
        store.data_mut().outputs.take(rep);
        Ok(())
    })?;
    types.func_wrap("[method]output.append", append)
}

fn append(
    mut store: StoreContextMut<'_, Host>,
    (to, other): (Resource<Output>, Resource<Output>),
) -> wasmtime::Result<()> {
    let outputs = &mut store.data_mut().outputs;
    let other = outputs.take(other.rep());
    let made = outputs.get_mut(to.rep());
    match (made, other) {
        (Some(made), Some(other)) => made.append(other),
        _ => wasmtime::bail!("an output belongs to another call"),
    }
    Ok(())
}

impl Outputs {
    pub(super) fn new(most_bytes: u64) -> Outputs {
        Outputs {
            made: Vec::new(),
            first: 0,
            bytes: 0,
            elements: 0,
            pieces: 0,
            structures: 0,
            written: 0,
            may_make: false,
            most_bytes,
        }
    }

    /// Checks that there is room for one more output with this many written bytes and elements.
    pub(super) fn room(&self, bytes: usize, elements: usize) -> Result<(), Failure> {
        if !self.may_make {
            return Err(Failure::InvalidInput(
                "elements can only be made in `pull`, `process` and `flush`".to_string(),
            ));
        }
        if self.made.len() == MAX_OUTPUTS_A_CALL {
            return Err(limit(format!("make at most {MAX_OUTPUTS_A_CALL} outputs in one call")));
        }
        if self.bytes + bytes as u64 > self.most_bytes {
            let most = format_bytes(self.most_bytes);
            return Err(limit(format!("make at most {most} of payloads in one call")));
        }
        if self.elements + elements > MAX_ELEMENTS_A_CALL {
            return Err(limit(format!("make at most {MAX_ELEMENTS_A_CALL} elements in one call")));
        }
        Ok(())
    }

    /// Checks that there is room for payloads of this many pieces.
    pub(super) fn room_for_pieces(&self, pieces: usize) -> Result<(), Failure> {
        if self.pieces + pieces > MAX_PIECES_A_CALL {
            return Err(limit(format!("make payloads of at most {MAX_PIECES_A_CALL} pieces in one call")));
        }
        Ok(())
    }

    /// Adds an output. The caller has checked that there is room.
    pub(super) fn push(&mut self, part: Part) -> Resource<Output> {
        self.elements += part.len();
        self.structures += part.structure_bytes();
        match &part {
            Part::Written(part) => {
                self.bytes += part.payload_bytes();
                self.written += part.written;
            }
            Part::Views(views) => self.pieces += views.iter().map(View::pieces).sum::<usize>(),
        }
        let rep = self.first.wrapping_add(self.made.len() as u32);
        self.made.push(Some(OutputElements { first: part, rest: Vec::new() }));
        Resource::new_own(rep)
    }

    fn get_mut(&mut self, rep: u32) -> Option<&mut OutputElements> {
        self.made.get_mut(rep.wrapping_sub(self.first) as usize)?.as_mut()
    }

    /// Removes the output, if it was made in this call.
    pub(super) fn take(&mut self, rep: u32) -> Option<OutputElements> {
        self.made.get_mut(rep.wrapping_sub(self.first) as usize)?.take()
    }

    /// How many payloads this call wrote that are not in `returned`.
    pub(super) fn unreturned(&self, returned: Option<&OutputElements>) -> u64 {
        self.written - returned.map_or(0, OutputElements::written)
    }

    /// What this call wrote to outputs.
    pub(super) fn wrote(&self) -> Count {
        Count { ops: self.written, bytes: self.bytes }
    }

    /// The elements of the batch that remaining outputs of this call come from.
    pub(super) fn named(&self) -> ElementSet {
        let parts = self.made.iter().flatten().flat_map(OutputElements::parts);
        parts.fold(ElementSet::EMPTY, |named, part| named | part.named())
    }

    /// Ends a call and drops the outputs that it did not return.
    pub(super) fn end_call(&mut self) {
        self.first = self.first.wrapping_add(self.made.len() as u32);
        self.made.clear();
        self.bytes = 0;
        self.elements = 0;
        self.pieces = 0;
        self.structures = 0;
        self.written = 0;
        self.may_make = false;
    }
}

impl OutputElements {
    fn append(&mut self, other: OutputElements) {
        self.rest.push(other.first);
        self.rest.extend(other.rest);
    }

    pub(crate) fn parts(&self) -> impl Iterator<Item = &Part> {
        std::iter::once(&self.first).chain(&self.rest)
    }

    pub(crate) fn into_parts(self) -> impl Iterator<Item = Part> {
        std::iter::once(self.first).chain(self.rest)
    }

    /// The outputs that any of its elements goes to, as bits.
    pub(crate) fn goes_to(&self) -> u32 {
        self.parts().fold(0, |all, part| all | part.goes_to())
    }

    /// The number of elements.
    pub(crate) fn len(&self) -> usize {
        self.parts().map(Part::len).sum()
    }

    /// How many of its payloads were written.
    pub(super) fn written(&self) -> u64 {
        self.parts().map(|part| if let Part::Written(part) = part { part.written } else { 0 }).sum()
    }

    /// Bytes of its written payloads.
    pub(crate) fn written_bytes(&self) -> u64 {
        self.parts().map(|part| if let Part::Written(part) = part { part.payload_bytes() } else { 0 }).sum()
    }
}

impl Part {
    fn len(&self) -> usize {
        match self {
            Part::Written(part) => part.sizes.len(),
            Part::Views(views) => views.len(),
        }
    }

    /// Bytes of host memory charged for it, besides payloads.
    fn structure_bytes(&self) -> u64 {
        match self {
            Part::Written(part) => {
                let are_one_run = part.lineage.is_empty() && part.outputs.is_empty();
                host_memory::written(part.sizes.len(), part.column_bytes(), are_one_run)
            }
            Part::Views(views) => {
                let pieces = views.iter().map(|view| host_memory::listed_pieces(&view.element.payload));
                let joined = views.iter().map(|view| view.origin.bytes()).sum::<u64>();
                host_memory::views(views.len(), pieces.sum()) + joined
            }
        }
    }

    /// The outputs that any of its elements goes to, as bits. An empty column adds nothing.
    fn goes_to(&self) -> u32 {
        match self {
            Part::Written(part) => all_outputs(&part.outputs),
            Part::Views(views) => views.iter().fold(0, |all, view| all | view.outputs),
        }
    }

    /// The elements of the batch that it comes from.
    fn named(&self) -> ElementSet {
        match self {
            Part::Written(part) => part.lineage.iter().map(|index| *index as usize).collect(),
            Part::Views(views) => {
                let lent = views.iter().filter_map(|view| match view.origin {
                    Origin::Lent(index) => Some(index as usize),
                    Origin::Held(_) | Origin::Joined(_) => None,
                });
                lent.collect()
            }
        }
    }
}

impl Origin {
    /// Bytes of memory on the heap.
    fn bytes(&self) -> u64 {
        match self {
            Origin::Lent(_) | Origin::Held(_) => 0,
            Origin::Joined(places) => size_of_val(&places[..]) as u64,
        }
    }
}

impl View {
    fn pieces(&self) -> usize {
        self.element.payload.piece_count()
    }
}

/// The outputs in any of these masks.
pub(crate) fn all_outputs(masks: &[u32]) -> u32 {
    masks.iter().fold(0, |all, mask| all | mask)
}

/// Checks that the column `outputs` is empty, which means output 0, or has one entry per element.
pub(super) fn check_outputs(outputs: &[u32], elements: usize, column: &str) -> Result<(), Failure> {
    if !outputs.is_empty() && outputs.len() != elements {
        let entries = counted(outputs.len() as u64, "entry");
        let lengths = format!("`outputs` has {entries}, but `{column}` has {elements}");
        return Err(Failure::InvalidInput(lengths));
    }
    Ok(())
}
