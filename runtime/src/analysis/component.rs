//! The proofs from a built component: what its code can do with payloads, whatever it was compiled from.
//!
//! `wiring` evaluates how the component is put together from core `module`s, `calls` makes one call graph of them,
//! `count` counts along the `control` flow of each function, `index` tells the rounds of a loop apart by `values`, and
//! `blame` finds the source of a call. Every claim must hold for any component, made by whatever means. What `uses` tells
//! is no claim, but advice.
//!
//! *Never* is claimed where no path leads there at all, not even one that ends in a trap. A count is that of a call that
//! returns.

use std::path::Path;

use wasmparser::{Validator, WasmFeatures};

use super::{Bound, Bounds, Copying, Proof, Site};
use crate::error::{Error, LoadError};
use crate::profile::{self, Kind, Profile, full_name};
use blame::Blame;
use calls::{Calls, Node};
use count::{Count, Counter};
use limits::Stop;
use uses::Uses;
use wiring::{Target, Wiring};

pub use uses::Use;

mod blame;
mod calls;
mod control;
mod count;
mod definitions;
mod index;
mod limits;
mod module;
mod uses;
mod values;
mod wiring;

/// What the code of a component can do with payloads.
#[derive(Debug, Clone)]
pub struct Analysis {
    /// What the component is.
    pub profile: Profile,
    /// Reads of one element that is lent.
    pub reads: Bound,
    /// Payloads written for one element.
    pub writes: Bound,
    /// The greatest number of `emit-all` calls in one call that returns; `None` where there is no bound.
    pub emits: Option<u32>,
    /// The calls of functions that copy, as far as an export reaches them.
    pub sites: Vec<Site>,
    /// Why no stronger proof is given, as phrases.
    pub weaker: Vec<String>,
}

/// The exports of the contract, those that handle elements first.
const EXPORTS: [(&str, &str); 7] = [
    ("processor", "process"),
    ("sink", "push"),
    ("source", "pull"),
    ("processor", "flush"),
    ("sink", "complete"),
    ("lifecycle", "init"),
    ("lifecycle", "teardown"),
];

impl Analysis {
    /// Reads the component at `path` and analyses it.
    ///
    /// # Errors
    ///
    /// [`Error::Load`] where there is no file, no component in it, or none that this runtime runs.
    pub fn of(path: &Path, max_size: u64) -> Result<Analysis, Error> {
        let bytes = profile::read(path, max_size)?;
        Analysis::parse(&bytes).map_err(|reason| Error::load(path, reason))
    }

    /// What its code copies at most.
    pub fn bounds(&self) -> Bounds {
        Bounds { reads: self.reads, writes: self.writes }
    }

    /// Analyses the component in `bytes`.
    ///
    /// # Errors
    ///
    /// Why it is no component that this runtime runs.
    pub fn parse(bytes: &[u8]) -> Result<Analysis, LoadError> {
        let profile = Profile::parse(bytes)?;
        Validator::new_with_features(WasmFeatures::default())
            .validate_all(bytes)
            .map_err(|error| LoadError::Malformed(error.to_string()))?;
        let imports = |copying: Copying| profile.copying.contains(&copying);
        let mut analysis = Analysis {
            reads: Bound::never(Proof::Component),
            writes: Bound::never(Proof::Component),
            emits: Some(0),
            sites: Vec::new(),
            weaker: Vec::new(),
            profile: profile.clone(),
        };
        if profile.copying.is_empty() {
            return Ok(analysis);
        }
        match analysis.follow(bytes) {
            Ok(()) => Ok(analysis),
            Err(Stop::Malformed(why)) => Err(LoadError::Malformed(why)),
            Err(Stop::Beyond(why)) => {
                analysis.weaker.push(why);
                if imports(Copying::Read) || imports(Copying::ReadAll) {
                    analysis.reads = Bound::unknown();
                }
                if imports(Copying::EmitAll) {
                    analysis.writes = written_at_most(profile.kind);
                    analysis.emits = None;
                }
                Ok(analysis)
            }
        }
    }

    fn follow(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        let wiring = Wiring::parse(bytes)?;
        let calls = Calls::of(&wiring)?;
        let roots = Roots::of(&wiring, &calls, self.profile.kind)?;
        let sites = Blame::new(&wiring, &calls).sites(&roots.exports)?;
        self.sites = sites.iter().map(|(_, site)| site.clone()).collect();
        if !wiring.unfollowed.is_empty() {
            return Err(Stop::Beyond(wiring.unfollowed.join(", and ")));
        }
        if let [element] = roots.element[..] {
            let mut uses = Uses::new(&calls, element);
            for ((place, site), told) in sites.iter().zip(&mut self.sites) {
                told.used = if site.callee == Copying::EmitAll { Use::Unknown } else { uses.of(*place) };
            }
        }
        let reads: Vec<Copying> =
            self.profile.copying.iter().copied().filter(|copying| *copying != Copying::EmitAll).collect();
        if !reads.is_empty() {
            self.reads = self.bound_reads(&calls, &roots, &reads)?;
        }
        if self.profile.copying.contains(&Copying::EmitAll) {
            (self.writes, self.emits) = self.bound_writes(&calls, &roots)?;
        }
        Ok(())
    }

