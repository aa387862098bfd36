//! Runs components of your own in `#[test]` functions: built by cargo, on elements from the test, with every payload byte
//! that they copy counted.
//!
//! ```no_run
//! let upper = torvyn_testing::build("upper")?;
//! let run = upper.run(["one", "two"])?;
//! assert_eq!(run.output(0), ["ONE", "TWO"]);
//! assert_eq!(run.stage("upper").copies.payload_read.ops, 2);
//! # Ok::<(), torvyn_testing::Error>(())
//! ```
//!
//! [`build`] has cargo build a package of the workspace that the test is in, [`build_in`] one of another, and [`load`]
//! takes a component file of any origin. What comes of each is a [`Stage`]: with its settings it runs alone, or in a
//! [`Pipeline`] with others. A [`Run`] is what came of it: elements, what was copied, and what stages printed.
//!
//! A test that runs something does so as `cargo torvyn run` would, in flows of the same runtime and under its limits. What
//! is proven of a component holds in each: one that copies more fails the run, and so does payload memory that is still
//! held at the end. Only the clock is another: time goes on only where a flow waits, unless a test says otherwise.
//!
//! The copy budgets that packages declare, and the pipelines of a `Torvyn.toml`, are for `cargo torvyn`; [`cases`] has it
//! run the cases that are declared there.

pub use torvyn_runtime as runtime;
pub use torvyn_runtime::base::clock::Clock;
pub use torvyn_runtime::contract::Budget;
pub use torvyn_runtime::contract::Stamp;
pub use torvyn_runtime::contract::Verdict;
pub use torvyn_runtime::flow::account::{Account, StageAccount};
pub use torvyn_runtime::payload::attributes::Attributes;
pub use torvyn_runtime::pipeline::graph::Merge;
pub use torvyn_runtime::pipeline::injection::{FailureKind, InjectedFault};
pub use torvyn_runtime::pipeline::limits::Limits;
pub use torvyn_runtime::pipeline::policy::{Policy, Retry, Then};

pub use cargo::{build, build_in, cases};
pub use element::Element;
pub use error::{Error, Log};
pub use pipeline::Pipeline;
pub use run::{DeadLetter, Run};
pub use stage::{Stage, load};

mod cargo;
mod element;
mod ends;
mod error;
mod pipeline;
mod run;
mod stage;
