//! Worlds, and what is proven of them. The claims are held against the widest component that can be built for the
//! world.

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::ManglingAndAbi;

use super::packages::Packages;
use super::*;
use crate::component::profile::Profile;
use crate::contract::{TrackedImport, Verdict, World};

const CONTRACT_WIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/wit");
const READ: &str = "torvyn:streaming/payload-read@0.2.0";
const WRITE: &str = "torvyn:streaming/payload-write@0.2.0";
const LEASE: &str = "torvyn:streaming/payload-lease@0.2.0";

/// The header of every stage in these tests.
const PROCESSOR: &str = "export torvyn:streaming/lifecycle@0.2.0; export torvyn:streaming/processor@0.2.0;";

const CLOCKS: &str = "package wasi:clocks@0.2.6;
    interface monotonic-clock { type instant = u64; now: func() -> instant; }
    interface types-only { type instant = u64; }";

/// A package in its own folder, with the contract among its dependencies.
struct Package(TempDir);

impl Package {
    fn new(files: &[(&str, &str)]) -> Package {
        let package = Package::without_contract(files);
        let deps = package.0.path().join("deps/torvyn-streaming");
        fs::create_dir_all(&deps).unwrap();
        for (name, text) in contract_files() {
            fs::write(deps.join(name), text).unwrap();
        }
        package
    }

    fn without_contract(files: &[(&str, &str)]) -> Package {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Package(folder)
    }

    /// A package `acme:filters` whose world `stage` has these lines.
    fn stage(lines: &str) -> Package {
        Package::of_world(&format!("world stage {{ {lines} }}"))
    }

    fn of_world(declarations: &str) -> Package {
        let text = format!("package acme:filters@1.0.0;\n{declarations}");
        Package::new(&[("filters.wit", &text), ("deps/clocks.wit", CLOCKS)])
    }

    fn load(&self, world: Option<&str>) -> Result<Contract, ContractError> {
        let loaded = Contract::load(self.0.path(), world);
        if let Ok(contract) = &loaded {
            check_widest_component(self.0.path(), world, contract);
        }
        loaded
    }

    #[track_caller]
    fn contract(&self) -> Contract {
        self.load(None).unwrap()
    }

    #[track_caller]
    fn refused(&self, world: Option<&str>) -> ContractError {
        match self.load(world) {
            Err(error) => error,
            Ok(contract) => panic!("{contract:?}"),
        }
    }
}

fn contract_files() -> Vec<(String, String)> {
    let entries = fs::read_dir(CONTRACT_WIT).unwrap().map(|entry| entry.unwrap());
    let files = entries.filter(|entry| entry.file_name().to_string_lossy().ends_with(".wit"));
    files.map(|entry| (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap())).collect()
}

/// Builds a component that uses all imports of the world, and compares its analysis with the contract.
#[track_caller]
fn check_widest_component(wit: &Path, world: Option<&str>, contract: &Contract) {
    let packages = Packages::load(wit).unwrap();
    let id = packages.select(world).unwrap();
    let mut module = wit_component::dummy_module(&packages.resolve, id, ManglingAndAbi::Standard32);
    wit_component::embed_component_metadata(&mut module, &packages.resolve, id, StringEncoding::UTF8).unwrap();
    let bytes = ComponentEncoder::default().module(&module).unwrap().encode().unwrap();
    if contract.capabilities.iter().any(|name| !name.starts_with("wasi:")) {
        return;
    }
    let profile = Profile::parse(&bytes).unwrap();
    assert_eq!((profile.kind, profile.payloads), (contract.kind, contract.payloads));
    let imports = TrackedImport::ALL.into_iter().filter(|import| {
        let interface = import.to_string();
        contract.payloads.interfaces().contains(&(interface.split_once('.').unwrap().0, true))
    });
    assert!(
        imports.eq(TrackedImport::ALL.into_iter().filter(|import| profile.tracked_imports.contains(import))),
        "{:?}",
        profile.tracked_imports
    );
    assert_eq!((&profile.other_imports, profile.attributes), (&contract.capabilities, contract.attributes));
}

/// The text at a place.
#[track_caller]
fn text<'a>(files: &'a [File], place: &Place) -> &'a str {
    let file = files.iter().find(|file| file.path == place.file).unwrap();
    &file.text[place.span.clone()]
}

/// The lines that add an import: `include transform`, and so on.
#[track_caller]
fn lines(contract: &Contract, import: &str) -> Vec<String> {
    let lines = contract.places_of(import).map(|place| {
        let what = match &place.what {
            What::Import(_) => "import",
            What::Include(_) => "include",
            What::Uses(_) => "uses",
            What::World | What::Fault => unreachable!(),
        };
        let file = place.file.file_name().unwrap().to_string_lossy();
        format!("{file}: {what} {}", text(&contract.files, place))
    });
    lines.collect()
}

#[track_caller]
fn copies(contract: &Contract) -> (bool, bool) {
    let Payloads { read, write, view, buffer, lease } = contract.payloads;
    let unless = |can: bool| if can { Bound::unknown() } else { Bound::never(Proof::Contract) };
    let whole = contract.kind == Kind::Source && write && !buffer;
    assert_eq!(
        contract.bounds(),
        Bounds {
            reads: unless(read),
            writes: if whole { Bound::exactly(1, Proof::Contract) } else { unless(write || buffer) },
            pieces: unless(buffer),
            views: unless(view || lease),
        }
    );
    (read, write)
}

