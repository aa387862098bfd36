//! Test your components in `#[test]` functions.
//!
//! Cargo builds the component, the test provides the elements, and the run report counts every payload byte that is
//! copied at a component boundary.
//!
//! ```no_run
//! let upper = torvyn_testing::build("upper")?;
//! let run = upper.run(["one", "two"])?;
//! assert_eq!(run.output(0), ["ONE", "TWO"]);
//! assert_eq!(run.stage("upper").copies.payload_read.ops, 2);
//! # Ok::<(), torvyn_testing::Error>(())
//! ```
//!
//! - [`build`] builds a package of the workspace that contains the test, [`build_in`] a package of another workspace,
//!   and [`load`] loads a component file of any origin. Each returns a [`Stage`].
//! - A [`Stage`] runs alone, or with others in a [`Pipeline`].
//! - A [`Run`] is the result: the elements, the copies, and the lines that stages printed.
//!
//! A run uses the same runtime and the same limits as `cargo torvyn run`. The proofs about a component are checked: a
//! component that copies more than is proven fails the run, and so does payload memory that is still held at the end.
//! Only the clock differs: unless the test says otherwise, it is virtual, and advances only when the flow waits.
//!
//! The copy budgets of packages and the pipelines of `Torvyn.toml` are not used here; [`cases`] runs the cases that are
//! declared there with `cargo torvyn test`.

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
