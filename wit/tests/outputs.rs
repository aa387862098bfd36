//! Elements come out in the order in which they were made, in whatever way. Calls that the contract refuses also fail
//! natively.

use torvyn_guest::testing::{Emitted, ProcessFailure, collect, process, process_batch};
use torvyn_guest::{
    Batch, BatchFailure, BatchProcessor, Buffer, BulkSource, Config, Element, Failure, Holder, Lease, Mode, Output,
    Processor, Scope, Slicer, Stage, Windowed, Writer,
};

/// Executes the command in the payload of each element.
#[derive(Default)]
struct Commands {
    held: Vec<Lease>,
}

impl Stage for Commands {
    fn new(_: &Config) -> Result<Self, Failure> {
        Ok(Commands::default())
    }
}

impl Processor<Windowed> for Commands {
    fn process(&mut self, element: Element<'_, Windowed>, out: &mut Output<'_, Windowed>) -> Result<(), Failure> {
        let told = element.read()?;
        match told[0] {
            b'f' => out.forward(),
            b'F' => {
                out.forward_to(1);
                out.forward_to(2);
                out.forward_to(1);
            }
            b'w' => out.write(b"written"),
            b's' => {
                out.slice(0, 1);
                out.slice_to(3, 1, element.size() - 1);
            }
            b'h' => self.held.push(element.lease(Mode::Shared, Scope::Stage)?),
            b'x' => self.held.push(element.lease(Mode::Exclusive, Scope::Stage)?),
            b'j' => out.join(&self.held)?,
            b'l' => self.held.drain(..).try_for_each(|lease| out.forward_lease(&lease))?,
            b'b' => {
                let mut buffer = Buffer::allocate(8)?;
                buffer.append(b"piece")?;
                out.freeze(buffer)?;
            }
            _ => {}
        }
        if told.ends_with(b"!") { Err(Failure::Unavailable("told".to_string())) } else { Ok(()) }
    }

    fn flush(&mut self, out: &mut Writer<Windowed>) -> Result<(), Failure> {
        out.write_to(1, b"first");
        out.join(&self.held)?;
        out.write(b"last");
        Ok(())
    }
}

fn run_commands(stage: &mut Commands, payloads: &str) -> Result<Vec<Emitted>, ProcessFailure> {
    process(stage, &payloads.split(' ').map(str::as_bytes).collect::<Vec<_>>())
}

/// Each as `payload>outputs`, in quotes where it was written.
fn shown(made: &[Emitted]) -> String {
    let outputs = |element: &Emitted| element.outputs.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
    let shown = |element: &Emitted| {
        let quote = if element.by_handle { "" } else { "'" };
        format!("{quote}{}{quote}>{}", String::from_utf8_lossy(&element.payload), outputs(element))
    };
    made.iter().map(shown).collect::<Vec<_>>().join(" ")
}

#[test]
fn elements_keep_their_order() {
    for (payloads, expected) in [
        ("f1 d2 F3", "f1>0 F3>1,2"),
        ("f1 w2 F3 f4", "f1>0 'written'>0 F3>1,2 f4>0"),
        ("f1 s23 F4 s56", "f1>0 s>0 23>3 F4>1,2 s>0 56>3"),
        ("f1 F2 s3 w4 f5 s6 f7", "f1>0 F2>1,2 s>0 3>3 'written'>0 f5>0 s>0 6>3 f7>0"),
        ("w1 s2 w3 w4 b5 F6 w7", "'written'>0 s>0 2>3 'written'>0 'written'>0 'piece'>0 F6>1,2 'written'>0"),
        ("f1 h2 F3 h4 j5 f6 l7 s8", "f1>0 F3>1,2 h2h4>0 f6>0 h2>0 h4>0 s>0 8>3"),
        ("h1 j2 j3 w4 j5", "h1>0 h1>0 'written'>0 h1>0"),
    ] {
        assert_eq!(shown(&run_commands(&mut Commands::default(), payloads).unwrap()), expected, "{payloads}");
    }
}

