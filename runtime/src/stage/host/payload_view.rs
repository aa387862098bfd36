//! Interface `payload-view`: splits an element into several without copying its payload.

use wasmtime::component::{LinkerInstance, Resource, WasmList};
use wasmtime::{AsContext, StoreContextMut};

use super::outputs::check_outputs;
use super::part::{Origin, Part, View};
use super::{Batch, Failure, Host, Output, host_memory};
use crate::base::plural::counted;
use crate::payload::ElementRef;
use crate::payload::element::Element;

pub(super) fn link(interface: &mut LinkerInstance<'_, Host>) -> wasmtime::Result<()> {
    interface.func_wrap("slice-all", slice_all)
}

type Columns = (Resource<Batch>, WasmList<u32>, WasmList<u64>, WasmList<u64>, WasmList<u32>);

fn slice_all(
    mut store: StoreContextMut<'_, Host>,
    (batch, indices, offsets, lens, outputs): Columns,
) -> wasmtime::Result<(Result<Resource<Output>, Failure>,)> {
    store.data().lent(&batch)?;
    let columns = Slices {
        indices: indices.as_le_slice(store.as_context()),
        offsets: offsets.as_le_slice(store.as_context()),
        lens: lens.as_le_slice(store.as_context()),
        outputs: outputs.as_le_slice(store.as_context()),
    };
    let views = columns.views(store.data());
    let metadata = columns.bytes();
    let host = store.data_mut();
    host.meter.refused |= views.is_err();
    Ok((views.map(|views| {
        host.copies.metadata_marshal.record(1, metadata as u64);
        host.boundary.lifted(metadata as u64);
        host.outputs.push(Part::Views(views))
    }),))
}

/// The columns, as they are in the memory of the stage.
struct Slices<'a> {
    indices: &'a [u32],
    offsets: &'a [u64],
    lens: &'a [u64],
    outputs: &'a [u32],
}

impl Slices<'_> {
    fn bytes(&self) -> usize {
        size_of_val(self.indices) + size_of_val(self.offsets) + size_of_val(self.lens) + size_of_val(self.outputs)
    }

    fn views(&self, host: &Host) -> Result<Vec<View>, Failure> {
        let elements = self.indices.len();
        host.outputs.room(0, elements)?;
        host.may_use(host_memory::views(elements, 0))?;
        for (column, len) in [("offsets", self.offsets.len()), ("lens", self.lens.len())] {
            if len != elements {
                let lengths = format!("`{column}` has {}, `indices` has {elements}", counted(len as u64, "entry"));
                return Err(Failure::InvalidInput(lengths));
            }
        }
        check_outputs(self.outputs, elements, "indices")?;
        let (mut pieces, mut listed) = (0, 0);
        let parts = self.indices.iter().zip(self.offsets).zip(self.lens).enumerate();
        let views = parts.map(|(entry, ((&index, &offset), &len))| {
            let element = host.in_batch(index).ok_or(Failure::OutOfBounds)?;
            let view = part(element, offset, len).ok_or(Failure::OutOfBounds)?;
            pieces += view.payload.piece_count();
            host.outputs.room_for_pieces(pieces)?;
            if view.payload.piece_count() > 1 {
                listed += view.payload.piece_count();
                host.may_use(host_memory::views(elements, listed))?;
            }
            let outputs = self.outputs.get(entry).copied().unwrap_or(1);
            Ok(View { element: view, outputs, origin: Origin::Lent(index) })
        });
        views.collect()
    }
}

/// A part of an element, with its metadata.
fn part(element: ElementRef<'_>, offset: u64, len: u64) -> Option<Element> {
    let payload = element.slice(offset.try_into().ok()?, len.try_into().ok()?)?;
    let (sequence, timestamp, context) = (element.sequence(), element.timestamp(), element.context().cloned());
    Some(Element { payload, sequence, timestamp, context })
}
