//! `cargo torvyn bench`: what is measured, beside which rivals, and compared with which baseline; and the page with the plots.

#![allow(clippy::unwrap_used, reason = "a failed `unwrap` fails the test")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use cli_tests::{command, said, torvyn};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use wat_guests::stage::{Guest, PROCESSOR};

/// Lines of the input.
const LINES: u64 = 5000;

/// Sends all elements to the first output.
const FORWARDS: &str = "(call $drop_batch (local.get $batch)) (call $all_to (local.get $count) (i32.const 1))";

/// A folder with this manifest, a stage that forwards, an input, and an output that must stay as it is.
fn folder(manifest: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let stage = Guest { work: FORWARDS, ..PROCESSOR }.file();
    fs::copy(stage.path, folder.path().join("stage.wasm")).unwrap();
    fs::write(folder.path().join("Torvyn.toml"), manifest).unwrap();
    let lines: String = (0..LINES).map(|line| format!("line {line}\n")).collect();
    fs::write(folder.path().join("input.txt"), lines).unwrap();
    fs::write(folder.path().join("output.txt"), "before").unwrap();
    folder
}

/// Two stages, one after the other.
const CHAIN: &str = "[pipeline.main]\ninput = 'input.txt'\noutput = 'output.txt'\nstages = [\
                     { name = 'one', component = './stage.wasm' }, { name = 'two', component = './stage.wasm' }]\n";

fn bench(folder: &Path, args: &[&str]) -> Output {
    torvyn(folder, &[&["bench", "--message-format", "json"], args].concat())
}