#[test]
fn held_elements_outlive_the_call() {
    let mut stage = Commands::default();
    assert!(run_commands(&mut stage, "h1 x2").unwrap().is_empty());
    assert_eq!(shown(&run_commands(&mut stage, "h3 j").unwrap()), "h1x2h3>0");
    assert_eq!(stage.held.iter().map(|lease| (lease.len(), lease.sizes()[0])).collect::<Vec<_>>(), [(1, 2); 3]);
    assert_eq!(stage.held[1].read(0).unwrap(), b"x2");
    assert_eq!(stage.held[1].read_range(0, 1, 1).unwrap(), b"2");
    assert!(matches!(stage.held[1].read_range(0, 1, 2), Err(Failure::OutOfBounds)));
    assert!(matches!(stage.held[1].read(1), Err(Failure::OutOfBounds)));
    let ((), last) = collect(|out| stage.flush(out)).unwrap();
    assert_eq!(shown(&last), "'first'>1 h1x2h3>0 'last'>0");
}

/// Everything that was made of earlier elements is emitted, however it was made, and nothing else.
#[test]
fn emits_elements_made_before_a_failure() {
    let holding = || {
        let mut stage = Commands::default();
        run_commands(&mut stage, "h1").unwrap();
        stage
    };
    let ways = ["d", "f", "F", "w", "s2", "b", "h", "j", "l"];
    for first in ways {
        for second in ways {
            for failing in ways {
                let before = format!("{first} {second}");
                let failed = run_commands(&mut holding(), &format!("{before} {failing}! w f")).unwrap_err();
                // Nothing is held to be joined any more.
                if before == "l j" {
                    assert_eq!(failed.index, Some(1));
                    continue;
                }
                let made = run_commands(&mut holding(), &before).unwrap();
                assert_eq!(failed.index, Some(2), "{before} {failing}!");
                assert_eq!(shown(&failed.emitted), shown(&made), "{before} {failing}!");
            }
        }
    }
    let failed = run_commands(&mut holding(), "f w s23 b j! w").unwrap_err();
    assert_eq!((failed.index, shown(&failed.emitted).as_str()), (Some(4), "f>0 'written'>0 s>0 23>3 'piece'>0"));
    let failed = run_commands(&mut holding(), "w! f").unwrap_err();
    assert_eq!((failed.index, failed.emitted.len()), (Some(0), 0));
}

/// A stage that takes batches says which element it failed on, or that it does not know.
#[test]
fn a_batch_fails_on_the_named_element() {
    let failing: [(Act, Option<u32>, &str); 4] = [
        (|_, _, _| Err(Failure::Unavailable(String::new()).into()), None, ""),
        (|batch, out, _| forward_all(batch, out).and(Err(Failure::OutOfBounds.into())), None, ""),
        (
            |batch, out, _| {
                forward_all(batch, out)?;
                Err(Failure::OutOfBounds.at(batch.iter().nth(1).unwrap()))
            },
            Some(1),
            "one>0",
        ),
        (
            |batch, out, _| {
                for element in batch.iter().take(2) {
                    out.at(element).write(b"made");
                    out.at(element).forward();
                }
                // Nothing is made of the third, and nothing before it is given up.
                Err(Failure::OutOfBounds.at(batch.iter().nth(2).unwrap()))
            },
            Some(2),
            "'made'>0 one>0 'made'>0 two>0",
        ),
    ];
    for (act, index, emitted) in failing {
        let failed = process_batch(&mut Acts(Vec::new(), act), &[b"one", b"two", b"six"]).unwrap_err();
        assert_eq!((failed.index, shown(&failed.emitted).as_str()), (index, emitted));
    }
}

fn forward_all(batch: Batch<'_, Windowed>, out: &mut Output<'_, Windowed>) -> Result<(), BatchFailure> {
    batch.iter().for_each(|element| out.at(element).forward());
    Ok(())
}

/// Called for each batch.
type Act = fn(Batch<'_, Windowed>, &mut Output<'_, Windowed>, &mut Vec<Lease>) -> Result<(), BatchFailure>;

struct Acts(Vec<Lease>, Act);

impl Stage for Acts {
    fn new(_: &Config) -> Result<Self, Failure> {
        Ok(Acts(Vec::new(), |_, _, _| Ok(())))
    }
}

