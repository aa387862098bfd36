//! The instances of a stage with several replicas, the threads that call them, and the calls under way.
//!
//! An instance belongs to whoever has it: the node, which lends it a batch and sends what it made, or the thread that calls
//! it. It moves there and back as a whole, in one message a call, so nothing in it is shared, and its counters have one writer
//! at a time. The node takes the calls back in the order in which it made them.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::contract::Kind;
use crate::error::{Error, StageError};
use crate::flow::Stage;
use crate::flow::recovery::AsideCall;
use crate::flow::signal::Signal;
use crate::stage::instance::{FailedCall, Instance, Processed};

/// The instance that a node calls, or whose results it sends. It is away while all replicas of its stage are in calls.
pub(crate) struct AtHand(Option<Box<Instance>>);

impl AtHand {
    pub(crate) fn new(instance: Box<Instance>) -> AtHand {
        AtHand(Some(instance))
    }

    /// The instance, if it is not away.
    #[inline]
    pub(crate) fn get(&self) -> Option<&Instance> {
        self.0.as_deref()
    }

    /// As [`AtHand::get`], to change it.
    #[inline]
    pub(super) fn get_mut(&mut self) -> Option<&mut Instance> {
        self.0.as_deref_mut()
    }

    /// Puts another instance in its place.
    pub(super) fn replace(&mut self, instance: Option<Box<Instance>>) -> Option<Box<Instance>> {
        std::mem::replace(&mut self.0, instance)
    }
}

impl Deref for AtHand {
    type Target = Instance;

    #[inline]
    fn deref(&self) -> &Instance {
        self.0.as_ref().expect("the node uses an instance only while it has one")
    }
}

impl DerefMut for AtHand {
    #[inline]
    fn deref_mut(&mut self) -> &mut Instance {
        self.0.as_mut().expect("the node uses an instance only while it has one")
    }
}

/// The replicas of a stage that has several.
pub(crate) struct Replicas {
    /// How many there are.
    count: usize,
    /// The instances that are in no call, besides the one at hand; the next one to be called is first.
    resting: VecDeque<Box<Instance>>,
    /// The calls that were made and not taken back, oldest first.
    under_way: VecDeque<CallUnderWay>,
    /// One thread for each replica; empty if the calls are made on the thread of the driver.
    workers: Vec<Worker>,
    /// The number of the next call that a worker makes. Call `n` is made by worker `n` modulo their number. That one is not
    /// busy: at most as many calls are under way as there are workers, and they are taken back in order.
    next: usize,
    /// Ends all calls under way, when nobody needs their results any more.
    stop: Arc<AtomicBool>,
    /// Instances that were told that their input has ended.
    pub(super) flushed: usize,
}

struct CallUnderWay {
    /// Elements of its batch.
    elements: u64,
    aside: Option<AsideCall>,
    state: State,
}

enum State {
    /// The worker of this index makes the call.
    At(usize),
    /// It has ended already: it was made on this thread, or it failed before it was made.
    Ended(Box<Ended>),
}

/// A call that has ended.
pub(super) struct Ended {
    /// The instance, with its batch.
    pub(super) instance: Box<Instance>,
    /// What it made, or why it failed.
    pub(super) result: Result<Processed, Box<FailedCall>>,
    /// How long the call took.
    pub(super) time: Duration,
}

impl Ended {
    /// Makes the call.
    fn call(mut instance: Box<Instance>) -> Ended {
        let began = Instant::now();
        instance.begin_step(began);
        let result = instance.process();
        Ended { instance, result, time: began.elapsed() }
    }
}

