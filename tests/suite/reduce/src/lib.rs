//! Makes one document of all that have the same value at `id`: the first of them, with the sum of their `sum` and, if
//! it is configured, the maximum of their `max`. It is written when one has the field `ends`, and at the end of the
//! input.

use serde_json::Value;
use torvyn_guest::{Config, Element, Failure, Output, PayloadProcessor, Stage, Transform, Writer};

struct Reduce {
    id: String,
    sum: String,
    max: Option<String>,
    ends: Option<String>,
    /// In the order of their first documents.
    open: Vec<Value>,
}

impl Stage for Reduce {
    fn new(config: &Config) -> Result<Self, Failure> {
        let given = |name| config.get(name).map(str::to_string);
        let (id, sum) = (given("id").unwrap_or_default(), config.require("sum")?.to_string());
        Ok(Reduce { id, sum, max: given("max"), ends: given("ends"), open: Vec::new() })
    }
}

impl Reduce {
    /// Adds a document. Returns that of its group, if it was the last of it.
    fn add(&mut self, mut document: Value) -> Result<Option<Value>, Failure> {
        let number = |value: Option<&Value>| value.and_then(Value::as_i64).unwrap_or_default();
        let count = number(document.pointer(&self.sum));
        let is_last = self.ends.as_ref().is_some_and(|ends| document.get(ends).is_some());
        // Without an `id`, all belong to one group.
        let id = |document: &Value| (!self.id.is_empty()).then(|| document.pointer(&self.id).cloned()).flatten();
        let known = self.open.iter().position(|first| id(first) == id(&document));
        let index = known.unwrap_or(self.open.len());
        let (mut sum, mut most) = (count, count);
        if let Some(first) = self.open.get(index) {
            sum += number(first.pointer(&self.sum));
            most = most.max(number(self.max.as_ref().and_then(|max| first.pointer(max))));
            document = first.clone();
        }
        set(&mut document, &self.sum, sum)?;
        if let Some(max) = &self.max {
            set(&mut document, max, most)?;
        }
        if known.is_some() {
            self.open[index] = document;
        } else {
            self.open.push(document);
        }
        Ok(is_last.then(|| self.open.remove(index)))
    }
}

/// Sets the number at a pointer whose parent exists.
fn set(document: &mut Value, pointer: &str, number: i64) -> Result<(), Failure> {
    let parent = pointer.rsplit_once('/').and_then(|(parent, name)| Some((document.pointer_mut(parent)?, name)));
    let (parent, name) = parent.ok_or_else(|| Failure::InvalidInput(format!("`{pointer}` is not there")))?;
    let fields = parent.as_object_mut().ok_or_else(|| Failure::InvalidInput(format!("`{pointer}` is in no object")))?;
    fields.insert(name.to_string(), number.into());
    Ok(())
}

impl PayloadProcessor<Transform> for Reduce {
    fn process(
        &mut self,
        _: Element<'_, Transform>,
        payload: &[u8],
        out: &mut Output<'_, Transform>,
    ) -> Result<(), Failure> {
        let document = serde_json::from_slice(payload).map_err(|error| Failure::InvalidInput(error.to_string()))?;
        if let Some(made) = self.add(document)? {
            out.write(made.to_string().as_bytes());
        }
        Ok(())
    }

    fn flush(&mut self, out: &mut Writer<Transform>) -> Result<(), Failure> {
        self.open.drain(..).for_each(|made| out.write(made.to_string().as_bytes()));
        Ok(())
    }
}

torvyn_guest::export!(Reduce: PayloadProcessor<Transform>);
