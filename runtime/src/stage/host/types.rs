//! Interface `types`: the resources `batch` and `lease`. `outputs.rs` has the resource that stages make.

use wasmtime::StoreContextMut;
use wasmtime::component::{LinkerInstance, Resource, ResourceType};

use super::{Batch, Host, Lease, failing, outputs};

pub(super) fn link(interface: &mut LinkerInstance<'_, Host>) -> wasmtime::Result<()> {
    interface.resource("batch", ResourceType::host::<Batch>(), |_, _| Ok(()))?;
    interface.func_wrap("[method]batch.len", batch_len)?;
    interface.resource("lease", ResourceType::host::<Lease>(), |mut store, rep| {
        store.data_mut().leases.drop_lease(rep);
        Ok(())
    })?;
    interface.func_wrap("[method]lease.len", lease_len)?;
    outputs::link(interface)?;
    failing::link(interface)
}

fn batch_len(store: StoreContextMut<'_, Host>, (batch,): (Resource<Batch>,)) -> wasmtime::Result<(u32,)> {
    Ok((store.data().lent(&batch)?.len() as u32,))
}

fn lease_len(store: StoreContextMut<'_, Host>, (lease,): (Resource<Lease>,)) -> wasmtime::Result<(u32,)> {
    Ok((store.data().leases.taken(lease.rep()),))
}