impl Replicas {
    /// `resting` are all instances but the one at hand. `stop` must end their calls. There is a worker for each instance, or
    /// none if the calls are made on the thread of the driver.
    pub(crate) fn new(resting: VecDeque<Box<Instance>>, workers: Vec<Worker>, stop: Arc<AtomicBool>) -> Replicas {
        let count = resting.len() + 1;
        let under_way = VecDeque::with_capacity(count);
        Replicas { count, resting, under_way, workers, next: 0, stop, flushed: 0 }
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Whether calls are made on other threads.
    pub(super) fn has_threads(&self) -> bool {
        !self.workers.is_empty()
    }

    /// The elements in calls under way.
    pub(super) fn elements(&self) -> u64 {
        self.under_way.iter().map(|call| call.elements).sum()
    }

    /// Whether calls are under way.
    pub(super) fn are_called(&self) -> bool {
        !self.under_way.is_empty()
    }

    /// Puts the instance that has rested longest at hand.
    pub(super) fn rotate(&mut self, at_hand: &mut AtHand) {
        if let Some(next) = self.resting.pop_front() {
            self.resting.extend(at_hand.replace(Some(next)));
        }
    }

    /// Lets an instance rest.
    pub(super) fn put_to_rest(&mut self, instance: Option<Box<Instance>>) {
        self.resting.extend(instance);
    }

    /// Calls the instance at hand, whose batch is filled, unless `begun` is why the call must not be made. Another one is at
    /// hand afterwards, if one rests.
    pub(super) fn call(&mut self, at_hand: &mut AtHand, begun: Result<(), Error>, aside: Option<AsideCall>) {
        let Some(mut instance) = at_hand.replace(self.resting.pop_front()) else { return };
        let elements = instance.batch().len() as u64;
        let state = match begun {
            Err(error) => {
                let result = Err(FailedCall::of_batch(error));
                State::Ended(Box::new(Ended { instance, result, time: Duration::ZERO }))
            }
            Ok(()) if self.workers.is_empty() => State::Ended(Box::new(Ended::call(instance))),
            Ok(()) => {
                let worker = self.next % self.workers.len();
                self.next += 1;
                self.workers[worker].call(instance);
                State::At(worker)
            }
        };
        self.under_way.push_back(CallUnderWay { elements, aside, state });
    }

    /// Takes back the oldest call, if it has ended.
    pub(super) fn take_back(&mut self) -> Option<(Box<Ended>, Option<AsideCall>)> {
        let oldest = self.under_way.front()?;
        let received = match oldest.state {
            State::At(worker) => Some(Box::new(self.workers[worker].try_receive()?)),
            State::Ended(_) => None,
        };
        let CallUnderWay { aside, state, .. } = self.under_way.pop_front()?;
        match (state, received) {
            (State::Ended(ended), _) | (State::At(_), Some(ended)) => Some((ended, aside)),
            (State::At(_), None) => None,
        }
    }

    /// Ends all calls under way and discards their results. Afterwards, all instances rest or are at hand.
    pub(super) fn recall(&mut self, at_hand: &mut AtHand) {
        if !self.under_way.is_empty() {
            self.stop.store(true, Ordering::Relaxed);
        }
        for call in self.under_way.drain(..) {
            let ended = match call.state {
                State::At(worker) => self.workers[worker].receive().map(Box::new),
                State::Ended(ended) => Some(ended),
            };
            self.resting.extend(ended.map(|ended| ended.instance));
        }
        if at_hand.get().is_none() {
            at_hand.replace(self.resting.pop_front());
        }
    }

    /// The instances that rest.
    pub(super) fn resting(&self) -> impl Iterator<Item = &Instance> {
        self.resting.iter().map(|instance| &**instance)
    }

    /// As [`Replicas::resting`], to change them.
    pub(super) fn resting_mut(&mut self) -> impl Iterator<Item = &mut Instance> {
        self.resting.iter_mut().map(|instance| &mut **instance)
    }
}

/// Refuses several replicas of a stage that has a state.
///
/// # Errors
///
/// [`Error::Start`].
pub(super) fn check_stage(name: &str, stage: &Stage) -> Result<(), Error> {
    let profile = stage.component.profile();
    let refused = if stage.replicas > Stage::MAX_REPLICAS {
        Some(format!("at most {} are possible, found {}", Stage::MAX_REPLICAS, stage.replicas))
    } else if profile.kind != Kind::Processor {
        Some(format!("only a processor can, and it is a {}", profile.kind))
    } else if stage.component.analysis().retains {
        Some("it can hold elements beyond the call that lent them".to_string())
    } else {
        None
    };
    match refused {
        None => Ok(()),
        Some(why) => Err(Error::Start { stage: name.to_string(), source: StageError::Replicas(why) }),
    }
}

/// A thread that calls instances, one at a time.
pub(crate) struct Worker {
    /// Receives instances to call; `None` once the thread is to end.
    calls: Option<Sender<Box<Instance>>>,
    ended: Receiver<Ended>,
    thread: Option<JoinHandle<()>>,
}

/// Sets the signal when a call has ended, however it ended.
struct SetWhenDropped<'a>(&'a Signal);

impl Drop for SetWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.set();
    }
}

impl Worker {
    /// Starts `count` threads for a stage. `done` is set whenever a call has ended.
    ///
    /// # Errors
    ///
    /// [`Error::Start`] if the system has no more threads.
    pub(super) fn start_all(stage: &str, count: usize, done: &Arc<Signal>) -> Result<Vec<Worker>, Error> {
        let no_thread = |error| {
            let source = StageError::Replicas(format!("the system has no thread for each of {count}: {error}"));
            Error::Start { stage: stage.to_string(), source }
        };
        (0..count).map(|_| Worker::start(done.clone()).map_err(no_thread)).collect()
    }

    fn start(done: Arc<Signal>) -> std::io::Result<Worker> {
        let (calls, to_call) = mpsc::channel::<Box<Instance>>();
        let (answer, ended) = mpsc::channel();
        let work = move || {
            for instance in to_call {
                let _done = SetWhenDropped(&done);
                if answer.send(Ended::call(instance)).is_err() {
                    break;
                }
            }
        };
        let thread = thread::Builder::new().name("torvyn-replica".to_string()).spawn(work)?;
        Ok(Worker { calls: Some(calls), ended, thread: Some(thread) })
    }

    fn call(&mut self, instance: Box<Instance>) {
        // A thread that is gone has panicked; that is noticed where its answer is received.
        _ = self.calls.as_ref().map(|calls| calls.send(instance));
    }

    /// The call that it was given, if it has ended.
    ///
    /// # Panics
    ///
    /// If the thread has panicked.
    fn try_receive(&mut self) -> Option<Ended> {
        match self.ended.try_recv() {
            Ok(ended) => Some(ended),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => {
                if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join) {
                    std::panic::resume_unwind(panic);
                }
                unreachable!("the thread ends only if it panics or its node is gone")
            }
        }
    }

    /// Waits for the call that it was given; `None` if the thread has panicked.
    fn receive(&self) -> Option<Ended> {
        self.ended.recv().ok()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.calls = None;
        if let Some(thread) = self.thread.take() {
            // A panic was reported by the thread itself.
            _ = thread.join();
        }
    }
}
