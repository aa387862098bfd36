//! What a stage does with an element, as the size of the element says: so it is known without a read.

use torvyn_guest::{Config, Failure};

/// What is done with an element.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Op {
    Pass,
    Drop,
    Write,
    /// Fails at it, and says so.
    Fail,
    /// Fails at it without a word of where, where the stage can; otherwise as [`Op::Fail`].
    FailSomewhere,
    Trap,
    /// Writes for it and fails at it.
    WriteAndFail,
}

/// How a stage does it.
pub struct Ops {
    /// How often an element is read.
    pub reads: u32,
    /// Whether a batch is read before anything is done.
    pub ahead: bool,
    /// Whether it spins where it would trap.
    spins: bool,
    /// How many failures it has got over.
    mends: u32,
}

impl Ops {
    pub fn new(config: &Config) -> Result<Ops, Failure> {
        Ok(Ops {
            reads: config.parse("reads")?.unwrap_or(1),
            ahead: config.parse("ahead")?.unwrap_or(false),
            spins: config.parse("spins")?.unwrap_or(false),
            mends: config.parse("mends")?.unwrap_or(0),
        })
    }

    /// What is to be done with an element of this size. Where it is to fail, it does so only while it has not mended.
    pub fn of(&mut self, size: u64) -> Op {
        let op = match size % 16 {
            0 => Op::Drop,
            1 | 2 => Op::Write,
            3 | 4 => Op::Fail,
            5 => Op::FailSomewhere,
            6 => Op::Trap,
            7 => Op::WriteAndFail,
            _ => Op::Pass,
        };
        if self.mends > 0 && matches!(op, Op::Fail | Op::FailSomewhere | Op::WriteAndFail) {
            self.mends -= 1;
            return Op::Pass;
        }
        op
    }

    pub fn trap(&self) -> ! {
        while self.spins {
            std::hint::spin_loop();
        }
        panic!("told to trap")
    }
}

pub fn failure() -> Failure {
    Failure::InvalidInput("told to fail".to_string())
}
