//! What is to run, as data: the graph, the limits of stages, what happens to elements that a stage fails on.

pub mod graph;
pub mod injection;
pub mod limits;
pub mod policy;
