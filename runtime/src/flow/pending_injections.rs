//! The injected faults of a stage that are still to happen, by the number of their element.

use std::time::Duration;

use crate::pipeline::injection::{InjectedFault, Injection};

/// The injected faults that are still to happen.
pub(crate) struct PendingInjections(Vec<Pending>);

struct Pending {
    injection: Injection,
    /// How often the fault is still to happen.
    left: u32,
    /// Whether the next call was already made to wait.
    has_waited: bool,
}

impl PendingInjections {
    pub(crate) fn new(injections: Vec<Injection>) -> PendingInjections {
        let pending = |injection: Injection| Pending { left: injection.times, has_waited: false, injection };
        PendingInjections(injections.into_iter().map(pending).collect())
    }

    /// How many of the `max` elements that start at the number `first` may be in one call: an element with a pending fault is
    /// alone in its call.
    pub(crate) fn limit_batch(&self, first: u64, max: usize) -> usize {
        let ahead = self.0.iter().filter(|fault| fault.left > 0).filter_map(|fault| {
            let ahead = fault.injection.element.checked_sub(first)?;
            Some(usize::try_from(ahead).unwrap_or(usize::MAX).max(1))
        });
        ahead.fold(max, usize::min)
    }

    /// The pause that is injected before the call that lends this element, if any.
    pub(crate) fn pause(&mut self, element: u64) -> Option<Duration> {
        self.0.iter_mut().find_map(|fault| match fault.injection.what {
            InjectedFault::Pause(time) if fault.is_at(element) && !fault.has_waited => {
                fault.has_waited = true;
                fault.use_up();
                Some(time)
            }
            _ => None,
        })
    }

    /// The fault that is injected into the call that lends this element, if any.
    pub(crate) fn inject(&mut self, element: u64) -> Option<InjectedFault> {
        self.0.iter_mut().for_each(|fault| fault.has_waited = false);
        let mut faults = self.0.iter_mut().filter(|fault| !matches!(fault.injection.what, InjectedFault::Pause(_)));
        let fault = faults.find(|fault| fault.is_at(element))?;
        fault.use_up();
        Some(fault.injection.what.clone())
    }
}

impl Pending {
    fn is_at(&self, element: u64) -> bool {
        self.left > 0 && self.injection.element == element
    }

    fn use_up(&mut self) {
        self.left -= 1;
        self.injection.record();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn isolates_elements_with_pending_faults() {
        let trap = Injection::new(70, 2, InjectedFault::Trap);
        let mut faults = PendingInjections::new(vec![trap.clone(), Injection::new(3, 1, InjectedFault::Deadline)]);
        assert_eq!(
            [(0, 64), (3, 64), (4, 64), (64, 64), (70, 64), (71, 64)]
                .map(|(first, max)| faults.limit_batch(first, max)),
            [3, 1, 64, 6, 1, 64]
        );
        assert_eq!(
            [3, 3, 69, 70].map(|element| faults.inject(element)),
            [Some(InjectedFault::Deadline), None, None, Some(InjectedFault::Trap)]
        );
        assert_eq!((faults.limit_batch(3, 64), faults.limit_batch(70, 64), trap.count()), (64, 1, 1));
        assert_eq!((faults.inject(70), faults.inject(70)), (Some(InjectedFault::Trap), None));
        assert_eq!((faults.limit_batch(70, 64), trap.count()), (64, 2));
    }

    #[test]
    fn waits_once_per_call_and_pause() {
        let (one, two) = (Duration::from_secs(1), Duration::from_secs(2));
        let pause = |times, time| Injection::new(5, times, InjectedFault::Pause(time));
        let mut faults =
            PendingInjections::new(vec![pause(2, one), pause(1, two), Injection::new(5, 1, InjectedFault::Allocation)]);
        assert_eq!([5, 5, 5].map(|element| faults.pause(element)), [Some(one), Some(two), None]);
        assert_eq!(faults.inject(5), Some(InjectedFault::Allocation));
        assert_eq!([5, 5, 4].map(|element| faults.pause(element)), [Some(one), None, None]);
        assert_eq!((faults.inject(5), faults.pause(5), faults.limit_batch(5, 64)), (None, None, 64));
    }
}
