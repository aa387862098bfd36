//! The contenders that run in this process, and the guests that some of them need.

use std::cell::OnceCell;

use wasmtime::Result;

use self::ours::Ours;
use self::shape::Shape;

pub(crate) mod composed;
pub(crate) mod guests;
pub(crate) mod native;
pub(crate) mod ours;
pub(crate) mod shape;
#[cfg(feature = "streams")]
pub(crate) mod streamed;

/// Guests that several groups need, built and compiled when the first of them asks.
#[derive(Default)]
pub(crate) struct Guests {
    ours: OnceCell<Ours>,
    shape: OnceCell<Shape>,
}

impl Guests {
    pub(crate) fn ours(&self) -> Result<&Ours> {
        if self.ours.get().is_none() {
            _ = self.ours.set(Ours::build()?);
        }
        Ok(self.ours.get().expect("it was just set"))
    }

    pub(crate) fn shape(&self) -> Result<&Shape> {
        if self.shape.get().is_none() {
            _ = self.shape.set(Shape::build()?);
        }
        Ok(self.shape.get().expect("it was just set"))
    }
}
