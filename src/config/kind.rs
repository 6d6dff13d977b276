//! The types that settings have: a string, a whole number or a list of strings, as the default of each setting says.

use config::{Value, ValueKind};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Number,
    List,
}

impl Kind {
    /// The type of a default; `None` for what no setting is.
    pub(super) fn of(value: &ValueKind) -> Option<Self> {
        match value {
            ValueKind::String(_) => Some(Self::Text),
            ValueKind::I64(_) => Some(Self::Number),
            ValueKind::Array(items) if items.iter().all(is_text) => Some(Self::List),
            _ => None,
        }
    }

    /// A variable's text as a value of this type.
    pub(super) fn parse(self, text: String) -> ValueKind {
        match self {
            Self::Text => ValueKind::String(text),
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
        }
    }
}

/// The value without white space at its end, wherever it comes from: a line end comes along when a file is read, a space
/// when a line is copied, and neither can be seen.
pub(super) fn trimmed(value: ValueKind) -> ValueKind {
    match value {
        ValueKind::String(text) => ValueKind::String(text.trim_ascii_end().to_owned()),
        ValueKind::Array(items) => {
            let trimmed =
                |item: Value| Value::new(item.origin().map(str::to_owned).as_ref(), self::trimmed(item.kind));
            ValueKind::Array(items.into_iter().map(trimmed).collect())
        }
        other => other,
    }
}

fn is_text(value: &Value) -> bool {
    matches!(value.kind, ValueKind::String(_))
}

/// Any value of a file, in the words of [`Kind::describe`].
pub(super) fn describe(value: &ValueKind) -> &'static str {
    match value {
        ValueKind::Boolean(_) => "true or false",
        ValueKind::Float(_) => "a number with a fraction",
        ValueKind::Table(_) => "a section",
        ValueKind::Array(_) => "a list with other values than strings",
        ValueKind::String(_) => "a string",
        _ => "a number",
    }
}
