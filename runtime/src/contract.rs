//! The words of the contract, as data.

pub mod trace;
