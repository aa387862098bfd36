//! A log that is written and rotated is followed by runs that are killed at random moments, and each goes on from the
//! checkpoint: no line is lost, and few are repeated. What a pipeline guarantees is said before it runs.
//!
//! `TORVYN_KILLS=200 cargo test --workspace --test delivery -- --nocapture` kills this many runs.

#![allow(clippy::unwrap_used, reason = "a failed `unwrap` fails the test")]
#![allow(clippy::print_stdout, reason = "how much was repeated is part of the result")]

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use cli_tests::{assert_says, command, folder, said, torvyn};

/// A pipeline that follows a log.
fn follower(input: &str, more: &str) -> String {
    format!(
        "[pipeline.main]\ninput = {{ file = 'app.log', {input} }}\nstages = ['COMPONENTS/transform.wasm']\noutput = '-'\n{more}"
    )
}

/// The lines that a log consists of, in upper case.
fn line(number: u64) -> String {
    format!("LINE {number} OF THE LOG")
}

/// Writes the lines but the first to a log, and rotates it now and then.
fn write_log(folder: &Path, lines: u64) {
    let path = folder.join("app.log");
    let mut next = 1;
    while next < lines {
        let end = (next + 997).min(lines);
        let text = (next..end).fold(String::new(), |text, number| text + &line(number).to_lowercase() + "\n");
        let mut log = File::options().append(true).create(true).open(&path).unwrap();
        log.write_all(text.as_bytes()).unwrap();
        drop(log);
        next = end;
        if next % 5 == 1 {
            let old = (1..).map(|number| folder.join(format!("app.log.{number}"))).find(|old| !old.exists());
            fs::rename(&path, old.unwrap()).unwrap();
        }
        thread::sleep(Duration::from_millis(4));
    }
}

/// The complete lines of an output, and where each number is.
fn numbers(text: &str) -> Vec<u64> {
    let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    lines.filter_map(|line| line.strip_prefix("LINE ")?.split(' ').next()?.parse().ok()).collect()
}

#[test]
fn nothing_is_lost_when_runs_are_killed() {
    let kills = std::env::var("TORVYN_KILLS").map_or(12, |kills| kills.parse().expect("a number"));
    let lines = 5_000 * kills;
    let folder = folder(
        &follower("follow = true, checkpoint = 'state'", "delivery = 'at-least-once'\n")
            .replace("'COMPONENTS/transform.wasm'", "{ component = 'COMPONENTS/transform.wasm', stateless = true }"),
    );
    let root = folder.path().to_path_buf();
    let (log, out) = (root.clone(), root.join("out.txt"));
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let began = Instant::now();
    let run = || {
        // Killed in the middle of a line: the line is delivered again.
        let text = fs::read_to_string(&out).unwrap_or_default();
        fs::write(&out, &text[..text.rfind('\n').map_or(0, |end| end + 1)]).unwrap();
        let out = File::options().append(true).open(&out).unwrap();
        command(&root, &["run"]).stdout(out).stderr(Stdio::null()).spawn().unwrap()
    };
    // The first run begins with the log as it is, not with what was rotated before.
    fs::write(root.join("app.log"), line(0).to_lowercase() + "\n").unwrap();
    let mut first = run();
    while !root.join("state/checkpoint").exists() {
        assert!(began.elapsed() < Duration::from_secs(60), "the first line is not delivered");
        thread::sleep(Duration::from_millis(10));
    }
    first.kill().unwrap();
    first.wait().unwrap();
    let writer = thread::spawn(move || write_log(&log, lines));
    for _ in 0..kills {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let mut run = run();
        thread::sleep(Duration::from_millis(100 + random % 500));
        run.kill().unwrap();
        run.wait().unwrap();
    }
    writer.join().unwrap();
    let mut last = run();
    let is_whole = || numbers(&fs::read_to_string(&out).unwrap()).last() == Some(&(lines - 1));
    while !is_whole() {
        assert!(began.elapsed() < Duration::from_secs(600), "it does not come to the end of the log");
        assert!(last.try_wait().unwrap().is_none(), "it follows the log");
        thread::sleep(Duration::from_millis(50));
    }
    last.kill().unwrap();
    last.wait().unwrap();
    let numbers = numbers(&fs::read_to_string(&out).unwrap());
    let mut seen = vec![0_u32; lines as usize];
    numbers.iter().for_each(|number| seen[*number as usize] += 1);
    let lost = seen.iter().filter(|times| **times == 0).count();
    let repeated = numbers.len() - (lines as usize - lost);
    let most = seen.iter().max().unwrap();
    println!("kills={kills} lines={lines} lost={lost} repeated={repeated} most={most}");
    assert_eq!(lost, 0);
}

