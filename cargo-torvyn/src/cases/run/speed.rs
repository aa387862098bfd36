//! Measures how long an element takes in a case compared with another case.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde::Serialize;
use torvyn_runtime::Flow;

use crate::cases::case::speed::ExpectedSpeed;
use crate::cases::run::cancellation::Cancellation;
use crate::cases::{Case, Plan};
use crate::output::diagnostic::Diagnostic;
use crate::output::{codes, run_report};

/// How often each of the two cases runs at least.
const MIN_ROUNDS: u32 = 5;
/// How long both together run at least.
const MIN_TIME: Duration = Duration::from_millis(400);

/// A measured speed.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Speed {
    /// The case it was compared with.
    case: String,
    /// The time of an element divided by that in the other case.
    pub(crate) ratio: f64,
    max: f64,
    /// How often each of the two cases ran.
    rounds: u32,
    /// The time of an element in the fastest run.
    element_ns: f64,
    /// The time of an element in the fastest run of the other case.
    other_element_ns: f64,
}

/// The result of a comparison.
pub(crate) enum Compared {
    Measured(Speed),
    /// One of the two cases could not be measured.
    Unmeasured(Diagnostic),
    Interrupted,
}

/// One run.
enum Run {
    Took(f64),
    Unmeasured(String),
    Interrupted,
}

impl Speed {
    /// Reports a speed that exceeds the expected ratio.
    pub(crate) fn judge(&self, case: &Case, expected: &ExpectedSpeed) -> Option<Diagnostic> {
        if self.ratio <= expected.max {
            return None;
        }
        let message = format!("an element takes {:.2} times as long as in `{}`", self.ratio, expected.other.name);
        let diagnostic = Diagnostic::error(codes::UNEXPECTED_SPEED, message);
        let note = format!(
            "{} against {}: the shortest of {} runs each",
            time(self.element_ns),
            time(self.other_element_ns),
            self.rounds
        );
        Some(
            diagnostic
                .label(case.file(), expected.span.clone(), format!("expected at most {}", expected.max))
                .note(note),
        )
    }
}

impl Plan<'_> {
    /// Runs both cases in turns, until they have run often and long enough.
    pub(crate) fn compare(
        &self,
        expected: &ExpectedSpeed,
        other: &Plan<'_>,
        cancellation: Cancellation<'_>,
    ) -> Compared {
        let began = Instant::now();
        let (mut rounds, mut shortest) = (0, [f64::INFINITY; 2]);
        while rounds < MIN_ROUNDS || began.elapsed() < MIN_TIME {
            for (plan, shortest) in [self, other].iter().zip(&mut shortest) {
                match plan.timed(cancellation) {
                    Run::Took(ns) => *shortest = shortest.min(ns),
                    Run::Interrupted => return Compared::Interrupted,
                    Run::Unmeasured(why) => {
                        let message = format!("cannot compare the speed with `{}`: {why}", expected.other.name);
                        let diagnostic = Diagnostic::error(codes::UNEXPECTED_SPEED, message);
                        let label = format!("`{}` has no speed", plan.case.name);
                        let place = expected.other.span.clone();
                        return Compared::Unmeasured(diagnostic.label(self.case.file(), place, label));
                    }
                }
            }
            rounds += 1;
        }
        let [element_ns, other_element_ns] = shortest;
        Compared::Measured(Speed {
            case: expected.other.name.clone(),
            ratio: element_ns / other_element_ns,
            max: expected.max,
            rounds,
            element_ns,
            other_element_ns,
        })
    }

    /// The time of an element, counted from when all stages have started. No output is kept.
    fn timed(&self, cancellation: Cancellation<'_>) -> Run {
        if !self.over_budget.is_empty() {
            return Run::Unmeasured("it is over its copy budget".to_string());
        }
        let (bodies, _) = match self.bodies(&self.injections(), false) {
            Ok(bodies) => bodies,
            Err(error) => return Run::Unmeasured(format!("{error:#}")),
        };
        let control = self.control(Arc::new(|_| {}), cancellation, Instant::now());
        let flow = match Flow::start(&self.wiring.graph, bodies, control) {
            Ok(flow) => flow,
            Err(_) if cancellation.cancel.load(Ordering::Relaxed) => return Run::Interrupted,
            Err(error) => return Run::Unmeasured(format!("{:#}", anyhow::Error::from(error))),
        };
        let began = Instant::now();
        match flow.run_until(began + self.case.timeout) {
            Ok(Some(account)) if account.cancelled => Run::Interrupted,
            Ok(Some(account)) if account.elements.entered == 0 => {
                Run::Unmeasured("no element went through it".to_string())
            }
            Ok(Some(account)) => Run::Took(began.elapsed().as_nanos() as f64 / account.elements.entered as f64),
            Ok(None) if cancellation.cancel.load(Ordering::Relaxed) => Run::Interrupted,
            Ok(None) => Run::Unmeasured(format!("it timed out after {:?}", self.case.timeout)),
            Err(error) => Run::Unmeasured(format!("{:#}", anyhow::Error::from(error))),
        }
    }
}

#[cfg(test)]
impl Speed {
    /// A speed with this ratio, where an element of the other case takes a microsecond.
    pub(crate) fn with_ratio(case: &str, ratio: f64, max: f64) -> Speed {
        let (element_ns, other_element_ns) = (1000.0 * ratio, 1000.0);
        Speed { case: case.to_string(), ratio, max, rounds: MIN_ROUNDS, element_ns, other_element_ns }
    }
}

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} times `{}`", self.ratio, self.case)
    }
}

fn time(ns: f64) -> String {
    if ns < 1000.0 { format!("{ns:.1} ns") } else { run_report::time(ns as u64) }
}
