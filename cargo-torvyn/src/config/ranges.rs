//! The range of every number in a manifest, a case, the metadata of a package and on the command line; those of an input or an
//! output are in its file in `endpoints`. A number outside its range is rejected when it is read, so later code need not
//! expect one.

use std::ops::RangeInclusive;
use std::time::Duration;

/// A range of whole numbers, or of bytes.
pub(crate) type Range = RangeInclusive<u64>;
/// A range of durations.
pub(crate) type Durations = RangeInclusive<Duration>;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;
const MILLISECOND: Duration = Duration::from_millis(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Any number; for values that are only compared, never allocated.
pub(crate) const ANY: Range = 0..=u64::MAX;
/// Counts of copies, reads, writes and leases.
pub(crate) const COUNT: Range = 0..=u32::MAX as u64;
/// Any number of bytes; for values that are only compared, never allocated.
pub(crate) const ANY_BYTES: Range = 0..=u64::MAX;
/// A ratio, which need not be a whole number.
pub(crate) const RATIO: RangeInclusive<f64> = 0.0..=1e9;

/// `capacity.elements`
pub(crate) const CAPACITY_ELEMENTS: Range = 1..=1_000_000;
/// `capacity.bytes`
pub(crate) const CAPACITY_BYTES: Range = 1..=TIB;
/// `pool.keep` and the values of `pool.classes`
pub(crate) const POOL_BYTES: Range = 0..=TIB;

/// `batch` of a stage
pub(crate) const BATCH: Range = 1..=torvyn_runtime::Stage::MAX_BATCH as u64;
/// `replicas` of a stage
pub(crate) const REPLICAS: Range = 1..=torvyn_runtime::Stage::MAX_REPLICAS as u64;

/// `limits.memory`
pub(crate) const MEMORY: Range = 1..=64 * GIB;
/// `limits.time`
pub(crate) const CALL_TIME: Durations = MILLISECOND..=DAY;
/// `limits.handles`
pub(crate) const HANDLES: Range = 1..=1_000_000;
/// `limits.component-size`
pub(crate) const COMPONENT_BYTES: Range = 1..=GIB;
/// `limits.pinned-bytes`
pub(crate) const PINNED_BYTES: Range = 0..=TIB;
/// `limits.host-memory`
pub(crate) const HOST_MEMORY: Range = 64 * KIB..=64 * GIB;
/// `limits.compile-memory`
pub(crate) const COMPILE_MEMORY: Range = 64 * MIB..=64 * GIB;
/// `limits.compile-time`
pub(crate) const COMPILE_TIME: Durations = Duration::from_secs(1)..=HOUR;

/// `limits.log`
pub(crate) const LOG_BYTES: Range = 0..=TIB;
/// `runtime.drain`
pub(crate) const DRAIN: Durations = Duration::ZERO..=HOUR;

/// `on-failure.retry`
pub(crate) const RETRIES: Range = 1..=1_000_000;
/// `on-failure.backoff`
pub(crate) const BACKOFF: Durations = Duration::ZERO..=MINUTE;
/// `deadline` of elements
pub(crate) const DEADLINE: Durations = MILLISECOND..=Duration::from_secs(366 * 24 * 3600);
/// `timeout` of a case
pub(crate) const TIMEOUT: Durations = MILLISECOND..=DAY;
/// When an element of a case arrives, and how long a stage is paused.
pub(crate) const ARRIVAL: Durations = Duration::ZERO..=Duration::from_secs(366 * 24 * 3600);
/// The same without zero.
pub(crate) const PAUSE: Durations = MILLISECOND..=*ARRIVAL.end();
/// `times` of a fault
pub(crate) const TIMES: Range = 1..=1_000_000;

/// The maximum number of stages of a pipeline, and of its outputs.
pub(crate) const MAX_NODES: usize = 1000;
