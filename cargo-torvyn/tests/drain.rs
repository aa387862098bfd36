//! One signal ends the program in time, whatever stages, endpoints and readers do. It is sent at random moments to
//! pipelines that each block in a different way.
//!
//! `TORVYN_DRAINS=100 TORVYN_DRAIN_SEED=7 cargo test --workspace --test drain -- --nocapture` sends this many signals
//! to each. A failure names the seed.

#![allow(clippy::unwrap_used, reason = "a failed `unwrap` fails the test")]
#![allow(clippy::print_stdout, reason = "how long each takes to end")]

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use cli_tests::{command, target};
use rustix::process::{Pid, Signal, kill_process};

use wat_guests::stage::{Guest, PROCESSOR, SINK, SOURCE};

/// How long each run may take to end.
const DRAIN: Duration = Duration::from_secs(2);
/// Extra time for a busy machine, which starts and ends programs late.
const SLACK: Duration = Duration::from_secs(3);

/// A pipeline that does not end by itself.
struct Hostile {
    name: &'static str,
    /// The keys of its stage except the component.
    stage: &'static str,
    guest: Guest<'static>,
    args: &'static [&'static str],
    /// What the run must report, where it is known.
    says: &'static [&'static str],
}

const FOREVER: &str = "(loop $forever (br $forever)) unreachable";
const LONG: &str = "limits = { time = '60m' }";
const LINES: &[&str] = &["--input", "in.txt", "--output", "out.txt"];

fn pipelines() -> Vec<Hostile> {
    let fails = "(call $drop_batch (local.get $batch)) unreachable";
    let hostile = |name, stage, guest, args, says| Hostile { name, stage, guest, args, says };
    let of_source: &[&str] = &["--output", "out.txt"];
    vec![
        hostile("a loop in init", LONG, Guest { init: FOREVER, ..PROCESSOR }, LINES, &["interrupted by SIG"]),
        hostile(
            "a loop in start",
            LONG,
            Guest { start: "(loop $on (br $on))", ..PROCESSOR },
            LINES,
            &["interrupted by SIG"],
        ),
        hostile(
            "a loop in process",
            LONG,
            Guest { work: FOREVER, ..PROCESSOR },
            LINES,
            &["cut off", "`hostile` was in a call", "100 elements"],
        ),
        hostile("a loop in pull", LONG, Guest { work: FOREVER, ..SOURCE }, of_source, &["`hostile` was in a call"]),
        hostile(
            "a loop in push",
            LONG,
            Guest { work: FOREVER, ..SINK },
            &["--input", "in.txt"],
            &["`hostile` was in a call"],
        ),
        hostile("a loop in flush", LONG, Guest { last: FOREVER, ..PROCESSOR }, LINES, &["`hostile` was in a call"]),
        hostile(
            "a loop in teardown",
            LONG,
            Guest { teardown: "(loop $on (br $on))", ..PROCESSOR },
            LINES,
            &["`hostile` was in a call"],
        ),
        hostile(
            "a back-off",
            "on-failure = { retry = 9, backoff = '60s' }",
            Guest { work: fails, ..PROCESSOR },
            LINES,
            &["nothing was in a call", "100 elements"],
        ),
        hostile(
            "skipping what loops",
            "limits = { time = '100ms' }\non-failure = 'skip'",
            Guest { work: FOREVER, ..PROCESSOR },
            LINES,
            &["cut off"],
        ),
        hostile(
            "skipping for long",
            "limits = { time = '60m' }\non-failure = 'skip'",
            Guest { work: FOREVER, ..PROCESSOR },
            LINES,
            &["`hostile` was in a call"],
        ),
        hostile(
            "dead letters that nobody reads",
            "on-failure = { dead-letter = 'fifo' }",
            Guest { work: fails, ..PROCESSOR },
            LINES,
            &["`hostile` was in a call"],
        ),
        hostile(
            "a source without end",
            "",
            Guest { work: "(call $output (call $empty))", ..SOURCE },
            of_source,
            &["interrupted: the source was not read"],
        ),
        hostile(
            "stdin without end",
            "",
            PROCESSOR,
            &["--input", "-", "--output", "out.txt"],
            &["interrupted: the source was not read"],
        ),
        hostile(
            "a FIFO that nobody writes to",
            "",
            PROCESSOR,
            &["--input", "fifo", "--output", "out.txt"],
            &["Waiting for data in the FIFO `fifo`", "interrupted: the source"],
        ),
        hostile(
            "a FIFO that nobody opens",
            "",
            PROCESSOR,
            &["--input", "in.txt", "--output", "fifo"],
            &["Waiting for a reader of the FIFO `fifo`", "interrupted by SIG"],
        ),
        hostile("a FIFO that nobody reads", "", PROCESSOR, &["--input", "/dev/zero", "--output", "read"], &[]),
        hostile("stdout that nobody reads", "", PROCESSOR, &["--input", "/dev/zero", "--output", "-"], &[]),
        hostile(
            "nobody reads anything",
            "",
            PROCESSOR,
            &["--input", "/dev/zero", "--output", "read", "--message-format", "json"],
            &[],
        ),
    ]
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |number| number.parse().expect("a number"))
}

