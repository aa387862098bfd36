//! A transform that fails as configured: `how` is `trap`, `loop`, `grow`, `fail`, `print` or `print without end`, and
//! `at` is the call, `init`, `process`, `flush` or `teardown`. It also prints `text`, `times` times.

use torvyn_guest::{Config, Element, Failure, Output, Processor, Stage, Transform, Writer};

struct Faulty {
    how: String,
    at: String,
    /// What it prints besides.
    more: String,
}

impl Faulty {
    fn reach(&self, call: &str) -> Result<(), Failure> {
        if self.at != call {
            return Ok(());
        }
        match self.how.as_str() {
            "trap" => panic!("told to trap in {call}"),
            "loop" => loop {
                std::hint::spin_loop();
            },
            "grow" => {
                let mut hoard = Vec::new();
                loop {
                    hoard.push(vec![1u8; 1 << 20]);
                    std::hint::black_box(&hoard);
                }
            }
            "fail" => Err(Failure::InvalidInput(format!("told to fail in {call}"))),
            "print" => {
                println!("printed in {call}{}", self.more);
                eprint!("half a line");
                Ok(())
            }
            "print without end" => {
                print!("printed in {call}");
                Ok(())
            }
            how => Err(Failure::Fatal(format!("`{how}` is not known"))),
        }
    }
}

impl Stage for Faulty {
    fn new(config: &Config) -> Result<Self, Failure> {
        let more = config.get("text").unwrap_or_default().repeat(config.parse("times")?.unwrap_or(1));
        let faulty = Faulty { how: config.require("how")?.to_string(), at: config.require("at")?.to_string(), more };
        faulty.reach("init")?;
        Ok(faulty)
    }

    fn teardown(self) {
        if let Err(failure) = self.reach("teardown") {
            panic!("{failure}");
        }
    }
}

impl Processor<Transform> for Faulty {
    fn process(&mut self, element: Element<'_, Transform>, out: &mut Output<'_, Transform>) -> Result<(), Failure> {
        if element.read()? == b"poison" {
            self.reach("process")?;
        }
        out.forward();
        Ok(())
    }

    fn flush(&mut self, _: &mut Writer<Transform>) -> Result<(), Failure> {
        self.reach("flush")
    }
}

torvyn_guest::export!(Faulty: Processor<Transform>);
