//! What a stage or an output takes elements from.

use std::ops::Range;

use torvyn_runtime::pipeline::graph::Merge;

use crate::config::toml_reader::{Report, Table};
use crate::output::codes;

/// One origin of elements, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Feed {
    /// The origin.
    pub(crate) origin: Origin,
    /// The place in the manifest; none if the feed is implied.
    pub(super) span: Option<Range<usize>>,
}

/// What elements are taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The input of the pipeline.
    Input,
    /// An output of a stage, by the indices of both.
    Stage {
        /// Index in the stages of the pipeline.
        stage: usize,
        /// Index in the outputs of the stage.
        output: usize,
    },
}

impl Origin {
    /// The stage before this one in file order, or the input of the pipeline.
    pub(super) fn before(stage: usize) -> Self {
        stage.checked_sub(1).map_or(Origin::Input, |stage| Origin::Stage { stage, output: 0 })
    }
}

/// The feed that a missing `from` implies.
pub(super) fn implied(origin: Origin) -> Vec<Feed> {
    vec![Feed { origin, span: None }]
}

/// Reads `merge` of a stage or an output; it requires several entries in `from`.
pub(super) fn read_merge(table: &Table, report: &mut Report) -> Option<Merge> {
    let field = table.get("merge")?;
    let merge = match field.choice(&["round-robin", "priority", "sequence"], report)? {
        "round-robin" => Merge::RoundRobin,
        "priority" => Merge::Priority,
        _ => Merge::Sequence,
    };
    let several = table.get("from").is_some_and(|from| from.value.as_array().is_some_and(|names| names.len() > 1));
    if !several {
        let help = "list the inputs in `from`, in order: from = [\"first\", \"second\"]".to_string();
        field.wrong(codes::NOTHING_TO_MERGE, "`merge` needs several inputs", "", report).help = Some(help);
    }
    Some(merge)
}
