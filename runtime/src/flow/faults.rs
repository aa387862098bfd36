//! The injected faults of a stage that are still to happen, by the number of their element.

use std::time::Duration;

use crate::pipeline::injection::{InjectedFault, Injection};

/// The injected faults that are still to happen.
pub(crate) struct Faults(Vec<Pending>);

struct Pending {
    injection: Injection,
    /// How often the fault is still to happen.
    left: u32,
    /// Whether the next call was already made to wait.
    waited: bool,
}

impl Faults {
    pub(crate) fn new(injections: Vec<Injection>) -> Faults {
        let pending = |injection: Injection| Pending { left: injection.times, waited: false, injection };
        Faults(injections.into_iter().map(pending).collect())
    }

    /// How many of the `max` elements that start at the number `first` may be in one call: an element with a pending fault is
    /// alone in its call.
    pub(crate) fn cut(&self, first: u64, max: usize) -> usize {
        let ahead = self.0.iter().filter(|fault| fault.left > 0).filter_map(|fault| {
            let ahead = fault.injection.element.checked_sub(first)?;
            Some(usize::try_from(ahead).unwrap_or(usize::MAX).max(1))
        });
        ahead.fold(max, usize::min)
    }

    /// The pause that is injected before the call that lends this element, if any.
    pub(crate) fn pause(&mut self, element: u64) -> Option<Duration> {
        self.0.iter_mut().find_map(|fault| match fault.injection.what {
            InjectedFault::Pause(time) if fault.is_at(element) && !fault.waited => {
                fault.waited = true;
                fault.strike();
                Some(time)
            }
            _ => None,
        })
    }

    /// The fault that is injected into the call that lends this element, if any.
    pub(crate) fn strike(&mut self, element: u64) -> Option<InjectedFault> {
        self.0.iter_mut().for_each(|fault| fault.waited = false);
        let mut faults = self.0.iter_mut().filter(|fault| !matches!(fault.injection.what, InjectedFault::Pause(_)));
        let fault = faults.find(|fault| fault.is_at(element))?;
        fault.strike();
        Some(fault.injection.what.clone())
    }
}

impl Pending {
    fn is_at(&self, element: u64) -> bool {
        self.left > 0 && self.injection.element == element
    }

    fn strike(&mut self) {
        self.left -= 1;
        self.injection.strike();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_that_something_happens_at_is_alone_as_long_as_it_does() {
        let trap = Injection::new(70, 2, InjectedFault::Trap);
        let mut faults = Faults::new(vec![trap.clone(), Injection::new(3, 1, InjectedFault::Deadline)]);
        assert_eq!(
            [(0, 64), (3, 64), (4, 64), (64, 64), (70, 64), (71, 64)].map(|(first, max)| faults.cut(first, max)),
            [3, 1, 64, 6, 1, 64]
        );
        assert_eq!(
            [3, 3, 69, 70].map(|element| faults.strike(element)),
            [Some(InjectedFault::Deadline), None, None, Some(InjectedFault::Trap)]
        );
        assert_eq!((faults.cut(3, 64), faults.cut(70, 64), trap.happened()), (64, 1, 1));
        assert_eq!((faults.strike(70), faults.strike(70)), (Some(InjectedFault::Trap), None));
        assert_eq!((faults.cut(70, 64), trap.happened()), (64, 2));
    }

    #[test]
    fn each_call_waits_once_for_each_pause() {
        let (one, two) = (Duration::from_secs(1), Duration::from_secs(2));
        let pause = |times, time| Injection::new(5, times, InjectedFault::Pause(time));
        let mut faults =
            Faults::new(vec![pause(2, one), pause(1, two), Injection::new(5, 1, InjectedFault::Allocation)]);
        assert_eq!([5, 5, 5].map(|element| faults.pause(element)), [Some(one), Some(two), None]);
        assert_eq!(faults.strike(5), Some(InjectedFault::Allocation));
        assert_eq!([5, 5, 4].map(|element| faults.pause(element)), [Some(one), None, None]);
        assert_eq!((faults.strike(5), faults.pause(5), faults.cut(5, 64)), (None, None, 64));
    }
}
