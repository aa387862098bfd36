//! How long an element takes in a case, against how long one takes in another.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde::Serialize;
use torvyn_runtime::Flow;

use crate::cases::case::speed::ExpectedSpeed;
use crate::cases::run::ends::Ends;
use crate::cases::{Case, Plan};
use crate::output::diagnostic::Diagnostic;
use crate::output::{codes, run_report};

/// Each of the two runs at least so often,
const MIN_ROUNDS: u32 = 5;
/// and as often as it takes for both together to have run so long.
const MIN_TIME: Duration = Duration::from_millis(400);

/// How long elements took.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Speed {
    /// The case it was compared with.
    case: String,
    /// How many times as long an element took as one of that case.
    pub(crate) ratio: f64,
    max: f64,
    /// How often each of the two ran.
    rounds: u32,
    /// The time of an element in the quickest run.
    element_ns: f64,
    /// That of the other case.
    other_element_ns: f64,
}

/// What came of the comparison.
pub(crate) enum Compared {
    Measured(Speed),
    /// One of the two came to no end, and so there is nothing to compare.
    Unmeasured(Diagnostic),
    Interrupted,
}

/// One run.
enum Run {
    Took(f64),
    Not(String),
    Interrupted,
}

impl Speed {
    /// What is not as expected.
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
    /// Runs it and the other by turns, until both have run often and long enough.
    pub(crate) fn compare(&self, expected: &ExpectedSpeed, other: &Plan<'_>, ends: Ends<'_>) -> Compared {
        let began = Instant::now();
        let (mut rounds, mut shortest) = (0, [f64::INFINITY; 2]);
        while rounds < MIN_ROUNDS || began.elapsed() < MIN_TIME {
            for (plan, shortest) in [self, other].iter().zip(&mut shortest) {
                match plan.timed(ends) {
                    Run::Took(ns) => *shortest = shortest.min(ns),
                    Run::Interrupted => return Compared::Interrupted,
                    Run::Not(why) => {
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

    /// The time of an element, from when all stages have started. Nothing that comes out is kept.
    fn timed(&self, ends: Ends<'_>) -> Run {
        if !self.over_budget.is_empty() {
            return Run::Not("it is over its copy budget".to_string());
        }
        let (bodies, _) = match self.bodies(&self.injections(), false) {
            Ok(bodies) => bodies,
            Err(error) => return Run::Not(format!("{error:#}")),
        };
        let control = self.control(Arc::new(|_| {}), ends, Instant::now());
        let flow = match Flow::start(&self.wiring.graph, bodies, control) {
            Ok(flow) => flow,
            Err(_) if ends.cancel.load(Ordering::Relaxed) => return Run::Interrupted,
            Err(error) => return Run::Not(format!("{:#}", anyhow::Error::from(error))),
        };
        let began = Instant::now();
        match flow.run_until(began + self.case.timeout) {
            Ok(Some(account)) if account.cancelled => Run::Interrupted,
            Ok(Some(account)) if account.elements.entered == 0 => Run::Not("no element went through it".to_string()),
            Ok(Some(account)) => Run::Took(began.elapsed().as_nanos() as f64 / account.elements.entered as f64),
            Ok(None) if ends.cancel.load(Ordering::Relaxed) => Run::Interrupted,
            Ok(None) => Run::Not(format!("it timed out after {:?}", self.case.timeout)),
            Err(error) => Run::Not(format!("{:#}", anyhow::Error::from(error))),
        }
    }
}

#[cfg(test)]
impl Speed {
    /// Of an element that took so many times as long as a microsecond.
    pub(crate) fn of(case: &str, ratio: f64, max: f64) -> Speed {
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
