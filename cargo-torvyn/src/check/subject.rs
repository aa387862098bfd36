//! A stage under check: what its author declared, and what is known of what it can do.

use std::env;
use std::path::{Path, PathBuf};

use torvyn_runtime::analysis::contract::Reason;
use torvyn_runtime::analysis::{Analysis, Contract, ContractError, StageVerdict};

use crate::config::budget::Budget;
use crate::config::lint_levels::{Levels, LintArgs};
use crate::config::settings::{Settings, WorkspaceSettings};
use crate::output::codes;
use crate::output::diagnostic::{Diagnostic, Diagnostics, Sources, suggestion};
use crate::output::viewpoint::without_dots;
use crate::project::workspace::Stage;

/// A stage under check.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    /// The package, or the path of the component.
    pub(crate) name: String,
    /// The package of the stage; `None` for a component file.
    pub(crate) package: Option<Stage>,
    /// What its author declared; `None` for a component file.
    pub(crate) settings: Option<Settings>,
    /// What its declared world lets it do; `None` if that is not known.
    pub(crate) contract: Option<Contract>,
    /// What its component can do; `None` if it was not built.
    pub(crate) analysis: Option<Analysis>,
    /// What the stage may copy.
    pub(crate) budget: Budget,
    /// The levels of its lints.
    pub(crate) levels: Levels,
}

impl Subject {
    /// The stage of a package, with the declarations of its author. Problems with its settings go to `found`.
    pub(crate) fn from_package(
        stage: &Stage,
        workspace: &WorkspaceSettings,
        args: &LintArgs,
        sources: &mut Sources,
        found: &mut Diagnostics,
    ) -> Subject {
        let settings = Settings::load(&stage.manifest, workspace, sources, found);
        Subject {
            name: stage.package.clone(),
            package: Some(stage.clone()),
            budget: settings.budget.clone(),
            levels: settings.levels.clone().override_with(args),
            settings: Some(settings),
            contract: None,
            analysis: None,
        }
    }

    /// Reads what its declared world lets it do.
    ///
    /// # Errors
    ///
    /// Why the world could not be read.
    pub(crate) fn read_contract(
        &mut self,
        workspace: &WorkspaceSettings,
        sources: &mut Sources,
    ) -> Result<(), Diagnostic> {
        if let Some(settings) = &self.settings {
            self.contract = Some(read_contract(settings, workspace, sources)?);
        }
        Ok(())
    }

    /// The stage of a component file.
    pub(crate) fn from_file(path: &Path, levels: Levels, analysis: Analysis) -> Subject {
        Subject {
            name: path.display().to_string(),
            package: None,
            settings: None,
            contract: None,
            analysis: Some(analysis),
            budget: Budget::default(),
            levels,
        }
    }

    /// Labels the component file, if the stage is one and the finding has no label.
    pub(crate) fn with_location(&self, finding: Diagnostic) -> Diagnostic {
        match finding.labels.is_empty() && self.package.is_none() {
            true => finding.label(Path::new(&self.name), 0..0, ""),
            false => finding,
        }
    }

    /// The folder of the package, if the stage has one.
    pub(super) fn folder(&self) -> Option<PathBuf> {
        let manifest = env::current_dir().unwrap_or_default().join(&self.package.as_ref()?.manifest);
        without_dots(&manifest).parent().map(Path::to_path_buf)
    }

    /// What is proven of the stage, with its budget; `None` if neither its world nor its component is known.
    pub(crate) fn verdict(&self) -> Option<StageVerdict> {
        let budget = self.budget.limits();
        match (&self.analysis, &self.contract) {
            (Some(analysis), contract) => Some(StageVerdict::of_component(analysis, contract.as_ref(), &budget)),
            (None, Some(contract)) => Some(StageVerdict::of_contract(contract, &budget)),
            (None, None) => None,
        }
    }
}

/// What the declared world lets the stage do.
fn read_contract(
    settings: &Settings,
    workspace: &WorkspaceSettings,
    sources: &mut Sources,
) -> Result<Contract, Diagnostic> {
    let Some(folder) = settings.wit_folder(workspace) else {
        let beside = |file: &Path| file.with_file_name("wit").display().to_string();
        let mut looked = vec![beside(&settings.file), beside(&workspace.file)];
        looked.dedup();
        let diagnostic = Diagnostic::error(codes::WIT_MISSING, "found no WIT that declares what the stage may do");
        return Err(diagnostic
            .label(&settings.file, settings.span.clone(), "this stage")
            .note(format!("looked for {}", looked.join(" and ")))
            .help("name its folder with `wit = \"…\"`, or check the component alone: `cargo torvyn check FILE.wasm`"));
    };
    let world = settings.world.as_ref().map(|world| world.value.as_str());
    match Contract::load(&folder, world) {
        Ok(contract) => {
            contract.files.iter().for_each(|file| sources.add(&file.path, &*file.text));
            Ok(contract)
        }
        Err(error) => Err(contract_error(error, settings, sources)),
    }
}

