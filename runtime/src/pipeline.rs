//! A pipeline as data: its graph, the limits of its stages, and what happens to an element that a stage fails on.

pub mod graph;
pub mod injection;
pub mod limits;
pub mod policy;
