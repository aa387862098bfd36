//! What every room uses, and what knows nothing of components or flows: time, random numbers, files that must be regular,
//! and text for people.

pub mod clock;
pub mod cut;
pub mod plural;
pub mod regular_file;
pub(crate) mod rng;
pub mod text;