#[test]
fn the_worlds_of_the_contract() {
    for (world, kind, reads, writes, more) in [
        ("router", Kind::Processor, false, false, &[][..]),
        ("inspector", Kind::Processor, true, false, &[]),
        ("chunker", Kind::Processor, false, false, &["payload-view"]),
        ("slicer", Kind::Processor, true, false, &["payload-view"]),
        ("replacer", Kind::Processor, false, true, &[]),
        ("transform", Kind::Processor, true, true, &[]),
        ("holder", Kind::Processor, false, false, &["payload-lease"]),
        ("collector", Kind::Processor, true, false, &["payload-lease"]),
        ("windowed", Kind::Processor, true, true, &["payload-view", "payload-buffer", "payload-lease"]),
        ("data-source", Kind::Source, false, true, &[]),
        ("bulk-source", Kind::Source, false, true, &["payload-buffer"]),
        ("data-sink", Kind::Sink, true, false, &[]),
        ("metadata-sink", Kind::Sink, false, false, &[]),
    ] {
        let full = format!("torvyn:streaming/{world}@0.2.0");
        for name in
            [world, "torvyn:streaming/", &full].map(|name| name.replace("streaming/", &format!("streaming/{world}")))
        {
            let name = if name.contains('@') { full.clone() } else { name };
            let contract = Contract::load(Path::new(CONTRACT_WIT), Some(&name)).unwrap();
            assert_eq!((contract.world.as_str(), contract.kind), (full.as_str(), kind));
            assert_eq!(copies(&contract), (reads, writes), "{world}");
            let narrowest = World::narrowest(kind, contract.payloads);
            assert_eq!((narrowest.to_string().as_str(), narrowest.payloads()), (world, contract.payloads));
            assert_eq!(contract.retains(), ["holder", "collector", "windowed"].contains(&world));
            let has = contract.payloads.interfaces().into_iter().skip(2).filter(|(_, has)| *has);
            assert!(has.map(|(name, _)| name).eq(more.iter().copied()), "{world}");
            assert_eq!(contract.capabilities, [""; 0]);
            assert_eq!(contract.attributes, kind != Kind::Source);
            assert_eq!(contract.places[0].what, What::World);
            assert_eq!(text(&contract.files, &contract.places[0]), world);
            assert_eq!(lines(&contract, READ).is_empty(), !reads);
            assert_eq!(lines(&contract, WRITE).is_empty(), !writes);
            check_widest_component(Path::new(CONTRACT_WIT), Some(world), &contract);
        }
    }
}

/// It has all imports of the stage, and no other world has them with fewer additional ones.
#[test]
fn finds_the_narrowest_world() {
    use World::{Chunker, Collector, Holder, Inspector, Replacer, Router, Slicer, Transform, Windowed};
    let processors = [Router, Inspector, Replacer, Transform, Chunker, Slicer, Holder, Collector, Windowed];
    let sinks = [World::MetadataSink, World::DataSink];
    let has = |world: World, can: Payloads| can.without(world.payloads()) == Payloads::default();
    let width = |world: World| world.payloads().interfaces().iter().filter(|(_, has)| *has).count();
    for bits in 0..32 {
        let [read, write, view, buffer, lease] = [1, 2, 4, 8, 16].map(|bit| bits & bit != 0);
        let can = Payloads { read, write, view, buffer, lease };
        for (kind, worlds) in [(Kind::Processor, &processors[..]), (Kind::Sink, &sinks[..])] {
            let narrowest = World::narrowest(kind, can);
            let fitting = || worlds.iter().copied().filter(|world| has(*world, can));
            if kind == Kind::Processor || fitting().next().is_some() {
                assert!(has(narrowest, can), "{can:?}: {narrowest}");
                assert_eq!(fitting().map(width).min(), Some(width(narrowest)), "{can:?}: {narrowest}");
            }
        }
    }
}

#[test]
fn traces_imports_through_includes() {
    let contract = Contract::load(Path::new(CONTRACT_WIT), Some("transform")).unwrap();
    assert_eq!(lines(&contract, READ), ["worlds.wit: include inspector", "worlds.wit: import payload-read"]);
    assert_eq!(lines(&contract, WRITE), ["worlds.wit: import payload-write"]);
    assert_eq!(contract.files.len(), 1);

    let contract = Package::of_world(
        "world base { include torvyn:streaming/transform@0.2.0; }
         world stage { include base; import wasi:clocks/monotonic-clock@0.2.6; import torvyn:streaming/types@0.2.0; }",
    );
    let contract = contract.load(Some("stage")).unwrap();
    assert_eq!(contract.world, "acme:filters/stage@1.0.0");
    assert_eq!(copies(&contract), (true, true));
    assert_eq!(contract.capabilities, ["wasi:clocks/monotonic-clock@0.2.6"]);
    let expected = ["filters.wit: include base", "filters.wit: include transform", "worlds.wit: include inspector"];
    assert_eq!(lines(&contract, READ)[..3], expected);
    assert_eq!(lines(&contract, READ)[3..], ["worlds.wit: import payload-read"]);
    assert_eq!(lines(&contract, "wasi:clocks/monotonic-clock@0.2.6"), ["filters.wit: import monotonic-clock"]);
}

