//! Outputs that are appended to: by several runs, rotated, chosen by attributes, and when runs are killed.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use cli_tests::{command, folder, said, torvyn};

use crate::{UPPER, expect};

fn with_output(output: &str) -> tempfile::TempDir {
    let folder = folder(&format!("{UPPER}input = 'in.txt'\noutput = {{ {output} }}\n"));
    fs::write(folder.path().join("in.txt"), "one\ntwo\n").unwrap();
    folder
}

#[test]
fn runs_append_one_after_the_other() {
    for output in ["append = true", "append = true, sync = true, flush = '1s'", "append = true, flush = 'end'"] {
        let folder = with_output(&format!("file = 'out.txt', {output}"));
        let out = folder.path().join("out.txt");
        fs::write(&out, "before\nto").unwrap();
        for _ in 0..2 {
            expect(folder.path(), &["run"], 0, &["Finished `main`"]);
        }
        assert_eq!(fs::read_to_string(out).unwrap(), "before\nto\nONE\nTWO\nONE\nTWO\n", "{output}");
    }
    let folder = with_output("file = 'out.txt', sync = true");
    for _ in 0..2 {
        expect(folder.path(), &["run"], 0, &[]);
        assert_eq!(fs::read_to_string(folder.path().join("out.txt")).unwrap(), "ONE\nTWO\n");
    }
    let folder = with_output("file = '/dev/null', append = true, sync = true");
    expect(folder.path(), &["run"], 101, &["cannot write `/dev/null`", "`sync` needs a regular file"]);
}

#[test]
fn a_file_that_is_appended_to_is_not_read_by_any_name() {
    for (output, text) in [
        ("file = './in.txt', append = true", "are the same file"),
        ("file = 'hard', append = true", "are the same file"),
        ("file = '{level}.txt', append = true", "can be the same file"),
        ("file = 'x{level}', append = true", "can be the same file"),
    ] {
        let folder = with_output(output);
        fs::hard_link(folder.path().join("in.txt"), folder.path().join("hard")).unwrap();
        fs::hard_link(folder.path().join("in.txt"), folder.path().join("xhard")).unwrap();
        expect(folder.path(), &["run"], 101, &["error[same-file]", text]);
        assert_eq!(fs::read_to_string(folder.path().join("in.txt")).unwrap(), "one\ntwo\n");
    }
}

#[test]
fn an_element_without_the_attribute_of_its_path_is_an_error() {
    let folder = with_output("file = 'out/{level}.log', append = true");
    expect(folder.path(), &["run"], 101, &["cannot write `out/{level}.log`", "No such file or directory"]);
    fs::create_dir(folder.path().join("out")).unwrap();
    let texts = ["failed at `out/{level}.log`", "it has no attribute `level` (`missing` can stand for it)"];
    expect(folder.path(), &["run"], 101, &texts);
    let folder = with_output("file = 'out/{level}.log', append = true, missing = 'none'");
    fs::create_dir(folder.path().join("out")).unwrap();
    expect(folder.path(), &["run"], 0, &[]);
    assert_eq!(fs::read_to_string(folder.path().join("out/none.log")).unwrap(), "ONE\nTWO\n");
}

/// The numbers in the lines of the rotated files, oldest first, and of the file itself.
fn numbers(folder: &Path) -> Vec<u64> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let number =
        |name: &str| name.strip_prefix("out.log")?.strip_prefix('.').map_or(Some(0), |number| number.parse().ok());
    let mut names: Vec<(u32, String)> = names.filter_map(|name| Some((number(&name)?, name))).collect();
    names.sort_unstable_by_key(|(number, _)| std::cmp::Reverse(*number));
    let mut numbers = Vec::new();
    for (_, name) in names {
        let text = fs::read_to_string(folder.join(&name)).unwrap();
        assert!(text.is_empty() || text.ends_with('\n') || name == "out.log", "{name} is torn");
        numbers.extend(
            text.lines().filter_map(|line| line.strip_prefix("LINE ")?.strip_suffix(" END")?.parse::<u64>().ok()),
        );
    }
    numbers
}

/// Runs that are killed at random moments, many of them while files are renamed: nothing that was delivered is lost.
#[test]
#[expect(clippy::print_stdout, reason = "the counts are worth seeing")]
fn runs_that_are_killed_lose_nothing_that_was_flushed() {
    const LINES: u64 = 400_000;
    const KILLS: u32 = 50;
    let text = "[pipeline.main]\ninput = { file = 'in.txt', checkpoint = 'state' }\n\
        stages = ['COMPONENTS/router.wasm', 'COMPONENTS/transform.wasm']\n\
        output = { file = 'out.log', append = true, rotate = { bytes = '16KiB', keep = 1000 } }\n";
    let folder = folder(text);
    let mut lines = String::new();
    (0..LINES).for_each(|number| writeln!(lines, "line {number} end").unwrap());
    fs::write(folder.path().join("in.txt"), lines).unwrap();
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut early = 0;
    for _ in 0..KILLS {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let before = fs::metadata(folder.path().join("state/checkpoint")).and_then(|file| file.modified()).ok();
        let mut run = command(folder.path(), &["run"]).stderr(Stdio::null()).spawn().unwrap();
        // From the moment on at which it delivers.
        let began = Instant::now();
        while fs::metadata(folder.path().join("state/checkpoint")).and_then(|file| file.modified()).ok() == before
            && run.try_wait().unwrap().is_none()
        {
            assert!(began.elapsed() < Duration::from_secs(60), "nothing is delivered");
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_micros(random % 20_000));
        early += u32::from(run.try_wait().unwrap().is_none());
        run.kill().ok();
        run.wait().unwrap();
    }
    let last = torvyn(folder.path(), &["run"]);
    assert!(last.status.success(), "{}", said(&last));
    let numbers = numbers(folder.path());
    let mut seen = vec![0_u32; LINES as usize];
    numbers.iter().for_each(|number| seen[*number as usize] += 1);
    let lost = seen.iter().filter(|times| **times == 0).count();
    println!(
        "kills={KILLS} in time={early} lines={LINES} lost={lost} repeated={}",
        numbers.len() - (LINES as usize - lost)
    );
    assert_eq!(lost, 0);
    assert!(early > 5, "most runs end before they are killed");
}
