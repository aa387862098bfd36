//! How often a guest really copies, by the ledger of the flows it runs in.

use std::iter;
use std::time::Duration;

use bytes::Bytes;
use torvyn_runtime::flow::{Body, Stage};
use torvyn_runtime::graph::{Capacity, Edge, Graph, Node, Role};
use torvyn_runtime::ledger::Copies;
use torvyn_runtime::{Component, Error, Flow, Limits};
use torvyn_tests::guest::ComponentFile;
use torvyn_tests::{Collected, Elements, assert_settled, control, engine};

/// What was measured, over all flows that came to their end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Measured {
    /// How often one element was read, at most.
    pub(crate) reads: u64,
    /// Whether each element was read that often.
    pub(crate) even: bool,
    /// How many payloads were written for an element, at most, on average over a flow.
    pub(crate) writes: u64,
    /// Whether that many were written in each flow.
    pub(crate) writes_even: bool,
}

/// Runs the component on as many elements, which arrive in batches of one, one, two, four and so on: 16 elements end with a
/// batch of 8, 128 with one of 64. `None` where no flow came to its end.
///
/// # Errors
///
/// Why the component does not load.
pub(crate) fn measure(bytes: &[u8], elements: &[usize], time: Duration) -> Result<Option<Measured>, Error> {
    let file = ComponentFile::new(bytes);
    let limits = Limits { memory: 16 << 20, time, ..Limits::default() };
    let component = Component::load(engine(), &file.path, &limits)?;
    let (mut reads, mut writes) = (Vec::new(), Vec::new());
    for &count in elements {
        let full = || Bytes::from_static(b"x");
        let Some(all) = run(&component, &limits, vec![full(); count]) else { continue };
        reads.push(all.payload_read.ops.div_ceil(count as u64));
        reads.push(all.payload_read.ops / count as u64);
        writes.push(all.payload_write.ops.div_ceil(count as u64));
        writes.push(all.payload_write.ops / count as u64);
        // The first one, and the last batch.
        for element in iter::once(0).chain((count / 2).max(1)..count) {
            let mut payloads = vec![Bytes::new(); count];
            payloads[element] = full();
            // A read of an empty payload is one of no bytes, or is refused: the bytes are the reads of the other.
            reads.extend(run(&component, &limits, payloads).map(|copies| copies.payload_read.bytes));
        }
    }
    let even = |counts: &[u64]| counts.iter().all(|count| *count == counts[0]);
    Ok(reads.iter().max().zip(writes.iter().max()).map(|(&most_reads, &most_writes)| Measured {
        reads: most_reads,
        even: even(&reads),
        writes: most_writes,
        writes_even: even(&writes),
    }))
}

/// What a flow of these payloads costs; `None` where the stage fails.
fn run(component: &Component, limits: &Limits, payloads: Vec<Bytes>) -> Option<Copies> {
    let role = Role::from(component.profile().kind);
    let node = |name: &str, role, outputs| Node { name: name.to_string(), role, outputs };
    let edge = |from, to| Edge { from, output: 0, to, capacity: Capacity::default() };
    let stage = Body::Stage(Stage { component: component.clone(), config: Vec::new(), limits: limits.clone() });
    let mut nodes = vec![node("input", Role::Source, 1), node("cheat", role, usize::from(role != Role::Sink))];
    let mut bodies = vec![Body::Input(Box::new(Elements::new(payloads))), stage];
    let mut edges = vec![edge(0, 1)];
    if role == Role::Processor {
        nodes.push(node("output", Role::Sink, 0));
        bodies.push(Body::Output(Box::new(Collected::default())));
        edges.push(edge(1, 2));
    }
    let graph = Graph::new(nodes, edges).expect("the graph is in order");
    let account = Flow::start(&graph, bodies, control().0).and_then(Flow::run);
    match account {
        Ok(account) => {
            assert_settled(&account);
            Some(account.stages[0].copies)
        }
        Err(Error::Start { .. } | Error::Stage { .. }) => None,
        Err(error) => panic!("{error:?}"),
    }
}