#[test]
fn traces_an_import_that_is_added_twice() {
    let contract = Package::of_world(
        "world log { import torvyn:streaming/payload-read@0.2.0; }
         world stage { include torvyn:streaming/inspector@0.2.0; include log; }",
    );
    let contract = contract.load(Some("stage")).unwrap();
    assert_eq!(copies(&contract), (true, false));
    let expected = [
        "filters.wit: include inspector",
        "worlds.wit: import payload-read",
        "filters.wit: include log",
        "filters.wit: import payload-read",
    ];
    assert_eq!(lines(&contract, READ), expected);
}

#[test]
fn traces_renamed_imports() {
    let package = Package::of_world(&format!(
        "world tools {{ import note: func(text: string); import ask: interface {{ answer: func() -> u32; }} }}
         world stage {{ include tools with {{ note as remark, ask as question }} {PROCESSOR} }}"
    ));
    let contract = package.load(Some("stage")).unwrap();
    assert_eq!(contract.capabilities, ["question", "remark"]);
    assert_eq!(lines(&contract, "remark"), ["filters.wit: include tools", "filters.wit: import note"]);
    assert_eq!(lines(&contract, "question"), ["filters.wit: include tools", "filters.wit: import ask"]);
    assert_eq!(copies(&contract), (false, false));
}

/// Using types of an interface imports the interface, and a component may call its functions.
#[test]
fn using_types_imports_the_interface() {
    for (world, line) in [
        (
            format!(
                "interface api {{ use torvyn:streaming/payload-read@0.2.0.{{batch}}; look: func(at: borrow<batch>); }}
            world stage {{ import api; {PROCESSOR} }}"
            ),
            "filters.wit: uses api",
        ),
        (
            format!(
                "interface inner {{ use torvyn:streaming/payload-read@0.2.0.{{batch}}; }}
            interface api {{ use inner.{{batch}}; look: func(at: borrow<batch>); }}
            world stage {{ import api; {PROCESSOR} }}"
            ),
            "filters.wit: uses api",
        ),
        (
            format!(
                "interface api {{ use torvyn:streaming/payload-read@0.2.0.{{batch}}; look: func(at: borrow<batch>); }}
            world stage {{ export api; {PROCESSOR} }}"
            ),
            "filters.wit: uses api",
        ),
        (
            format!("world stage {{ use torvyn:streaming/payload-read@0.2.0.{{batch}}; {PROCESSOR} }}"),
            "filters.wit: uses batch",
        ),
        (
            format!(
                "world stage {{ import api: interface {{ use torvyn:streaming/payload-read@0.2.0.{{batch}}; }} {PROCESSOR} }}"
            ),
            "filters.wit: uses api",
        ),
    ] {
        let contract = Package::of_world(&world).contract();
        assert_eq!(copies(&contract), (true, false), "{world}");
        assert_eq!(lines(&contract, READ), [line], "{world}");
    }
}

#[test]
fn types_are_not_capabilities() {
    let contract = Package::stage(&format!("import wasi:clocks/types-only@0.2.6; {PROCESSOR}")).contract();
    assert_eq!((copies(&contract), contract.capabilities), ((false, false), Vec::new()));
    let contract = Package::of_world(&format!(
        "interface ours {{ use torvyn:streaming/types@0.2.0.{{batch}}; type mine = borrow<batch>; }}
         interface kept {{ resource thing; }}
         world stage {{ use wasi:clocks/monotonic-clock@0.2.6.{{instant}}; import ours; import kept; {PROCESSOR} }}"
    ));
    let contract = contract.contract();
    assert_eq!(copies(&contract), (false, false));
    assert_eq!(contract.capabilities, ["acme:filters/kept@1.0.0", "wasi:clocks/monotonic-clock@0.2.6"]);
    assert_eq!(lines(&contract, "wasi:clocks/monotonic-clock@0.2.6"), ["filters.wit: uses instant"]);
}

#[test]
fn lists_items_that_a_world_imports_itself() {
    let contract = Package::stage(&format!(
        "import note: func(text: string); resource pen {{ constructor(); draw: func(); }} {PROCESSOR}"
    ));
    assert_eq!(contract.contract().capabilities, ["pen", "note"]);
}

#[test]
fn feature_gates_hide_nothing() {
    let contract =
        Package::stage(&format!("@unstable(feature = peek) import torvyn:streaming/payload-read@0.2.0; {PROCESSOR}"));
    assert_eq!(copies(&contract.contract()), (true, false));
    let contract = Package::stage(
        "include torvyn:streaming/router@0.2.0; @unstable(feature = all) include torvyn:streaming/transform@0.2.0;",
    );
    assert_eq!(copies(&contract.contract()), (true, true));
    let contract =
        Package::stage(&format!("@since(version = 1.0.0) import torvyn:streaming/payload-write@0.2.0; {PROCESSOR}"));
    assert_eq!(copies(&contract.contract()), (false, true));
}

