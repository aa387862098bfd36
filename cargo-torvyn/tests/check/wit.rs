//! WIT that is missing or wrong, and worlds that do not exist.

use std::fs;

use snapbox::{assert_data_eq, str};

use super::{Project, assert_has};

fn project() -> Project {
    let project = Project::copy();
    fs::remove_file(project.root.join("Torvyn.toml")).unwrap();
    project
}

#[test]
fn a_world_that_is_not_there_is_told_the_nearest() {
    let project = project();
    project.edit("router/Cargo.toml", "world = \"router\"", "world = \"ruoter\"");
    assert_data_eq!(
        project.told("check -p router", 100),
        str![[r#"
error[unknown-world]: no world `ruoter` in the WIT
 --> router/Cargo.toml:7:9
  |
7 | world = "ruoter"
  |         ^^^^^^^^ the world of this stage
  |
  = help: did you mean `router`? the worlds are `bulk-source`, `chunker`, `collector`, `data-sink`, `data-source`, `holder`, `inspector`, `metadata-sink`, `replacer`, `router`, `slicer`, `transform`, `windowed`

     Checked 1 stage and 0 pipelines: 1 error

"#]]
    );
    project.edit("router/Cargo.toml", "world = \"ruoter\"", "");
    let told = project.told("check -p router", 100);
    assert_has(
        &told,
        &["error[no-world]", "--> router/Cargo.toml:6:1", "name the world of the stage: `world = \"router\"`"],
    );
}

#[test]
fn what_is_wrong_with_wit_is_told_once_with_every_stage_of_it() {
    let project = project();
    project.edit("wit/worlds.wit", "world router {", "world router {{");
    assert_data_eq!(
        project.told("check", 100),
        str![[r#"
error[wit-syntax]: expected `import`, `export`, `include`, `use`, or type definition, found '{'
 --> wit/worlds.wit:3:15
  |
3 | world router {{
  |               ^
  |
 ::: inspector/Cargo.toml:7:9
  |
7 | world = "inspector"
  |         ----------- the world of this stage
  |
 ::: router/Cargo.toml:7:9
  |
7 | world = "router"
  |         -------- the world of this stage
  |
 ::: sink/Cargo.toml:7:9
  |
7 | world = "metadata-sink"
  |         --------------- the world of this stage
  |
 ::: source/Cargo.toml:7:9
  |
7 | world = "data-source"
  |         ------------- the world of this stage
  |
 ::: transform/Cargo.toml:7:9
  |
7 | world = "transform"
  |         ----------- the world of this stage

     Checked 5 stages and 0 pipelines: 1 error

"#]]
    );
    project.edit("wit/worlds.wit", "world router {{", "world router {");
    project.edit("wit/worlds.wit", "import payload-read;", "import payload-raed;");
    let told = project.told("check -p router", 100);
    assert_has(
        &told,
        &["error[wit-unresolved]: interface or world `payload-raed` does not exist", "--> wit/worlds.wit:13:10"],
    );
}

#[test]
fn another_version_of_the_contract_is_told() {
    let project = project();
    for entry in fs::read_dir(project.root.join("wit")).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.extension().is_some_and(|extension| extension == "wit") {
            let text = fs::read_to_string(&entry).unwrap();
            fs::write(entry, text.replace("@0.2.0", "@0.1.0")).unwrap();
        }
    }
    let told = project.told("check -p router", 100);
    assert_has(
        &told,
        &["error[wrong-version]: expected `torvyn:streaming@0.2.0`", "--> wit/worlds.wit:6:10", "use the WIT of"],
    );
}

#[test]
fn a_folder_of_wit_that_is_not_there_is_told_where_it_was_looked_for() {
    let project = project();
    fs::rename(project.root.join("wit"), project.root.join("elsewhere")).unwrap();
    assert_data_eq!(
        project.told("check -p router", 100),
        str![[r#"
error[wit-missing]: found no WIT that declares what the stage may do
 --> router/Cargo.toml:6:1
  |
6 | [package.metadata.torvyn]
  | ^^^^^^^^^^^^^^^^^^^^^^^^^ this stage
  |
  = note: looked for router/wit and wit
  = help: name its folder with `wit = "…"`, or check the component alone: `cargo torvyn check FILE.wasm`

     Checked 1 stage and 0 pipelines: 1 error

"#]]
    );

    let named = |folder: &str| {
        let world = "world = \"router\"";
        project.edit("router/Cargo.toml", world, &format!("{world}\nwit = \"{folder}\""));
    };
    named("../elsewhere");
    project.run("check -p router", 0);
    project.edit("router/Cargo.toml", "../elsewhere", "src");
    let told = project.told("check -p router", 100);
    assert_has(&told, &["error[wit-missing]: `router/src` contains no `.wit` file", "--> router/Cargo.toml:8:7"]);
    project.edit("router/Cargo.toml", "\"src\"", "\"nowhere\"");
    assert_has(
        &project.told("check -p router", 100),
        &["`router/nowhere` does not exist", "--> router/Cargo.toml:8:7"],
    );
}

/// Without its functions, `payload-read` would not be an import of the world, and `transform` would be a handle-pass by
/// contract.
#[test]
fn a_contract_that_was_changed_proves_nothing() {
    let project = project();
    let file = project.root.join("wit/payload-read.wit");
    let whole = fs::read_to_string(&file).unwrap();
    fs::write(&file, "package torvyn:streaming@0.2.0;\n\ninterface payload-read {\n  use types.{batch};\n}\n").unwrap();
    assert_data_eq!(
        project.told("check -p transform", 100),
        str![[r#"
error[changed-contract]: the WIT differs from the contract `torvyn:streaming@0.2.0`: function `read` of interface `payload-read` is missing
 --> wit/payload-read.wit:3:11
  |
3 | interface payload-read {
  |           ^^^^^^^^^^^^
  |
 ::: transform/Cargo.toml:7:9
  |
7 | world = "transform"
  |         ----------- the world of this stage
  |
  = help: use the WIT of `torvyn:streaming@0.2.0` as `cargo torvyn new` writes it, and put interfaces of your own into a package of your own

     Checked 1 stage and 0 pipelines: 1 error

"#]]
    );
    fs::write(&file, whole.replace("index: u32", "index: u64")).unwrap();
    assert_has(
        &project.told("check -p router", 100),
        &["error[changed-contract]", "--> wit/payload-read.wit:", "index: u64"],
    );
    fs::write(&file, whole).unwrap();

    // A project can have its own worlds, and packages beside the contract.
    project.write("wit/ours.wit", "package torvyn:streaming@0.2.0;\nworld ours { include router; import types; }\n");
    fs::create_dir(project.root.join("wit/deps")).unwrap();
    project.write("wit/deps/acme.wit", "package acme:shapes@1.0.0;\ninterface kinds { enum kind { round } }\n");
    project.edit("router/Cargo.toml", "world = \"router\"", "world = \"ours\"");
    assert_has(&project.told("check -p router", 0), &["ours", "handle-pass"]);
}
