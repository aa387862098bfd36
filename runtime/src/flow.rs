//! Runs a pipeline: its nodes, the edges between them, and the driver that chooses the next call.

pub use body::{Body, Stage};
pub use control::{Control, Progress, Schedule};
pub use dead_letters::{DeadLetter, DeadLetters};
pub use driver::{Flow, FlowSnapshot, Step};

pub mod account;
mod audit;
mod body;
mod control;
mod dead_letters;
mod driver;
mod edge;
mod identity_writes;
mod input_ports;
mod journal;
mod marks;
mod node;
mod output_ports;
mod pending_injections;
mod recovery;
mod signal;