/// Elements can be made of held ones without any other import, but reading them needs `payload-read`.
#[test]
fn leases() {
    let package = Package::of_world(
        "world stage { include torvyn:streaming/router@0.2.0; import torvyn:streaming/payload-lease@0.2.0; }",
    );
    let contract = package.contract();
    assert_eq!((copies(&contract), contract.retains()), ((false, false), true));
    assert!(contract.bounds().reads.is_never() && contract.bounds().writes.is_never());
    assert_eq!((contract.bounds().views, contract.bounds().verdict()), (Bound::unknown(), Verdict::HandlePass));
    assert_eq!(lines(&contract, LEASE), ["filters.wit: import payload-lease"]);
}

/// The interface that every world imports can neither copy nor multiply.
#[test]
fn the_function_of_types_makes_nothing() {
    assert_eq!(Package::stage(PROCESSOR).contract().capabilities, [""; 0]);
}

#[test]
fn knows_all_files_of_the_contract() {
    let mut known = crate::contract::WIT.map(|(name, text)| (name.to_string(), text.to_string())).to_vec();
    let mut files = contract_files();
    known.sort();
    files.sort();
    assert!(known == files, "list the new file in `contract/wit.rs`");
}

/// The result for a project that has a modified contract under the same name.
fn with_another_contract(file: &str, from: &str, to: &str) -> Result<Contract, ContractError> {
    let package = Package::stage("include torvyn:streaming/transform@0.2.0;");
    let path = package.0.path().join("deps/torvyn-streaming").join(file);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{file} has no `{from}`");
    fs::write(&path, text.replacen(from, to, 1)).unwrap();
    Contract::load(package.0.path(), None)
}

#[test]
fn rejects_modified_contracts() {
    for (file, from, to, what, at) in [
        (
            "payload-read.wit",
            "  read-all: func(of: borrow<batch>) -> result<list<u8>, failure>;",
            "",
            "function `read-all` of interface `payload-read` is missing",
            "payload-read",
        ),
        (
            "payload-read.wit",
            "  read-all: func",
            "  peek: func(of: borrow<batch>) -> u8; read-all: func",
            "function `peek` of interface `payload-read` is not in the contract",
            "peek",
        ),
        (
            "payload-read.wit",
            "index: u32, offset: u64",
            "index: u64, offset: u64",
            "function `read` of interface `payload-read` is `func(of: borrow<payload-read.batch>, index: u64, offset: u64, \
             len: u64) -> result<list<u8>, payload-read.failure>`, expected `func(of: borrow<payload-read.batch>, index: u32",
            "read",
        ),
        (
            "payload-read.wit",
            "index: u32, offset: u64",
            "offset: u64, index: u32",
            "function `read` of interface `payload-read` is",
            "read",
        ),
        (
            "types.wit",
            "type routes =",
            "slice-all: func(of: borrow<batch>); type routes =",
            "function `slice-all` of interface `types` is not in the contract",
            "slice-all",
        ),
        (
            "types.wit",
            "type routes = list<u32>",
            "type routes = list<u64>",
            "type `routes` of interface `types` is `list<u64>`",
            "routes",
        ),
        ("types.wit", "    out-of-bounds,", "", "type `failure` of interface `types` is `variant {", "failure"),
        ("types.wit", "    trace,", "    trace, more,", "type `columns` of interface `types` is `flags {", "columns"),
        ("types.wit", "    index: u32,", "    at: u32,", "type `reached` of interface `types` is `record {", "reached"),
        (
            "types.wit",
            "  resource batch {",
            "  resource bunch; resource batch {",
            "type `bunch` of interface `types` is not in the contract",
            "bunch",
        ),
        (
            "sink.wit",
            "complete: func() -> result<_, failure>",
            "complete: func()",
            "function `complete` of interface `sink` is `func()`",
            "complete",
        ),
        (
            "sink.wit",
            "complete: func()",
            "complete: async func()",
            "function `complete` of interface `sink` is `async func()",
            "complete",
        ),
        (
            "worlds.wit",
            "  import payload-read;\n",
            "",
            "import `torvyn:streaming/payload-read@0.2.0` of world `inspector` is missing",
            "inspector",
        ),
        (
            "worlds.wit",
            "  export processor;",
            "  export processor; export run: func();",
            "export `run` of world `router` is not in the contract",
            "run",
        ),
        ("worlds.wit", "world holder {", "world keeper {", "world `holder` is missing", ""),
        (
            "sink.wit",
            "interface sink {",
            "interface mine { f: func(); } interface sink {",
            "interface `mine` is not in the contract",
            "mine",
        ),
    ] {
        let changed = with_another_contract(file, from, to);
        let error = changed.map_err(|error| (error.reason.clone(), error)).expect_err(what);
        assert_eq!(error.0, Reason::Changed, "{:?}", error.1);
        let (told, error) = (error.1.message.clone(), error.1);
        let expected = format!("the WIT differs from the contract `torvyn:streaming@0.2.0`: {what}");
        assert!(told.starts_with(&expected), "expected `{expected}`, found `{told}`");
        assert!(error.help.as_ref().unwrap().contains("a package of your own"));
        match &error.place {
            Some(place) => assert_eq!(text(&error.files, place), at, "{told}"),
            None => assert_eq!(at, "", "{told}"),
        }
    }
}

