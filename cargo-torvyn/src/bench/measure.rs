//! The rounds: the pipeline and its rivals take turns, and each round begins with another one. Latencies have rounds of their own.

use std::thread;
use std::time::Instant;

use torvyn_runtime::base::plural::counted;
use torvyn_runtime::flow::account::EndpointAccount;
use torvyn_runtime::{Account, Recorder};

use super::latency::{Latencies, Seen, Watched};
use super::native::{self, Native};
use super::processes;
use super::results::{
    Figures, InputFacts, LatencyResults, NodeResults, OutputFacts, ProgramFacts, Results, Rival, Round, SystemCalls,
    Turn,
};
use super::stage_process::{InputChoice, StageSpec, To};
use super::statistics::Spread;
use super::workload::{Watch, Workload};
use crate::endpoints::Output;
use crate::exit::{Exit, Stop};
use crate::output::run_report::{self, grouped};
use crate::output::shell::Shell;
use crate::process::interrupt::{self, Flows};
use crate::process::memory;

/// The most rounds in which latencies are measured.
const LATENCY_ROUNDS: u32 = 3;
/// How many records a round keeps; they take 56 MiB. There are about two for each call.
const RECORDS: usize = 1 << 20;
/// The names of those that take turns.
const NAMES: [&str; 3] = ["ours", "native", "processes"];

/// What is measured, and how often.
pub(crate) struct Plan {
    /// At least 1.
    pub(crate) rounds: u32,
    pub(crate) warm_up: u32,
    /// Whether the rivals take turns.
    pub(crate) has_rivals: bool,
    /// Where the elements come from, for the processes of stages.
    pub(crate) from: InputChoice,
    pub(crate) no_cache: bool,
    /// The profile of the stages that cargo builds.
    pub(crate) stage_profile: String,
    /// The names of the outputs in a run, in the order of the pipeline.
    pub(crate) outputs: Vec<String>,
}

/// Those that take turns.
struct Turns<'a> {
    workload: &'a Workload,
    flows: Flows,
    native: Result<Native, String>,
    processes: Result<Vec<StageSpec>, String>,
    /// What entered and left the pipeline in its last turn.
    elements: (u64, u64),
    bytes: u64,
    /// Whether it had a turn.
    has_run: bool,
    /// The account of each round, with the time until all stages had started.
    accounts: Vec<(Account, u64)>,
}

/// Measures the pipeline.
///
/// # Errors
///
/// If the pipeline fails, or its input has no elements. If a rival fails, this returns `Ok`, and the results say why it was not
/// measured.
pub(crate) fn measure(workload: &Workload, plan: &Plan, shell: &mut Shell) -> anyhow::Result<Results> {
    let mut turns = Turns::new(workload, plan)?;
    for index in 0..plan.warm_up {
        shell.status("Warming up", format_args!("{} of {}", index + 1, plan.warm_up))?;
        turns.round(index, shell)?;
    }
    turns.accounts.clear();
    let mut rounds = Vec::new();
    for index in 0..plan.rounds {
        let round = turns.round(index, shell)?;
        let rates = turns.describe(&round);
        shell.status("Round", format_args!("{} of {}: {rates}", index + 1, plan.rounds))?;
        rounds.push(round);
    }
    let latency_rounds = plan.rounds.min(LATENCY_ROUNDS);
    shell.status("Measuring", format_args!("latencies in {}", counted(latency_rounds.into(), "round")))?;
    let mut latencies = Latencies::default();
    for _ in 0..latency_rounds {
        turns.latency_round(&mut latencies, shell)?;
    }
    turns.results(plan, rounds, &latencies, latency_rounds)
}

