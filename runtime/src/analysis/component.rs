//! Proves claims from a built component: what its code can do with payloads, whatever it was compiled from.
//!
//! `wiring` evaluates how the component is composed of core `module`s, `calls` builds one call graph of them, `count`
//! counts along the `control` flow of each function, `index` uses `values` to show that the iterations of a loop
//! differ, and `blame` finds the source of a call. Every claim must hold for any component, however it was made. The
//! results of `uses` are not claims, but advice.
//!
//! *Never* is claimed only if no path leads to a call at all, not even a path that ends in a trap. A count holds for
//! calls that return.
//!
//! What code can do ([`Reached`]) depends on when the host gives out and takes back handles:
//!
//! - A batch is lent to `process` or `push`, and its handle ends with the call. So `read`, `read-all`, `slice-all` and
//!   `take` have an effect only there.
//! - A lease comes from `take` only, and its handle stays valid: `read-held` has an effect in any later call, and in
//!   none if no `take` can be reached. Elements that `forward-all` and `join` make outside `process` and `flush` are
//!   refused.
//! - A buffer comes from `allocate` only, which any call may do. Without a buffer, `append` and `write-at` have no
//!   effect.
//! - Code that the engine calls to allocate and clean up, and code that runs when the component is instantiated, can
//!   run in any call: all exports reach it.

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
use crate::error::{LoadError, StartLimit};
use crate::pipeline::limits::Limits;

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
    /// The kind and the imports of the component.
    pub profile: Profile,
    /// Reads of one element that is lent.
    pub reads: Bound,
    /// Writes for one element.
    pub writes: Bound,
    /// Writes of one payload after the first.
    pub pieces: Bound,
    /// Elements made of one element without a write.
    pub views: Bound,
    /// Whether the component can hold payloads after the call that lent them.
    pub retains: bool,
    /// The payload interfaces that the code can use with an effect.
    pub used: Payloads,
    /// The most `emit-all` calls in one call that returns; `None` if there is no bound.
    pub emits: Option<u32>,
    /// The calls of tracked imports that an export can reach.
    pub sites: Vec<Site>,
    /// Why there is no stronger proof, as phrases.
    pub weaker: Vec<String>,
    /// Bytes of memory that it starts with; `None` unless the engine has measured them.
    pub memory: Option<u64>,
}

/// The exports of the contract, starting with those that are lent elements.
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
    /// How much the code copies and makes at most.
    pub fn bounds(&self) -> Bounds {
        Bounds { reads: self.reads, writes: self.writes, pieces: self.pieces, views: self.views }
    }

    /// Checks that a stage with these limits can load the component and has enough memory to start.
    ///
    /// # Errors
    ///
    /// The limit that it exceeds.
    pub fn check_limits(&self, limits: &Limits) -> Result<(), LoadError> {
        if self.profile.size > limits.component_size {
            return Err(LoadError::TooLarge { limit: limits.component_size });
        }
        match self.memory {
            Some(needed) if needed > limits.memory => Err(StartLimit::Memory { needed, limit: limits.memory }.into()),
            _ => Ok(()),
        }
    }

    /// Analyses the component in `bytes`.
    ///
    /// # Errors
    ///
    /// Why the component is not a stage that this runtime can run.
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
            memory: None,
            profile,
        };
        if analysis.profile.tracked_imports.is_empty() {
            return Ok(analysis);
        }
        match analysis.analyse(bytes) {
            Ok(()) => Ok(analysis),
            Err(Stop::Malformed(why)) => Err(LoadError::Malformed(why)),
            Err(Stop::Beyond(why)) => {
                analysis.weaker.push(why);
                let imported = Reached::from_imports(|import| analysis.profile.tracked_imports.contains(&import));
                analysis.bound(imported, Proof::Component);
                Ok(analysis)
            }
        }
    }

    fn analyse(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        let wiring = Wiring::parse(bytes)?;
        let calls = Calls::of(&wiring)?;
        let roots = Roots::find(&wiring, &calls, self.profile.kind)?;
        let sites = Blame::new(&wiring, &calls).sites(&roots.exports)?;
        self.sites = sites.iter().map(|(_, site)| site.clone()).collect();
        if !wiring.unsupported.is_empty() {
            return Err(Stop::Beyond(wiring.unsupported.join(", and ")));
        }
        if let [element] = roots.element[..] {
            let mut uses = Uses::new(&calls, element);
            for ((place, site), reported) in sites.iter().zip(&mut self.sites) {
                let reads_batch = matches!(site.callee, TrackedImport::Read | TrackedImport::ReadAll);
                reported.used = if reads_batch { uses.find(*place) } else { Use::Unknown };
            }
        }
        let imported = Reached::from_imports(|import| self.profile.tracked_imports.contains(&import));
        let reached = Reached::from_calls(&calls, &roots);
        self.bound(imported, Proof::Component);
        self.bound(reached, Proof::CallGraph);
        if reached.reads_held {
            self.weaker.push("held elements can be read through their lease in any call".to_string());
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

    /// Applies `can` as everything that the code can do: all else never happens, by `proof` or by a stronger proof that
    /// is already known.
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
        // The code does not say how many elements an output has, but a source writes each element that it makes.
        if self.profile.kind == Kind::Source && can.emits && !can.allocates {
            self.writes = Bound::exactly(1, Proof::Contract);
        }
        self.emits = (!can.emits).then_some(0);
    }

    /// Bounds the reads of a stage that reads only elements of the batch, and no held elements.
    fn bound_reads(&mut self, calls: &Calls<'_, '_>, roots: &Roots) -> Result<Bound, Stop> {
        let (count, reasons) = count(calls, roots, &roots.element, &[TrackedImport::Read, TrackedImport::ReadAll])?;
        for reason in reasons {
            if !self.weaker.contains(&reason) {
                self.weaker.push(reason);
            }
        }
        Ok(match count.max {
            // `read-all` skips elements that are held exclusively.
            Some(max) if count.min == max && !self.retains => Bound::exactly(max, Proof::Bounded),
            Some(max) => Bound::at_most(max, Proof::Bounded),
            None => Bound::unknown(),
        })
    }
}

