//! A broken field rule: the field (as a JSON pointer, RFC 6901), and how to keep the rule.

/// One invalid field of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// JSON pointer to the member, e.g. `/token_expiry/seconds`.
    pub pointer: String,
    /// The rule, in words that complete "the field …" and say how to keep it.
    pub detail: String,
}

impl Invalid {
    /// A broken rule at `pointer`.
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), detail: detail.into() }
    }
}

/// How many broken rules are reported at once. Each is looked up among all others, so without a limit a request with many
/// would take quadratic time.
const REPORTED_MAX: usize = 500;

/// The broken rules of a request, collected while it is read and checked, so that all of them are reported at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Broken(Vec<Invalid>);

impl Broken {
    /// Adds a broken rule. Of several at one pointer the first is kept, since the others mostly follow from it. When the
    /// whole record cannot be read (the pointer is empty), nothing is added for its members.
    pub fn at(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        if self.0.len() >= REPORTED_MAX {
            return;
        }
        let pointer = pointer.into();
        if self.0.iter().all(|known| known.pointer != pointer && !known.pointer.is_empty()) {
            self.0.push(Invalid { pointer, detail: detail.into() });
        }
    }

    /// Whether something is broken at `pointer` or below it.
    pub fn has(&self, pointer: &str) -> bool {
        self.0.iter().any(|known| {
            known.pointer.strip_prefix(pointer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is broken.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, in the order found.
    pub fn into_vec(self) -> Vec<Invalid> {
        self.0
    }
}

/// A member name as a token of a JSON pointer (RFC 6901 §3).
pub fn pointer_token(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_detail_a_pointer_and_what_lies_below() {
        let mut broken = Broken::default();
        broken.at("/products/1", "must be a string");
        broken.at("/products/1", "is required");
        assert_eq!(broken.len(), 1);
        assert!(broken.has("/products") && broken.has("/products/1") && broken.has(""));
        assert!(!broken.has("/product") && !broken.has("/products/10"));
        assert_eq!(broken.into_vec(), [Invalid::new("/products/1", "must be a string")]);
        let mut unread = Broken::default();
        unread.at("", "must be a JSON object");
        unread.at("/name", "is required");
        assert_eq!(unread.len(), 1);
        assert_eq!(pointer_token("a/b~c"), "a~1b~0c");
        let mut many = Broken::default();
        for index in 0..200_000 {
            many.at(format!("/products/{index}"), "must be a string");
        }
        assert_eq!(many.len(), REPORTED_MAX);
    }
}