impl<'a> Turns<'a> {
    fn new(workload: &'a Workload, plan: &Plan) -> anyhow::Result<Turns<'a>> {
        let chain = match plan.has_rivals {
            true => workload.check_chain(),
            false => Err("it was not asked for (`--alone`)".to_string()),
        };
        let native = chain.clone().and_then(|()| native(workload));
        let processes = chain.map(|()| specs(workload, plan));
        let flows = interrupt::begin_cases()?;
        Ok(Turns {
            workload,
            flows,
            native,
            processes,
            elements: (0, 0),
            bytes: 0,
            has_run: false,
            accounts: Vec::new(),
        })
    }

    /// Lets each take its turn. Which is first depends on the number of the round.
    fn round(&mut self, number: u32, shell: &mut Shell) -> anyhow::Result<Round> {
        let mut taking: Vec<usize> = vec![0];
        taking.extend(self.native.is_ok().then_some(1));
        taking.extend(self.processes.is_ok().then_some(2));
        let first = number as usize % taking.len();
        taking.rotate_left(first);
        let (mut ours, mut native, mut processes) = (None, None, None);
        for turn in &taking {
            match turn {
                0 => ours = Some(self.ours(shell)?),
                1 => native = self.pass_natively()?,
                _ => processes = self.run_processes()?,
            }
            interrupt::check()?;
        }
        self.compare(native.as_ref(), processes.as_ref());
        let turn_of = |passed: &native::Passed, peak_bytes| Turn { time_ns: nanos(passed.time), peak_bytes };
        Ok(Round {
            first: NAMES[taking[0]],
            ours: ours.unwrap_or(Turn { time_ns: 0, peak_bytes: None }),
            native: native.filter(|_| self.native.is_ok()).map(|(passed, peak)| turn_of(&passed, peak)),
            processes: processes
                .filter(|_| self.processes.is_ok())
                .map(|passed| Turn { time_ns: nanos(passed.time), peak_bytes: passed.peak_bytes }),
        })
    }

    /// A turn of the pipeline.
    fn ours(&mut self, shell: &mut Shell) -> anyhow::Result<Turn> {
        let before = Instant::now();
        let flow = self.workload.start(&self.flows, &Watch::default(), shell)?;
        let start_ns = nanos(before.elapsed());
        let is_reset = memory::reset_peak();
        let began = Instant::now();
        let account = flow.run();
        let time_ns = nanos(began.elapsed());
        let peak_bytes = memory::peak_bytes().filter(|_| is_reset);
        let account = account.map_err(|error| self.workload.explain(error, shell))?;
        interrupt::check()?;
        let (before, bytes_before) = (self.elements.0, self.bytes);
        self.elements = (account.elements.entered, account.elements.left);
        self.bytes = run_report::entered_bytes(&account);
        if self.has_run && (self.elements.0, self.bytes) != (before, bytes_before) {
            let size = |elements, bytes| format!("{} elements of {} bytes", grouped(elements), grouped(bytes));
            let (expected, found) = (size(before, bytes_before), size(self.elements.0, self.bytes));
            let message = format!("the input changed between two rounds: expected {expected}, found {found}");
            return Err(Stop::new(Exit::Failed, message).help("measure on an input that stays as it is").into());
        }
        self.has_run = true;
        if self.elements.0 == 0 {
            let stop = Stop::new(Exit::Failed, "the input has no elements: there is nothing to measure");
            return Err(stop
                .help("name a file with elements (`--input FILE`), or generate some (`--generate 100000x64`)")
                .into());
        }
        self.accounts.push((account, start_ns));
        Ok(Turn { time_ns, peak_bytes })
    }

    /// A turn of the native pass, with its peak. It takes none after a failure.
    fn pass_natively(&mut self) -> anyhow::Result<Option<(native::Passed, Option<u64>)>> {
        let Ok(native) = &self.native else { return Ok(None) };
        let is_reset = memory::reset_peak();
        let passed = native.run(&self.flows.cancel());
        let peak = memory::peak_bytes().filter(|_| is_reset);
        interrupt::check()?;
        match passed {
            Ok(passed) => Ok(Some((passed, peak))),
            Err(error) => {
                self.native = Err(format!("it failed: {error}"));
                Ok(None)
            }
        }
    }

    /// A turn of the processes. They take none after a failure.
    fn run_processes(&mut self) -> anyhow::Result<Option<processes::Passed>> {
        let Ok(specs) = &self.processes else { return Ok(None) };
        let passed = processes::run(specs);
        interrupt::check()?;
        match passed {
            Ok(passed) => Ok(Some(passed)),
            Err(error) => {
                let text = format!("{error:#}");
                self.processes = Err(format!("they failed: {}", text.lines().next().unwrap_or_default()));
                Ok(None)
            }
        }
    }

    /// Excludes a rival that did not pass the same elements.
    fn compare(&mut self, native: Option<&(native::Passed, Option<u64>)>, processes: Option<&processes::Passed>) {
        let (entered, left) = self.elements;
        if let Some((passed, _)) = native
            && (passed.elements, passed.bytes) != (entered, self.bytes)
        {
            let its = format!("{} of {} bytes", counted(passed.elements, "element"), passed.bytes);
            self.native = Err(format!("it passed {its}, the pipeline took {entered} of {} bytes", self.bytes));
        }
        if let Some(passed) = processes
            && (passed.elements_in, passed.elements_out) != (entered, left)
        {
            let its = format!("took {} and sent {}", counted(passed.elements_in, "element"), passed.elements_out);
            self.processes = Err(format!("they {its}, the pipeline took {entered} and sent {left}"));
        }
    }

    fn describe(&self, round: &Round) -> String {
        let rate = |name: &str, turn: Turn| {
            let per_second = self.elements.0 as f64 * 1e9 / turn.time_ns.max(1) as f64;
            format!("{name} {} elements/s", grouped(per_second as u64))
        };
        let rivals = [("native", round.native), ("processes", round.processes)];
        let rivals = rivals.into_iter().filter_map(|(name, turn)| Some(rate(name, turn?)));
        [rate("ours", round.ours)].into_iter().chain(rivals).collect::<Vec<_>>().join(", ")
    }

    /// A round of the pipeline in which latencies are measured.
    fn latency_round(&mut self, latencies: &mut Latencies, shell: &mut Shell) -> anyhow::Result<()> {
        let (recorder, seen) = (Recorder::of_calls(1, RECORDS), Seen::default());
        let watch = |output| Box::new(Watched::new(output, &seen)) as Box<_>;
        let flow =
            self.workload.start(&self.flows, &Watch { recorder: recorder.clone(), outputs: Some(&watch) }, shell)?;
        flow.run().map_err(|error| self.workload.explain(error, shell))?;
        interrupt::check()?;
        if let Some(ring) = recorder.ring() {
            latencies.add_records(&ring, self.workload.judged.wiring.nodes.len());
        }
        latencies.add_seen(&seen);
        Ok(())
    }

    fn results(
        mut self,
        plan: &Plan,
        rounds: Vec<Round>,
        latencies: &Latencies,
        latency_rounds: u32,
    ) -> anyhow::Result<Results> {
        let (elements, bytes) = (self.elements.0, self.bytes);
        let ours: Vec<_> = rounds.iter().map(|round| round.ours).collect();
        let beside = |rival: fn(&Round) -> Option<Turn>| -> Vec<_> {
            rounds.iter().filter_map(|round| Some((round.ours, rival(round)?))).collect()
        };
        let (native, processes) = (beside(|round| round.native), beside(|round| round.processes));
        let nodes = self.workload.judged.wiring.graph.nodes().iter().enumerate().map(|(index, node)| {
            let of_node = latencies.nodes.get(index).cloned().unwrap_or_default();
            let (latency_ns, batch) = (of_node.time.distribution(), of_node.batch.distribution());
            NodeResults { name: node.name.clone(), latency_ns, batch }
        });
        let latency = LatencyResults {
            rounds: latency_rounds,
            end_to_end_ns: latencies.end_to_end.distribution(),
            nodes: nodes.collect(),
            lost_records: latencies.lost,
        };
        let start_ns = Spread::of(self.accounts.iter().map(|(_, start)| *start as f64));
        let figures = Figures::of(&ours, elements, bytes);
        let (start_ns, figures) =
            start_ns.zip(figures).ok_or_else(|| anyhow::anyhow!("there is at least one round"))?;
        let mut by_time: Vec<_> = (0..ours.len()).collect();
        by_time.sort_by_key(|round| ours[*round].time_ns);
        let (account, _) = self.accounts.swap_remove(by_time[(ours.len() - 1) / 2]);
        let wiring = &self.workload.judged.wiring;
        let input = self.workload.input().map(|input| input.name());
        let fact = |(name, output): (&String, &dyn Output)| OutputFacts {
            name: name.clone(),
            is_file: !output.drops_elements(),
            is_replaced: *name != output.name(),
        };
        let outputs = plan.outputs.iter().zip(wiring.outputs().map(|(_, output)| output)).map(fact).collect();
        Ok(Results {
            pipeline: self.workload.pipeline.name.clone(),
            input: InputFacts { name: input.unwrap_or_else(|| "a source component".to_string()), elements, bytes },
            outputs,
            program: ProgramFacts {
                version: env!("CARGO_PKG_VERSION"),
                profile: if cfg!(debug_assertions) { "debug" } else { "release" },
                stage_profile: plan.stage_profile.clone(),
                processors: thread::available_parallelism().map_or(1, usize::from),
            },
            warm_up: plan.warm_up,
            start_ns,
            ours: figures,
            native: Rival::of(&native, elements, bytes, self.native.err()),
            processes: Rival::of(&processes, elements, bytes, self.processes.err()),
            rounds,
            latency,
            endpoints: account.endpoints.iter().map(system_calls).collect(),
            account,
        })
    }
}

/// The native pass beside a pipeline that is a chain; otherwise why there is none.
fn native(workload: &Workload) -> Result<Native, String> {
    let input = workload.input().ok_or("a component makes the elements")?;
    let from = match (input.generated(), input.path(), input.framing()) {
        (Some((count, size)), ..) => native::Origin::Generated(count, size),
        (None, Some(path), Some(framing)) => native::Origin::File(path.to_path_buf(), framing),
        _ => return Err(format!("it cannot read {}", input.name())),
    };
    let output = workload.judged.wiring.outputs().next().map(|(_, output)| output);
    let to = output.and_then(|output| Some((output.path()?.with_extension("native"), output.framing()?)));
    Ok(Native { from, stages: workload.pipeline.stages.len(), to })
}

/// The processes beside a pipeline that is a chain.
fn specs(workload: &Workload, plan: &Plan) -> Vec<StageSpec> {
    let output = workload.judged.wiring.outputs().next().map_or(To::Nowhere, |(_, output)| To::like(output));
    let paths = workload.component_paths();
    let last = paths.len().saturating_sub(1);
    let spec = |(stage, component)| StageSpec {
        manifest: workload.pipeline.file.clone(),
        pipeline: workload.pipeline.name.clone(),
        stage,
        component,
        no_cache: plan.no_cache,
        from: if stage == 0 { plan.from.clone() } else { InputChoice::Pipe },
        to: if stage == last { output.clone() } else { To::Pipe },
    };
    paths.into_iter().enumerate().map(spec).collect()
}

fn system_calls(endpoint: &EndpointAccount) -> SystemCalls {
    let mut calls = endpoint.kernel.reads;
    calls += endpoint.kernel.writes;
    calls += endpoint.kernel.ranges;
    let bytes_per_call = (calls.ops > 0).then(|| calls.bytes as f64 / calls.ops as f64);
    SystemCalls { name: endpoint.name.clone(), kind: endpoint.kind, calls, bytes_per_call }
}

fn nanos(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