/// A regression test: `payload-read` without functions was taken for an interface of types.
#[test]
fn a_contract_without_functions_proves_nothing() {
    let package = Package::stage("include torvyn:streaming/transform@0.2.0;");
    let path = package.0.path().join("deps/torvyn-streaming/payload-read.wit");
    fs::write(&path, "package torvyn:streaming@0.2.0;\ninterface payload-read { use types.{batch}; }").unwrap();
    assert_eq!(package.refused(None).reason, Reason::Changed);
}

/// Additional worlds, comments and the order of items do not matter.
#[test]
fn accepts_additions_beside_the_contract() {
    let package = Package::stage(PROCESSOR);
    let folder = package.0.path().join("deps/torvyn-streaming");
    let own = "package torvyn:streaming@0.2.0;\n// Ours.\nworld ours { include holder; import payload-read; }";
    fs::write(folder.join("ours.wit"), own).unwrap();
    let parts = fs::read_to_string(folder.join("payload-write.wit")).unwrap();
    fs::write(folder.join("payload-write.wit"), parts.replace("///", "// /")).unwrap();
    let contract = package.load(Some("torvyn:streaming/ours")).unwrap();
    assert_eq!((copies(&contract), contract.retains()), ((true, false), true));
}

/// Whichever character or line of the contract is changed, nothing false is proven.
#[test]
fn small_changes_to_the_contract_prove_nothing_false() {
    let package = Package::stage("include torvyn:streaming/windowed@0.2.0;");
    let expected = package.contract();
    let (mut refused, mut same) = (0, 0);
    for (name, whole) in contract_files() {
        let path = package.0.path().join("deps/torvyn-streaming").join(&name);
        let lines: Vec<_> = whole.lines().collect();
        for (number, line) in lines.iter().enumerate().filter(|(_, line)| !line.trim_start().starts_with("///")) {
            let mut without = lines.clone();
            without.remove(number);
            let mut twice = lines.clone();
            twice.insert(number, line);
            let changed = [line.replacen("u32", "u64", 1), line.replacen("func(", "func(more: u8, ", 1)];
            let changed = changed.iter().map(|line| {
                let mut changed = lines.clone();
                changed[number] = line;
                changed.join("\n")
            });
            for text in changed.chain([without.join("\n"), twice.join("\n")]) {
                fs::write(&path, text).unwrap();
                match Contract::load(package.0.path(), None) {
                    Ok(contract) => {
                        same += 1;
                        assert_eq!((contract.payloads, contract.bounds()), (expected.payloads, expected.bounds()));
                    }
                    Err(_) => refused += 1,
                }
            }
        }
        fs::write(&path, &whole).unwrap();
    }
    assert!(refused > 200 && same > 50, "{refused} {same}");
}

#[test]
fn packages_in_one_file() {
    let mut text = "package acme:filters;\nworld stage { include torvyn:streaming/inspector@0.2.0; }\n".to_string();
    text.push_str("package torvyn:streaming@0.2.0 {\n");
    for (_, part) in contract_files() {
        text.push_str(&part.replace("package torvyn:streaming@0.2.0;", ""));
    }
    text.push('}');
    let package = Package::without_contract(&[("one.wit", &text)]);
    for path in [package.0.path().to_path_buf(), package.0.path().join("one.wit")] {
        let contract = Contract::load(&path, None).unwrap();
        assert_eq!((contract.world.as_str(), copies(&contract)), ("acme:filters/stage", (true, false)));
        assert_eq!(lines(&contract, READ), ["one.wit: include inspector", "one.wit: import payload-read"]);
        assert_eq!(Contract::load(&path, Some("router")).unwrap().world, "torvyn:streaming/router@0.2.0");
    }
}

#[test]
fn prefers_worlds_of_the_package() {
    let package = Package::of_world("world router { include torvyn:streaming/transform@0.2.0; }");
    assert_eq!(package.load(Some("router")).unwrap().world, "acme:filters/router@1.0.0");
    assert_eq!(package.contract().world, "acme:filters/router@1.0.0");
    for name in ["torvyn:streaming/router", "torvyn:streaming/router@0.2.0"] {
        assert_eq!(copies(&package.load(Some(name)).unwrap()), (false, false));
    }
    assert_eq!(package.load(Some("inspector")).unwrap().world, "torvyn:streaming/inspector@0.2.0");
}

/// A binary dependency has no text to refer to.
#[test]
fn a_dependency_in_binary_form() {
    let packages = Packages::load(Path::new(CONTRACT_WIT)).unwrap();
    let binary = wit_component::encode(&packages.resolve, packages.main).unwrap();
    let text = "package acme:filters; world stage { include torvyn:streaming/inspector@0.2.0; }";
    let package = Package::without_contract(&[("filters.wit", text)]);
    fs::create_dir(package.0.path().join("deps")).unwrap();
    fs::write(package.0.path().join("deps/torvyn.wasm"), &binary).unwrap();
    let contract = package.contract();
    assert_eq!(copies(&contract), (true, false));
    assert_eq!(lines(&contract, READ), ["filters.wit: include inspector"]);

    fs::write(package.0.path().join("deps/torvyn.wasm"), &binary[..binary.len() / 2]).unwrap();
    let error = package.refused(None);
    assert!(error.message.starts_with("expected a WIT package, found an invalid file"), "{error}");
    assert!(error.place.unwrap().file.ends_with("deps/torvyn.wasm"));
}

