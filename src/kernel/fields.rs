//! Reads the members of a JSON object by type, and collects the errors of all bad ones for one reply (docs/management-api.md).
//!
//! In a new record and in a merge patch (RFC 7396), an absent member, `null` and a value mean different things. The code
//! of each kind of record checks the rules beyond the type, and adds its errors to the same list.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::model::field_errors::{FieldErrors, pointer_token};
use crate::model::member::{Member, WordOrNumber};

/// Reads members of a JSON object by type and collects all errors. A member that cannot be read counts as absent; the
/// others are passed on, so that the rules they break are reported in the same reply.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    object: Option<&'a Map<String, Value>>,
    /// The JSON pointer to `object`.
    at: String,
    /// The members that were asked for. Others are refused at the end, unless their names begin with `known_prefix`.
    known: BTreeSet<&'static str>,
    known_prefix: Option<&'static str>,
    errors: &'a mut FieldErrors,
}

impl Fields<'_> {
    /// Reads a whole body with `read`, and refuses members that `read` does not ask for. Returns the result and the errors.
    pub(crate) fn read<T>(body: &Value, read: impl FnOnce(&mut Fields<'_>) -> T) -> (T, FieldErrors) {
        let mut errors = FieldErrors::default();
        if !body.is_object() {
            errors.add("", "must be a JSON object");
        }
        let mut fields = Fields {
            object: body.as_object(),
            at: String::new(),
            known: BTreeSet::new(),
            known_prefix: None,
            errors: &mut errors,
        };
        let taken = read(&mut fields);
        fields.finish();
        (taken, errors)
    }

    /// A text.
    pub(crate) fn string(&mut self, name: &'static str) -> Member<String> {
        self.take(name, "must be a string", |value| value.as_str().map(str::to_owned))
    }

    /// A whole number.
    pub(crate) fn integer(&mut self, name: &'static str) -> Member<i64> {
        self.take(name, "must be a whole number", whole)
    }

    /// A word, or a whole number.
    pub(crate) fn word_or_number(&mut self, name: &'static str) -> Member<WordOrNumber> {
        self.take(name, "must be a string or a whole number", |value| match value.as_str() {
            Some(word) => Some(WordOrNumber::Word(word.to_owned())),
            None => whole(value).map(WordOrNumber::Number),
        })
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&mut self, name: &'static str) -> Member<bool> {
        self.take(name, "must be true or false", Value::as_bool)
    }

    /// An array of texts.
    pub(crate) fn strings(&mut self, name: &'static str) -> Member<Vec<String>> {
        let items = match self.take(name, "must be an array of strings", |value| value.as_array().cloned()) {
            Member::Absent => return Member::Absent,
            Member::Null => return Member::Null,
            Member::Value(items) => items,
        };
        // An empty text replaces an item that cannot be read, so that the others keep their index for the rules. A rule that
        // the empty text breaks is not reported, since its pointer has an error already.
        let mut texts = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            if !item.is_string() {
                self.errors.add(format!("{}/{name}/{index}", self.at), "must be a string");
            }
            texts.push(item.as_str().unwrap_or_default().to_owned());
        }
        Member::Value(texts)
    }

    /// An object whose values are texts, or `null` for a pair to remove.
    pub(crate) fn string_pairs(&mut self, name: &'static str) -> Member<BTreeMap<String, Option<String>>> {
        let object = match self.take(name, "must be an object of strings", |value| value.as_object().cloned())
        {
            Member::Absent => return Member::Absent,
            Member::Null => return Member::Null,
            Member::Value(object) => object,
        };
        let mut pairs = BTreeMap::new();
        for (key, value) in object {
            match value {
                Value::String(text) => pairs.insert(key, Some(text)),
                Value::Null => pairs.insert(key, None),
                _ => {
                    let pointer = format!("{}/{name}/{}", self.at, pointer_token(&key));
                    self.errors.add(pointer, "must be a string");
                    continue;
                }
            };
        }
        Member::Value(pairs)
    }

    /// The text members whose names begin with `prefix`, by the rest of their names.
    pub(crate) fn strings_after(&mut self, prefix: &'static str) -> BTreeMap<String, String> {
        self.known_prefix = Some(prefix);
        let mut texts = BTreeMap::new();
        for (name, value) in self.object.into_iter().flatten() {
            let Some(rest) = name.strip_prefix(prefix) else { continue };
            match value.as_str() {
                Some(text) => drop(texts.insert(rest.to_owned(), text.to_owned())),
                None => self.errors.add(format!("{}/{}", self.at, pointer_token(name)), "must be a string"),
            }
        }
        texts
    }

    /// An object: members that `read` does not ask for are refused. If `read` returns `None`, it has added an error, and the
    /// object counts as absent.
    pub(crate) fn object<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Fields<'_>) -> Option<T>,
    ) -> Member<T> {
        self.known.insert(name);
        match self.object.and_then(|object| object.get(name)) {
            None => Member::Absent,
            Some(Value::Null) => Member::Null,
            Some(Value::Object(inner)) => {
                let mut fields = Fields {
                    object: Some(inner),
                    at: format!("{}/{name}", self.at),
                    known: BTreeSet::new(),
                    known_prefix: None,
                    errors: self.errors,
                };
                let value = read(&mut fields);
                fields.finish();
                value.map_or(Member::Absent, Member::Value)
            }
            Some(_) => {
                self.refuse(name, "must be an object");
                Member::Absent
            }
        }
    }

    /// An array of objects, each as in [`Fields::object`]. `read` also gets the index.
    pub(crate) fn objects<T>(
        &mut self,
        name: &'static str,
        mut read: impl FnMut(usize, &mut Fields<'_>) -> Option<T>,
    ) -> Member<Vec<T>> {
        let items = match self.take(name, "must be an array of objects", |value| value.as_array().cloned()) {
            Member::Absent => return Member::Absent,
            Member::Null => return Member::Null,
            Member::Value(items) => items,
        };
        let mut objects = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let at = format!("{}/{name}/{index}", self.at);
            let Some(object) = item.as_object() else {
                self.errors.add(at, "must be an object");
                continue;
            };
            let mut fields = Fields {
                object: Some(object),
                at,
                known: BTreeSet::new(),
                known_prefix: None,
                errors: self.errors,
            };
            objects.extend(read(index, &mut fields));
            fields.finish();
        }
        Member::Value(objects)
    }

    /// Whether a member has a value. For members that are known but not supported yet.
    pub(crate) fn is_given(&mut self, name: &'static str) -> bool {
        self.known.insert(name);
        self.object.and_then(|object| object.get(name)).is_some_and(|value| !value.is_null())
    }

    /// Notes a rule that a member of this object breaks.
    pub(crate) fn refuse(&mut self, name: &str, detail: impl Into<String>) {
        self.errors.add(format!("{}/{}", self.at, pointer_token(name)), detail);
    }

    fn finish(self) {
        for name in self.object.into_iter().flat_map(Map::keys) {
            let has_prefix = self.known_prefix.is_some_and(|prefix| name.starts_with(prefix));
            if !has_prefix && !self.known.contains(name.as_str()) {
                self.errors
                    .add(format!("{}/{}", self.at, pointer_token(name)), "is not a member of this request");
            }
        }
    }

    fn take<T>(
        &mut self,
        name: &'static str,
        wanted: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Member<T> {
        self.known.insert(name);
        match self.object.and_then(|object| object.get(name)) {
            None => Member::Absent,
            Some(Value::Null) => Member::Null,
            Some(value) => read(value).map_or_else(
                || {
                    self.errors.add(format!("{}/{name}", self.at), wanted);
                    Member::Absent
                },
                Member::Value,
            ),
        }
    }
}