/// The summary of a bench that ended with this code.
#[track_caller]
fn summary(output: &Output, code: i32) -> Value {
    assert_eq!(output.status.code(), Some(code), "{}", said(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[track_caller]
fn measured(folder: &Path, args: &[&str]) -> Value {
    let summary = summary(&bench(folder, args), 0);
    assert!(summary["comparison"].is_null() && summary["failures"] == json!([]), "{summary}");
    summary["measured"].clone()
}

/// Asserts that nothing was left in the folder, and that the output of the pipeline is as before.
#[track_caller]
fn assert_untouched(folder: &Path, files: usize) {
    assert_eq!(fs::read_to_string(folder.join("output.txt")).unwrap(), "before");
    let names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), files, "{names:?}");
}

#[test]
fn measures_a_chain_beside_its_rivals() {
    let folder = folder(CHAIN);
    let measured = measured(folder.path(), &["--rounds", "5", "--warm-up", "1"]);
    assert_untouched(folder.path(), 4);
    let bytes = fs::metadata(folder.path().join("input.txt")).unwrap().len() - LINES;
    assert_eq!(measured["input"], json!({ "name": "`input.txt`", "elements": LINES, "bytes": bytes }));
    let output = json!({ "name": "`output.txt`", "is_file": true, "is_replaced": true });
    assert_eq!(measured["outputs"], json!([output]));
    let rounds = measured["rounds"].as_array().unwrap();
    let first: Vec<_> = rounds.iter().map(|round| round["first"].as_str().unwrap()).collect();
    assert_eq!(first, ["ours", "native", "processes", "ours", "native"], "each takes the first turn");
    for round in rounds {
        for name in ["ours", "native", "processes"] {
            assert!(round[name]["time_ns"].as_u64().unwrap() > 0, "{round}");
            assert!(round[name]["peak_bytes"].as_u64().unwrap() > 1 << 20, "{round}");
        }
    }
    // The figures are those of the rounds.
    let sorted = |of: &dyn Fn(&Value) -> f64| {
        let mut values: Vec<_> = rounds.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let time = |name: &str, round: &Value| round[name]["time_ns"].as_u64().unwrap() as f64;
    let close = |found: &Value, expected: f64| {
        let found = found.as_f64().unwrap();
        assert!((found / expected - 1.0).abs() < 1e-9, "{found} is not {expected}");
    };
    let rates = sorted(&|round| LINES as f64 * 1e9 / time("ours", round));
    for (key, expected) in [("min", rates[0]), ("median", rates[2]), ("max", rates[4])] {
        close(&measured["ours"]["elements_per_second"][key], expected);
    }
    for rival in ["native", "processes"] {
        assert!(measured[rival]["not_measured"].is_null(), "{}", measured[rival]);
        let ratios = sorted(&|round| time("ours", round) / time(rival, round));
        close(&measured[rival]["ours_to_it"]["median"], ratios[2]);
    }
    // Three rounds for latencies, in which each element counts once in each part.
    let latency = &measured["latency"];
    assert_eq!((&latency["rounds"], &latency["lost_records"]), (&json!(3), &json!(0)));
    let nodes = latency["nodes"].as_array().unwrap();
    let names: Vec<_> = nodes.iter().map(|node| node["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["input", "one", "two", "output"]);
    for distribution in nodes.iter().map(|node| &node["latency_ns"]).chain([&latency["end_to_end_ns"]]) {
        assert_eq!(distribution["count"], json!(3 * LINES), "{distribution}");
        let bars = distribution["bars"].as_array().unwrap();
        assert_eq!(bars.iter().map(|bar| bar["count"].as_u64().unwrap()).sum::<u64>(), 3 * LINES);
        let of = |key: &str| distribution[key].as_u64().unwrap();
        let ordered = [of("min"), of("p50"), of("p90"), of("p99"), of("p99_9"), of("max")];
        assert!(ordered.is_sorted() && ordered[0] > 0, "{distribution}");
    }
    // An element is in the flow at least as long as in its last part.
    let end_to_end = latency["end_to_end_ns"]["p50"].as_u64().unwrap();
    assert!(end_to_end >= nodes[2]["latency_ns"]["min"].as_u64().unwrap(), "{latency}");
    for node in nodes {
        let (most, calls) = (node["batch"]["max"].as_u64().unwrap(), node["batch"]["count"].as_u64().unwrap());
        assert!((1..=256).contains(&most) && calls >= 3 * LINES / 256, "{node}");
    }
    assert_eq!(measured["account"]["elements"]["in"], json!(LINES));
    assert_eq!(measured["account"]["amplification"], json!(0.0));
    let calls = &measured["endpoints"][1]["calls"];
    let written = bytes + LINES;
    assert_eq!(calls["bytes"], json!(written), "the temporary file was written: {}", measured["endpoints"]);
}

#[test]
fn measures_generated_elements_and_one_element() {
    let folder = folder(&CHAIN.replace("'input.txt'", "{ file = 'input.txt', as = 'chunks', size = '1KiB' }"));
    let measured = |args: &[&str]| measured(folder.path(), &[&["--rounds", "1", "--warm-up", "0"], args].concat());
    for (given, elements, bytes) in [("1000x64", 1000, 64_000), ("1×0", 1, 0), ("3x64KiB", 3, 196_608)] {
        let found = measured(&["--generate", given]);
        let input = json!({ "name": "generated elements", "elements": elements, "bytes": bytes });
        assert_eq!(found["input"], input);
        assert!(found["native"]["figures"].is_object() && found["processes"]["figures"].is_object(), "{found}");
    }
    fs::write(folder.path().join("one.txt"), "x").unwrap();
    let found = measured(&["--input", "one.txt"]);
    assert_eq!((&found["input"]["elements"], &found["latency"]["end_to_end_ns"]["count"]), (&json!(1), &json!(1)));
    let alone = measured(&["--alone"]);
    for rival in ["native", "processes"] {
        assert!(alone["rounds"][0][rival].is_null());
        assert_eq!(alone[rival]["not_measured"], json!("it was not asked for (`--alone`)"));
    }
    assert_untouched(folder.path(), 5);
}

#[test]
fn says_why_a_rival_is_not_measured() {
    let two = "[pipeline.main]\ninput = 'input.txt'\noutput = [{ file = 'output.txt', from = 's.a' }, \
               { discard = true, from = 's.b' }]\n\
               stages = [{ name = 's', component = './stage.wasm', outputs = ['a', 'b'] }]\n";
    let fork = "[pipeline.main]\ninput = 'input.txt'\noutput = { file = 'output.txt', from = ['a', 'b'] }\n\
                stages = [{ name = 'a', component = './stage.wasm' }, \
                { name = 'b', component = './stage.wasm', from = 'input' }]\n";
    let seeded = CHAIN.replace("'input.txt'", "{ generate = { count = 9, size = 5, seed = 1 } }");
    for (manifest, native, processes) in [
        (two, "the pipeline has 2 outputs", "the pipeline has 2 outputs"),
        (
            fork,
            "the stages are not a chain, each after the one before",
            "the stages are not a chain, each after the one before",
        ),
        (&seeded, "it cannot read generated elements", ""),
    ] {
        let folder = folder(manifest);
        let found = measured(folder.path(), &["--rounds", "2"]);
        for (rival, expected) in [("native", native), ("processes", processes)] {
            let why = found[rival]["not_measured"].as_str().unwrap_or_default();
            assert_eq!(why, expected, "{rival} beside {manifest}");
            assert_eq!(found[rival]["figures"].is_null(), !expected.is_empty());
        }
        assert_untouched(folder.path(), 4);
    }
    let folder = folder(two);
    let people = torvyn(folder.path(), &["bench", "--rounds", "1"]);
    assert!(
        said(&people).contains("note: the native pass was not measured: the pipeline has 2 outputs"),
        "{}",
        said(&people)
    );
    assert!(people.stdout.is_empty());
}

#[test]
fn compares_with_a_baseline() {
    let folder = folder(CHAIN);
    let saved = bench(folder.path(), &["--save-baseline", "base.json", "--rounds", "6"]);
    assert_eq!(summary(&saved, 0)["measured"]["rounds"].as_array().unwrap().len(), 6);
    let path = folder.path().join("base.json");
    let baseline: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let scaled = |key: &str, by: f64| -> Value {
        baseline[key].as_array().unwrap().iter().map(|time| json!(time.as_f64().unwrap() * by)).collect()
    };
    let with = |changes: &[(&str, Value)]| {
        let mut changed = baseline.clone();
        changes.iter().for_each(|(key, value)| changed[*key] = value.clone());
        fs::write(&path, changed.to_string()).unwrap();
    };
    let compared = |code| {
        let summary = summary(&bench(folder.path(), &["--baseline", "base.json", "--tolerance", "50"]), code);
        (summary["comparison"]["verdict"].as_str().unwrap().to_string(), summary)
    };
    // Nothing is a thousand times slower or faster by chance.
    with(&[("ns_per_element", scaled("ns_per_element", 0.001)), ("times_native", scaled("times_native", 0.001))]);
    let (verdict, slower) = compared(100);
    assert_eq!(verdict, "slower");
    assert_eq!(slower["failures"][0]["code"], json!("slower-than-baseline"));
    let message = slower["failures"][0]["message"].as_str().unwrap();
    assert!(message.starts_with("`main` is slower than the baseline: time for an element +"), "{message}");
    assert!(slower["comparison"]["time_ratio"].as_f64().unwrap() > 100.0);
    with(&[("ns_per_element", scaled("ns_per_element", 0.001)), ("times_native", scaled("times_native", 1000.0))]);
    assert_eq!(compared(0).0, "machine-slower");
    with(&[("ns_per_element", scaled("ns_per_element", 1000.0)), ("times_native", scaled("times_native", 1000.0))]);
    assert_eq!(compared(0).0, "faster");
    with(&[("amplification", json!(-1.0))]);
    assert_eq!(compared(100).0, "copies-more");
    for (key, value, expected) in [
        ("pipeline", json!("other"), "the pipeline of the baseline is another one: expected `other`, found `main`"),
        ("elements", json!(7), "the input of the baseline is another one: expected 7 elements of"),
        ("stages", json!(["one"]), "the stages of the baseline are others: expected `one`, found `one`, `two`"),
        ("format", json!("x"), "is not a baseline of `bench`: expected the format `torvyn-bench`, found `x`"),
    ] {
        with(&[(key, value)]);
        let summary = summary(&bench(folder.path(), &["--baseline", "base.json", "--rounds", "5"]), 101);
        assert_eq!(summary["failures"][0]["code"], json!("bad-baseline"));
        let message = summary["failures"][0]["message"].as_str().unwrap();
        assert!(message.contains(expected), "{message}");
    }
    assert_untouched(folder.path(), 5);
}

/// Asserts that a page refers to nothing outside, and returns it.
#[track_caller]
fn page(path: &Path) -> String {
    let page = fs::read_to_string(path).unwrap();
    assert!(page.starts_with("<!doctype html>\n") && page.ends_with("</html>\n"));
    for outside in ["http:", "https:", "//", "url(", "@import", "<script", "<link", "<img", "<a ", "src=", "href="] {
        assert!(!page.contains(outside), "{outside}");
    }
    page
}

/// A number with a comma after every three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap()).collect();
    groups.join(",")
}

/// The page as Chromium understands it, and a picture of it. `None` without Chromium.
#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
fn rendered(path: &Path) -> Option<(String, Vec<u8>)> {
    let chromium = ["chromium", "chromium-browser", "google-chrome"];
    let chromium = chromium.into_iter().find(|name| {
        let version = Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        version.is_ok_and(|status| status.success())
    });
    let Some(chromium) = chromium else {
        println!("skipped: without Chromium, nothing shows whether a browser can show the page");
        return None;
    };
    let (profile, picture) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let picture = picture.path().join("page.png");
    let run = |what: &str| {
        let mut command = Command::new(chromium);
        command.args(["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1000,3000", what]);
        command
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(path)
            .current_dir(picture.parent().unwrap());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let dom = String::from_utf8(run("--dump-dom")).unwrap();
    run(&format!("--screenshot={}", picture.display()));
    Some((dom, fs::read(picture).unwrap()))
}

#[test]
fn pages_have_the_figures_and_stand_alone() {
    // A name that would break a page that does not escape it.
    let hostile = "<b onload=x>&'\".txt";
    let folder = folder(CHAIN);
    fs::copy(folder.path().join("input.txt"), folder.path().join(hostile)).unwrap();
    let measured = measured(folder.path(), &["--input", hostile, "--report", "bench.html", "--rounds", "3"]);
    let path = folder.path().join("bench.html");
    let text = page(&path);
    assert!(!text.contains("<b onload") && text.contains("&lt;b onload=x&gt;&amp;&#39;&quot;.txt"));
    let rate = measured["ours"]["elements_per_second"]["median"].as_f64().unwrap() as u64;
    assert!(text.contains(&format!("<td>{}</td>", grouped(rate))), "{rate}");
    for round in measured["rounds"].as_array().unwrap() {
        for name in ["ours", "native", "processes"] {
            let rate = LINES as f64 * 1e9 / round[name]["time_ns"].as_u64().unwrap() as f64;
            assert!(text.contains(&format!(": {} elements/s</title>", grouped(rate as u64))), "{rate} of {name}");
        }
    }
    let bars = measured["latency"]["end_to_end_ns"]["bars"].as_array().unwrap();
    for bar in bars {
        let count = grouped(bar["count"].as_u64().unwrap());
        assert!(text.contains(&format!("{count} of {} elements (", grouped(3 * LINES))), "{bar}");
    }
    let read = measured["account"]["endpoints"][0]["kernel"]["reads"]["bytes"].as_u64().unwrap();
    assert!(text.contains(&format!("input, read from the system: {} bytes", grouped(read))), "{read}");
    if let Some((dom, picture)) = rendered(&path) {
        // Rounds, latency of everything and of four parts, bytes, times.
        assert_eq!(dom.matches("<svg").count(), 1 + 1 + 4 + 1 + 1, "{dom}");
        assert!(dom.contains("<title>Bench of main</title>") && dom.matches("<h2>").count() >= 8);
        assert!(picture.starts_with(b"\x89PNG") && picture.len() > 30_000, "{} bytes", picture.len());
    }

    let run =
        torvyn(folder.path(), &["run", "--output", "out.txt", "--report", "run.html", "--message-format", "json"]);
    assert_eq!(run.status.code(), Some(0), "{}", said(&run));
    let account: Value = serde_json::from_slice(&run.stdout).unwrap();
    let text = page(&folder.path().join("run.html"));
    let metadata = account["stages"][0]["copies"]["metadata_marshal"]["bytes"].as_u64().unwrap();
    assert!(text.contains(&format!("one, metadata: {} bytes", grouped(metadata))), "{metadata}");
    assert!(text.contains(&format!("{} elements in, {} out, 0 dropped", grouped(LINES), grouped(LINES))));
    if let Some((dom, _)) = rendered(&folder.path().join("run.html")) {
        assert_eq!(dom.matches("<svg").count(), 2);
    }
    // A page can be replaced by a page, and nothing else can.
    for (report, code) in [("run.html", 0), ("out.txt", 2), ("input.txt", 2), ("Torvyn.toml", 2), ("none/r.html", 101)]
    {
        let output = torvyn(folder.path(), &["run", "--output", "out2.txt", "--report", report]);
        assert_eq!(output.status.code(), Some(code), "{report}: {}", said(&output));
    }
}

/// Adds lines while rounds run: their times cannot be compared with those before.
#[test]
fn an_input_that_changes_between_rounds_is_an_error() {
    let folder = folder(CHAIN);
    let mut command = command(folder.path(), &["bench", "--alone", "--rounds", "1000"]);
    let mut running = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(running.stderr.take().unwrap()).lines();
    lines.find(|line| line.as_ref().unwrap().contains("Round 1 of")).unwrap().unwrap();
    let input = folder.path().join("input.txt");
    fs::write(folder.path().join("longer.txt"), fs::read_to_string(&input).unwrap() + "more\n").unwrap();
    fs::rename(folder.path().join("longer.txt"), input).unwrap();
    let said: String = lines.map(|line| line.unwrap() + "\n").collect();
    assert_eq!(running.wait().unwrap().code(), Some(101), "{said}");
    let expected = "error: the input changed between two rounds: expected 5,000 elements of 43,890 bytes, \
                    found 5,001 elements of 43,894 bytes";
    assert!(said.contains(expected), "{said}");
    assert_untouched(folder.path(), 4);
}

#[test]
fn a_signal_ends_a_round_and_leaves_nothing() {
    let folder = folder(CHAIN);
    for (args, waits_for) in
        [(&["--generate", "9007199254740992x64"][..], "Warming up"), (&["--rounds", "1000"], "Round")]
    {
        let mut command = command(folder.path(), &[&["bench", "--message-format", "json"], args].concat());
        let mut running = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(running.stderr.take().unwrap()).lines();
        lines.find(|line| line.as_ref().unwrap().contains(waits_for)).unwrap().unwrap();
        let began = Instant::now();
        kill_process(Pid::from_child(&running), Signal::INT).unwrap();
        let said: String = lines.map(|line| line.unwrap() + "\n").collect();
        let output = running.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{said}");
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
        let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&summary["outcome"], &summary["measured"]), (&json!("interrupted"), &Value::Null), "{summary}");
        assert_eq!(summary["failures"][0]["code"], json!("interrupted"));
        assert_untouched(folder.path(), 4);
    }
}
