//! Compares the verdict of a stage with its world, its budget and what the host provides.

use torvyn_runtime::analysis::{Contract, StageVerdict};
use torvyn_runtime::base::plural::counted;
use torvyn_runtime::contract::{
    Bound, Grant, Kind, Payloads, Proof, TrackedImport, World, full_name, grant, short_name,
};

use super::blame::blame;
use super::subject::{Subject, import_places};
use crate::config::spanned::Declared;
use crate::output::diagnostic::{Diagnostic, Diagnostics, Severity, Sources, quoted};
use crate::output::lint::Lint;

/// A use of payloads that a budget limits.
#[derive(Debug, Clone, Copy)]
struct BudgetKind {
    verb: &'static str,
    /// The key of the budget in the manifest.
    key: &'static str,
    /// The interfaces of the contract that allow this use.
    interfaces: &'static [&'static str],
    imports: &'static [TrackedImport],
}

const READS: BudgetKind =
    BudgetKind { verb: "read", key: "reads", interfaces: &["payload-read"], imports: TrackedImport::READS };
const WRITES: BudgetKind = BudgetKind {
    verb: "write",
    key: "writes",
    interfaces: &["payload-write", "payload-buffer"],
    imports: TrackedImport::WRITES,
};
const HOLDS: BudgetKind =
    BudgetKind { verb: "hold", key: "leases", interfaces: &["payload-lease"], imports: &[TrackedImport::Take] };

impl Subject {
    /// Pushes every finding about the stage.
    pub(crate) fn findings(&self, verdict: &StageVerdict, sources: &mut Sources, found: &mut Diagnostics) {
        self.over_budget(verdict, sources, found);
        found.extend(self.check_world(sources));
        found.extend(self.wide_world());
        found.extend(self.unused_bytes(sources));
        found.extend(self.imports(verdict));
        // The budget of a component file comes from its pipeline.
        if self.settings.is_some() {
            found.extend(self.retains_without_budget(verdict, sources));
        }
        found.extend(self.missing_budget());
        found.extend(self.unproven(verdict));
    }

    /// Pushes the copies and holds that the stage can make beyond its budget.
    pub(crate) fn over_budget(&self, verdict: &StageVerdict, sources: &mut Sources, found: &mut Diagnostics) {
        let holds = if verdict.retains { Bound::unknown() } else { Bound::never(Proof::Contract) };
        for (kind, bound, budget) in [
            (READS, verdict.reads, &self.budget.reads),
            (WRITES, verdict.writes, &self.budget.writes),
            (HOLDS, holds, &self.budget.leases),
        ] {
            let over = budget.as_ref().filter(|budget| is_over(bound, budget.value));
            found.extend(over.and_then(|budget| match &self.analysis {
                Some(_) => self.over_by_component(kind, bound, budget, sources),
                None => self.over_by_contract(kind, budget),
            }));
        }
    }

    fn over_by_contract(&self, kind: BudgetKind, budget: &Declared<u32>) -> Option<Diagnostic> {
        let BudgetKind { verb, interfaces, .. } = kind;
        let contract = self.contract.as_ref()?;
        let message = format!(
            "world `{}` lets `{}` {verb} payloads, but its budget allows {}",
            short(&contract.world),
            self.name,
            describe_limit(budget.value)
        );
        let mut finding = self.levels.finding(Lint::OverBudgetContract, message)?;
        finding = finding.label(&budget.file, budget.entry.clone(), "the budget");
        finding = self.label_world(finding, "the world");
        finding = label_interfaces(finding, contract, interfaces);
        // Suggest only a world that keeps the whole budget: any other would break another part of it.
        let allows = |budget: &Option<Declared<u32>>| budget.as_ref().is_none_or(|budget| budget.value > 0);
        let (reads, writes) = (allows(&self.budget.reads), allows(&self.budget.writes));
        let forbidden = Payloads {
            read: !reads,
            write: !writes,
            buffer: !writes,
            lease: !allows(&self.budget.leases),
            ..Payloads::default()
        };
        let keeps = |without: Payloads| {
            let fits = World::narrowest(contract.kind, contract.payloads.without(without));
            (fits.payloads().without(forbidden) == fits.payloads()).then_some(fits)
        };
        // No world slices and holds without reading: then suggest one without slicing.
        let fits = keeps(forbidden).or_else(|| keeps(Payloads { view: true, ..forbidden }));
        let narrower = fits.map_or(String::new(), |fits| format!("declare the world `{fits}`, or "));
        Some(finding.help(format!(
            "{narrower}check the component, which may use less than its world allows: `cargo torvyn check --built`"
        )))
    }

