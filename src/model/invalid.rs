//! A broken field rule: which field (as a JSON pointer, RFC 6901), which rule, what to do.

/// One bad field of a request. Rules that check a record return all of them at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// JSON pointer to the member, e.g. `/token_expiry/seconds`.
    pub pointer: String,
    /// The rule that was broken, in words that say how to keep it.
    pub detail: String,
}

impl Invalid {
    /// A broken rule at `pointer`.
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), detail: detail.into() }
    }
}
