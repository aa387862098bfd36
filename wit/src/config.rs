//! [`Config`]: the settings of a stage.

use std::fmt::Display;
use std::str::FromStr;

use crate::bindings::lifecycle::types::Failure;

/// The settings of a stage in the pipeline, by name.
///
/// ```
/// use torvyn_guest::Config;
///
/// let config = Config::from([("needle", "ERROR"), ("limit", "10")]);
/// assert_eq!(config.get("needle"), Some("ERROR"));
/// assert_eq!(config.parse::<u32>("limit")?, Some(10));
/// assert!(config.require("colour").unwrap_err().to_string().contains("`colour`"));
/// # Ok::<(), torvyn_guest::Failure>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config(Vec<(String, String)>);

impl Config {
    #[doc(hidden)]
    pub fn new(settings: Vec<(String, String)>) -> Self {
        Config(settings)
    }

    /// The value of setting `name`. Nested tables are flattened with dots (`a.b`), and array items are numbered from 0
    /// (`a.0`).
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The value of setting `name`, which must be present.
    ///
    /// # Errors
    ///
    /// [`Failure::InvalidInput`], with the name, if there is no such setting.
    pub fn require(&self, name: &str) -> Result<&str, Failure> {
        self.get(name).ok_or_else(|| Failure::InvalidInput(format!("config has no `{name}`")))
    }

    /// Parses the value of setting `name`; `None` if there is no such setting.
    ///
    /// # Errors
    ///
    /// [`Failure::InvalidInput`], with the name and the value, if the value is not a `T`.
    pub fn parse<T: FromStr<Err: Display>>(&self, name: &str) -> Result<Option<T>, Failure> {
        let parse = |value: &str| {
            value.parse().map_err(|error| Failure::InvalidInput(format!("config `{name}` is `{value}`: {error}")))
        };
        self.get(name).map(parse).transpose()
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Config {
    fn from(settings: [(&str, &str); N]) -> Self {
        Config(settings.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect())
    }
}
