//! A trace conforms to the Trace Event Format, by rules that are independent of how it was written.
//!
//! The rules are those of the document of the format, and what the importer of Perfetto also requires.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::{Value, json};

use super::{UPPER, expect, faulty, folder};

/// A thread, by process and number.
type Thread = (u64, u64);

/// What is wrong with a trace.
fn broken(trace: &Value) -> Vec<String> {
    let mut broken = Vec::new();
    let Some(events) = trace["traceEvents"].as_array() else { return vec!["no `traceEvents`".to_string()] };
    let known = ["traceEvents", "displayTimeUnit", "otherData"];
    broken.extend(trace.as_object().unwrap().keys().filter(|key| !known.contains(&key.as_str())).cloned());
    if !["ms", "ns"].map(Value::from).contains(&trace["displayTimeUnit"]) {
        broken.push("`displayTimeUnit` is no unit".to_string());
    }
    for event in events {
        broken.extend(wrong(event).map(|wrong| format!("{wrong}: {event}")));
    }
    if broken.is_empty() {
        slices(events, &mut broken);
        arrows(events, &mut broken);
        names(events, &mut broken);
    }
    broken
}

/// Checks that an event has the fields of its phase.
fn wrong(event: &Value) -> Option<&'static str> {
    let text = |field: &str| event[field].is_string();
    let id = |field: &str| event[field].as_u64().is_some_and(|id| id > 0 && id < 1 << 32);
    // No clock is finer than a nanosecond.
    let whole = |nanoseconds: f64| (nanoseconds - nanoseconds.round()).abs() < 0.01;
    let time = |field: &str| event[field].as_f64().is_some_and(|time| time >= 0.0 && whole(time * 1e3));
    if !text("name") || !id("pid") || !id("tid") {
        return Some("an event without name, process or thread");
    }
    if !event["args"].is_object() {
        return Some("`args` is no object");
    }
    let args = event["args"].as_object().unwrap();
    let phase = event["ph"].as_str().unwrap_or_default();
    if phase != "M" && (!time("ts") || !text("cat")) {
        return Some("an event without time or category");
    }
    match phase {
        "X" if !time("dur") => Some("a complete event without duration"),
        "C" if args.is_empty() || !args.values().all(Value::is_number) => {
            Some("a counter of something else than numbers")
        }
        "s" | "f" if !event["id"].is_u64() && !text("id") => Some("an end of an arrow without id"),
        "f" if event["bp"] != "e" => Some("an arrow that ends in the next slice"),
        "M" => match event["name"].as_str().unwrap() {
            "process_name" | "thread_name" if !args.get("name").is_some_and(Value::is_string) => Some("no name"),
            "thread_sort_index" if !args.get("sort_index").is_some_and(Value::is_number) => Some("no index"),
            "process_name" | "thread_name" | "thread_sort_index" => None,
            _ => Some("unknown metadata"),
        },
        "X" | "C" | "s" | "f" => None,
        _ => Some("an unknown phase"),
    }
}

fn nanoseconds(event: &Value, field: &str) -> u64 {
    (event[field].as_f64().unwrap() * 1e3).round() as u64
}

fn thread(event: &Value) -> Thread {
    (event["pid"].as_u64().unwrap(), event["tid"].as_u64().unwrap())
}

fn of_phase<'a>(events: &'a [Value], phase: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["ph"] == phase).collect()
}

/// The start and end of the slices of each thread.
fn spans(events: &[Value]) -> BTreeMap<Thread, Vec<(u64, u64)>> {
    let mut spans = BTreeMap::<_, Vec<_>>::new();
    for event in of_phase(events, "X") {
        let from = nanoseconds(event, "ts");
        spans.entry(thread(event)).or_default().push((from, from + nanoseconds(event, "dur")));
    }
    spans
}

/// Slices of a thread are nested or disjoint.
fn slices(events: &[Value], broken: &mut Vec<String>) {
    for (thread, mut spans) in spans(events) {
        spans.sort_by_key(|&(from, to)| (from, std::cmp::Reverse(to)));
        let mut open: Vec<u64> = Vec::new();
        for (from, to) in spans {
            while open.last().is_some_and(|end| *end <= from) {
                open.pop();
            }
            if open.last().is_some_and(|end| *end < to) {
                broken.push(format!("slices overlap at {from} ns on {thread:?}"));
            }
            open.push(to);
        }
    }
}

/// An arrow has one start and one end, in this order, each in a slice. Category, name and id identify it.
fn arrows(events: &[Value], broken: &mut Vec<String>) {
    let mut arrows = BTreeMap::<_, [Vec<&Value>; 2]>::new();
    for (end, phase) in ["s", "f"].into_iter().enumerate() {
        for event in of_phase(events, phase) {
            let id = ["cat", "name", "id"].map(|field| event[field].to_string());
            arrows.entry(id).or_default()[end].push(event);
        }
    }
    let spans = spans(events);
    for (id, [starts, ends]) in arrows {
        let ([start], [end]) = (&starts[..], &ends[..]) else {
            broken.push(format!("{} beginnings and {} ends of {id:?}", starts.len(), ends.len()));
            continue;
        };
        if nanoseconds(start, "ts") > nanoseconds(end, "ts") {
            broken.push(format!("{id:?} ends before it begins"));
        }
        for event in [start, end] {
            let (at, none) = (nanoseconds(event, "ts"), Vec::new());
            let around =
                spans.get(&thread(event)).unwrap_or(&none).iter().filter(|(from, to)| (*from..=*to).contains(&at));
            if around.count() != 1 {
                broken.push(format!("an end of {id:?} is not in one slice"));
            }
        }
    }
}