    fn over_by_component(
        &self,
        kind: BudgetKind,
        bound: Bound,
        budget: &Declared<u32>,
        sources: &mut Sources,
    ) -> Option<Diagnostic> {
        let BudgetKind { verb, key, imports, .. } = kind;
        let analysis = self.analysis.as_ref()?;
        let how_often = match bound.max {
            Some(0) => format!("can {verb} payloads in a call that traps"),
            Some(max) => format!("can {verb} {}", describe_count(verb, analysis.profile.kind, max)),
            None => format!("can {verb} payloads"),
        };
        let message = format!("`{}` {how_often}, but its budget allows {}", self.name, describe_limit(budget.value));
        let mut finding = self.levels.finding(Lint::OverBudgetComponent, message)?;
        finding = finding.label(&budget.file, budget.entry.clone(), "the budget");
        finding = blame(finding, &analysis.sites, imports, self.folder().as_deref(), sources);
        if bound.max.is_none() && verb != HOLDS.verb {
            finding.notes.extend(analysis.weaker.iter().map(|why| format!("no bound can be proven: {why}")));
        }
        let allow = format!("or allow it: `{key} = {}`", bound.max.unwrap_or(1).max(1));
        Some(finding.help(match budget.value {
            0 => format!("do not {verb} payloads, {allow}"),
            _ => format!("{verb} less often, {allow}"),
        }))
    }

    /// Reports a component that does not fit the declared world: another kind, or more imports.
    fn check_world(&self, sources: &mut Sources) -> Option<Diagnostic> {
        let (contract, analysis) = (self.contract.as_ref()?, self.analysis.as_ref()?);
        let declared = |finding| self.label_world(finding, "the declared world");
        let world = short(&contract.world);
        let profile = &analysis.profile;
        if contract.kind != profile.kind {
            let message = format!(
                "the component of `{}` is a {}, but world `{world}` is for a {}",
                self.name, profile.kind, contract.kind
            );
            return Some(declared(self.levels.finding(Lint::NotOfWorld, message)?));
        }
        let beyond = profile.payloads.without(contract.payloads);
        let interfaces = interface_names(beyond);
        if interfaces.is_empty() {
            return None;
        }
        let message =
            format!("the component of `{}` imports {}, but world `{world}` does not", self.name, quoted(&interfaces));
        let finding = declared(self.levels.finding(Lint::NotOfWorld, message)?);
        let tracked = TrackedImport::ALL.into_iter().filter(|import| interfaces.contains(&import.interface()));
        let tracked: Vec<_> = tracked.collect();
        let finding = blame(finding, &analysis.sites, &tracked, self.folder().as_deref(), sources);
        let fits = format!("declare the world that fits the component: `world = \"{}\"`", profile.world);
        Some(finding.help(format!("{fits}; or write the stage for the declared world")))
    }

    /// Reports a declared world with an import of the contract that the component does not use.
    fn wide_world(&self) -> Option<Diagnostic> {
        let (contract, analysis) = (self.contract.as_ref()?, self.analysis.as_ref()?);
        let fits = World::narrowest(contract.kind, analysis.used);
        let unused = interface_names(contract.payloads.without(analysis.used));
        if fits == World::narrowest(contract.kind, contract.payloads) || unused.is_empty() {
            return None;
        }
        let world = short(&contract.world);
        let message = format!("world `{world}` imports {}, which `{}` never uses", quoted(&unused), self.name);
        let mut finding = self.levels.finding(Lint::WideWorld, message)?;
        finding = self.label_world(finding, "wider than the code");
        if short_name(&contract.world).is_some() {
            return Some(finding.help(format!("declare the world `{fits}`, which proves as much without a build")));
        }
        finding = label_interfaces(finding, contract, &unused);
        Some(finding.help("remove the import: the world then proves as much without a build"))
    }

