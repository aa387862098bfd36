//! The payloads of a batch, where they are: with the host, or in a slice when a stage runs natively.

use crate::bindings::lifecycle::types::Failure;

/// What a call was lent.
#[cfg(target_arch = "wasm32")]
#[derive(Clone, Copy)]
pub(crate) struct Lent<'a>(pub(crate) &'a crate::bindings::lifecycle::types::Batch);

#[cfg(target_arch = "wasm32")]
impl Lent<'_> {
    #[inline(always)]
    pub(crate) fn read(self, index: u32, offset: u64, len: u64) -> Result<Vec<u8>, Failure> {
        crate::bindings::processor::payload_read::read(self.0, index, offset, len)
    }

    #[inline(always)]
    pub(crate) fn read_all(self) -> Result<Vec<u8>, Failure> {
        crate::bindings::processor::payload_read::read_all(self.0)
    }
}

/// What a call was lent.
#[cfg(not(target_arch = "wasm32"))]
#[derive(Clone, Copy)]
pub(crate) struct Lent<'a>(pub(crate) &'a [&'a [u8]]);

#[cfg(not(target_arch = "wasm32"))]
impl Lent<'_> {
    pub(crate) fn read(self, index: u32, offset: u64, len: u64) -> Result<Vec<u8>, Failure> {
        let range = usize::try_from(offset).ok().zip(offset.checked_add(len).and_then(|end| usize::try_from(end).ok()));
        let payload = self.0.get(index as usize).ok_or(Failure::OutOfBounds)?;
        range.and_then(|(from, to)| payload.get(from..to)).map(<[u8]>::to_vec).ok_or(Failure::OutOfBounds)
    }

    pub(crate) fn read_all(self) -> Result<Vec<u8>, Failure> {
        Ok(self.0.concat())
    }
}