/// Every process and thread with events has a name.
fn names(events: &[Value], broken: &mut Vec<String>) {
    let named = |name: &str| {
        let named = events.iter().filter(move |event| event["ph"] == "M" && event["name"] == name);
        named.map(thread).collect::<BTreeSet<_>>()
    };
    let (processes, threads) = (named("process_name"), named("thread_name"));
    for event in events {
        let (process, thread) = thread(event);
        if !threads.contains(&(process, thread)) || !processes.iter().any(|(named, _)| *named == process) {
            broken.push(format!("{process}, {thread} has no name"));
        }
    }
}

/// A trace of a run with this many lines.
fn trace(lines: usize) -> Value {
    let folder = folder(UPPER);
    fs::write(folder.path().join("in.txt"), "some line\n".repeat(lines)).unwrap();
    let args = ["run", "--input", "in.txt", "--output", "out.txt", "--trace", "trace.json"];
    expect(folder.path(), &args, 0, &["in `trace.json`"]);
    serde_json::from_slice(&fs::read(folder.path().join("trace.json")).unwrap()).unwrap()
}

#[test]
fn a_trace_is_what_the_format_says() {
    let trace = trace(5000);
    assert_eq!(broken(&trace), Vec::<String>::new());
    let events = trace["traceEvents"].as_array().unwrap();
    let named: Vec<_> = of_phase(events, "M").iter().filter_map(|event| event["args"]["name"].as_str()).collect();
    assert_eq!(named[0], "main", "the process is the pipeline");
    let mut nodes = named[1..].to_vec();
    nodes.sort_unstable();
    assert_eq!(nodes, ["input", "output", "router", "transform"]);

    let last = of_phase(events, "C").into_iter().next_back().unwrap();
    assert_eq!((&last["args"]["payload_read"], &last["args"]["payload_write"]), (&json!(45_000), &json!(45_000)));
    let handed: u64 = of_phase(events, "s").iter().map(|event| event["args"]["elements"].as_u64().unwrap()).sum();
    assert_eq!(handed, 15_000, "over three edges");
    let counters = of_phase(events, "C");
    for pair in counters.windows(2) {
        let values = |event: &Value| {
            event["args"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).collect::<Vec<_>>()
        };
        let (before, after) = (values(pair[0]), values(pair[1]));
        assert!(before.iter().zip(&after).all(|(before, after)| before <= after), "what is copied stays copied");
    }
}

#[test]
fn the_rules_find_what_is_broken() {
    let whole = trace(100);
    let of_phase = |phase: &str| {
        let events = whole["traceEvents"].as_array().unwrap();
        // Not the first call, which is `init`.
        events.iter().rposition(|event| event["ph"] == phase).unwrap()
    };
    let [slice, counter, start, end, name] = ["X", "C", "s", "f", "M"].map(of_phase);
    let later = |event: usize| json!(whole["traceEvents"][event]["ts"].as_f64().unwrap() + 1e9);
    for (event, field, value) in [
        (slice, "dur", json!(null)),
        (slice, "dur", json!("1")),
        (slice, "ts", json!(-1)),
        (slice, "ph", json!("Y")),
        (slice, "tid", json!(99)),
        (slice, "pid", json!("main")),
        (slice, "name", json!(null)),
        (counter, "args", json!({"payload_read": "many"})),
        (counter, "args", json!({})),
        (start, "id", json!(1_000_000)),
        (start, "ts", later(start)),
        (start, "ts", json!(0)),
        (start, "cat", json!("other")),
        (end, "id", json!(null)),
        (end, "bp", json!(null)),
        (end, "ts", later(end)),
        (end, "tid", json!(1)),
        (name, "args", json!({})),
        (name, "name", json!("thread_nickname")),
    ] {
        let mut other = whole.clone();
        other["traceEvents"][event][field] = value.clone();
        assert!(!broken(&other).is_empty(), "`{field}` {value} is not found in {}", whole["traceEvents"][event]);
    }
    let mut other = whole.clone();
    let again = other["traceEvents"][slice].clone();
    let overlapping = json!((nanoseconds(&again, "ts") + nanoseconds(&again, "dur") / 2) as f64 / 1e3);
    other["traceEvents"].as_array_mut().unwrap().push(again);
    assert_eq!(broken(&other), Vec::<String>::new(), "the same slice twice lies within itself");
    other["traceEvents"].as_array_mut().unwrap().last_mut().unwrap()["ts"] = overlapping;
    assert!(broken(&other).iter().any(|broken| broken.contains("overlap")), "{:?}", broken(&other));
}

#[test]
fn a_trace_of_a_flow_that_failed_or_lost_records_is_whole() {
    let folder = folder(&faulty("trap", "process"));
    fs::write(folder.path().join("input.txt"), "fine\n".repeat(1000) + "poison\n").unwrap();
    // The last record of all is the release of the last element.
    for capacity in ["2", "7", "20", "50", "65536"] {
        expect(
            folder.path(),
            &["run", "--trace", "trace.json", "--record-capacity", capacity],
            101,
            &["in `trace.json`"],
        );
        let trace: Value = serde_json::from_slice(&fs::read(folder.path().join("trace.json")).unwrap()).unwrap();
        assert_eq!(broken(&trace), Vec::<String>::new(), "the last {capacity}");
        let failed = trace["traceEvents"].as_array().unwrap().iter().rfind(|event| event["ph"] == "X").unwrap();
        assert_eq!((&failed["name"], &failed["args"]["failed"]), (&json!("process"), &json!(true)));
    }
}