fn old_contract() -> String {
    "package torvyn:streaming@0.1.0;
     interface types { resource buffer; }
     interface processor { use types.{buffer}; process: func(of: borrow<buffer>) -> buffer; }
     interface payload-read { peek: func() -> u8; }
     world managed { import types; export processor; }"
        .to_string()
}

#[test]
fn rejects_other_versions() {
    let package = Package::without_contract(&[("torvyn.wit", &old_contract())]);
    let error = package.refused(Some("managed"));
    assert_eq!(error.reason, Reason::Version { found: "torvyn:streaming@0.1.0".to_string() });
    let found = "expected `torvyn:streaming@0.2.0`, found `torvyn:streaming/processor@0.1.0` in world \
                 `torvyn:streaming/managed@0.1.0`";
    assert_eq!(error.message, found);
    let place = error.place.unwrap();
    assert_eq!(text(&error.files, &place), "processor");
    assert_eq!(error.files[0].text[..place.span.start].lines().count(), 5);

    let old = old_contract();
    let own =
        format!("package acme:filters; world stage {{ import torvyn:streaming/payload-read@0.1.0; {PROCESSOR} }}");
    let package = Package::new(&[("filters.wit", &own), ("deps/old.wit", &old)]);
    let error = package.refused(None);
    assert_eq!(error.reason, Reason::Version { found: "torvyn:streaming@0.1.0".to_string() });
    assert_eq!(text(&error.files, error.place.as_ref().unwrap()), "payload-read");

    // Beside the contract, an old one that the world has nothing of is no harm.
    let package = Package::new(&[("filters.wit", "package acme:filters; world x {}"), ("deps/old.wit", &old)]);
    assert_eq!(package.load(Some("router")).unwrap().world, "torvyn:streaming/router@0.2.0");
    assert_eq!(
        package.refused(Some("managed")).message,
        "expected world `managed` of `torvyn:streaming@0.2.0`, found that of `torvyn:streaming@0.1.0`"
    );
    let error = package.refused(Some("torvyn:streaming/router"));
    assert_eq!(error.message, "`torvyn:streaming/router` matches several worlds");
    let error = package.refused(Some("torvyn:streaming/router@0.3.0"));
    assert_eq!(error.message, "no package `torvyn:streaming@0.3.0` in the WIT");
    assert!(error.help.unwrap().contains("`torvyn:streaming@0.2.0`"));
}

#[test]
fn rejects_unknown_worlds() {
    let package = Package::of_world("world one {} world two {}");
    let error = package.refused(None);
    assert_eq!(error.message, "package `acme:filters@1.0.0` declares several worlds, and `world` is not set");
    assert_eq!(error.reason, Reason::NoWorld { known: vec!["one".to_string(), "two".to_string()] });
    let error = package.refused(Some("routr"));
    assert_eq!(error.message, "no world `routr` in the WIT");
    let Reason::UnknownWorld { known } = error.reason else { panic!("{error:?}") };
    assert_eq!(
        known,
        [
            "bulk-source",
            "chunker",
            "collector",
            "data-sink",
            "data-source",
            "holder",
            "inspector",
            "metadata-sink",
            "one",
            "replacer",
            "router",
            "slicer",
            "transform",
            "two",
            "windowed"
        ]
    );
    for (world, message) in [
        ("Not A World", "`Not A World` is not a valid world name"),
        ("", "`` is not a valid world name"),
        ("torvyn:streaming", "`torvyn:streaming` is not a valid world name"),
        ("torvyn:streaming/routr@0.2.0", "no world `routr` in package `torvyn:streaming@0.2.0`"),
        ("acme:other/stage", "no package `acme:other` in the WIT"),
        ("acme:filters/three", "no world `three` in package `acme:filters@1.0.0`"),
    ] {
        let error = package.refused(Some(world));
        assert_eq!(error.message, message);
        assert!(matches!(error.reason, Reason::UnknownWorld { .. }), "{error:?}");
    }
    let error = Package::of_world("interface only {}").refused(None);
    assert_eq!(error.message, "package `acme:filters@1.0.0` declares no world, and `world` is not set");
    let package = Package::new(&[
        ("filters.wit", "package acme:filters; world stage { include torvyn:streaming/router@0.2.0; }"),
        ("deps/lib.wit", "package acme:lib@2.0.0; world shared { include torvyn:streaming/router@0.2.0; }"),
    ]);
    assert_eq!(
        package.refused(Some("shared")).help.unwrap(),
        "write the full name of a world of another package: `world = \"acme:lib/shared@2.0.0\"`"
    );
    assert_eq!(package.load(Some("acme:lib/shared@2.0.0")).unwrap().world, "acme:lib/shared@2.0.0");
}