/// SplitMix64, as in the runtime.
fn random(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*seed ^ (*seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

fn send(run: &Child, signal: Signal) {
    kill_process(Pid::from_child(run), signal).unwrap();
}

/// Waits until the program handles signals; SIGHUP is installed last, unless whoever runs the tests ignores it, as `nohup`
/// does. Before that, a signal ends it as it ends any program.
fn wait_until_it_watches(run: &Child) {
    let began = Instant::now();
    loop {
        let [caught, ignored] = ["SigCgt:", "SigIgn:"].map(|mask| signals(run.id(), mask));
        let both = bit(Signal::INT) | bit(Signal::TERM);
        if (caught | ignored) & bit(Signal::HUP) != 0 && caught & both == both {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "it does not watch for signals");
        thread::sleep(Duration::from_millis(1));
    }
}

/// The signals in this mask of a process, as bits.
fn signals(process: u32, mask: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix(mask)).unwrap();
    u64::from_str_radix(mask.trim(), 16).unwrap()
}

fn bit(signal: Signal) -> u64 {
    1 << (signal.as_raw() - 1)
}

/// Waits until the program has ended. Returns its status and when it ended.
fn wait(run: &mut Child, at_most: Duration, what: &str) -> (Option<i32>, Duration) {
    let began = Instant::now();
    loop {
        if let Some(status) = run.try_wait().unwrap() {
            assert_eq!(status.signal(), None, "{what}: it ends itself");
            return (status.code(), began.elapsed());
        }
        if began.elapsed() > at_most {
            run.kill().unwrap();
            panic!("{what}: it has not ended {at_most:?} after the signal");
        }
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn one_signal_ends_whatever_runs() {
    let (drains, seed) = (number("TORVYN_DRAINS", 1), number("TORVYN_DRAIN_SEED", 1));
    let mut state = seed;
    let mut longest = Duration::ZERO;
    let mut ending = vec![(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)];
    if signals(std::process::id(), "SigIgn:") & bit(Signal::HUP) != 0 {
        println!("without SIGHUP, which whoever runs this test ignores, as `nohup` does");
        ending.pop();
    }
    for hostile in pipelines() {
        for _ in 0..drains {
            let (signal, code) = ending[random(&mut state) as usize % ending.len()];
            // In the short form, late enough that the flow runs; otherwise at any moment.
            let earliest = if drains == 1 { 1500 } else { 0 };
            let pause = Duration::from_millis(earliest + random(&mut state) % 1000);
            let what = format!("{}, {signal:?} after {pause:?}, seed {seed}", hostile.name);
            let (time, said) = drain(&hostile, signal, code, pause, &what);
            println!("pipeline={:?} signal={signal:?} after={pause:?} ended_after={time:?}", hostile.name);
            longest = longest.max(time);
            if drains == 1 {
                for text in hostile.says {
                    assert!(said.contains(text), "{what} does not say {text:?}:\n{said}");
                }
            }
        }
    }
    println!("drains={} longest={longest:?} drain={DRAIN:?}", drains as usize * pipelines().len());
}

/// Runs the pipeline, sends a signal, and asserts that it ends in time. Returns how long it took and what it printed.
fn drain(hostile: &Hostile, signal: Signal, code: i32, pause: Duration, what: &str) -> (Duration, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::copy(hostile.guest.file().path, path("it.wasm")).unwrap();
    let stage = hostile.stage;
    let manifest = format!("[[pipeline.main.stages]]\nname = 'hostile'\ncomponent = './it.wasm'\n{stage}\n");
    let framing = if hostile.args.contains(&"/dev/zero") {
        "[pipeline.main]\ninput = { file = 'in.txt', as = 'chunks', size = '4KiB' }\n"
    } else {
        ""
    };
    fs::write(path("Torvyn.toml"), format!("runtime.drain = '{}s'\n{framing}{manifest}", DRAIN.as_secs())).unwrap();
    fs::write(path("in.txt"), "line\n".repeat(100)).unwrap();
    fs::write(path("out.txt"), "before").unwrap();
    fifo(&path("fifo"));
    fifo(&path("read"));
    // Open at both ends, and read by nobody.
    let unread = File::options().read(true).write(true).open(path("read")).unwrap();
    let mut run = command(folder.path(), &[&["run"], hostile.args].concat());
    let quiet = hostile.name == "nobody reads anything";
    let mut run = run.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = run.stdin.take().unwrap();
    stdin.write_all(b"one\ntwo\n").ok();
    wait_until_it_watches(&run);
    thread::sleep(pause);
    assert!(run.try_wait().unwrap().is_none(), "{what}: it has ended before");
    send(&run, signal);
    let (ended, time) = wait(&mut run, DRAIN + SLACK, what);
    drop((stdin, unread));
    let mut said = String::new();
    if !quiet {
        run.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    }
    assert_eq!(ended, Some(code), "{what}: {said}");
    assert!(!said.contains("panicked") && !said.contains("internal error, please report it"), "{what}: {said}");
    let mut left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["Torvyn.toml", "fifo", "in.txt", "it.wasm", "out.txt", "read"], "{what}: {said}");
    (time, said)
}

/// Another process keeps the file of dead letters locked.
#[test]
fn a_signal_ends_the_wait_for_a_lock() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let fails = "(call $drop_batch (local.get $batch)) unreachable";
    fs::copy(Guest { work: fails, ..PROCESSOR }.file().path, path("it.wasm")).unwrap();
    let stage = "component = './it.wasm'\non-failure = { dead-letter = 'letters' }\n";
    fs::write(path("Torvyn.toml"), format!("[[pipeline.main.stages]]\nname = 'hostile'\n{stage}")).unwrap();
    fs::write(path("in.txt"), "line\n".repeat(100)).unwrap();
    let letters = File::create(path("letters")).unwrap();
    letters.lock().unwrap();
    let args = ["run", "--input", "in.txt", "--output", "out.txt", "--drain", "2s", "--message-format", "json"];
    let mut run = command(folder.path(), &args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    thread::sleep(Duration::from_millis(1500));
    send(&run, Signal::TERM);
    let (ended, time) = wait(&mut run, DRAIN + SLACK, "a lock");
    println!("lock ended_after={time:?}");
    let (mut said, mut summary) = (String::new(), String::new());
    run.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    run.stdout.take().unwrap().read_to_string(&mut summary).unwrap();
    assert_eq!(ended, Some(143), "{said}");
    assert!(said.contains("`hostile` was in a call") && said.contains("100 elements"), "{said}");
    // It ended in an orderly way, not because its time was over.
    assert!(summary.contains("\"cut_off\":{\"interrupted\":[\"hostile\"],\"undelivered\":100}"), "{summary}");
    assert!(time < DRAIN, "{time:?}");
}

/// While cargo builds, a signal ends cargo and its child processes.
#[test]
fn a_signal_ends_a_build_and_what_it_has_started() {
    let folder = tempfile::tempdir().unwrap();
    let new = command(folder.path(), &["new", "logs", "--template", "router", "--vcs", "none"]).output().unwrap();
    assert!(new.status.success());
    let built = target().join("interrupted");
    fs::remove_dir_all(&built).ok();
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let mut build = command(&folder.path().join("logs"), &["build"]);
        let mut build =
            build.env("CARGO_TARGET_DIR", &built).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let began = Instant::now();
        let name = built.to_str().unwrap();
        while running_with(name) < 1 {
            assert!(build.try_wait().unwrap().is_none(), "it has ended before anything was compiled");
            assert!(began.elapsed() < Duration::from_secs(60), "cargo compiles nothing");
            thread::sleep(Duration::from_millis(2));
        }
        send(&build, signal);
        let (ended, time) = wait(&mut build, Duration::from_secs(10), "a build");
        assert_eq!(ended, Some(code));
        let left = (0..200).any(|_| {
            thread::sleep(Duration::from_millis(10));
            running_with(name) == 0
        });
        assert!(left, "a compiler goes on");
        println!("build signal={signal:?} ended_after={time:?}");
    }
}

/// The processes whose arguments contain this text.
fn running_with(argument: &str) -> usize {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let arguments = processes.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    arguments.filter(|arguments| String::from_utf8_lossy(arguments).contains(argument)).count()
}

/// A signal ends a run of cases at once: their results are of no use.
#[test]
fn a_signal_ends_cases_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let guest = Guest { work: FOREVER, ..PROCESSOR };
    fs::copy(guest.file().path, folder.path().join("it.wasm")).unwrap();
    let text = "[[pipeline.main.stages]]\nname = 'hostile'\ncomponent = './it.wasm'\nlimits = { time = '60m' }\n\
                [[test]]\nname = 'long'\npipeline = 'main'\ninput.lines = ['one']\ntimeout = '30m'\n";
    fs::write(folder.path().join("Torvyn.toml"), text).unwrap();
    let mut test = command(folder.path(), &["test", "--junit", "report.xml"]);
    let mut test = test.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    thread::sleep(Duration::from_millis(2000));
    send(&test, Signal::TERM);
    let (ended, time) = wait(&mut test, DRAIN + SLACK, "cases");
    println!("cases ended_after={time:?}");
    let mut said = String::new();
    test.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(ended, Some(143), "{said}");
    assert!(said.contains("Stopped") && folder.path().join("report.xml").is_file(), "{said}");
}

