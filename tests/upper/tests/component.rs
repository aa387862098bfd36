//! The component, as it is shipped.

use torvyn_testing::{Budget, Error, Stage, build};

fn upper() -> Result<Stage, Error> {
    build(env!("CARGO_PKG_NAME"))
}

#[test]
fn writes_in_upper_case() -> Result<(), Error> {
    let run = upper()?.run(["one", "", "two"])?;
    assert_eq!(run.output(0), ["ONE", "", "TWO"]);
    assert_eq!(run.log("upper"), ["up to 80 bytes"]);
    Ok(())
}

#[test]
fn what_is_long_is_passed_on_and_not_copied() -> Result<(), Error> {
    let run = upper()?.with("longest", 3).run(["one", "longer"])?;
    assert_eq!(run.output(0), ["ONE", "longer"]);
    let copies = run.stage("upper").copies;
    assert_eq!((copies.payload_read.ops, copies.payload_write.ops), (1, 1));
    Ok(())
}

#[test]
fn a_second_one_writes_nothing_new() -> Result<(), Error> {
    let upper = upper()?;
    let run = upper.then(&upper.named("again")).run(["one", "two"])?;
    assert_eq!(run.output(0), ["ONE", "TWO"]);
    assert_eq!(run.stage("again").writes_unchanged, 2);
    assert_eq!(run.account().amplification, Some(4.0));
    Ok(())
}

#[test]
fn does_not_begin_with_a_wrong_setting() -> Result<(), Error> {
    let error = upper()?.with("longest", "long").run(["one"]).unwrap_err();
    assert_eq!(error.to_string(), "stage `upper` failed in `init`");
    assert!(format!("{error:#}").contains("`longest`"), "{error:?}");
    Ok(())
}

#[test]
fn needs_a_read_of_each() -> Result<(), Error> {
    let unread = upper()?.budget(Budget { reads: Some(0), ..Budget::default() });
    assert!(unread.with("longest", 0).run(["one", "two"]).is_ok());
    let error = unread.run(["one", "two"]).unwrap_err();
    assert!(format!("{error:#}").contains("1 read of element 0, at most 0 allowed"), "{error:?}");
    Ok(())
}