impl BatchProcessor<Windowed> for Acts {
    fn process(&mut self, batch: Batch<'_, Windowed>, out: &mut Output<'_, Windowed>) -> Result<(), BatchFailure> {
        (self.1)(batch, out, &mut self.0)
    }
}

fn act(act: Act) -> Result<String, Failure> {
    Ok(shown(&process_batch(&mut Acts(Vec::new(), act), &[b"one", b"two", b"six"])?))
}

#[test]
fn exclusively_held_elements_leave_the_batch() {
    let taken = act(|batch, out, _| {
        let lease = batch.lease([2, 0], Mode::Exclusive, Scope::Stage)?;
        assert!(matches!(batch.lease([0], Mode::Shared, Scope::Stage), Err(Failure::OutOfBounds)));
        assert_eq!(batch.read_all()?, b"two");
        let first = batch.iter().next().unwrap();
        assert!(matches!(first.read(), Err(Failure::OutOfBounds)));
        out.forward_from(&lease, [1], 4)?;
        assert!(matches!(out.forward_lease(&lease), Err(Failure::OutOfBounds)));
        Ok(out.forward_from(&lease, [0], 0)?)
    });
    assert_eq!(taken.unwrap(), "one>4 six>0");

    let forwarded = act(|batch, out, held| {
        held.push(batch.lease([0], Mode::Exclusive, Scope::Stage)?);
        out.forward();
        Ok(())
    });
    assert!(matches!(forwarded, Err(Failure::OutOfBounds)));

    let held_already = act(|batch, _, held| {
        held.push(batch.lease([1], Mode::Shared, Scope::Stage)?);
        assert!(matches!(batch.lease([1], Mode::Exclusive, Scope::Stage), Err(Failure::Unavailable(_))));
        Ok(())
    });
    assert_eq!(held_already.unwrap(), "");
}

#[test]
fn a_shared_lease_sends_an_element_to_each_output_once() {
    let made = act(|batch, out, held| {
        let lease = batch.lease(0..2, Mode::Shared, Scope::Stage)?;
        out.forward_lease(&lease)?;
        out.forward_from(&lease, [0], 1)?;
        assert!(matches!(out.forward_from(&lease, [1, 0], 1), Err(Failure::InvalidInput(_))));
        out.forward_from(&lease, [1], 1)?;
        assert!(matches!(out.forward_from(&lease, [2], 1), Err(Failure::OutOfBounds)));
        held.push(lease);
        Ok(())
    });
    assert_eq!(made.unwrap(), "one>0 two>0 one>1 two>1");
}

#[test]
fn a_lease_rejects_unknown_and_duplicate_indices() {
    let refused = act(|batch, _, _| {
        assert!(matches!(batch.lease([0, 3], Mode::Shared, Scope::Stage), Err(Failure::OutOfBounds)));
        assert!(matches!(batch.lease([1, 1], Mode::Shared, Scope::Stage), Err(Failure::InvalidInput(_))));
        assert!(matches!(batch.lease([], Mode::Shared, Scope::Stage), Err(Failure::InvalidInput(_))));
        Ok(())
    });
    assert_eq!(refused.unwrap(), "");
}

/// A join without elements fails at once; a stage that ignores the failure drops the batch.
#[test]
fn a_refused_join_makes_nothing() {
    let refused = act(|_, out, _| {
        out.forward();
        assert!(matches!(out.join([]), Err(Failure::InvalidInput(_))));
        Ok(())
    });
    assert_eq!(refused.unwrap(), "one>0");
    assert_eq!(act(|_, out, _| out.join([]).or(Ok(()))).unwrap(), "");
}