#[test]
fn rejects_worlds_that_are_not_stages() {
    let streaming = |role: &str| format!("export torvyn:streaming/{role}@0.2.0; ");
    for (lines, exports) in [
        (String::new(), "nothing".to_string()),
        ("export run: func();".to_string(), "`run`".to_string()),
        (streaming("lifecycle"), "`torvyn:streaming/lifecycle@0.2.0`".to_string()),
        (streaming("processor"), "`torvyn:streaming/processor@0.2.0`".to_string()),
        (
            streaming("lifecycle") + &streaming("processor") + &streaming("sink"),
            "`torvyn:streaming/lifecycle@0.2.0`, `torvyn:streaming/processor@0.2.0`, `torvyn:streaming/sink@0.2.0`"
                .to_string(),
        ),
        (
            streaming("lifecycle") + "export mine: torvyn:streaming/processor@0.2.0;",
            "`torvyn:streaming/lifecycle@0.2.0`, `mine`".to_string(),
        ),
    ] {
        let error = Package::stage(&lines).refused(None);
        assert_eq!(error.reason, Reason::NotAStage);
        assert_eq!(error.message, format!("world `acme:filters/stage@1.0.0` is not a stage: it exports {exports}"));
        assert_eq!(text(&error.files, error.place.as_ref().unwrap()), "stage");
        assert!(error.help.unwrap().contains("`source`, `processor` and `sink`"));
    }
    let error =
        Package::stage("include torvyn:streaming/data-source@0.2.0; import torvyn:streaming/payload-read@0.2.0;");
    let error = error.refused(None);
    assert_eq!(error.message, "world `acme:filters/stage@1.0.0` is a source that imports `payload-read`");
    assert_eq!(text(&error.files, error.place.as_ref().unwrap()), "payload-read");
    let error = Package::stage("include torvyn:streaming/data-sink@0.2.0; include torvyn:streaming/transform@0.2.0;");
    assert_eq!(error.refused(None).reason, Reason::NotAStage);
    let error =
        Package::stage("include torvyn:streaming/data-sink@0.2.0; import torvyn:streaming/payload-write@0.2.0;");
    let error = error.refused(None);
    assert_eq!(error.message, "world `acme:filters/stage@1.0.0` is a sink that imports `payload-write`");
    for (world, kind, interfaces) in [
        ("data-source", "source", &["payload-view", "payload-lease"][..]),
        ("data-sink", "sink", &["payload-view", "payload-buffer", "payload-lease"]),
    ] {
        for interface in interfaces {
            let lines = format!("include torvyn:streaming/{world}@0.2.0; import torvyn:streaming/{interface}@0.2.0;");
            let error = Package::stage(&lines).refused(None);
            assert_eq!(
                error.message,
                format!("world `acme:filters/stage@1.0.0` is a {kind} that imports `{interface}`")
            );
            assert_eq!(text(&error.files, error.place.as_ref().unwrap()), *interface);
        }
    }
}

/// A stage may have further exports.
#[test]
fn accepts_further_exports() {
    let contract = Package::stage(&format!("export run: func(); {PROCESSOR}")).contract();
    assert_eq!((contract.kind, copies(&contract)), (Kind::Processor, (false, false)));
}

#[test]
fn rejects_invalid_wit() {
    use Reason::{Syntax, Unresolved};
    for (declarations, reason, message, at) in [
        ("world stage { imprt types; }", Syntax, "expected ", "imprt"),
        ("world stage { import a; }\n}", Syntax, "expected ", "}"),
        ("world stage { import b€; }", Syntax, "unexpected character '€'", "€"),
        ("world stage { import missing; }", Unresolved, "interface or world `missing` does not exist", "missing"),
        ("world stage { include stage; }", Unresolved, "interface or world `stage` depends on itself", "stage"),
        (
            "world stage { import torvyn:streaming/paylod-read@0.2.0; }",
            Unresolved,
            "no interface `paylod-read` in the package",
            "paylod-read",
        ),
        (
            "world stage { include torvyn:streaming/routr@0.2.0; }",
            Unresolved,
            "no world `routr` in the package",
            "routr",
        ),
        (
            "world stage { include torvyn:streaming/router@0.1.0; }",
            Unresolved,
            "no package `torvyn:streaming@0.1.0` in the WIT",
            "torvyn:streaming",
        ),
        (
            "world stage { import wasi:http/types@0.2.6; }",
            Unresolved,
            "no package `wasi:http@0.2.6` in the WIT",
            "wasi:http",
        ),
    ] {
        let error = Package::of_world(declarations).refused(None);
        assert_eq!(error.reason, reason, "{error:?}");
        assert!(error.message.starts_with(message), "{error:?}");
        let place = error.place.as_ref().unwrap();
        assert!(place.file.ends_with("filters.wit"), "{error:?}");
        assert!(text(&error.files, place).starts_with(at), "{error:?}");
        assert!(!error.message.contains('\n'));
    }
    let error = Package::of_world("world stage { include torvyn:streaming/router@0.1.0; }").refused(None);
    assert_eq!(error.help.as_deref(), Some("there is `torvyn:streaming@0.2.0`"));
    let error = Package::new(&[("a.wit", "interface x {}")]).refused(None);
    assert!(error.message.contains("no `package` header was found"), "{error:?}");
    assert!(error.place.unwrap().file.ends_with("a.wit"));
}

