//! How a node sends what its stage made of a batch.

use super::MAX_BATCH;
use super::stage::StageNode;
use crate::base::plural::counted;
use crate::contract::Kind;
use crate::error::{Error, StageError};
use crate::flow::edge::Edge;
use crate::payload::ElementSet;
use crate::payload::element;
use crate::payload::run::Header;
use crate::stage::host::{BY_HANDLE, NO_LINEAGE, Origin, OutputElements, Part, View, Written, all_outputs};
use crate::stage::instance::Processed;

/// What was sent so far of the elements of a batch.
struct Sent {
    /// The elements that something was sent of.
    named: ElementSet,
    /// For each element, the outputs it was passed on to by handle.
    passed: Vec<u32>,
}

impl StageNode {
    /// Sends what a processor made of the batch.
    pub(super) fn send(&mut self, processed: Processed, edges: &mut [Edge]) -> Result<(), Error> {
        let instance = &mut self.instance;
        if let Some(last) = instance.batch().last() {
            (self.sequence, self.timestamp) = (last.sequence(), last.timestamp());
            self.context = element::without_attributes(last.context());
        }
        match processed {
            Processed::Routes(routes) => self.send_routes(&routes, edges),
            Processed::Elements(made) => self.send_made("process", made, edges),
        }
    }

    /// Sends the batch along the routes that a processor returned.
    fn send_routes(&mut self, routes: &[u32], edges: &mut [Edge]) -> Result<(), Error> {
        let instance = &mut self.instance;
        if let Some(broken) = undeclared_output(all_outputs(routes), self.links.outputs.count()) {
            return Err(instance.error("process", broken));
        }
        let held = instance.leases().held_here();
        let gone = instance.leases().exclusive();
        let named = routed(routes);
        if let Some(index) = (gone & named).least() {
            return Err(instance.error("process", exclusively_held(index)));
        }
        let mut left = routes;
        for run in instance.batch().drain() {
            let (masks, rest) = left.split_at(run.len());
            left = rest;
            // Compared as memory: many at once.
            if masks[0] != 0 && masks[1..] == masks[..masks.len() - 1] {
                self.links.outputs.send(edges, run, masks[0]);
            } else {
                self.links.outputs.send_each(edges, &run, masks);
            }
        }
        self.links.counters.made.ops += named.len();
        self.links.counters.dropped += routes.len() as u64 - (named | held).len();
        self.settle(named);
        Ok(())
    }

    /// Sends the elements that a stage made.
    pub(super) fn send_made(
        &mut self,
        call: &'static str,
        made: OutputElements,
        edges: &mut [Edge],
    ) -> Result<(), Error> {
        let instance = &mut self.instance;
        if let Some(broken) = undeclared_output(made.goes_to(), self.links.outputs.count()) {
            return Err(instance.error(call, broken));
        }
        let mut sent = Sent { named: ElementSet::EMPTY, passed: Vec::new() };
        for part in made.into_parts() {
            match part {
                Part::Written(part) => self.send_written(call, &part, &mut sent, edges)?,
                Part::Views(views) => self.send_views(views, &mut sent, edges),
            }
        }
        let batch = self.instance.batch().len() as u64;
        self.instance.batch().clear();
        let held = self.instance.leases().held_here();
        self.links.counters.dropped += batch - (sent.named | held).len();
        self.settle(sent.named);
        Ok(())
    }

