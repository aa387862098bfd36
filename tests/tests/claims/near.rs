//! Loops that look bounded, and differ from a bounded loop in one or two ways: the analysis would have to overlook them
//! to claim a bound. Random code alone rarely contains such loops.

use super::code::Writer;
use super::generate::Role;

/// How far an index moves: steps that reach every element once, and others.
const STEPS: [&str; 9] = ["1", "1", "1", "-1", "3", "0", "2", "0x80000000", "0x55555555"];
/// The difference between two ways of moving it; 0 makes them equal.
const DIFFERENT: [&str; 6] = ["1", "1", "0", "0", "-1", "3"];
/// Conditions that differ between rounds, for the round that `$k` counts.
const CONDITIONS: [&str; 6] = [
    "local.get $k i32.const 1 i32.and",
    "local.get $k i32.eqz",
    "local.get $k i32.const 2 i32.ge_u",
    "local.get $k",
    "local.get $count i32.const 1 i32.and",
    "i32.const 128 i32.load",
];

impl Writer<'_> {
    /// A body with such a loop. It calls functions that take a batch and an index.
    pub(crate) fn near_loop(&mut self) -> String {
        self.open("block", "exit");
        if self.one_in(4) {
            self.loop_with_first_rounds_before();
            self.close();
            return self.take();
        }
        self.add("i32.const 0 local.set $i i32.const 0 local.set $k");
        self.open("loop", "next");
        self.add("call $burn br_if $exit");
        if self.one_in(6) {
            self.two_back_edges();
            self.close();
            self.close();
            return self.take();
        }
        if self.one_in(5) {
            self.two_as_one();
        } else {
            let (before, after) = [(true, false), (true, false), (false, true), (true, true)][self.below(4)];
            if before {
                self.copy_here();
            }
            self.move_on();
            if after {
                self.copy_here();
            }
        }
        let end = ["local.get $count", "local.get $count", "i32.const 4", "i32.const 3"][self.below(4)];
        let counts = if self.one_in(4) { "local.get $i" } else { "local.get $k i32.const 1 i32.add local.tee $k" };
        self.add(&format!("{counts} {end} i32.lt_u br_if $next"));
        self.close();
        self.close();
        self.take()
    }

    /// A loop whose first rounds compilers have moved before it, or what looks like one.
    fn loop_with_first_rounds_before(&mut self) {
        let starts =
            ["i32.const 0", "i32.const 1", "i32.const 1", "i32.const 2", "local.get $count i32.const -1 i32.add"];
        let start = self.of(&starts);
        let apart = ["-1", "-1", "-1", "-2", "1", "0", "2", "-3", "0xaaaaaaab"];
        for _ in 0..1 + self.below(2) {
            let apart = self.of(&apart);
            self.copy_at(&format!("{start} i32.const {apart} i32.add"));
        }
        let guard = self.of(&[
            "local.get $count i32.const 1 i32.eq br_if $exit",
            "local.get $count i32.const 1 i32.eq br_if $exit",
            "block $go local.get $count i32.const 1 i32.ne br_if $go br $exit end",
            "local.get $count i32.const -2 i32.add i32.eqz br_if $exit",
            "local.get $count i32.eqz br_if $exit",
            "",
        ]);
        self.add(&format!("{guard} {start} local.set $i i32.const 0 local.set $k loop $next call $burn br_if $exit"));
        self.copy_here();
        let step = self.of(&STEPS);
        self.add(&format!("local.get $i i32.const {step} i32.add local.set $i"));
        let test = self.of(&[
            "local.get $i local.get $count i32.ne",
            "local.get $i local.get $count i32.ne",
            "local.get $i local.get $count i32.lt_u",
            "local.get $i i32.const 4 i32.ne",
            "local.get $i i32.const -1 i32.ne",
            "local.get $k i32.const 1 i32.add local.tee $k local.get $count i32.lt_u",
        ]);
        self.add(&format!("{test} br_if $next end"));
    }

    /// Copies at the index: once, also at a neighbour, in one of two arms, or in a nested loop.
    fn copy_here(&mut self) {
        match self.below(10) {
            0..=4 => self.copy_at("local.get $i"),
            5 => {
                self.copy_at("local.get $i");
                let beside = self.of(&["0", "1", "-1", "2"]);
                self.copy_at(&format!("local.get $i i32.const {beside} i32.add"));
            }
            6 => {
                let condition = self.of(&CONDITIONS);
                self.add(&format!("{condition} if"));
                self.copy_at("local.get $i");
                self.add("else");
                self.copy_at("local.get $i");
                self.add("end");
            }
            7 | 8 => {
                // The index of the outer loop, or its own, which restarts.
                let index = self.of(&["local.get $i", "local.get $i", "local.get $j"]);
                let rounds = self.of(&["1", "2", "3"]);
                self.add("i32.const 0 local.set $j loop $within call $burn br_if $exit");
                self.copy_at(index);
                self.add(&format!(
                    "local.get $j i32.const 1 i32.add local.tee $j i32.const {rounds} i32.lt_u br_if $within end"
                ));
            }
            _ => {
                let index = self.of(&["i32.const 0", "local.get $j", "local.get $count"]);
                self.copy_at(index);
            }
        }
    }

    /// Moves the index: always alike, or on two paths that meet.
    fn move_on(&mut self) {
        let condition = self.of(&CONDITIONS);
        let (a, b) = (self.of(&DIFFERENT), self.of(&DIFFERENT));
        let by = |step: &str| format!("local.get $i i32.const {step} i32.add");
        let (a, b) = (by(a), by(b));
        let text = match self.below(9) {
            0..=2 => {
                let step = self.of(&STEPS);
                format!("{} local.set $i", by(step))
            }
            3 => format!("{condition} if {a} local.set $i else {b} local.set $i end"),
            4 => format!("{condition} if {a} local.set $i end"),
            5 => format!("{a} {b} {condition} select local.set $i"),
            6 => format!("block $met (result i32) {a} {condition} br_if $met drop {b} end local.set $i"),
            7 => format!(
                "{condition} if {a} local.set $i local.get $k i32.const 1 i32.add local.tee $k local.get $count i32.lt_u \
                 br_if $next end {b} local.set $i"
            ),
            _ => format!(
                "block $met block $other {condition} br_table $met $other end {a} local.set $i end {} local.set $i",
                by("0")
            ),
        };
        self.add(&text);
    }

    /// One test at the head, which every round passes, and two ways back to the head, each of which moves the index and the
    /// count of rounds in its own way.
    fn two_back_edges(&mut self) {
        let end = self.of(&["local.get $count", "local.get $count", "i32.const 4", "i32.const 3"]);
        let tested = self.of(&["local.get $k", "local.get $k", "local.get $k", "local.get $i"]);
        self.add(&format!("{tested} {end} i32.ge_u br_if $exit"));
        self.copy_at("local.get $i");
        let back = |this: &mut Self| {
            let (index, round) = (this.of(&DIFFERENT), this.of(&["1", "1", "1", "0", "2"]));
            let moved = |local: &str, by: &str| format!("local.get {local} i32.const {by} i32.add local.set {local}");
            this.add(&format!("{} {} br $next", moved("$i", index), moved("$k", round)));
        };
        let condition = self.of(&CONDITIONS);
        self.add(&format!("{condition} if"));
        back(self);
        self.add("end");
        back(self);
    }

    /// Two loops that compilers make of one whose rounds end in two ways. Between them the index is moved once more in some.
    fn two_as_one(&mut self) {
        let condition = self.of(&CONDITIONS);
        let step = self.of(&["1", "1", "1", "3", "2", "0"]);
        self.add("loop $within call $burn br_if $exit");
        self.copy_at("local.get $i");
        self.add(&format!("local.get $i i32.const {step} i32.add local.set $i"));
        self.add("local.get $i local.get $count i32.ge_u br_if $exit");
        self.add("local.get $k i32.const 1 i32.add local.set $k");
        self.add(&format!("{condition} br_if $within end"));
        if self.one_in(2) {
            let more = self.of(&["-1", "1", "0", "2"]);
            self.add(&format!("local.get $i i32.const {more} i32.add local.set $i"));
        }
        if self.one_in(3) {
            let index = self.of(&["local.get $i", "local.get $i i32.const -1 i32.add"]);
            self.copy_at(index);
        }
    }

    /// Calls one of the functions that take an index with this index, and with other valid arguments.
    fn copy_at(&mut self, index: &str) {
        let takes_index = |number: &usize| {
            let params = self.params(*number);
            params.contains(&Role::Batch) && params.contains(&Role::Index)
        };
        let able: Vec<usize> = (0..self.callee_count()).filter(takes_index).collect();
        let Some(number) = able.get(self.below(able.len().max(1))).copied() else { return };
        for role in self.params(number).to_vec() {
            self.add(match role {
                Role::Batch => "local.get $batch",
                Role::Index => index,
                Role::Result => "i32.const 64",
                Role::Offset => "i64.const 0",
                Role::Len => "i64.const 1",
                Role::Number => "local.get $n",
                Role::Wide => "local.get $x",
            });
        }
        self.finish_call(number);
    }
}
