//! A part of a pipeline: the stages between some first stages and a last stage, with an input and outputs of its own.

use std::collections::BTreeSet;
use std::ops::Range;

use torvyn_runtime::contract::Stamp;

use super::feed::{self, Feed, Origin};
use super::name;
use super::output::NamedOutput;
use super::pipeline::Pipeline;
use super::stage::Stage;
use crate::config::budget::PipelineBudget;
use crate::endpoints::output;

/// The bounds of a part, as indices of stages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part<'a> {
    /// The stages that take the input of the part; empty if the part begins where the pipeline begins.
    pub(crate) from: &'a [usize],
    /// The last stage; none if the part ends where the pipeline ends.
    pub(crate) to: Option<usize>,
    /// The stages that are known to be source components: their implied input does not count.
    pub(crate) sources: &'a [usize],
}

/// Why stages do not form a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoPart {
    /// The last stage cannot be reached from this stage.
    Apart(usize),
    /// A stage of the part also takes from outside the part: from the pipeline's input or from another stage.
    Outside { stage: usize, feed: usize },
}

impl Pipeline {
    /// Extracts a part of the pipeline, without the pipeline's budget. The output of the last stage becomes a pipeline output
    /// called `output` if the stage's outputs have no names, and otherwise `STAGE.OUTPUT`. Outputs of other stages that leave
    /// the part are called `STAGE.OUTPUT` too.
    ///
    /// # Errors
    ///
    /// If the stages do not form a part.
    pub(crate) fn part(&self, part: Part<'_>) -> Result<Pipeline, NoPart> {
        let Part { from, to, .. } = part;
        let after = if from.is_empty() { self.all() } else { self.reached(from, |stage| self.takers(stage, part)) };
        let before = to.map_or_else(|| self.all(), |to| self.reached(&[to], |stage| self.givers(stage, part)));
        if let Some(apart) = from.iter().find(|stage| !before.contains(stage)) {
            return Err(NoPart::Apart(*apart));
        }
        let kept: Vec<usize> = after.intersection(&before).copied().collect();
        let place = |stage: usize| kept.iter().position(|kept| *kept == stage);
        let within = |feed: &Feed| match feed.origin {
            Origin::Input => from.is_empty().then_some(feed.clone()),
            Origin::Stage { stage, output } => {
                place(stage).map(|stage| Feed { origin: Origin::Stage { stage, output }, span: feed.span.clone() })
            }
        };

        let mut stages = Vec::new();
        for &index in &kept {
            let mut stage = self.stages[index].clone();
            let mut feeds: Vec<Feed> = Vec::new();
            for (number, feed) in self.feeds(index, part).enumerate() {
                match within(feed) {
                    Some(feed) => feeds.push(feed),
                    // The input of the part replaces all feeds from outside, at the position of the first.
                    None if from.contains(&index) => add_input(&mut feeds),
                    None => return Err(NoPart::Outside { stage: index, feed: number }),
                }
            }
            if from.contains(&index) {
                add_input(&mut feeds);
            }
            stage.from = feeds;
            stages.push(stage);
        }
        let outputs = match to {
            None => self
                .outputs
                .iter()
                .map(|output| output.restrict_feeds(within))
                .filter(|end| !end.from.is_empty())
                .collect(),
            Some(to) => ends(&stages, place(to)),
        };
        let (input, input_span, stamp) = match from {
            [] => (self.input.clone(), self.input_span.clone(), self.stamp),
            _ => (None, None, Stamp::default()),
        };
        let budget = PipelineBudget::default();
        Ok(Pipeline { stages, outputs, input, input_span, stamp, budget, ..self.clone() })
    }

    fn all(&self) -> BTreeSet<usize> {
        (0..self.stages.len()).collect()
    }

    /// These stages, and all stages that `next` reaches from them.
    fn reached(&self, begin: &[usize], next: impl Fn(usize) -> Vec<usize>) -> BTreeSet<usize> {
        let (mut reached, mut waiting) = (BTreeSet::new(), begin.to_vec());
        while let Some(stage) = waiting.pop() {
            if reached.insert(stage) {
                waiting.extend(next(stage));
            }
        }
        reached
    }

    /// The feeds of a stage. A source component has only explicit ones, which are an error reported elsewhere.
    fn feeds(&self, stage: usize, part: Part<'_>) -> impl Iterator<Item = &Feed> {
        let is_source = part.sources.contains(&stage);
        self.stages[stage].from.iter().filter(move |feed| !is_source || feed.span.is_some())
    }

    /// The stages that a stage takes from.
    fn givers(&self, stage: usize, part: Part<'_>) -> Vec<usize> {
        let giver = |feed: &Feed| match feed.origin {
            Origin::Input => None,
            Origin::Stage { stage, .. } => Some(stage),
        };
        self.feeds(stage, part).filter_map(giver).collect()
    }

    /// The stages that take from a stage.
    fn takers(&self, stage: usize, part: Part<'_>) -> Vec<usize> {
        (0..self.stages.len()).filter(|taker| self.givers(*taker, part).contains(&stage)).collect()
    }

    /// The name of a stage, the name of the origin of one of its feeds, and the place of that feed.
    pub(crate) fn feed(&self, stage: usize, feed: usize) -> (&str, &str, Range<usize>) {
        let taker = &self.stages[stage];
        let giver = match taker.from[feed].origin {
            Origin::Input => name::INPUT,
            Origin::Stage { stage, .. } => &self.stages[stage].name,
        };
        (&taker.name, giver, taker.from[feed].span.clone().unwrap_or_else(|| taker.places.name.clone()))
    }

    /// Removes the pipeline outputs that take from this stage, which turned out to have no outputs.
    pub(crate) fn remove_outputs_of(&mut self, stage: usize) {
        let is_of = |feed: &Feed| matches!(feed.origin, Origin::Stage { stage: of, .. } if of == stage);
        self.outputs.retain(|end| !end.from.iter().any(is_of));
    }
}

fn add_input(feeds: &mut Vec<Feed>) {
    if feeds.iter().all(|feed| feed.origin != Origin::Input) {
        feeds.extend(feed::implied(Origin::Input));
    }
}

impl NamedOutput {
    fn restrict_feeds(&self, within: impl Fn(&Feed) -> Option<Feed>) -> NamedOutput {
        NamedOutput { from: self.from.iter().filter_map(within).collect(), ..self.clone() }
    }
}

/// A pipeline output for each stage output that no stage takes from; those of the last stage come first.
fn ends(stages: &[Stage], last: Option<usize>) -> Vec<NamedOutput> {
    let is_taken = |origin: Origin| stages.iter().any(|stage| stage.from.iter().any(|feed| feed.origin == origin));
    let mut order: Vec<_> = (0..stages.len()).collect();
    order.sort_by_key(|index| Some(*index) != last);
    let mut ends = Vec::new();
    for index in order {
        for (output, name) in stages[index].outputs.iter().enumerate() {
            let origin = Origin::Stage { stage: index, output };
            if is_taken(origin) {
                continue;
            }
            let is_plain = Some(index) == last && stages[index].places.outputs.is_empty();
            ends.push(NamedOutput {
                name: if is_plain { name::OUTPUT.to_string() } else { format!("{}.{name}", stages[index].name) },
                output: output::discard(),
                from: feed::implied(origin),
                merge: Default::default(),
                span: None,
            });
        }
    }
    ends
}
