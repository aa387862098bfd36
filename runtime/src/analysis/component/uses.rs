//! Finds how code uses the bytes that it reads: how far into a payload it looks.
//!
//! The result is advice and not a proof, but it must not be wrong. One call of `read` is examined at a time. The code
//! around it is interpreted (`uses/run.rs`) with what is known about its values and the stack memory (`uses/known.rs`),
//! also through the functions that it calls. The pointer that the call returns is tracked. If that is not possible, the
//! use is unknown: when the pointer is stored outside the stack, passed to the host, or moved by a value that is not
//! constant and then read through.

use std::collections::HashMap;

use code::Code;
use run::Run;

use super::calls::{Calls, Node};
use super::limits::{MAX_EXAMINED, Stop};
use super::names::read_names;
use super::site::{Place, Use};

mod call;
mod code;
mod known;
mod run;
mod step;

/// Examines the calls of `read` and `read-all`, from the export that elements are lent to.
pub(super) struct Uses<'c, 'w, 'a> {
    calls: &'c Calls<'w, 'a>,
    root: Node,
    /// The functions from which a read can be reached.
    relevant: Vec<bool>,
    code: HashMap<Node, Code<'a>>,
    names: HashMap<usize, HashMap<u32, &'a str>>,
    /// How many instructions may still be examined.
    budget: usize,
}

impl<'c, 'w, 'a> Uses<'c, 'w, 'a> {
    pub(super) fn new(calls: &'c Calls<'w, 'a>, root: Node) -> Self {
        let reads =
            [crate::contract::TrackedImport::Read, crate::contract::TrackedImport::ReadAll].map(super::calls::node_of);
        let relevant = calls.reaching(&reads);
        Uses { calls, root, relevant, code: HashMap::new(), names: HashMap::new(), budget: MAX_EXAMINED }
    }

    /// How the bytes that the call at `place` reads are used.
    pub(super) fn find(&mut self, place: Place) -> Use {
        let mut run = Run::new(self, place);
        match run.run() {
            Ok(()) => run.result(),
            Err(_) => Use::Unknown,
        }
    }

    /// The demangled name of a function; empty if it has none.
    fn name(&mut self, instance: u32, function: u32) -> Result<String, Stop> {
        let module = self.calls.wiring.module_of(instance)?;
        let number = self.calls.wiring.instances[instance as usize].module;
        let names = self.names.entry(number).or_insert_with(|| {
            let section = module.custom.iter().find(|(name, _)| *name == "name");
            section.map(|(_, data)| read_names(data)).unwrap_or_default()
        });
        Ok(names.get(&function).map(|name| format!("{:#}", rustc_demangle::demangle(name))).unwrap_or_default())
    }
}