    /// Reports imports that the host does not provide, or grants nothing in.
    fn imports(&self, verdict: &StageVerdict) -> Vec<Diagnostic> {
        let of = |grants: &[Grant]| {
            let has = |interface: &&String| grants.contains(&grant(interface));
            verdict.capabilities.iter().filter(has).map(String::as_str).collect::<Vec<_>>()
        };
        let (absent, empty) = (of(&[Grant::Absent]), of(&[Grant::Empty]));
        let absent = (!absent.is_empty()).then(|| {
            let message = format!("`{}` imports {}, which the host does not provide", self.name, quoted(&absent));
            let finding = self.unknown_import(message)?;
            Some(
                self.label_imports(finding, &absent)
                    .help("remove the code that needs it: the stage cannot start with this import"),
            )
        });
        // The standard library of a language imports `wasi:cli` on its own. Only a world that declares it shows intent.
        let by_habit = |name: &str| {
            let declared =
                self.contract.as_ref().is_some_and(|contract| contract.capabilities.iter().any(|wish| wish == name));
            name.starts_with("wasi:cli/") && !declared
        };
        let empty: Vec<_> = empty.into_iter().filter(|name| !by_habit(name)).collect();
        let empty = (!empty.is_empty()).then(|| {
            let message = format!("`{}` imports {}, but the host grants it nothing there", self.name, quoted(&empty));
            let finding = self.levels.finding(Lint::UngrantedImport, message)?;
            Some(self.label_imports(finding, &empty).note("a stage has no files, no environment and no sockets"))
        });
        absent.flatten().into_iter().chain(empty.flatten()).collect()
    }

    /// Reports imports that the host does not provide. For a world this is a lint, because the component may not use them. A
    /// component with such imports cannot be loaded, so there it is an error at every level of the lint.
    fn unknown_import(&self, message: String) -> Option<Diagnostic> {
        let finding = self.levels.finding(Lint::UnknownImport, message.clone());
        if self.analysis.is_none() || finding.as_ref().is_some_and(|finding| finding.severity == Severity::Error) {
            return finding;
        }
        let note = "a component with these imports cannot be loaded, so this is an error at every level of the lint";
        Some(Diagnostic::error(Lint::UnknownImport.code(), message).note(note))
    }

    /// Labels the declaration of the world.
    fn label_world(&self, finding: Diagnostic, text: &str) -> Diagnostic {
        match self.settings.as_ref().and_then(|settings| settings.world.as_ref()) {
            Some(world) => finding.label(&world.file, world.span.clone(), text),
            None => finding,
        }
    }

    /// Labels the lines of WIT that bring the imports in, or the stage if there are none.
    fn label_imports(&self, mut finding: Diagnostic, imports: &[&str]) -> Diagnostic {
        let places =
            self.contract.iter().flat_map(|contract| imports.iter().flat_map(|import| import_places(contract, import)));
        for (file, span, text) in places {
            finding = finding.label(&file, span, text);
        }
        match &self.settings {
            Some(settings) if finding.labels.is_empty() => {
                finding.label(&settings.file, settings.span.clone(), "this stage")
            }
            _ => finding,
        }
    }

    /// Reports a stage that can hold payloads without a budget of leases.
    pub(crate) fn retains_without_budget(&self, verdict: &StageVerdict, sources: &mut Sources) -> Option<Diagnostic> {
        if !verdict.retains || self.budget.leases.is_some() {
            return None;
        }
        let message =
            format!("`{}` can hold payloads beyond the call, but its budget does not limit leases", self.name);
        let finding = self.levels.finding(Lint::RetainsWithoutLeaseBudget, message)?;
        let mut finding = self.label_imports(finding, &[&full_name("payload-lease")]);
        if let Some(analysis) = &self.analysis {
            finding = blame(finding, &analysis.sites, HOLDS.imports, self.folder().as_deref(), sources);
        }
        Some(finding.help("set a limit: `leases = 1000`"))
    }

