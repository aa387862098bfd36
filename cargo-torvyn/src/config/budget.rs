//! The declared copy budgets of stages and pipelines, with their places.

use torvyn_runtime::contract;

use crate::config::ranges;
use crate::config::spanned::{Declared, Declarer};
use crate::config::toml_reader::{Field, Report, Table};

/// What a stage may copy for one element and hold at once, in the units of `torvyn_runtime::contract`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Budget {
    /// Reads of one element's payload.
    pub(crate) reads: Option<Declared<u32>>,
    /// Writes for one element.
    pub(crate) writes: Option<Declared<u32>>,
    /// Payload bytes of one element over all reads.
    pub(crate) read_bytes: Option<Declared<u64>>,
    /// Elements held at once beyond the call.
    pub(crate) leases: Option<Declared<u32>>,
    /// Payload bytes of all held elements together.
    pub(crate) lease_bytes: Option<Declared<u64>>,
}

impl Budget {
    /// The keys of a budget.
    pub(crate) const KEYS: &[&str] = &["reads", "writes", "read-bytes", "leases", "lease-bytes"];

    /// Reads the keys of a budget from a table.
    pub(crate) fn read(table: &Table, by: Declarer, report: &mut Report) -> Budget {
        let count = |key, report: &mut Report| {
            let field: Field = table.get(key)?;
            Some(field.declared(field.count(&ranges::COUNT, report)?, by, report))
        };
        let size = |key, report: &mut Report| {
            let field: Field = table.get(key)?;
            Some(field.declared(field.size(&ranges::ANY_BYTES, report)?, by, report))
        };
        Budget {
            reads: count("reads", report),
            writes: count("writes", report),
            read_bytes: size("read-bytes", report),
            leases: count("leases", report),
            lease_bytes: size("lease-bytes", report),
        }
    }

    /// Reads the table `budget` of a stage in a pipeline.
    pub(crate) fn read_in_pipeline(field: &Field, report: &mut Report) -> Option<Budget> {
        let table = field.table("the `budget` of a stage", Budget::KEYS, report)?;
        Some(Budget::read(&table, Declarer::Pipeline, report))
    }

    /// Fills the unset limits from another budget.
    pub(crate) fn or(self, other: &Budget) -> Budget {
        Budget {
            reads: self.reads.or_else(|| other.reads.clone()),
            writes: self.writes.or_else(|| other.writes.clone()),
            read_bytes: self.read_bytes.or_else(|| other.read_bytes.clone()),
            leases: self.leases.or_else(|| other.leases.clone()),
            lease_bytes: self.lease_bytes.or_else(|| other.lease_bytes.clone()),
        }
    }

    /// Whether no limit is set.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Budget::default()
    }

    /// The budget for the runtime.
    pub(crate) fn limits(&self) -> contract::Budget {
        fn value<T: Copy>(declared: &Option<Declared<T>>) -> Option<T> {
            declared.as_ref().map(|declared| declared.value)
        }
        contract::Budget {
            reads: value(&self.reads),
            writes: value(&self.writes),
            read_bytes: value(&self.read_bytes),
            leases: value(&self.leases),
            lease_bytes: value(&self.lease_bytes),
        }
    }
}

/// What a whole pipeline may copy.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct PipelineBudget {
    /// Copies of one element's payload on the path with the most copies.
    pub(crate) copies: Option<Declared<u32>>,
    /// Payload bytes copied at all boundaries per payload byte that enters.
    pub(crate) amplification: Option<Declared<f64>>,
}

impl PipelineBudget {
    /// Reads the table `budget` of a pipeline.
    pub(crate) fn read(field: &Field, report: &mut Report) -> PipelineBudget {
        let Some(table) = field.table("the `budget` of a pipeline", &["copies", "amplification"], report) else {
            return PipelineBudget::default();
        };
        let by = Declarer::Pipeline;
        PipelineBudget {
            copies: table
                .get("copies")
                .and_then(|field| Some(field.declared(field.count(&ranges::COUNT, report)?, by, report))),
            amplification: table
                .get("amplification")
                .and_then(|field| Some(field.declared(field.ratio(&ranges::RATIO, report)?, by, report))),
        }
    }
}
