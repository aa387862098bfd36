//! Basics that every room uses and that know nothing of components or flows: clocks, cutting a flow off, random numbers,
//! regular files, and text for people.

pub mod clock;
pub mod cut;
pub mod plural;
pub mod regular_file;
pub(crate) mod rng;
pub mod text;