    /// Sends the elements that a stage wrote, and those it passed on in between.
    fn send_written(
        &mut self,
        call: &'static str,
        made: &Written,
        sent: &mut Sent,
        edges: &mut [Edge],
    ) -> Result<(), Error> {
        let is_source = self.kind == Kind::Source;
        let instance = &mut self.instance;
        let gone = instance.leases().exclusive();
        let batch = instance.batch();
        if gone.is_empty() && made.is_in_order(batch.len(), is_source) {
            self.send_in_order(made, sent, edges);
            return Ok(());
        }
        let named = made.lineage.iter().filter(|index| **index != NO_LINEAGE);
        if let Some(index) = named.clone().find(|index| **index as usize >= batch.len()) {
            let broken =
                format!("`lineage` has element {index}, but the batch has {}", counted(batch.len() as u64, "element"));
            return Err(instance.error(call, StageError::Contract(broken)));
        }
        if !gone.is_empty() {
            let named: ElementSet = named.map(|index| *index as usize).collect();
            if let Some(index) = (gone & named).least() {
                return Err(instance.error(call, exclusively_held(index)));
            }
        }
        self.identity_writes.observe(made, batch);
        let mut runs = std::mem::take(&mut self.runs);
        let mut at = 0;
        let mut goes_to = 0;
        for (entry, &size) in made.sizes.iter().enumerate() {
            let lineage = made.lineage.get(entry).copied().filter(|index| *index != NO_LINEAGE);
            let origin = lineage.and_then(|index| batch.get(index as usize));
            let outputs = made.outputs.get(entry).copied().unwrap_or(1);
            if outputs != 0
                && let Some(index) = lineage
            {
                sent.named.insert(index as usize);
            }
            if outputs != goes_to {
                runs.drain().for_each(|run| self.links.outputs.send(edges, run, goes_to));
                goes_to = outputs;
            }
            let like = match origin {
                Some(origin) => origin.into(),
                None => Header { sequence: self.sequence, timestamp: self.timestamp, context: self.context.as_ref() },
            };
            let bytes = match origin {
                Some(origin) if size == BY_HANDLE => {
                    sent.passed.resize(MAX_BATCH, 0);
                    let passed = &mut sent.passed[lineage.unwrap_or_default() as usize];
                    if *passed & outputs != 0 {
                        let output = (*passed & outputs).trailing_zeros();
                        let broken = format!("an element is sent to output {output} twice");
                        return Err(instance.error(call, StageError::Contract(broken)));
                    }
                    *passed |= outputs;
                    runs.add_ref(origin);
                    origin.len() as u64
                }
                None if size == BY_HANDLE => {
                    let broken = "an element is passed on by handle without lineage".to_string();
                    return Err(instance.error(call, StageError::Contract(broken)));
                }
                _ => {
                    runs.add_part(&made.bytes, at, size as usize, like);
                    at += size as usize + made.end;
                    self.written.record(1, size);
                    size
                }
            };
            if is_source {
                self.sequence += 1;
                self.links.counters.dropped += u64::from(outputs == 0);
            }
            self.links.counters.made.record(1, bytes);
        }
        runs.drain().for_each(|run| self.links.outputs.send(edges, run, goes_to));
        self.runs = runs;
        Ok(())
    }

    /// Sends new payloads that all go to the first output: of a source, or for one element of the batch after the other. Nearly
    /// everything that stages write is like that.
    fn send_in_order(&mut self, made: &Written, sent: &mut Sent, edges: &mut [Edge]) {
        let batch = self.instance.batch();
        self.identity_writes.observe(made, batch);
        let (count, bytes) = (made.sizes.len(), made.payload_bytes());
        let mut start = 0;
        if self.kind == Kind::Source {
            let like = Header { sequence: self.sequence, timestamp: self.timestamp, context: self.context.as_ref() };
            let mut parts = self.runs.parts_of(&made.bytes, like);
            for &size in &made.sizes {
                parts.add(start, size as usize);
                start += size as usize + made.end;
            }
            self.sequence += count as u64;
        } else {
            let mut sizes = &made.sizes[..];
            for run in batch.runs() {
                // A call that failed made something only of the first elements.
                if sizes.is_empty() {
                    break;
                }
                let of_run;
                (of_run, sizes) = sizes.split_at(run.len().min(sizes.len()));
                start = self.runs.add_parts_like(run, &made.bytes, start, of_run, made.end);
            }
            sent.named |= ElementSet::first(count);
        }
        self.written.record(count as u64, bytes);
        self.links.counters.made.record(count as u64, bytes);
        self.runs.drain().for_each(|run| self.links.outputs.send(edges, run, 1));
    }

    /// Sends the elements that a stage made of others without a copy.
    fn send_views(&mut self, views: Vec<View>, sent: &mut Sent, edges: &mut [Edge]) {
        let instance = &mut self.instance;
        for View { mut element, outputs, origin } in views {
            instance.copy_attributes(&mut element, &origin);
            if outputs != 0 {
                match origin {
                    Origin::Lent(index) => sent.named.insert(index as usize),
                    Origin::Held(place) => instance.mark_consumed(&[place]),
                    Origin::Joined(places) => instance.mark_consumed(&places),
                }
            }
            self.links.counters.made.record(1, element.payload.len() as u64);
            self.links.outputs.send(edges, element.into(), outputs);
        }
    }
}

/// The elements that go to an output.
fn routed(routes: &[u32]) -> ElementSet {
    if !routes.contains(&0) {
        return ElementSet::first(routes.len());
    }
    let routed = routes.iter().enumerate().filter(|(_, outputs)| **outputs != 0);
    routed.map(|(index, _)| index).collect()
}

/// The error for elements that go to an output that is not declared, if there are any.
fn undeclared_output(goes_to: u32, outputs: usize) -> Option<StageError> {
    let known = u32::MAX.checked_shl(outputs as u32).map_or(u32::MAX, |unknown| !unknown);
    let unknown = goes_to & !known;
    let output = (unknown != 0).then_some(unknown.trailing_zeros())?;
    let are = if outputs == 1 { "is" } else { "are" };
    let declared = format!("{} {are} declared (`outputs`)", counted(outputs as u64, "output"));
    Some(StageError::Contract(format!("output index {output} is out of range: {declared}")))
}

/// The error for an element that was used after an exclusive lease took it.
fn exclusively_held(index: usize) -> StageError {
    StageError::Contract(format!("element {index} of the batch is held by an exclusive lease and cannot be sent"))
}
