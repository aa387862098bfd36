//! What the nodes of a flow are.

use crate::contract::{Bounds, Budget};
use crate::endpoint::{Input, Output};
use crate::pipeline::injection::Injection;
use crate::pipeline::limits::Limits;
use crate::pipeline::policy::Policy;
use crate::stage::component::Component;

/// What a node of the graph is.
#[expect(clippy::large_enum_variant, reason = "a graph has few nodes")]
pub enum Body {
    /// A component.
    Stage(Stage),
    /// An input of the host.
    Input(Box<dyn Input>),
    /// An output of the host.
    Output(Box<dyn Output>),
}

/// A component with its settings.
pub struct Stage {
    /// The component.
    pub component: Component,
    /// Its settings, by name.
    pub config: Vec<(String, String)>,
    /// What it may use.
    pub limits: Limits,
    /// What it may copy. The host counts, element by element: a copy beyond it is not made, and fails the stage.
    pub budget: Budget,
    /// What is proven of it. A stage that copies more all the same shows a fault of the proof, and fails the flow.
    pub bounds: Bounds,
    /// What becomes of an element that it fails at.
    pub policy: Policy,
    /// The most elements that it is lent in one call, or asked for in one: 1 to [`Stage::MAX_BATCH`].
    pub batch: usize,
    /// What a test has it suffer.
    pub injections: Vec<Injection>,
}

impl Stage {
    /// The most elements of one call.
    pub const MAX_BATCH: usize = 64;

    /// A component without settings, within the default limits, of which nothing is known and nothing demanded.
    pub fn new(component: Component) -> Stage {
        Stage {
            component,
            config: Vec::new(),
            limits: Limits::default(),
            budget: Budget::default(),
            bounds: Bounds::unknown(),
            policy: Policy::default(),
            batch: Stage::MAX_BATCH,
            injections: Vec::new(),
        }
    }
}
