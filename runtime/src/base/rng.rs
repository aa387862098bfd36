//! A small pseudorandom number generator with a seed, for tests and virtual runs that must be repeatable.

use std::convert::Infallible;
use std::time::Duration;

use rand_core::TryRng;

/// SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014, with the constants of
/// <https://prng.di.unimi.it/splitmix64.c>.
#[derive(Debug, Clone)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    /// The generator of one stage in a flow with this seed.
    pub(crate) fn for_stage(seed: u64, stage: u32) -> Rng {
        Rng(Rng::new(seed ^ u64::from(stage).rotate_left(32)).next())
    }

    /// The generator of a replica of a stage in a flow with this seed. That of the first replica is that of the stage.
    pub(crate) fn for_replica(seed: u64, stage: u32, replica: u32) -> Rng {
        let mut rng = Rng::for_stage(seed, stage);
        (0..replica).for_each(|_| rng = Rng::new(!rng.next()));
        rng
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below `limit`, which must not be 0.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        ((u128::from(self.next()) * limit as u128) >> 64) as usize
    }

    /// A random duration up to `time`, and zero in at least a quarter of the cases.
    pub(crate) fn part_of(&mut self, time: Duration) -> Duration {
        let most = if self.below(4) == 0 { 0 } else { time.as_nanos() as usize };
        Duration::from_nanos(self.below(most + 1) as u64)
    }
}

impl TryRng for Rng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.next() as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.next())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected numbers are printed by the C program that the constants are from.
    #[test]
    fn matches_the_reference_implementation() {
        let mut rng = Rng::new(1_234_567);
        let expected = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!([(); 3].map(|()| rng.next()), expected);
    }

    #[test]
    fn replicas_draw_different_numbers() {
        let mut drawn: Vec<_> = (0..8).map(|replica| Rng::for_replica(7, 3, replica).next()).collect();
        assert_eq!(drawn[0], Rng::for_stage(7, 3).next());
        drawn.sort_unstable();
        drawn.dedup();
        assert_eq!(drawn.len(), 8);
    }

    #[test]
    fn draws_all_numbers_below_the_limit() {
        let mut rng = Rng::new(0);
        let mut seen = [0; 5];
        (0..1000).for_each(|_| seen[rng.below(5)] += 1);
        assert!(seen.iter().all(|times| (100..300).contains(times)), "{seen:?}");
        assert_eq!(rng.below(1), 0);
        let parts: Vec<_> = (0..100).map(|_| rng.part_of(Duration::from_millis(1))).collect();
        assert!(parts.contains(&Duration::ZERO) && parts.iter().all(|part| *part <= Duration::from_millis(1)));
    }
}