#[test]
fn a_run_that_is_asked_to_end_repeats_nothing() {
    let folder = folder(&follower("checkpoint = 'state'", ""));
    let write = |numbers: std::ops::Range<u64>| {
        let mut text = String::new();
        numbers.for_each(|number| writeln!(text, "{}", line(number).to_lowercase()).unwrap());
        let mut log = File::options().append(true).create(true).open(folder.path().join("app.log")).unwrap();
        log.write_all(text.as_bytes()).unwrap();
    };
    for numbers_now in [0..10, 10..2_000, 2_000..2_000] {
        write(numbers_now.clone());
        let run = torvyn(folder.path(), &["run"]);
        assert!(run.status.success(), "{}", said(&run));
        assert!(said(&run).contains("Delivering at least once, if `transform` keeps nothing"), "{}", said(&run));
        assert_eq!(numbers(&String::from_utf8(run.stdout).unwrap()), numbers_now.collect::<Vec<_>>());
    }
    // A failure repeats what was not delivered: the output closes early.
    write(2_000..200_000);
    let mut run = command(folder.path(), &["run"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    drop(run.stdout.take());
    run.wait().unwrap();
    let again = torvyn(folder.path(), &["run"]);
    assert_eq!(numbers(&String::from_utf8(again.stdout).unwrap()), (2_000..200_000).collect::<Vec<_>>());

    let busy = command(folder.path(), &["run"]);
    let lock = File::open(folder.path().join("state/lock")).unwrap();
    lock.lock().unwrap();
    let mut busy = busy;
    assert_says(&busy.output().unwrap(), 101, &["the checkpoint in `state`: another run has it"]);
}

/// `check` and `run` say what is guaranteed, and refuse what is not proven.
#[test]
fn a_demanded_delivery_is_proven_or_refused() {
    let demand = "delivery = 'at-least-once'\n";
    for (stage, input, words) in [
        ("router", "checkpoint = 'state'", &["main      at least once\n"][..]),
        (
            "transform",
            "checkpoint = 'state'",
            &[
                "error[unproven-delivery]: `transform` could keep what it has read, and lose it when a run ends early",
                "demanded here",
                "declare `stateless = true`",
            ],
        ),
        ("inspector", "checkpoint = 'state'", &["main      at least once\n"]),
        ("sink", "checkpoint = 'state'", &["main      at least once\n"]),
        (
            "router",
            "start = 'end'",
            &["error[unproven-delivery]: `app.log` is not read on from what was delivered", "checkpoint = \"DIR\""],
        ),
    ] {
        let output = if stage == "sink" { "output = '-'\n" } else { "" };
        let config = if stage == "inspector" { ", config = { how = 'print', at = 'never' }" } else { "" };
        let stage = format!("{{ component = 'COMPONENTS/{stage}.wasm'{config} }}");
        let text = follower(input, demand).replace("'COMPONENTS/transform.wasm'", &stage).replace(output, "");
        let folder = folder(&text);
        fs::write(folder.path().join("app.log"), "one\n").unwrap();
        let check = torvyn(folder.path(), &["check"]);
        let text = said(&check) + &String::from_utf8_lossy(&check.stdout);
        let refused = words[0].starts_with("error");
        assert_eq!(check.status.success(), !refused, "{text}");
        assert!(words.iter().all(|word| text.contains(word)), "{words:?}\n{text}");
        let run = torvyn(folder.path(), &["run"]);
        assert_eq!(run.status.success(), !refused, "{}", said(&run));
        assert!(!refused || said(&run).contains(words[0]), "{}", said(&run));
    }
}

/// A log that was rotated before anything of it was delivered is not lost, and what is beside a log is not a part of it.
#[test]
fn what_a_run_began_with_is_delivered_by_a_later_one() {
    for start in ["beginning", "end"] {
        let folder = folder(&follower(&format!("checkpoint = 'state', start = '{start}'"), ""));
        let write = |file: &str, text: &str| fs::write(folder.path().join(file), text).unwrap();
        write("app.log", "line 0 of the log\n");
        write("app.log.txt", "line 7 of the log\n");
        // Nobody reads what it writes, so nothing is delivered.
        let mut first = command(folder.path(), &["run"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        drop(first.stdout.take());
        first.wait().unwrap();
        let text = fs::read_to_string(folder.path().join("app.log")).unwrap() + "line 1 of the log\n";
        write("app.log", &text);
        fs::rename(folder.path().join("app.log"), folder.path().join("app.log-20260314")).unwrap();
        write("app.log", "line 2 of the log\n");
        let second = torvyn(folder.path(), &["run"]);
        let first = u64::from(start == "end");
        assert_eq!(numbers(&String::from_utf8(second.stdout).unwrap()), (first..3).collect::<Vec<_>>());
    }
    let folder = folder(&follower("checkpoint = 'state'", "").replace("output = '-'", "output = 'state/checkpoint'"));
    fs::create_dir(folder.path().join("state")).unwrap();
    fs::write(folder.path().join("app.log"), "one\n").unwrap();
    assert_says(&torvyn(folder.path(), &["run"]), 101, &["same-file", "the checkpoint"]);
}

#[test]
fn options_that_cannot_be_are_refused() {
    for (input, words) in [
        ("follow = true, as = 'whole'", "an input cannot have both `as` and `follow`"),
        ("follow = false", "`follow` can only be `true`"),
        ("start = 'middle'", "`start` cannot be `middle`"),
        ("checkpoint = 7", "expected a string"),
    ] {
        let folder = folder(&follower(input, ""));
        let run = torvyn(folder.path(), &["check"]);
        assert!(!run.status.success() && said(&run).contains(words), "{input}: {}", said(&run));
    }
    let text = follower("", "[[test]]\nname = 'a'\npipeline = 'main'\ninput = { file = 'app.log', follow = true }\n");
    let folder = folder(&text.replace(", }", " }"));
    let test = torvyn(folder.path(), &["test"]);
    assert!(said(&test).contains("the input of a case cannot have `follow`"), "{}", said(&test));
}