#[test]
fn rejects_missing_wit() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("wit");
    let error = Contract::load(&missing, None).unwrap_err();
    assert_eq!((error.reason, error.message), (Reason::Missing, format!("`{}` does not exist", missing.display())));
    let error = Contract::load(folder.path(), None).unwrap_err();
    assert_eq!(error.message, format!("`{}` contains no `.wit` file", folder.path().display()));
    let package = Package::of_world("world stage {}");
    fs::create_dir(package.0.path().join("deps/empty")).unwrap();
    assert!(package.refused(None).message.ends_with("deps/empty` contains no `.wit` file"));
    let package = Package::of_world("world stage {}");
    fs::write(package.0.path().join("b.wit"), b"package \xff").unwrap();
    assert!(package.refused(None).message.ends_with("b.wit` is not UTF-8"));
}

/// Any corruption of the text is an error with a place in the text, or harmless.
#[test]
fn rejects_corrupt_text() {
    let all = "package acme:filters@1.0.0;\n\
        interface api { use torvyn:streaming/payload-read@0.2.0.{batch}; resource r { f: static func() -> list<u8>; } }\n\
        /// The stage.\n\
        @unstable(feature = x) world base { import api; include torvyn:streaming/router@0.2.0; }\n\
        world stage { include base; import note: func(a: string) -> result<u32>; use api.{batch as b}; }\n";
    let package = Package::new(&[("filters.wit", all)]);
    let path = package.0.path().join("filters.wit");
    assert!(package.load(Some("stage")).unwrap().payloads.read);
    let mut refused = 0;
    let try_text = |text: &str| {
        fs::write(&path, text).unwrap();
        match Contract::load(package.0.path(), Some("stage")) {
            Ok(_) => 0,
            Err(error) => {
                if let Some(place) = error.place {
                    let file = error.files.iter().find(|file| file.path == place.file).unwrap();
                    assert!(file.text.get(place.span.clone()).is_some(), "{place:?}");
                }
                1
            }
        }
    };
    for at in (0..all.len()).step_by(3) {
        refused += try_text(&all[..at]);
        for with in ["", "}", "{", ";", "@", "%", "a", "\u{202e}", "é", "/*", "\0"] {
            refused += try_text(&format!("{}{with}{}", &all[..at], &all[at + 1..]));
        }
    }
    assert!(refused > all.len(), "{refused}");
}

/// Random worlds that include one another. `load` compares each with the widest component for it.
#[test]
fn random_worlds() {
    const LINES: [&str; 16] = [
        "include torvyn:streaming/router@0.2.0;",
        "include torvyn:streaming/inspector@0.2.0;",
        "include torvyn:streaming/transform@0.2.0;",
        "import torvyn:streaming/types@0.2.0;",
        "import torvyn:streaming/payload-read@0.2.0;",
        "import torvyn:streaming/payload-write@0.2.0;",
        "import torvyn:streaming/payload-view@0.2.0;",
        "import torvyn:streaming/payload-buffer@0.2.0;",
        "import torvyn:streaming/payload-lease@0.2.0;",
        "import torvyn:streaming/attributes@0.2.0;",
        "import wasi:clocks/monotonic-clock@0.2.6;",
        "import wasi:clocks/types-only@0.2.6;",
        "import lent;",
        "import made;",
        "export lent;",
        "@unstable(feature = later) import wasi:clocks/later@0.2.6;",
    ];
    let clocks = CLOCKS.to_string() + "interface later { use monotonic-clock.{instant}; after: func(at: instant); }";
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut below = |limit: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % limit as u64) as usize
    };
    let package = Package::of_world("");
    fs::write(package.0.path().join("deps/clocks.wit"), clocks).unwrap();
    let mut seen = [0; 4];
    for _ in 0..200 {
        let mut text = "package acme:filters@1.0.0;
            interface lent { use torvyn:streaming/payload-read@0.2.0.{batch}; type lent = borrow<batch>; }
            interface made { use torvyn:streaming/types@0.2.0.{output}; resource made; }"
            .to_string();
        let worlds = 1 + below(4);
        for world in 0..worlds {
            let mut lines = String::new();
            LINES.iter().filter(|_| below(6) == 0).for_each(|line| lines += line);
            (0..world).filter(|_| below(2) == 0).for_each(|other| lines += &format!("include w{other};"));
            text += &format!("world w{world} {{ {lines} {} }}", if world + 1 == worlds { PROCESSOR } else { "" });
        }
        fs::write(package.0.path().join("filters.wit"), &text).unwrap();
        let contract = package.load(Some(&format!("w{}", worlds - 1))).unwrap_or_else(|error| panic!("{error:?}"));
        let (reads, writes) = copies(&contract);
        seen[usize::from(reads) + 2 * usize::from(writes)] += 1;
        let interfaces = contract.payloads.interfaces().map(|(name, has)| (full_name(name), has));
        for (interface, imports) in &interfaces {
            assert_eq!(contract.places_of(interface).next().is_some(), *imports, "{interface}: {text}");
        }
        for name in interfaces
            .iter()
            .filter(|(_, imports)| *imports)
            .map(|(name, _)| name.as_str())
            .chain(contract.capabilities.iter().map(String::as_str))
        {
            let mut whats = contract.places_of(name).map(|place| &place.what);
            assert!(whats.any(|what| matches!(what, What::Import(_) | What::Uses(_))), "{name}: {text}");
            assert!(contract.places_of(name).all(|place| !super::tests::text(&contract.files, place).is_empty()));
        }
    }
    assert!(seen.iter().all(|&times| times > 2), "{seen:?}");
}
