//! The proofs from a built component: what its code can do with payloads, whatever it was compiled from.
//!
//! `wiring` evaluates how the component is put together from core `module`s, `calls` makes one call graph of them,
//! `count` counts along the `control` flow of each function, `index` tells the rounds of a loop apart by `values`, and
//! `blame` finds the source of a call. Every claim must hold for any component, made by whatever means. What `uses` tells
//! is no claim, but advice.
//!
//! *Never* is claimed where no path leads there at all, not even one that ends in a trap. A count is that of a call that
//! returns.
//!
//! Which code can do what, in [`Reached`], rests on where the host gives and takes handles:
//!
//! - A batch is lent to `process` or `push`, and its handle ends with the call. So `read`, `read-all`, `slice-all` and
//!   `take` do something only there.
//! - A lease comes from `take` alone, and its handle stays good: `read-held` does something in any later call, and where
//!   no `take` can be reached, nowhere. The elements that `forward-all` and `join` make are refused outside `process` and
//!   `flush`.
//! - A buffer comes from `allocate` alone, which any call may do: without it neither `append` nor `write-at` have
//!   anything to write to.
//! - What the engine calls, to allocate and to clean up, and what runs when the component is instantiated, can run in any
//!   call: it is reached by all of them.

use blame::Blame;
use calls::{Calls, Node};
use count::{Count, Counter};
use limits::Stop;
use uses::Uses;
use wasmparser::Validator;
use wiring::{Target, Wiring};

use super::{Site, TrackedImport};
use crate::component::compile::FEATURES;
use crate::component::profile::Profile;
use crate::contract::{Bound, Bounds, Kind, Payloads, Proof, full_name};
use crate::error::LoadError;

pub use site::Use;

mod blame;
mod calls;
mod control;
mod count;
mod definitions;
mod index;
mod limits;
mod module;
mod names;
mod site;
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
    /// Writes for one element.
    pub writes: Bound,
    /// Writes of one payload after the first.
    pub pieces: Bound,
    /// Elements made of one without a write.
    pub views: Bound,
    /// Whether it can hold payloads after the call that lent them.
    pub retains: bool,
    /// The interfaces to payloads that its code can do something with.
    pub used: Payloads,
    /// The greatest number of `emit-all` calls in one call that returns; `None` where there is no bound.
    pub emits: Option<u32>,
    /// The calls of functions that proofs are about, as far as an export reaches them.
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
    /// What its code copies and makes at most.
    pub fn bounds(&self) -> Bounds {
        Bounds { reads: self.reads, writes: self.writes, pieces: self.pieces, views: self.views }
    }

    /// Analyses the component in `bytes`.
    ///
    /// # Errors
    ///
    /// Why it is no component that this runtime runs.
    pub fn parse(bytes: &[u8]) -> Result<Analysis, LoadError> {
        let profile = Profile::parse(bytes)?;
        Validator::new_with_features(FEATURES)
            .validate_all(bytes)
            .map_err(|error| LoadError::Malformed(error.to_string()))?;
        let never = Bound::never(Proof::Component);
        let mut analysis = Analysis {
            reads: never,
            writes: never,
            pieces: never,
            views: never,
            retains: false,
            used: Payloads::default(),
            emits: Some(0),
            sites: Vec::new(),
            weaker: Vec::new(),
            profile,
        };
        if analysis.profile.doors.is_empty() {
            return Ok(analysis);
        }
        match analysis.follow(bytes) {
            Ok(()) => Ok(analysis),
            Err(Stop::Malformed(why)) => Err(LoadError::Malformed(why)),
            Err(Stop::Beyond(why)) => {
                analysis.weaker.push(why);
                let imported = Reached::by(|door| analysis.profile.doors.contains(&door));
                analysis.bound(imported, Proof::Component);
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
                let of_batch = matches!(site.callee, TrackedImport::Read | TrackedImport::ReadAll);
                told.used = if of_batch { uses.of(*place) } else { Use::Unknown };
            }
        }
        let imported = Reached::by(|door| self.profile.doors.contains(&door));
        let reached = Reached::of(&calls, &roots);
        self.bound(imported, Proof::Component);
        self.bound(reached, Proof::CallGraph);
        if reached.reads_held {
            self.weaker.push("what it holds can be read through its lease, in any call".to_string());
        } else if reached.reads {
            self.reads = self.bound_reads(&calls, &roots)?;
        }
        if reached.pieces {
            self.weaker.push("a payload can be written piece by piece, any number of times".to_string());
        }
        if reached.emits {
            self.emits = count(&calls, &roots, &roots.making, &[TrackedImport::EmitAll])?.0.max;
        }
        Ok(())
    }

    /// Takes what the code `can` do for all that it can do: the rest is never done, by this proof or by a stronger one that
    /// is known already.
    fn bound(&mut self, can: Reached, proof: Proof) {
        let unless = |can: bool, known: Bound| match known {
            _ if can => Bound::unknown(),
            known if known.is_never() => known,
            _ => Bound::never(proof),
        };
        self.reads = unless(can.reads, self.reads);
        self.writes = unless(can.writes, self.writes);
        self.pieces = unless(can.pieces, self.pieces);
        self.views = unless(can.views, self.views);
        self.retains = can.retains;
        self.used = can.used;
        // How many elements an output has is not in the code; but a source writes each that it makes.
        if self.profile.kind == Kind::Source && can.emits && !can.allocates {
            self.writes = Bound::exactly(1, Proof::Contract);
        }
        self.emits = (!can.emits).then_some(0);
    }

    /// Bounds the reads of a stage that reads only what it is lent.
    fn bound_reads(&mut self, calls: &Calls<'_, '_>, roots: &Roots) -> Result<Bound, Stop> {
        let (count, reasons) = count(calls, roots, &roots.element, &[TrackedImport::Read, TrackedImport::ReadAll])?;
        for reason in reasons {
            if !self.weaker.contains(&reason) {
                self.weaker.push(reason);
            }
        }
        Ok(match count.max {
            // An element that is held exclusively is not read with the rest of its batch.
            Some(max) if count.min == max && !self.retains => Bound::exactly(max, Proof::Bounded),
            Some(max) => Bound::at_most(max, Proof::Bounded),
            None => Bound::unknown(),
        })
    }
}

