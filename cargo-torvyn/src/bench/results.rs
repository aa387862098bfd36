//! What was measured, as programs get it.

use serde::Serialize;
use torvyn_runtime::Account;
use torvyn_runtime::ledger::Count;

use super::latency::Distribution;
use super::statistics::Spread;

/// What was measured of a pipeline.
#[derive(Debug, Serialize)]
pub(crate) struct Results {
    pub(crate) pipeline: String,
    pub(crate) input: InputFacts,
    pub(crate) outputs: Vec<OutputFacts>,
    pub(crate) program: ProgramFacts,
    /// Rounds before the first that is measured.
    pub(crate) warm_up: u32,
    pub(crate) rounds: Vec<Round>,
    /// Nanoseconds until all stages of the pipeline had started, which is in no other time.
    pub(crate) start_ns: Spread,
    pub(crate) ours: Figures,
    /// The same bytes through native code.
    pub(crate) native: Rival,
    /// One process per stage.
    pub(crate) processes: Rival,
    pub(crate) latency: LatencyResults,
    pub(crate) endpoints: Vec<SystemCalls>,
    /// The run report of the round with the median time.
    pub(crate) account: Account,
}

/// The input.
#[derive(Debug, Serialize)]
pub(crate) struct InputFacts {
    pub(crate) name: String,
    pub(crate) elements: u64,
    /// Their payload bytes.
    pub(crate) bytes: u64,
}

/// An output.
#[derive(Debug, Serialize)]
pub(crate) struct OutputFacts {
    /// What it is in a run.
    pub(crate) name: String,
    /// Whether the rounds wrote a file, instead of dropping the elements.
    pub(crate) is_file: bool,
    /// Whether it is something else in a run.
    pub(crate) is_replaced: bool,
}

/// What did the work, and where.
#[derive(Debug, Serialize)]
pub(crate) struct ProgramFacts {
    pub(crate) version: &'static str,
    /// `release` if this program was built without debug assertions, otherwise `debug`.
    pub(crate) profile: &'static str,
    /// The profile in which cargo builds the stages that are packages.
    pub(crate) stage_profile: String,
    /// How many processors this process may use.
    pub(crate) processors: usize,
}

/// A round: each took a turn.
#[derive(Debug, Serialize)]
pub(crate) struct Round {
    /// Whose turn was the first.
    pub(crate) first: &'static str,
    pub(crate) ours: Turn,
    pub(crate) native: Option<Turn>,
    pub(crate) processes: Option<Turn>,
}

/// What was measured in a turn.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Turn {
    pub(crate) time_ns: u64,
    /// The peak of resident memory; none if the system does not say.
    pub(crate) peak_bytes: Option<u64>,
}

/// The figures of all rounds.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    pub(crate) elements_per_second: Spread,
    /// Payload bytes that entered.
    pub(crate) bytes_per_second: Spread,
    pub(crate) ns_per_element: Spread,
    pub(crate) peak_bytes: Option<Spread>,
}

/// What the pipeline is compared with.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Rival {
    /// None if it was not measured.
    pub(crate) figures: Option<Figures>,
    /// The time of the pipeline ÷ the time of the rival, within each round.
    pub(crate) ours_to_it: Option<Spread>,
    /// Why it was not measured.
    pub(crate) not_measured: Option<String>,
}

/// Latencies, from rounds in which nothing else was measured.
#[derive(Debug, Serialize)]
pub(crate) struct LatencyResults {
    pub(crate) rounds: u32,
    /// In nanoseconds, of each element that an output of the host took: from when it was read, or made by a source, until it was
    /// written.
    pub(crate) end_to_end_ns: Option<Distribution>,
    /// Every node, in the order of the graph.
    pub(crate) nodes: Vec<NodeResults>,
    /// Records for which there was no room. Their calls are in no latency of a node.
    pub(crate) lost_records: u64,
}

/// The latencies in a part of the pipeline.
#[derive(Debug, Serialize)]
pub(crate) struct NodeResults {
    pub(crate) name: String,
    /// In nanoseconds, of each element: from the end of the call that sent it to the end of the call that took it. For an input or
    /// a source, the time of the call that made it.
    pub(crate) latency_ns: Option<Distribution>,
    /// Elements in a call.
    pub(crate) batch: Option<Distribution>,
}

/// The system calls of an endpoint.
#[derive(Debug, Serialize)]
pub(crate) struct SystemCalls {
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    /// Reads, writes and copies within the system.
    pub(crate) calls: Count,
    /// None if there were no calls.
    pub(crate) bytes_per_call: Option<f64>,
}

impl Figures {
    /// The figures of turns in each of which so many elements of so many bytes passed. `None` if there are no turns.
    pub(super) fn of(turns: &[Turn], elements: u64, bytes: u64) -> Option<Figures> {
        let seconds = |turn: &Turn| turn.time_ns.max(1) as f64 / 1e9;
        let each = |of: &dyn Fn(&Turn) -> f64| Spread::of(turns.iter().map(of));
        let peaks: Option<Vec<_>> = turns.iter().map(|turn| turn.peak_bytes.map(|bytes| bytes as f64)).collect();
        Some(Figures {
            elements_per_second: each(&|turn| elements as f64 / seconds(turn))?,
            bytes_per_second: each(&|turn| bytes as f64 / seconds(turn))?,
            ns_per_element: each(&|turn| turn.time_ns as f64 / elements as f64)?,
            peak_bytes: peaks.and_then(Spread::of),
        })
    }
}

impl Rival {
    /// A rival with its turns, each beside the turn of the pipeline in the same round.
    pub(super) fn of(turns: &[(Turn, Turn)], elements: u64, bytes: u64, not_measured: Option<String>) -> Rival {
        let its: Vec<_> = turns.iter().map(|(_, its)| *its).collect();
        let ratios = turns.iter().map(|(ours, its)| ours.time_ns as f64 / its.time_ns.max(1) as f64);
        match not_measured {
            Some(why) => Rival { not_measured: Some(why), ..Rival::default() },
            None => Rival {
                figures: Figures::of(&its, elements, bytes),
                ours_to_it: Spread::of(ratios),
                not_measured: None,
            },
        }
    }
}

impl Results {
    /// The times of the pipeline in nanoseconds for an element, by round.
    pub(super) fn times(&self) -> Vec<f64> {
        self.rounds.iter().map(|round| round.ours.time_ns as f64 / self.input.elements as f64).collect()
    }

    /// The times of the pipeline ÷ those of the native pass, by round; none if that was not measured.
    pub(super) fn ratios_to_native(&self) -> Option<Vec<f64>> {
        let ratio = |round: &Round| Some(round.ours.time_ns as f64 / round.native?.time_ns.max(1) as f64);
        self.rounds.iter().map(ratio).collect()
    }
}
