//! Which numbers people may write: the range of every number of a manifest, a case, the metadata of a package and the command
//! line. A number outside of its range is refused where it is written, so nothing behind it has to expect one.

use std::ops::RangeInclusive;
use std::time::Duration;

use torvyn_runtime::payload::MAX_ELEMENT_BYTES;

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

/// Any number that is compared and never allocated.
pub(crate) const ANY: Range = 0..=u64::MAX;
/// How often something is counted: copies, reads, writes, leases.
pub(crate) const COUNT: Range = 0..=u32::MAX as u64;
/// Bytes that are compared and never allocated.
pub(crate) const ANY_BYTES: Range = 0..=u64::MAX;
/// A number that need not be whole.
pub(crate) const RATIO: RangeInclusive<f64> = 0.0..=1e9;

/// `capacity.elements`
pub(crate) const CAPACITY_ELEMENTS: Range = 1..=1_000_000;
/// `capacity.bytes`
pub(crate) const CAPACITY_BYTES: Range = 1..=TIB;
/// `generate.count`: as many as every program reads exactly from JSON.
pub(crate) const GENERATED: Range = 0..=1 << 53;
/// `size` of elements that are made up.
pub(crate) const GENERATED_BYTES: Range = 0..=MAX_ELEMENT_BYTES as u64;
/// `size` of chunks.
pub(crate) const CHUNK_BYTES: Range = 1..=MAX_ELEMENT_BYTES as u64;
/// `pool.keep`, and what is kept of a class.
pub(crate) const POOL_BYTES: Range = 0..=TIB;

/// `batch` of a stage
pub(crate) const BATCH: Range = 1..=torvyn_runtime::Stage::MAX_BATCH as u64;

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
/// When an element of a case comes, and how long a stage is held up.
pub(crate) const ARRIVAL: Durations = Duration::ZERO..=Duration::from_secs(366 * 24 * 3600);
/// The same, and not at once.
pub(crate) const PAUSE: Durations = MILLISECOND..=*ARRIVAL.end();
/// `times` of a fault
pub(crate) const TIMES: Range = 1..=1_000_000;

/// Stages of a pipeline, and its outputs.
pub(crate) const MAX_NODES: usize = 1000;
