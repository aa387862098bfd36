//! Interface `attributes`: the attributes of elements, read and set by call.

use std::sync::Arc;

use wasmtime::component::{LinkerInstance, Resource, WasmStr};
use wasmtime::{AsContext, StoreContextMut};

use super::part::Origin;
use super::{Batch, Failure, Host};
use crate::payload::attributes::{Attribute, AttributeError, check_name};
use crate::payload::element::{Context, Element};
use crate::payload::{ElementRef, ElementSet};

pub(super) fn link(interface: &mut LinkerInstance<'_, Host>) -> wasmtime::Result<()> {
    interface.func_wrap("get", get)?;
    interface.func_wrap("all", all)?;
    interface.func_wrap("set", set)
}

/// The elements of the batch that the current call changed, each with its context before.
#[derive(Default)]
pub(super) struct Changed(Vec<(u32, Option<Arc<Context>>)>);

type Got<T> = wasmtime::Result<(Result<T, Failure>,)>;

fn get(
    store: StoreContextMut<'_, Host>,
    (batch, index, name): (Resource<Batch>, u32, WasmStr),
) -> Got<Option<Arc<str>>> {
    store.data().lent(&batch)?;
    let name = name.to_str(store.as_context())?;
    let element = store.data().in_batch(index).ok_or(Failure::OutOfBounds);
    let found = element.and_then(|element| {
        check_name(&name)?;
        Ok(element.attributes().shared(&name).cloned())
    });
    let asked = name.len();
    Ok((count_result(store, found, asked, |value| value.as_ref().map_or(0, |value| value.len())),))
}

fn all(store: StoreContextMut<'_, Host>, (batch, index): (Resource<Batch>, u32)) -> Got<Vec<(Arc<str>, Arc<str>)>> {
    store.data().lent(&batch)?;
    let element = store.data().in_batch(index).ok_or(Failure::OutOfBounds);
    let found = element.map(|element| element.attributes().as_slice().to_vec());
    Ok((count_result(store, found, 0, |all| all.iter().map(|(name, value)| name.len() + value.len()).sum()),))
}

/// Counts the bytes of a query and of its answer.
fn count_result<T>(
    mut store: StoreContextMut<'_, Host>,
    found: Result<T, Failure>,
    asked: usize,
    bytes: impl Fn(&T) -> usize,
) -> Result<T, Failure> {
    let host = store.data_mut();
    host.meter.refused |= found.is_err();
    if let Ok(found) = &found {
        host.lifted_text(asked);
        let bytes = bytes(found) as u64;
        if bytes > 0 {
            host.copies.metadata_marshal.record(1, bytes);
            host.boundary.lowered(bytes);
        }
    }
    found
}

fn set(
    mut store: StoreContextMut<'_, Host>,
    (batch, index, name, value): (Resource<Batch>, u32, WasmStr, Option<WasmStr>),
) -> Got<()> {
    store.data().lent(&batch)?;
    let name = name.to_str(store.as_context())?;
    // Both are checked in place, and copied out of the stage's memory only if they can be kept.
    let set = match value {
        Some(value) => {
            let attribute = Attribute::new(&name, &value.to_str(store.as_context())?);
            attribute.map_err(Failure::from).and_then(|attribute| store.data_mut().set_attribute(index, attribute))
        }
        None => {
            let name = check_name(&name).map(|()| name.into_owned());
            name.map_err(Failure::from).and_then(|name| store.data_mut().remove_attribute(index, &name))
        }
    };
    store.data_mut().meter.refused |= set.is_err();
    Ok((set,))
}

impl Host {
    fn set_attribute(&mut self, index: u32, attribute: Attribute) -> Result<(), Failure> {
        self.in_batch(index).ok_or(Failure::OutOfBounds)?.attributes().room_for(&attribute)?;
        self.lifted_text(attribute.bytes());
        Ok(self.change(index).attributes.set(attribute)?)
    }

    fn remove_attribute(&mut self, index: u32, name: &str) -> Result<(), Failure> {
        let there = self.in_batch(index).ok_or(Failure::OutOfBounds)?.attributes().get(name).is_some();
        self.lifted_text(name.len());
        if there {
            self.change(index).attributes.remove(name);
        }
        Ok(())
    }

    /// The context of an element of the batch, for this call to change. Other elements that share it keep theirs.
    fn change(&mut self, index: u32) -> &mut Context {
        let element = self.batch.get_mut(index as usize).expect("it was found before");
        let Changed(changed) = &mut self.changed;
        if !changed.iter().rev().any(|(known, _)| *known == index) {
            changed.push((index, element.context.clone()));
        }
        Arc::make_mut(element.context.get_or_insert_default())
    }

    /// Counts text that was lifted out of the stage's memory.
    fn lifted_text(&mut self, bytes: usize) {
        if bytes > 0 {
            self.copies.metadata_marshal.record(1, bytes as u64);
            self.boundary.lifted(bytes as u64);
        }
    }

    /// Begins a call.
    pub(super) fn begin_attributes(&mut self) {
        self.changed.0.clear();
    }

    /// Ends a call: elements of the batch that it holds get the attributes it set.
    pub(super) fn settle_attributes(&mut self) {
        for (index, _) in &self.changed.0 {
            if let Some(element) = self.batch.get_mut(*index as usize) {
                self.leases.set_context(*index as usize, &element.context);
            }
        }
    }

