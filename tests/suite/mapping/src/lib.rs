//! Makes another document of each; `what` selects how. Fails on a document of another form.

use serde_json::{Map, Value, json};
use torvyn_guest::{Config, Element, Failure, Output, PayloadProcessor, Stage, Transform};

/// The documents that are made of one; an object has its keys in order.
type Mapping = fn(&[u8]) -> Result<Vec<String>, Failure>;

struct Mapped(Mapping);

impl Stage for Mapped {
    fn new(config: &Config) -> Result<Self, Failure> {
        Ok(Mapped(match config.require("what")? {
            "cities" => cities,
            "fans" => fans,
            "sums" => sums,
            "total" => total,
            "unescaped" => unescaped,
            "expanded" => expanded,
            what => return Err(Failure::InvalidInput(format!("there is no mapping `{what}`"))),
        }))
    }
}

impl PayloadProcessor<Transform> for Mapped {
    fn process(
        &mut self,
        _: Element<'_, Transform>,
        payload: &[u8],
        out: &mut Output<'_, Transform>,
    ) -> Result<(), Failure> {
        self.0(payload)?.iter().for_each(|made| out.write(made.as_bytes()));
        Ok(())
    }
}

torvyn_guest::export!(Mapped: PayloadProcessor<Transform>);

fn wrong(what: impl ToString) -> Failure {
    Failure::InvalidInput(what.to_string())
}

fn document(payload: &[u8]) -> Result<Value, Failure> {
    serde_json::from_slice(payload).map_err(wrong)
}

fn list<'a>(document: &'a Value, name: &str) -> Result<&'a Vec<Value>, Failure> {
    document[name].as_array().ok_or_else(|| wrong(format!("`{name}` is no list")))
}

/// The names of the locations in one state, sorted.
fn cities(payload: &[u8]) -> Result<Vec<String>, Failure> {
    let document = document(payload)?;
    let there = list(&document, "locations")?.iter().filter(|location| location["state"] == "WA");
    let mut names: Vec<_> = there.filter_map(|location| location["name"].as_str()).collect();
    names.sort_unstable();
    Ok(vec![json!({ "Cities": names.join(", ") }).to_string()])
}

/// The document with those of its fans that are obsessed.
fn fans(payload: &[u8]) -> Result<Vec<String>, Failure> {
    let mut document = document(payload)?;
    let obsessed = list(&document, "fans")?.iter().filter(|fan| fan["obsession"].as_f64() > Some(0.5));
    document["fans"] = obsessed.cloned().collect();
    Ok(vec![document.to_string()])
}

/// The sum of each line of comma-separated numbers but the first.
fn sums(payload: &[u8]) -> Result<Vec<String>, Failure> {
    let text = str::from_utf8(payload).map_err(wrong)?;
    let lines = text.lines().filter(|line| !line.trim().is_empty()).skip(1);
    let sum = |line: &str| line.split(',').map(|number| number.trim().parse::<i64>().map_err(wrong)).sum();
    let sums: Result<Vec<i64>, Failure> = lines.map(sum).collect();
    Ok(vec![json!(sums?).to_string()])
}

/// The sum of two numbers, and whether they are equal, also if one is written as a text.
fn total(payload: &[u8]) -> Result<Vec<String>, Failure> {
    let document = document(payload)?;
    let number = |name: &str| match &document[name] {
        Value::String(text) => text.parse::<i64>().map_err(wrong),
        value => value.as_i64().ok_or_else(|| wrong(format!("`{name}` is no number"))),
    };
    let (a, b) = (number("a")?, number("b")?);
    Ok(vec![format!("total: {}, matches: {}", a + b, a == b)])
}

/// The text, or all texts of the document, without HTML escapes.
fn unescaped(payload: &[u8]) -> Result<Vec<String>, Failure> {
    fn walk(value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(plain(&text)),
            Value::Array(values) => values.into_iter().map(walk).collect(),
            Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, walk(value))).collect(),
            value => value,
        }
    }
    fn plain(text: &str) -> String {
        text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    }
    Ok(vec![match serde_json::from_slice(payload) {
        Ok(document) => walk(document).to_string(),
        Err(_) => plain(str::from_utf8(payload).map_err(wrong)?),
    }])
}

/// A document for each of its items, with the rest of it.
fn expanded(payload: &[u8]) -> Result<Vec<String>, Failure> {
    let Value::Object(mut rest) = document(payload)? else { return Err(wrong("it is no object")) };
    let items = rest.remove("items").unwrap_or_default();
    let items = items.as_array().ok_or_else(|| wrong("`items` is no list"))?;
    let expand = |item: &Value| {
        let mut document: Map<String, Value> = rest.clone();
        document.extend(item.as_object().ok_or_else(|| wrong("an item is no object"))?.clone());
        Ok(Value::Object(document).to_string())
    };
    items.iter().map(expand).collect()
}