    fn missing_budget(&self) -> Option<Diagnostic> {
        let settings = self.settings.as_ref().filter(|_| self.budget.is_empty())?;
        let finding = self.levels.finding(Lint::MissingBudget, format!("`{}` declares no copy budget", self.name))?;
        let finding = finding.label(&settings.file, settings.span.clone(), "");
        Some(finding.help("add `[package.metadata.torvyn.budget]` with `reads` and `writes` per element"))
    }

    /// Reports budgets that no proof supports, so that only the count of the host enforces them.
    fn unproven(&self, verdict: &StageVerdict) -> Vec<Diagnostic> {
        let enforced = |(verb, bound, budget): (&str, Bound, Option<&Declared<u32>>)| {
            let budget = budget.filter(|_| bound.proof == Some(Proof::Enforced))?;
            let message =
                format!("nothing proves that `{}` keeps its budget of {verb}s; the host counts them", self.name);
            let mut finding = self.levels.finding(Lint::UnprovenBudget, message)?;
            finding = finding.label(&budget.file, budget.entry.clone(), "");
            match &self.analysis {
                Some(analysis) => finding.notes.extend(analysis.weaker.iter().cloned()),
                None => finding.help = Some("the component may prove it: `cargo torvyn check --built`".to_string()),
            }
            Some(finding)
        };
        [("read", verdict.reads, self.budget.reads.as_ref()), ("write", verdict.writes, self.budget.writes.as_ref())]
            .into_iter()
            .filter_map(enforced)
            .collect()
    }
}

/// Whether a bound exceeds what is allowed. The host counts uses that have no bound, unless none is allowed: that takes a
/// proof, and one that also holds for calls that trap.
fn is_over(bound: Bound, allowed: u32) -> bool {
    match bound.max {
        _ if allowed == 0 => !bound.is_never(),
        Some(max) => max > allowed,
        None => false,
    }
}

/// The names of the interfaces among `payloads`.
fn interface_names(payloads: Payloads) -> Vec<&'static str> {
    payloads.interfaces().into_iter().filter(|(_, has)| *has).map(|(name, _)| name).collect()
}

/// Labels the lines of WIT that bring interfaces of the contract in.
fn label_interfaces(mut finding: Diagnostic, contract: &Contract, interfaces: &[&str]) -> Diagnostic {
    for interface in interfaces {
        for (file, span, text) in import_places(contract, &full_name(interface)) {
            finding = finding.label(&file, span, format!("`{interface}` is {text}"));
        }
    }
    finding
}

/// The short name of a world of the contract, or the full name of any other world.
pub(super) fn short(world: &str) -> &str {
    short_name(world).unwrap_or(world)
}

/// The limit of a budget, as a phrase.
fn describe_limit(count: u32) -> String {
    if count == 0 { "none".to_string() } else { count.to_string() }
}

/// What a stage can do at most, as a phrase.
fn describe_count(verb: &str, kind: Kind, max: u32) -> String {
    let times = if max == 1 { "once".to_string() } else { counted(u64::from(max), "time") };
    match (verb, kind) {
        ("write", Kind::Source) => "the elements it makes".to_string(),
        ("write", _) if max == 1 => "a payload for each element".to_string(),
        ("write", _) => format!("{} for each element", counted(u64::from(max), "payload")),
        _ => format!("an element {times}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortens_names_of_the_contract_only() {
        assert_eq!(short("torvyn:streaming/router@0.2.0"), "router");
        assert_eq!(short("acme:filters/router@0.2.0"), "acme:filters/router@0.2.0");
        assert_eq!(full_name("payload-read"), "torvyn:streaming/payload-read@0.2.0");
    }

    #[test]
    fn an_unbounded_use_is_over_only_if_none_is_allowed() {
        let two = Bound::at_most(2, Proof::Bounded);
        assert_eq!([0, 1, 2].map(|allowed| is_over(two, allowed)), [true, true, false]);
        assert_eq!([0, 1].map(|allowed| is_over(Bound::unknown(), allowed)), [true, false]);
        // A call that traps can read as often as it likes.
        assert!(is_over(Bound::at_most(0, Proof::Bounded), 0) && !is_over(Bound::never(Proof::CallGraph), 0));
    }
}
