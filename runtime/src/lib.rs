//! Runs pipelines of sandboxed streaming components, and counts every payload byte they copy.

pub mod graph;
