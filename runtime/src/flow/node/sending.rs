//! How a node sends what its stage made of a batch.

use super::{Callee, MAX_BATCH, Node};
use crate::base::plural::counted;
use crate::contract::Kind;
use crate::error::{Error, StageError};
use crate::flow::edge::Edge;
use crate::payload::element::{self, Element};
use crate::stage::host::{BY_HANDLE, NO_LINEAGE, Origin, OutputElements, Part, View, Written, all_outputs};
use crate::stage::instance::Processed;

/// What was sent so far of the elements of a batch.
struct Sent {
    /// The elements that something was sent of, as a bit mask.
    named: u64,
    /// For each element, the outputs it was passed on to by handle.
    passed: [u32; MAX_BATCH],
}

impl Node {
    /// Sends what a processor made of the batch.
    pub(super) fn send(&mut self, processed: Processed, edges: &mut [Edge]) -> Result<(), Error> {
        let Callee::Stage { instance, .. } = &mut self.callee else { unreachable!("only stages process") };
        if let Some(last) = instance.batch().last() {
            (self.sequence, self.timestamp) = (last.sequence, last.timestamp);
            self.context = element::without_attributes(last.context.as_ref());
        }
        match processed {
            Processed::Routes(routes) => self.send_routes(&routes, edges),
            Processed::Elements(made) => self.send_made("process", made, edges),
        }
    }

    /// Sends the batch along the routes that a processor returned.
    fn send_routes(&mut self, routes: &[u32], edges: &mut [Edge]) -> Result<(), Error> {
        let Callee::Stage { instance, .. } = &mut self.callee else { unreachable!("only stages route") };
        if let Some(broken) = undeclared_output(all_outputs(routes), self.outputs.count()) {
            return Err(instance.error("process", broken));
        }
        let held = instance.leases().held_here();
        let gone = instance.leases().exclusive();
        if gone != 0 {
            let named = routes.iter().enumerate().filter(|(_, outputs)| **outputs != 0);
            let named = gone & named.fold(0, |named, (index, _)| named | 1u64 << index);
            if named != 0 {
                return Err(instance.error("process", exclusively_held(named)));
            }
        }
        let mut named = 0u64;
        for (index, (element, &outputs)) in instance.batch().drain(..).zip(routes).enumerate() {
            if outputs == 0 {
                self.dropped += u64::from(held & 1 << index == 0);
            } else {
                self.made += 1;
                named |= 1 << index;
                self.outputs.send(edges, element, outputs);
            }
        }
        self.dropped += instance.settle(named);
        Ok(())
    }

    /// Sends the elements that a stage made.
    pub(super) fn send_made(
        &mut self,
        call: &'static str,
        made: OutputElements,
        edges: &mut [Edge],
    ) -> Result<(), Error> {
        let Callee::Stage { instance, .. } = &mut self.callee else { unreachable!("only stages make") };
        if let Some(broken) = undeclared_output(made.goes_to(), self.outputs.count()) {
            return Err(instance.error(call, broken));
        }
        let mut sent = Sent { named: 0, passed: [0; MAX_BATCH] };
        for part in made.into_parts() {
            match part {
                Part::Written(part) => self.send_written(call, &part, &mut sent, edges)?,
                Part::Views(views) => self.send_views(views, &mut sent, edges),
            }
        }
        let Callee::Stage { instance, .. } = &mut self.callee else { unreachable!("only stages make") };
        let batch = instance.batch().len() as u64;
        instance.batch().clear();
        self.dropped += batch - u64::from((sent.named | instance.leases().held_here()).count_ones());
        self.dropped += instance.settle(sent.named);
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
        let Callee::Stage { instance, kind, .. } = &mut self.callee else { unreachable!("only stages make") };
        let gone = instance.leases().exclusive();
        let batch = instance.batch();
        let named = made.lineage.iter().filter(|index| **index != NO_LINEAGE);
        if let Some(index) = named.clone().find(|index| **index as usize >= batch.len()) {
            let broken =
                format!("`lineage` has element {index}, but the batch has {}", counted(batch.len() as u64, "element"));
            return Err(instance.error(call, StageError::Contract(broken)));
        }
        if gone != 0 {
            let named = named.fold(0, |named, index| named | 1u64 << index);
            if named & gone != 0 {
                return Err(instance.error(call, exclusively_held(named & gone)));
            }
        }
        self.identity_writes.observe(made, batch);
        let mut at = 0;
        for (entry, &size) in made.sizes.iter().enumerate() {
            let lineage = made.lineage.get(entry).copied().filter(|index| *index != NO_LINEAGE);
            let origin = lineage.map(|index| &batch[index as usize]);
            let outputs = made.outputs.get(entry).copied().unwrap_or(1);
            if outputs != 0 {
                sent.named |= lineage.map_or(0, |index| 1 << index);
            }
            let payload = match origin {
                Some(origin) if size == BY_HANDLE => {
                    let passed = &mut sent.passed[lineage.unwrap_or_default() as usize];
                    if *passed & outputs != 0 {
                        let output = (*passed & outputs).trailing_zeros();
                        let broken = format!("an element is sent to output {output} twice");
                        return Err(instance.error(call, StageError::Contract(broken)));
                    }
                    *passed |= outputs;
                    origin.payload.clone()
                }
                None if size == BY_HANDLE => {
                    let broken = "an element is passed on by handle without lineage".to_string();
                    return Err(instance.error(call, StageError::Contract(broken)));
                }
                _ => {
                    let from = at;
                    at += size as usize;
                    self.written.record(1, size);
                    made.bytes.slice(from, at - from).expect("the sizes add up to the bytes")
                }
            };
            let (sequence, timestamp, context) = match origin {
                Some(origin) => (origin.sequence, origin.timestamp, origin.context.clone()),
                None => (self.sequence, self.timestamp, self.context.clone()),
            };
            if *kind == Kind::Source {
                self.sequence += 1;
                self.dropped += u64::from(outputs == 0);
            }
            self.made += 1;
            self.made_bytes += payload.len() as u64;
            self.outputs.send(edges, Element { payload, sequence, timestamp, context }, outputs);
        }
        Ok(())
    }

    /// Sends the elements that a stage made of others without a copy.
    fn send_views(&mut self, views: Vec<View>, sent: &mut Sent, edges: &mut [Edge]) {
        let Callee::Stage { instance, .. } = &mut self.callee else { unreachable!("only stages make") };
        for View { mut element, outputs, origin } in views {
            instance.copy_attributes(&mut element, &origin);
            if outputs != 0 {
                match origin {
                    Origin::Lent(index) => sent.named |= 1 << index,
                    Origin::Held(place) => instance.mark_consumed(&[place]),
                    Origin::Joined(places) => instance.mark_consumed(&places),
                }
            }
            self.made += 1;
            self.made_bytes += element.payload.len() as u64;
            self.outputs.send(edges, element, outputs);
        }
    }
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

/// The error for elements, given as bits, that were used after an exclusive lease took them.
fn exclusively_held(named: u64) -> StageError {
    let index = named.trailing_zeros();
    StageError::Contract(format!("element {index} of the batch is held by an exclusive lease and cannot be sent"))
}