    /// Undoes the attribute changes of these elements of the batch, the call failed on them or never reached them.
    pub(super) fn revert_attributes(&mut self, which: ElementSet) {
        for (index, before) in self.changed.0.extract_if(.., |(index, _)| which.contains(*index as usize)) {
            if let Some(element) = self.batch.get_mut(index as usize) {
                element.context = before;
                self.leases.set_context(index as usize, &element.context);
            }
        }
    }

    /// Gives an element that the last call made of others the attributes that they had when the call returned.
    #[inline]
    pub(crate) fn copy_attributes(&self, element: &mut Element, origin: &Origin) {
        if self.changed.0.is_empty() {
            return;
        }
        let from = match origin {
            Origin::Lent(index) => self.batch.get(*index as usize),
            Origin::Held(place) => self.leases.element(*place).map(ElementRef::from),
            Origin::Joined(places) => {
                places.first().and_then(|place| self.leases.element(*place)).map(ElementRef::from)
            }
        };
        if let Some(from) = from {
            element.context = from.context().cloned();
        }
    }
}

impl From<AttributeError> for Failure {
    fn from(error: AttributeError) -> Failure {
        let text = error.to_string();
        if error.is_limit() { Failure::LimitExceeded(text) } else { Failure::InvalidInput(text) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Clock;
    use crate::base::cut::Cut;
    use crate::contract::{Bounds, Budget};
    use crate::ledger::Boundary;
    use crate::ledger::ownership::StageId;
    use crate::payload::Pool;
    use crate::pipeline::limits::Limits;
    use crate::stage::host::leases::Mode;
    use crate::stage::host::{Environment, Meter};
    use crate::stage::log::StageLog;

    /// A host that lends three elements, the first of which has the attribute `a`.
    fn lending() -> Host {
        let pool = Pool::default();
        let meter = Meter::new(Budget::default(), Bounds::unknown(), false);
        let log = StageLog::new("stage", Arc::new(|_| {}), u64::MAX);
        let (clock, cut, policy) = (Clock::system(), Cut::default(), crate::stage::host::FailurePolicy::Stop);
        let around = Environment { log, clock, cut, rng: None, policy, end_of_element: &[] };
        let mut host = Host::new(&Limits::default(), meter, pool.clone(), StageId(0), Boundary::default(), around);
        let element = |sequence| Element { payload: pool.adopt("abc".into()), sequence, timestamp: 0, context: None };
        host.batch = (0..3).map(element).collect();
        let mut attributes = crate::payload::attributes::Attributes::new();
        attributes.set(Attribute::new("a", "before").unwrap()).unwrap();
        host.batch.get_mut(0).unwrap().context = Some(Arc::new(Context { attributes, ..Context::default() }));
        _ = host.lend();
        host
    }

    fn set(host: &mut Host, index: u32, name: &str) {
        host.set_attribute(index, Attribute::new(name, "set").unwrap()).unwrap();
    }

    fn shown(element: ElementRef<'_>) -> String {
        element.attributes().iter().map(|(name, value)| format!("{name}={value} ")).collect()
    }

    #[test]
    fn attributes_do_not_grow_an_element() {
        assert_eq!(size_of::<Element>(), 48);
    }

    /// Other owners of the element keep the attributes that they had.
    #[test]
    fn changes_only_one_copy() {
        let mut host = lending();
        let shared = host.batch.get(0).unwrap().to_element();
        set(&mut host, 0, "a");
        set(&mut host, 0, "b");
        host.remove_attribute(1, "none").unwrap();
        assert_eq!(
            (shown((&shared).into()), shown(host.batch.get(0).unwrap())),
            ("a=before ".into(), "a=set b=set ".into())
        );
        assert!(host.batch.get(1).unwrap().context().is_none(), "nothing was changed");
    }

    /// A failed call keeps its changes to the elements before the failed one.
    #[test]
    fn failed_calls_set_nothing() {
        let mut host = lending();
        (0..3).for_each(|index| set(&mut host, index, "b"));
        set(&mut host, 1, "c");
        host.remove_attribute(0, "a").unwrap();
        host.revert_attributes(ElementSet::from_index_on(1));
        assert_eq!(host.batch.iter().map(shown).collect::<Vec<_>>(), ["b=set ", "", ""]);
        host.revert_attributes(ElementSet::ALL);
        assert_eq!(host.batch.iter().map(shown).collect::<Vec<_>>(), ["a=before ", "", ""]);
    }

    /// A held element, and what is made of it, has the attributes set after it was taken; if the call fails, those before.
    #[test]
    fn held_elements_have_the_set_attributes() {
        for fails in [false, true] {
            let mut host = lending();
            set(&mut host, 2, "early");
            let lease = host.hold(&[0, 2], Mode::Exclusive, None).unwrap();
            assert!(matches!(host.set_attribute(0, Attribute::new("b", "v").unwrap()), Err(Failure::OutOfBounds)));
            let shared = host.hold(&[1], Mode::Shared, None).unwrap();
            set(&mut host, 1, "late");
            if fails {
                host.revert_attributes(ElementSet::ALL);
            }
            host.end_call();
            let held = |host: &Host, lease| -> Vec<String> {
                let Ok(elements) = host.leases.elements(lease) else { panic!("it is held") };
                elements.map(|(_, element)| shown(element.into())).collect()
            };
            let (early, late) = if fails { ("", "") } else { ("early=set ", "late=set ") };
            assert_eq!(held(&host, lease), ["a=before ", early]);
            assert_eq!(held(&host, shared), [late]);
            assert_eq!(host.leases.attributes(), "abefore".len() as u64 + if fails { 0 } else { 8 + 7 });
            host.reclaim();
            assert_eq!(host.leases.attributes(), 0);
        }
    }
}
