//! Component files named on the command line, and files that are not components.

use std::fs;

use serde_json::json;
use snapbox::{assert_data_eq, str};

use super::{Project, assert_has, target, torvyn};

/// A WASI command, which is a component of another world.
const COMMAND: &str = r#"(component
    (core module $m (func (export "run") (result i32) i32.const 0))
    (core instance $i (instantiate $m))
    (func $run (result (result)) (canon lift (core func $i "run")))
    (instance $command (export "run" (func $run)))
    (export "wasi:cli/run@0.2.6" (instance $command)))"#;

#[test]
fn every_file_that_is_named_is_told_of() {
    let project = Project::built();
    project.run("build -p router", 0);
    fs::copy(target().join("wasm32-wasip2/release/router.wasm"), project.root.join("good.wasm")).unwrap();
    fs::write(project.root.join("command.wasm"), wat::parse_str(COMMAND).unwrap()).unwrap();
    project.write("core.wasm", "\0asm\x01\0\0\0");
    project.write("text.wasm", "(component)");
    project.write("empty.wasm", "");
    let files = "core.wasm text.wasm good.wasm empty.wasm none.wasm wit command.wasm";
    assert_data_eq!(
        project.told(&format!("check {files}"), 100),
        str![[r#"
error[bad-component]: cannot load `core.wasm`: expected a WebAssembly component, found a core WebAssembly module; build it for `wasm32-wasip2`, or wrap it with `wasm-tools component new`
--> core.wasm

error[bad-component]: cannot load `text.wasm`: expected a WebAssembly component, found WebAssembly text
--> text.wasm

error[bad-component]: cannot load `empty.wasm`: expected a WebAssembly component, found an empty file
--> empty.wasm

error[bad-component]: cannot load `none.wasm`: No such file or directory (os error 2)
--> none.wasm

error[bad-component]: cannot load `wit`: is a directory
--> wit

error[bad-component]: cannot load `command.wasm`: expected a component that exports `source`, `processor` or `sink` of torvyn:streaming@0.2.0, found a command, which exports `wasi:cli/run@0.2.6`
--> command.wasm

 stage      kind       world   verdict      proof      reads          writes
 good.wasm  processor  router  handle-pass  component  0 (component)  0 (component)

     Checked 1 stage and 0 pipelines: 6 errors

"#]]
    );

    let lines = project.json(&format!("check {files}"), 100);
    let places = lines.iter().filter(|line| line["reason"] == "compiler-message");
    let places: Vec<_> = places.map(|line| line["message"]["spans"][0]["file_name"].as_str().unwrap()).collect();
    assert_eq!(places, ["core.wasm", "text.wasm", "empty.wasm", "none.wasm", "wit", "command.wasm"]);
    let manifest = lines[0]["manifest_path"].as_str().unwrap();
    assert_eq!(manifest, project.root.join("core.wasm").to_str().unwrap());
    let verdict = lines.iter().find(|line| line["reason"] == "stage-verdict").unwrap();
    assert_eq!((&verdict["package"], &verdict["verdict"]), (&json!("good.wasm"), &json!("handle-pass")));
    assert_eq!(verdict["proof"], "component");
}

#[test]
fn a_file_needs_no_project_around_it() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("command.wasm"), wat::parse_str(COMMAND).unwrap()).unwrap();
    let check = torvyn(folder.path(), &["check", "command.wasm"]);
    assert_eq!(check.status.code(), Some(100));
    assert_has(&super::told(&check), &["--> command.wasm", "exports `wasi:cli/run@0.2.6`"]);
}

#[test]
fn files_and_packages_are_not_checked_together() {
    let project = Project::copy();
    for args in ["check -p router some.wasm", "check --built some.wasm", "check --workspace some.wasm"] {
        assert_has(&project.told(args, 2), &["cannot be used with"]);
    }
}