/// Reports why the declared world could not be read, at the place to fix.
fn contract_error(error: ContractError, settings: &Settings, sources: &mut Sources) -> Diagnostic {
    error.files.iter().for_each(|file| sources.add(&file.path, &*file.text));
    let mut help = error.help;
    let missing = matches!(error.reason, Reason::Missing);
    let code = match &error.reason {
        Reason::Missing => codes::WIT_MISSING,
        Reason::Syntax => codes::WIT_SYNTAX,
        Reason::Unresolved => codes::WIT_UNRESOLVED,
        Reason::NoWorld { .. } => codes::NO_WORLD,
        Reason::UnknownWorld { known } => {
            let known: Vec<_> = known.iter().map(String::as_str).collect();
            let declared = settings.world.as_ref().map_or("", |world| &world.value);
            help = help.or_else(|| Some(suggestion(declared, "worlds", &known)));
            codes::UNKNOWN_WORLD
        }
        Reason::Version { .. } => codes::WRONG_VERSION,
        Reason::Changed => codes::CHANGED_CONTRACT,
        Reason::NotAStage => codes::NOT_A_STAGE,
    };
    let mut diagnostic = Diagnostic::error(code, error.message);
    // An error in WIT is fixed there; an unknown name, where it is written.
    if let Some(place) = error.place {
        diagnostic = diagnostic.label(&place.file, place.span, "");
    }
    diagnostic = match (&settings.wit, &settings.world) {
        (Some(wit), _) if missing => diagnostic.label(&wit.file, wit.span.clone(), ""),
        (_, Some(world)) => diagnostic.label(&world.file, world.span.clone(), "the world of this stage"),
        (_, None) => diagnostic.label(&settings.file, settings.span.clone(), "this stage declares no world"),
    };
    diagnostic.help = help;
    diagnostic
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::*;

    /// The whole contract in one text.
    fn contract() -> String {
        let header = "package torvyn:streaming@0.2.0;";
        let parts = torvyn_runtime::contract::WIT.map(|(_, text)| text.replace(header, ""));
        format!("{header}\n{}", parts.concat())
    }

    /// The problems with a stage whose WIT is `wit` and that declares `world`.
    fn wrong(wit: Option<&str>, world: Option<&str>) -> Diagnostics {
        let folder = tempfile::tempdir().unwrap();
        let manifest = folder.path().join("Cargo.toml");
        let world = world.map(|world| format!("world = '{world}'")).unwrap_or_default();
        fs::write(&manifest, format!("[package.metadata.torvyn]\n{world}\n")).unwrap();
        if let Some(wit) = wit {
            fs::create_dir(folder.path().join("wit")).unwrap();
            fs::write(folder.path().join("wit/world.wit"), wit).unwrap();
        }
        let (mut sources, mut found) = (Sources::default(), Diagnostics::default());
        let workspace = WorkspaceSettings::load(&manifest, &mut sources, &mut found);
        let settings = Settings::load(&manifest, &workspace, &mut sources, &mut found);
        found.extend(read_contract(&settings, &workspace, &mut sources).err());
        found
    }

    /// A stage whose package declares this, with its `contract` and without a component.
    pub(crate) fn declared(settings: &str) -> Subject {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("wit")).unwrap();
        fs::write(folder.path().join("wit/world.wit"), contract()).unwrap();
        let manifest = folder.path().join("Cargo.toml");
        fs::write(&manifest, format!("[package.metadata.torvyn]\n{settings}\n")).unwrap();
        let (mut sources, mut found) = (Sources::default(), Diagnostics::default());
        let workspace = WorkspaceSettings::load(&manifest, &mut sources, &mut found);
        let settings = Settings::load(&manifest, &workspace, &mut sources, &mut found);
        assert!(found.is_empty(), "{found:?}");
        Subject {
            name: "stage".to_string(),
            package: None,
            contract: Some(read_contract(&settings, &workspace, &mut sources).unwrap()),
            analysis: None,
            budget: settings.budget.clone(),
            levels: settings.levels.clone(),
            settings: Some(settings),
        }
    }

    /// As [`declared`], with its built component.
    pub(crate) fn built(settings: &str, component: &[u8]) -> Subject {
        Subject { analysis: Some(Analysis::parse(component).unwrap()), ..declared(settings) }
    }

    /// What a lint finds.
    pub(crate) fn found(
        subject: &Subject,
        find: fn(&Subject, &StageVerdict, &mut Sources) -> Vec<Diagnostic>,
    ) -> Vec<Diagnostic> {
        find(subject, &subject.verdict().unwrap(), &mut Sources::default())
    }

    #[test]
    fn finds_the_world_in_the_wit_beside_the_package() {
        for world in ["router", "inspector", "torvyn:streaming/inspector@0.2.0"] {
            assert!(wrong(Some(&contract()), Some(world)).is_empty());
        }
    }

    /// The codes that these errors have, each case checked.
    pub(crate) fn codes() -> BTreeSet<&'static str> {
        let contract = contract();
        let without_a_function =
            contract.replace("  read-all: func(of: borrow<batch>) -> result<list<u8>, failure>;", "");
        let cases = [
            (None, Some("router"), codes::WIT_MISSING),
            (Some("package torvyn:streaming@0.2.0"), None, codes::WIT_SYNTAX),
            (Some("package a:b; world w { import c; }"), None, codes::WIT_UNRESOLVED),
            (Some(&*contract), None, codes::NO_WORLD),
            (Some(&*contract), Some("ruoter"), codes::UNKNOWN_WORLD),
            (Some(&contract.replace("0.2.0", "0.1.0")), Some("router"), codes::WRONG_VERSION),
            (Some(&*without_a_function), Some("router"), codes::CHANGED_CONTRACT),
            (Some("package a:b; world w { import f: func(); }"), Some("w"), codes::NOT_A_STAGE),
        ];
        let mut codes = BTreeSet::new();
        for (wit, world, code) in cases {
            let found = wrong(wit, world);
            let found: Vec<_> = found.iter().map(|diagnostic| diagnostic.code).collect();
            assert_eq!(found, [code], "{wit:?} {world:?}");
            codes.extend(found);
        }
        codes
    }
}
