//! What the nodes of a flow run.

use crate::contract::{Bounds, Budget};
use crate::endpoint::{Input, Output};
use crate::pipeline::injection::Injection;
use crate::pipeline::limits::Limits;
use crate::pipeline::policy::Policy;
use crate::stage::component::Component;

/// What a node of the graph runs.
#[expect(clippy::large_enum_variant, reason = "a graph has few nodes")]
pub enum Body {
    /// A component.
    Stage(Stage),
    /// An input of the host.
    Input(Box<dyn Input>),
    /// An output of the host.
    Output(Box<dyn Output>),
}

impl Body {
    /// What it writes after each element; `None` if it is no output.
    pub(crate) fn end_of_element(&self) -> Option<&'static [u8]> {
        match self {
            Body::Output(output) => Some(output.end_of_element()),
            Body::Input(_) | Body::Stage(_) => None,
        }
    }

    /// The instances of its component besides the first.
    pub(crate) fn other_replicas(&self) -> usize {
        match self {
            Body::Stage(stage) => stage.replicas.clamp(1, Stage::MAX_REPLICAS) - 1,
            Body::Input(_) | Body::Output(_) => 0,
        }
    }
}

/// A component with its settings.
pub struct Stage {
    /// The component.
    pub component: Component,
    /// The configuration that `init` receives, as names and values.
    pub config: Vec<(String, String)>,
    /// What the stage may use.
    pub limits: Limits,
    /// What the stage may copy. The host counts copies per element: a copy beyond the budget is not made, and the stage
    /// fails.
    pub budget: Budget,
    /// What is proven of the stage. A stage that copies more disproves the analysis, and the flow fails.
    pub bounds: Bounds,
    /// What happens to an element that the stage fails on.
    pub policy: Policy,
    /// The most elements that one call lends or asks for: 1 to [`Stage::MAX_BATCH`].
    pub batch: usize,
    /// The faults that a test injects.
    pub injections: Vec<Injection>,
    /// How many instances of the component take turns at the batches: 1 to [`Stage::MAX_REPLICAS`]. Several are possible only
    /// for a processor that keeps nothing from one call to the next; the results are sent in the order of the batches, so
    /// they are those of one instance. Each has a thread of its own, unless [`Control::runs_on_one_thread`](super::Control).
    pub replicas: usize,
}

impl Stage {
    /// The most elements in one call.
    pub const MAX_BATCH: usize = crate::payload::MAX_BATCH;

    /// The most instances of a component in one stage.
    pub const MAX_REPLICAS: usize = 64;

    /// A component without configuration, within the default limits, with nothing proven and no budget.
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
            replicas: 1,
        }
    }
}