/// A case that times out ends within the call that is running.
#[test]
fn a_case_ends_when_its_time_is_over() {
    let folder = tempfile::tempdir().unwrap();
    for (name, guest) in
        [("process", Guest { work: FOREVER, ..PROCESSOR }), ("init", Guest { init: FOREVER, ..PROCESSOR })]
    {
        fs::copy(guest.file().path, folder.path().join("it.wasm")).unwrap();
        let text = "[[pipeline.main.stages]]\nname = 'hostile'\ncomponent = './it.wasm'\nlimits = { time = '60m' }\n\
                    [[test]]\nname = 'long'\npipeline = 'main'\ninput.lines = ['one']\ntimeout = '500ms'\n";
        fs::write(folder.path().join("Torvyn.toml"), text).unwrap();
        let mut test = command(folder.path(), &["test"]);
        let mut test = test.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let (ended, _) = wait(&mut test, Duration::from_secs(30), name);
        let mut said = String::new();
        test.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(ended, Some(100), "{said}");
        assert!(said.contains("500ms"), "{said}");
    }
}

/// Time for which a process is stopped, for example from a terminal, does not count towards the limit of a call.
#[test]
fn a_stop_does_not_count() {
    let folder = tempfile::tempdir().unwrap();
    let work = format!("(call $block (call $subscribe (i64.const 2000000000))) {}", PROCESSOR.work);
    let guest = Guest { work: &work, ..PROCESSOR.with_clock() };
    fs::copy(guest.file().path, folder.path().join("it.wasm")).unwrap();
    let text = "[[pipeline.main.stages]]\nname = 'slow'\ncomponent = './it.wasm'\nlimits = { time = '6s' }\n";
    fs::write(folder.path().join("Torvyn.toml"), text).unwrap();
    fs::write(folder.path().join("in.txt"), "a\nb\nc\n").unwrap();
    let mut run = command(folder.path(), &["run", "--input", "in.txt", "--output", "out.txt"]);
    let mut run = run.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    thread::sleep(Duration::from_millis(1000));
    send(&run, Signal::STOP);
    thread::sleep(Duration::from_secs(7));
    send(&run, Signal::CONT);
    let (ended, _) = wait(&mut run, Duration::from_secs(60), "a stop");
    let mut said = String::new();
    run.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(ended, Some(0), "{said}");
}
