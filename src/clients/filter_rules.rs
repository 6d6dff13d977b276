//! The rules for the members of a filter of API clients, in a query or a body.

use crate::model::product::is_product_code;

/// The rule for a text in a filter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FilterRule {
    /// In words that complete "must be".
    pub(crate) wanted: &'static str,
    /// Whether a text satisfies the rule.
    pub(crate) is: fn(&str) -> bool,
}

pub(crate) const LABEL: FilterRule =
    FilterRule { wanted: "1 to 200 characters", is: |text| (1..=200).contains(&text.chars().count()) };

pub(crate) const PRODUCT: FilterRule = FilterRule {
    wanted: "the code of a product: 1 to 64 characters of a-z, 0-9 and . _ : -, beginning with a letter or digit",
    is: is_product_code,
};

pub(crate) const STATUS: FilterRule =
    FilterRule { wanted: "active or disabled", is: |text| matches!(text, "active" | "disabled") };
