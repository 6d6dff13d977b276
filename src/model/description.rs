//! The description of a workspace, a product or an API client: free text of several lines (docs/management-api.md).

use super::field_errors::FieldErrors;
use super::member::Member;
use super::text;

/// How long a description may be, in characters.
const MAX: usize = 500;

/// Applies a change to a description. A text without visible characters removes it. An error is added to `errors` for a text
/// that breaks a rule.
pub(crate) fn apply(change: &Member<String>, description: &mut Option<String>, errors: &mut FieldErrors) {
    match change {
        Member::Absent => {}
        Member::Null => *description = None,
        Member::Value(text) => match text::check_lines(text, MAX) {
            Ok(()) => *description = Some(text.clone()).filter(|text| text::has_visible(text)),
            Err(why) => errors.add("/description", why),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(change: &Member<String>) -> (Option<String>, FieldErrors) {
        let (mut description, mut errors) = (Some("old".to_owned()), FieldErrors::default());
        apply(change, &mut description, &mut errors);
        (description, errors)
    }

    #[test]
    fn a_description_is_set_removed_or_left_and_a_refused_text_changes_nothing() {
        let text = |text: &str| Member::Value(text.to_owned());
        for (change, description) in [
            (Member::Absent, Some("old")),
            (Member::Null, None),
            (text(""), None),
            (text(" \n\u{a0}"), None),
            (text("Nightly run\r\nOwner: finance"), Some("Nightly run\r\nOwner: finance")),
        ] {
            let (applied, errors) = applied(&change);
            assert!(errors.is_empty(), "{change:?}: {errors:?}");
            assert_eq!(applied.as_deref(), description, "{change:?}");
        }
        let (kept, errors) = applied(&text("a\tb"));
        assert_eq!(kept.as_deref(), Some("old"));
        assert!(errors.has("/description"));
    }
}
