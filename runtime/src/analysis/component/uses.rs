//! What the code does with the bytes it reads: how far into a payload it looks, as far as can be seen.
//!
//! This is for advice, not for a proof; yet it must not accuse wrongly. One call of `read` is looked at at a time. The
//! code around it is run (`uses/run.rs`) with what is known of its values and of the stack in memory
//! (`uses/known.rs`), through the functions that it calls as well. What happens to the pointer that the call returns
//! either is followed, or nothing is said: a pointer that is stored where it is not followed, passed to the host, or
//! moved by what is no constant and then read through.

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

/// Looks at the calls of `read` and `read-all`, from the export that elements are lent to.
pub(super) struct Uses<'c, 'w, 'a> {
    calls: &'c Calls<'w, 'a>,
    root: Node,
    /// From which functions a read can be reached.
    relevant: Vec<bool>,
    code: HashMap<Node, Code<'a>>,
    names: HashMap<usize, HashMap<u32, &'a str>>,
    /// Operators that may still be looked at.
    budget: usize,
}

impl<'c, 'w, 'a> Uses<'c, 'w, 'a> {
    pub(super) fn new(calls: &'c Calls<'w, 'a>, root: Node) -> Self {
        let reads =
            [crate::contract::TrackedImport::Read, crate::contract::TrackedImport::ReadAll].map(super::calls::node_of);
        let relevant = calls.reaching(&reads);
        Uses { calls, root, relevant, code: HashMap::new(), names: HashMap::new(), budget: MAX_EXAMINED }
    }

    /// What becomes of the bytes that the call at `place` reads.
    pub(super) fn find(&mut self, place: Place) -> Use {
        let mut run = Run::new(self, place);
        match run.run() {
            Ok(()) => run.found(),
            Err(_) => Use::Unknown,
        }
    }

    /// The name of a function, demangled; empty where it has none.
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