/// Holds, forwards and joins each element as the plan says, without reading any.
struct Blind(&'static str, Vec<Lease<Holder>>);

impl Stage for Blind {
    fn new(_: &Config) -> Result<Self, Failure> {
        Ok(Blind("", Vec::new()))
    }
}

impl Processor<Holder> for Blind {
    fn process(&mut self, element: Element<'_, Holder>, out: &mut Output<'_, Holder>) -> Result<(), Failure> {
        match self.0.as_bytes()[element.index() as usize] {
            b'f' => out.forward(),
            b'F' => {
                out.forward_to(1);
                out.forward_to(2);
                out.forward_to(1);
            }
            b'h' => self.1.push(element.lease(Mode::Shared, Scope::Stage)?),
            b'x' => self.1.push(element.lease(Mode::Exclusive, Scope::Stage)?),
            b'X' => {
                self.1.push(element.lease(Mode::Exclusive, Scope::Stage)?);
                out.forward();
            }
            b'j' => out.join(&self.1)?,
            b'l' => self.1.drain(..).try_for_each(|lease| out.forward_lease(&lease))?,
            _ => {}
        }
        Ok(())
    }

    fn flush(&mut self, out: &mut Writer<Holder>) -> Result<(), Failure> {
        if self.1.is_empty() { Ok(()) } else { out.join(&self.1) }
    }
}

/// Forwarded elements keep their place among those that it makes, although it can neither cut nor write.
#[test]
fn a_holder_keeps_the_order_too() {
    for (plan, expected, last) in [
        ("fdF", "0>0 2>1,2", ""),
        ("fhjFf", "0>0 1>0 3>1,2 4>0", "1>0"),
        ("hFjfxl", "1>1,2 0>0 3>0 0>0 4>0", ""),
        ("Fxjd", "0>1,2 1>0", "1>0"),
    ] {
        let mut stage = Blind(plan, Vec::new());
        let payloads: Vec<_> = (0..plan.len()).map(|index| index.to_string()).collect();
        let payloads: Vec<_> = payloads.iter().map(|payload| payload.as_bytes()).collect();
        let made = process(&mut stage, &payloads).unwrap();
        assert!(made.iter().all(|element| element.by_handle));
        assert_eq!(shown(&made), expected, "{plan}");
        assert_eq!(shown(&collect(|out| stage.flush(out)).unwrap().1), last, "{plan}");
    }
    let taken = process(&mut Blind("Xj", Vec::new()), &[b"0", b"1"]);
    assert!(
        matches!(taken, Err(ProcessFailure { failure: Failure::OutOfBounds, .. })),
        "it is not in the batch any more"
    );
}

struct Cut(u64, u64);

impl Stage for Cut {
    fn new(_: &Config) -> Result<Self, Failure> {
        Ok(Cut(0, 0))
    }
}

impl Processor<Slicer> for Cut {
    fn process(&mut self, _: Element<'_, Slicer>, out: &mut Output<'_, Slicer>) -> Result<(), Failure> {
        out.slice(self.0, self.1);
        Ok(())
    }
}

#[test]
fn rejects_parts_beyond_the_payload() {
    assert_eq!(shown(&process(&mut Cut(1, 2), &[b"one", b"threw"]).unwrap()), "ne>0 hr>0");
    assert_eq!(shown(&process(&mut Cut(3, 0), &[b"one"]).unwrap()), ">0");
    for part in [Cut(1, 3), Cut(4, 0), Cut(u64::MAX, 2), Cut(0, u64::MAX)] {
        let failed = process(&mut { part }, &[b"one"]).unwrap_err();
        assert!(matches!(failed.failure, Failure::OutOfBounds));
        assert_eq!((failed.index, failed.emitted.len()), (None, 0));
    }
}

#[test]
fn a_buffer_refuses_writes_beyond_its_capacity() {
    let mut buffer = Buffer::<BulkSource>::allocate(4).unwrap();
    assert!(buffer.is_empty());
    buffer.append(b"abc").unwrap();
    assert!(matches!(buffer.append(b"de"), Err(Failure::LimitExceeded(_))));
    buffer.append(b"d").unwrap();
    buffer.write_at(2, b"CD").unwrap();
    assert!(matches!(buffer.write_at(3, b"xx"), Err(Failure::OutOfBounds)));
    assert!(matches!(buffer.write_at(u64::MAX, b"x"), Err(Failure::OutOfBounds)));
    assert_eq!(buffer.len(), 4);
    let (len, made) = collect(|out| {
        out.write(b"before");
        out.freeze_to(5, buffer)?;
        Ok(out.len())
    })
    .unwrap();
    assert_eq!((len, shown(&made).as_str()), (2, "'before'>0 'abCD'>5"));
}
