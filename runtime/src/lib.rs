//! Runs pipelines of sandboxed streaming components, and counts every payload byte they copy.

pub use account::Account;
pub use component::Component;
pub use engine::Engine;
pub use error::{Error, Fault, LoadError};
pub use flow::{Body, Control, Flow, Stage};
pub use limits::Limits;

pub mod account;
pub mod component;
mod edge;
pub mod element;
pub mod endpoint;
pub mod engine;
pub mod error;
pub mod flow;
pub mod graph;
mod host;
mod instance;
pub mod ledger;
pub mod limits;
pub mod log;
mod node;
pub mod payload;
pub mod profile;
