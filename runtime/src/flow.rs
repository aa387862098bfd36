//! A pipeline that runs: nodes, the edges between them, and the driver that chooses the next call.

pub use driver::{Body, Census, Control, Flow, Progress, Schedule, Stage, Step};

pub mod account;
mod audit;
mod driver;
mod edge;
mod faults;
mod identity_writes;
mod journal;
mod node;
mod ports;
mod recovery;
