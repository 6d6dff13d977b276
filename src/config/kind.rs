//! The types that settings have: a string, a whole number or a list of strings, as the default of each setting says, or a
//! list of tables, whose members are strings.

use config::{Map, Value, ValueKind};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Number,
    List,
    /// A list of tables, each with some of these members, which are strings.
    Tables(&'static [&'static str]),
}

impl Kind {
    /// Whether a value has this type.
    pub(super) fn fits(self, value: &ValueKind) -> bool {
        match (self, value) {
            (Self::Tables(_), ValueKind::Array(items)) => items.iter().all(is_table),
            (kind, value) => Self::of(value) == Some(kind),
        }
    }

    /// The type of a value by itself; `None` if no setting has such a type.
    pub(super) fn of(value: &ValueKind) -> Option<Self> {
        match value {
            ValueKind::String(_) => Some(Self::Text),
            ValueKind::I64(_) => Some(Self::Number),
            ValueKind::Array(items) if items.iter().all(is_text) => Some(Self::List),
            _ => None,
        }
    }

    /// The text of an environment variable as a value of this type; a text that is not a number stays a string.
    pub(super) fn parse(self, text: String) -> ValueKind {
        match self {
            // `tables::parse` reads tables, since a variable writes them in the notation of the file.
            Self::Text | Self::Tables(_) => ValueKind::String(text),
            Self::Number => match text.trim().parse() {
                Ok(number) => ValueKind::I64(number),
                Err(_) => ValueKind::String(text),
            },
            Self::List => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                ValueKind::Array(items.map(Value::from).collect())
            }
        }
    }

    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::Text => "a string",
            Self::Number => "a whole number",
            Self::List => "a list of strings",
            Self::Tables(_) => "a list of tables",
        }
    }
}

/// The value without white space at its end, whatever its source: a file often ends with a line end, and a copied line with a
/// space, and nobody sees them.
pub(super) fn trimmed(value: ValueKind) -> ValueKind {
    match value {
        ValueKind::String(text) => ValueKind::String(text.trim_ascii_end().to_owned()),
        ValueKind::Array(items) => {
            let trimmed =
                |item: Value| Value::new(item.origin().map(str::to_owned).as_ref(), self::trimmed(item.kind));
            ValueKind::Array(items.into_iter().map(trimmed).collect())
        }
        ValueKind::Table(members) => {
            let trimmed = |(name, member): (String, Value)| {
                let origin = member.origin().map(str::to_owned);
                (name, Value::new(origin.as_ref(), self::trimmed(member.kind)))
            };
            ValueKind::Table(members.into_iter().map(trimmed).collect::<Map<_, _>>())
        }
        other => other,
    }
}

fn is_table(value: &Value) -> bool {
    matches!(value.kind, ValueKind::Table(_))
}

fn is_text(value: &Value) -> bool {
    matches!(value.kind, ValueKind::String(_))
}

/// Describes any value of a file for an error message, as [`Kind::describe`] does for a type.
pub(super) fn describe(value: &ValueKind) -> &'static str {
    match value {
        ValueKind::Boolean(_) => "true or false",
        ValueKind::Float(_) => "a number with a fraction",
        ValueKind::Table(_) => "a section",
        ValueKind::Array(items) if items.iter().all(is_text) => "a list of strings",
        ValueKind::Array(_) => "a list with values that are not strings",
        ValueKind::String(_) => "a string",
        _ => "a number",
    }
}
