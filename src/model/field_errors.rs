//! The errors in the fields of a request, which are reported together in one reply.

/// One invalid field of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// JSON pointer to the member (RFC 6901), e.g. `/token_expiry/seconds`.
    pub pointer: String,
    /// The rule that the value breaks and what to send instead, mostly in words that can follow the name of the field, such
    /// as "must be …".
    pub detail: String,
}

impl FieldError {
    /// The field at `pointer` is invalid.
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), detail: detail.into() }
    }
}

/// How many errors are reported in one reply. Each new pointer is compared with all earlier ones, so without a limit a request
/// with many errors would take quadratic time.
const REPORTED_MAX: usize = 500;

/// The invalid fields of a request, collected while it is parsed and checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldErrors(Vec<FieldError>);

impl FieldErrors {
    /// Adds an error. Of several at one pointer the first is kept, since the others mostly follow from it. When the whole
    /// body cannot be read (the pointer is empty), no error of a member is added.
    pub fn add(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        if self.0.len() >= REPORTED_MAX {
            return;
        }
        let pointer = pointer.into();
        if self.0.iter().all(|known| known.pointer != pointer && !known.pointer.is_empty()) {
            self.0.push(FieldError { pointer, detail: detail.into() });
        }
    }

    /// Whether there is an error at `pointer` or below it.
    pub fn has(&self, pointer: &str) -> bool {
        self.0.iter().any(|known| {
            known.pointer.strip_prefix(pointer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// How many errors there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no error.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The errors in the order in which they were added.
    pub fn into_vec(self) -> Vec<FieldError> {
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
    fn the_first_error_of_a_pointer_is_kept_and_the_number_is_limited() {
        let mut errors = FieldErrors::default();
        errors.add("/products/1", "must be a string");
        errors.add("/products/1", "is required");
        assert_eq!(errors.len(), 1);
        assert!(errors.has("/products") && errors.has("/products/1") && errors.has(""));
        assert!(!errors.has("/product") && !errors.has("/products/10"));
        assert_eq!(errors.into_vec(), [FieldError::new("/products/1", "must be a string")]);
        let mut not_an_object = FieldErrors::default();
        not_an_object.add("", "must be a JSON object");
        not_an_object.add("/name", "is required");
        assert_eq!(not_an_object.len(), 1);
        assert_eq!(pointer_token("a/b~c"), "a~1b~0c");
        let mut many = FieldErrors::default();
        for index in 0..200_000 {
            many.add(format!("/products/{index}"), "must be a string");
        }
        assert_eq!(many.len(), REPORTED_MAX);
    }
}