/// Reads a whole number, however it is written (`60`, `60.0`, `6e1`). A number beyond 64 bits becomes the nearest 64-bit
/// number, which is outside every range that a rule allows.
fn whole(value: &Value) -> Option<i64> {
    if let Some(number) = value.as_i64() {
        return Some(number);
    }
    let number = value.as_f64().filter(|number| number.fract() == 0.0)?;
    let beyond = if number < 0.0 { i64::MIN } else { i64::MAX };
    Some(format!("{number:.0}").parse().unwrap_or(beyond))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_reading_notes_every_bad_member_and_returns_what_can_be_read() {
        let body = json!({
            "s": 1, "i": "1", "f": 1.5, "b": 0, "l": ["a", 1, null], "p": {"k": 1, "a/b": [], "n": null},
            "o": {"in": [], "more": 1}, "x": 1, "a/b": 1, "t.k.l": "v", "t.": null,
            "os": [{"s": "a"}, 1, {"s": 2}, {"s": "b", "x": 1}]
        });
        let ((), errors) = Fields::read(&body, |fields| {
            assert_eq!(fields.string("s"), Member::Absent);
            assert_eq!(fields.integer("i"), Member::Absent);
            assert_eq!(fields.integer("f"), Member::Absent);
            assert_eq!(fields.boolean("b"), Member::Absent);
            let readable = ["a", "", ""].map(str::to_owned);
            assert_eq!(fields.strings("l"), Member::Value(readable.into()));
            assert_eq!(fields.string_pairs("p"), Member::Value([("n".to_owned(), None)].into()));
            assert_eq!(fields.object("o", |inner| inner.boolean("in").value().copied()), Member::Absent);
            assert_eq!(fields.strings_after("t."), BTreeMap::from([("k.l".to_owned(), "v".to_owned())]));
            let read =
                fields.objects("os", |index, inner| Some((index, inner.string("s").value().cloned()?)));
            assert_eq!(read, Member::Value(vec![(0, "a".to_owned()), (3, "b".to_owned())]));
        });
        let pointers: Vec<String> = errors.into_vec().into_iter().map(|b| b.pointer).collect();
        assert_eq!(
            pointers,
            [
                "/s", "/i", "/f", "/b", "/l/1", "/l/2", "/p/a~1b", "/p/k", "/o/in", "/o/more", "/t.",
                "/os/1", "/os/2/s", "/os/3/x", "/a~1b", "/x"
            ]
        );
    }

    #[test]
    fn an_absent_member_null_and_a_value_differ_and_a_number_beyond_64_bits_becomes_the_nearest() {
        let body = json!({"null": null, "text": "", "big": u64::MAX, "low": -1e300, "float": 60.0, "pairs": {"a": "b", "c": null}});
        let ((), errors) = Fields::read(&body, |fields| {
            assert_eq!(fields.string("absent"), Member::Absent);
            assert_eq!(fields.string("null"), Member::Null);
            assert_eq!(fields.string("text"), Member::Value(String::new()));
            assert_eq!(fields.integer("big"), Member::Value(i64::MAX));
            assert_eq!(fields.integer("low"), Member::Value(i64::MIN));
            assert_eq!(fields.integer("float"), Member::Value(60));
            let pairs = [("a".to_owned(), Some("b".to_owned())), ("c".to_owned(), None)];
            assert_eq!(fields.string_pairs("pairs"), Member::Value(BTreeMap::from(pairs)));
        });
        assert!(errors.is_empty());
    }

    #[test]
    fn a_body_must_be_an_object() {
        for body in [json!([]), json!("x"), json!(null), json!(1)] {
            let (name, errors) = Fields::read(&body, |fields| fields.string("name"));
            assert_eq!(name, Member::Absent);
            assert_eq!(errors.into_vec()[0].pointer, "", "{body}");
        }
    }
}
