//! [`Proof`]: how a claim is proven.

use std::fmt;

use serde::Serialize;

/// How a claim is proven, strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// The world of the stage has no such import.
    Contract,
    /// The built component has no such import.
    Component,
    /// The component has the import, but no call that handles elements can reach it.
    CallGraph,
    /// The code of the component cannot do it more often in a call that returns.
    Bounded,
    /// The host counts, and refuses everything beyond the declared budget.
    Enforced,
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Proof::Contract => "contract",
            Proof::Component => "component",
            Proof::CallGraph => "call-graph",
            Proof::Bounded => "bounded",
            Proof::Enforced => "enforced",
        })
    }
}
