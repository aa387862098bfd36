//! A transform that sleeps `ms` milliseconds before each element, `times` times, and then writes the time in
//! nanoseconds since the Unix epoch, and how long it slept according to the monotonic clock.

use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use torvyn_guest::{Config, Element, Failure, Output, Processor, Stage, Transform};

struct Nap {
    time: Duration,
    times: u64,
}

impl Stage for Nap {
    fn new(config: &Config) -> Result<Self, Failure> {
        let time = Duration::from_millis(config.parse("ms")?.unwrap_or(0));
        Ok(Nap { time, times: config.parse("times")?.unwrap_or(1) })
    }
}

impl Processor<Transform> for Nap {
    fn process(&mut self, _: Element<'_, Transform>, out: &mut Output<'_, Transform>) -> Result<(), Failure> {
        let began = Instant::now();
        (0..self.times).for_each(|_| thread::sleep(self.time));
        let slept = began.elapsed().as_nanos();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos());
        out.write(format!("{now} {slept}").as_bytes());
        Ok(())
    }
}

torvyn_guest::export!(Nap: Processor<Transform>);