    fn bound_reads(&mut self, calls: &Calls<'_, '_>, roots: &Roots, reads: &[Copying]) -> Result<Bound, Stop> {
        let reached = calls.reachable(roots.strict(&roots.element));
        if !reads.iter().any(|copying| reached[calls::copying(*copying) as usize]) {
            return Ok(Bound::never(Proof::CallGraph));
        }
        let (count, reasons) = count(calls, roots, &roots.element, reads)?;
        for reason in reasons {
            if !self.weaker.contains(&reason) {
                self.weaker.push(reason);
            }
        }
        Ok(match count.max {
            Some(max) if count.min == max => Bound::exactly(max, Proof::Bounded),
            Some(max) => Bound { max: Some(max), exact: false, proof: Some(Proof::Bounded) },
            None => Bound::unknown(),
        })
    }

    fn bound_writes(&self, calls: &Calls<'_, '_>, roots: &Roots) -> Result<(Bound, Option<u32>), Stop> {
        let reached = calls.reachable(roots.strict(&roots.writing));
        if !reached[calls::copying(Copying::EmitAll) as usize] {
            return Ok((Bound::never(Proof::CallGraph), Some(0)));
        }
        let emits = count(calls, roots, &roots.writing, &[Copying::EmitAll])?.0.max;
        Ok((written_at_most(self.profile.kind), emits))
    }
}

/// Counts for the one of several exports that copies most, and tells why where there is no bound.
fn count(
    calls: &Calls<'_, '_>,
    roots: &Roots,
    exports: &[Node],
    copying: &[Copying],
) -> Result<(Count, Vec<String>), Stop> {
    let mut counter = Counter::new(calls, copying);
    if roots.engine.iter().any(|node| counter.is_relevant(*node)) {
        return Ok((Count::UNBOUNDED, vec!["what the engine calls to allocate or to clean up can copy".to_string()]));
    }
    let mut counts = Vec::new();
    for export in exports {
        counts.push(counter.count(*export)?);
    }
    let count = counts.into_iter().reduce(Count::or).unwrap_or(Count::UNBOUNDED);
    let reasons = if count.max.is_none() { counter.reasons } else { Vec::new() };
    Ok((count, reasons))
}

/// A source writes each element that it makes, once. How many elements an output has is not in the code.
fn written_at_most(kind: Kind) -> Bound {
    if kind == Kind::Source { Bound::exactly(1, Proof::Contract) } else { Bound::unknown() }
}

/// Where calls into the component begin.
struct Roots {
    /// The export that elements are lent to.
    element: Vec<Node>,
    /// The exports that may write.
    writing: Vec<Node>,
    /// What the engine calls during them: allocation, clean-up, destructors.
    engine: Vec<Node>,
    /// What runs when the component is instantiated.
    start: Vec<Node>,
    /// All exports of the contract that there are, in the order of `EXPORTS`.
    exports: Vec<(&'static str, Node)>,
}

impl Roots {
    fn of(wiring: &Wiring<'_>, calls: &Calls<'_, '_>, kind: Kind) -> Result<Roots, Stop> {
        let mut engine: Vec<Target> = wiring.reallocs.iter().chain(&wiring.destructors).copied().collect();
        let mut exports = Vec::new();
        for (interface, name) in EXPORTS {
            let key = (full_name(interface), name.to_string());
            let Some(target) = wiring.exports.get(&key) else { continue };
            let Target::Lifted(lift) = target else {
                return Err(Stop::beyond(format!("its `{name}` is not a function of its own")));
            };
            let lift = wiring.lifts.get(*lift as usize).ok_or_else(Stop::inconsistent)?;
            engine.extend(lift.post_return);
            exports.push((name, calls.node(lift.core)));
        }
        let (element, writing): (&str, &[&str]) = match kind {
            Kind::Processor => ("process", &["process", "flush"]),
            Kind::Sink => ("push", &[]),
            Kind::Source => ("pull", &["pull"]),
        };
        let named = |names: &[&str]| -> Result<Vec<Node>, Stop> {
            let find = |name: &&str| exports.iter().find(|(export, _)| export == name).map(|(_, node)| *node);
            let missing = || Stop::beyond("an export of the contract was not found");
            names.iter().map(|name| find(name).ok_or_else(missing)).collect()
        };
        let mut start = Vec::new();
        for number in 0..wiring.instances.len() as u32 {
            if let Some(function) = wiring.module_of(number)?.start {
                start.push(calls.node(wiring.function(number, function)?));
            }
        }
        let engine = engine.into_iter().map(|target| calls.node(target)).collect();
        Ok(Roots { element: named(&[element])?, writing: named(writing)?, engine, start, exports })
    }

    /// All that can run before, during and after the given exports.
    fn strict(&self, exports: &[Node]) -> Vec<Node> {
        [exports, &self.engine, &self.start].concat()
    }
}