/// A component that `run` would not load is not checked either, whatever it imports.
#[test]
fn what_cannot_run_is_refused() {
    const STAGE: &str = r#"(component $nothing) (instance $empty (instantiate $nothing))
        (export "torvyn:streaming/lifecycle@0.2.0" (instance $empty))
        (export "torvyn:streaming/processor@0.2.0" (instance $empty))"#;
    let folder = tempfile::tempdir().unwrap();
    let alone = folder.path();
    let pipeline = "[pipeline.p]\ninput = \"in\"\noutput = \"-\"\n[[pipeline.p.stages]]\nname = \"s\"\ncomponent = \"./stage.wasm\"\n";
    fs::write(alone.join("Torvyn.toml"), pipeline).unwrap();
    fs::write(alone.join("in"), "").unwrap();
    for (definitions, found) in [
        (
            r#"(import "torvyn:streaming/types@0.2.0" (instance (export "more" (func))))"#,
            "component imports instance `torvyn:streaming/types@0.2.0`, but a matching implementation was not found in the \
             linker: instance export `more` has the wrong type: function implementation is missing",
        ),
        (
            r#"(import "torvyn:streaming/payload-read@0.2.0" (instance (export "read" (func (param "index" u32)))))"#,
            "instance export `read` has the wrong type",
        ),
        (
            r#"(import "wasi:clocks/monotonic-clock@0.2.6" (instance (export "now" (func (result s64)))))"#,
            "instance export `now` has the wrong type: type mismatch with results",
        ),
        ("(core func (canon task.cancel))", "`task.cancel` requires the component model async feature"),
        ("(core module (tag))", "exceptions proposal not enabled"),
        ("(core module (memory 1 1 shared))", "threads"),
        ("", "does not have export `init`"),
    ] {
        fs::write(alone.join("stage.wasm"), wat::parse_str(format!("(component {definitions} {STAGE})")).unwrap())
            .unwrap();
        let told = |args: &[&str], code: i32| {
            let output = torvyn(alone, args);
            let told = super::told(&output);
            assert_eq!(output.status.code(), Some(code), "{told}");
            assert_has(&told, &["error[bad-component]: cannot load `", "stage.wasm`: ", found]);
        };
        told(&["check", "stage.wasm"], 100);
        told(&["check"], 100);
        told(&["run"], 101);
    }
}

/// An interface that the host does not provide has its own lint. No level of it lets a component pass that `run` does
/// not load, and none hides other problems of a component.
#[test]
fn what_cannot_run_is_refused_at_every_level() {
    let sink = include_str!("../limits/sink.wat");
    let with =
        |definition: &str| wat::parse_str(sink.replacen("(component", &format!("(component {definition}"), 1)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let alone = folder.path();
    let pipeline = "[pipeline.p]\ninput = \"in\"\nstages = [\"./stage.wasm\"]\n";
    fs::write(alone.join("Torvyn.toml"), pipeline).unwrap();
    fs::write(alone.join("in"), "").unwrap();
    for import in [
        r#"(import "wasi:http/types@0.2.6" (instance (export "fields" (type (sub resource)))))"#,
        r#"(import "wasi:keyvalue/store@0.2.0-draft" (instance (export "open" (func))))"#,
        r#"(import "wasi:clocks/monotonic-clock@0.3.0" (instance (export "now" (func (result u64)))))"#,
    ] {
        fs::write(alone.join("stage.wasm"), with(import)).unwrap();
        let run = torvyn(alone, &["run"]);
        assert_eq!(run.status.code(), Some(101), "{}", super::told(&run));
        for level in [&[][..], &["-A", "unknown-import"], &["-W", "unknown-import"]] {
            for what in [&["check"][..], &["check", "stage.wasm"]] {
                let check = torvyn(alone, &[what, level].concat());
                assert_eq!(check.status.code(), Some(100), "{level:?}: {}", super::told(&check));
                assert_has(&super::told(&check), &["error[unknown-import]: `", "which the host does not provide"]);
            }
        }
    }
}