/// What the code can do with payloads. If a field is false, no code does it.
#[derive(Debug, Clone, Copy)]
struct Reached {
    reads: bool,
    /// Reads of held elements.
    reads_held: bool,
    writes: bool,
    /// Writes of whole payloads.
    emits: bool,
    /// Writes through a buffer.
    allocates: bool,
    pieces: bool,
    views: bool,
    retains: bool,
    used: Payloads,
}

impl Reached {
    /// From the imports that are `open`: the code can call them with an effect.
    fn from_imports(open: impl Fn(TrackedImport) -> bool) -> Reached {
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

    /// From the calls that the exports can reach.
    fn from_calls(calls: &Calls<'_, '_>, roots: &Roots) -> Reached {
        let exports: Vec<Node> = roots.exports.iter().map(|(_, node)| *node).collect();
        let [lent, making, any] =
            [&roots.element, &roots.making, &exports].map(|exports| calls.reachable(roots.with_engine(exports)));
        Reached::from_imports(|import| {
            let reached = match import {
                TrackedImport::Read | TrackedImport::ReadAll | TrackedImport::SliceAll | TrackedImport::Take => &lent,
                TrackedImport::EmitAll | TrackedImport::ForwardAll | TrackedImport::Join => &making,
                TrackedImport::ReadHeld | TrackedImport::Allocate | TrackedImport::Append | TrackedImport::WriteAt => {
                    &any
                }
            };
            reached[calls::node_of(import) as usize]
        })
    }
}

/// The count for the export that copies most, and the reasons if there is no bound.
fn count(
    calls: &Calls<'_, '_>,
    roots: &Roots,
    exports: &[Node],
    imports: &[TrackedImport],
) -> Result<(Count, Vec<String>), Stop> {
    let mut counter = Counter::new(calls, imports);
    if roots.engine.iter().any(|node| counter.is_relevant(*node)) {
        return Ok((
            Count::UNBOUNDED,
            vec!["code that the engine calls to allocate or to clean up can copy".to_string()],
        ));
    }
    let mut counts = Vec::new();
    for export in exports {
        counts.push(counter.count(*export)?);
    }
    let count = counts.into_iter().reduce(Count::or).unwrap_or(Count::UNBOUNDED);
    let reasons = if count.max.is_none() { counter.reasons } else { Vec::new() };
    Ok((count, reasons))
}

/// Where calls into the component start.
struct Roots {
    /// The export that elements are lent to.
    element: Vec<Node>,
    /// The exports that may make elements.
    making: Vec<Node>,
    /// Functions that the engine calls during a call: allocation, clean-up, destructors.
    engine: Vec<Node>,
    /// Functions that run when the component is instantiated.
    start: Vec<Node>,
    /// All exports of the contract in the component, in the order of `EXPORTS`.
    exports: Vec<(&'static str, Node)>,
}

impl Roots {
    fn find(wiring: &Wiring<'_>, calls: &Calls<'_, '_>, kind: Kind) -> Result<Roots, Stop> {
        let mut engine: Vec<Target> = wiring.reallocs.iter().chain(&wiring.destructors).copied().collect();
        let mut exports = Vec::new();
        for (interface, name) in EXPORTS {
            let key = (full_name(interface), name.to_string());
            let Some(target) = wiring.exports.get(&key) else { continue };
            let Target::Lifted(lift) = target else {
                return Err(Stop::beyond(format!("its `{name}` is not defined in the component")));
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
        let find_all = |names: &[&str]| -> Result<Vec<Node>, Stop> {
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
        Ok(Roots { element: find_all(&[element])?, making: find_all(making)?, engine, start, exports })
    }

    /// Everything that can run before, during and after the given exports.
    fn with_engine(&self, exports: &[Node]) -> Vec<Node> {
        [exports, &self.engine, &self.start].concat()
    }
}