/// What code can do with payloads: where a part of it is false, there is none that does it.
#[derive(Debug, Clone, Copy)]
struct Reached {
    reads: bool,
    /// Of the reads, those of what is held.
    reads_held: bool,
    writes: bool,
    /// Of the writes, those of whole payloads.
    emits: bool,
    /// Of the writes, those by a buffer.
    allocates: bool,
    pieces: bool,
    views: bool,
    retains: bool,
    used: Payloads,
}

impl Reached {
    /// By the doors that something can pass through.
    fn by(open: impl Fn(TrackedImport) -> bool) -> Reached {
        let retains = open(TrackedImport::Take);
        let reads_held = retains && open(TrackedImport::ReadHeld);
        let (emits, allocates) = (open(TrackedImport::EmitAll), open(TrackedImport::Allocate));
        let (read, view) = (open(TrackedImport::Read) || open(TrackedImport::ReadAll), open(TrackedImport::SliceAll));
        Reached {
            reads: read || reads_held,
            reads_held,
            writes: emits || allocates,
            emits,
            allocates,
            pieces: allocates && (open(TrackedImport::Append) || open(TrackedImport::WriteAt)),
            views: view || (retains && (open(TrackedImport::ForwardAll) || open(TrackedImport::Join))),
            retains,
            used: Payloads { read: read || reads_held, write: emits, view, buffer: allocates, lease: retains },
        }
    }

    /// By the calls that can be made.
    fn of(calls: &Calls<'_, '_>, roots: &Roots) -> Reached {
        let exports: Vec<Node> = roots.exports.iter().map(|(_, node)| *node).collect();
        let [lent, making, any] = [&roots.element, &roots.making, &exports].map(|of| calls.reachable(roots.strict(of)));
        Reached::by(|door| {
            let reached = match door {
                TrackedImport::Read | TrackedImport::ReadAll | TrackedImport::SliceAll | TrackedImport::Take => &lent,
                TrackedImport::EmitAll | TrackedImport::ForwardAll | TrackedImport::Join => &making,
                TrackedImport::ReadHeld | TrackedImport::Allocate | TrackedImport::Append | TrackedImport::WriteAt => {
                    &any
                }
            };
            reached[calls::node_of(door) as usize]
        })
    }
}

/// Counts for the one of several exports that copies most, and tells why where there is no bound.
fn count(
    calls: &Calls<'_, '_>,
    roots: &Roots,
    exports: &[Node],
    doors: &[TrackedImport],
) -> Result<(Count, Vec<String>), Stop> {
    let mut counter = Counter::new(calls, doors);
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

/// Where calls into the component begin.
struct Roots {
    /// The export that elements are lent to.
    element: Vec<Node>,
    /// The exports that may make elements.
    making: Vec<Node>,
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
        let (element, making): (&str, &[&str]) = match kind {
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
        Ok(Roots { element: named(&[element])?, making: named(making)?, engine, start, exports })
    }

    /// All that can run before, during and after the given exports.
    fn strict(&self, exports: &[Node]) -> Vec<Node> {
        [exports, &self.engine, &self.start].concat()
    }
}
