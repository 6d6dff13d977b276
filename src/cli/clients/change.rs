//! The options that set members of an API client.

use clap::Args;
use serde_json::Value;

use crate::cli::values::{Count, Duration, End, Expiry, Members, OptionValue, Pair};

#[derive(Debug, Args)]
pub(super) struct Change {
    /// Its display name
    #[arg(long)]
    label: Option<OptionValue<String>>,
    /// Free text about it; '' for none
    #[arg(long, value_name = "TEXT")]
    description: Option<OptionValue<String>>,
    /// The products it is granted; '' for none
    #[arg(long, value_name = "CODES", value_delimiter = ',')]
    products: Option<Vec<String>>,
    /// Its permissions on Mintmark itself: mintmark:manage, mintmark:read, mintmark:introspect; '' for none
    #[arg(long, value_name = "PERMISSIONS", value_delimiter = ',')]
    permissions: Option<Vec<String>>,
    /// How long its tokens are valid: `never`, seconds, or a duration like 15m, 1h or 30d
    /// [default: tokens.default_lifetime_seconds]
    #[arg(long, value_name = "never|DURATION", allow_negative_numbers = true)]
    token_expiry: Option<OptionValue<Expiry>>,
    /// Email addresses of its contacts, who are mailed about changes and before something expires; '' for none
    #[arg(long, value_name = "EMAILS", value_delimiter = ',')]
    notification_emails: Option<Vec<String>>,
    /// Addresses and networks it may authenticate from; '' for any
    #[arg(long, value_name = "NETWORKS", value_delimiter = ',')]
    allowed_ips: Option<Vec<String>>,
    /// How many of its tokens are active at a time: many; replace for one; or a number from 1 to 1000, beyond which the
    /// oldest is revoked [default: many, and 20 for tokens that never expire]
    #[arg(long, value_name = "many|replace|NUMBER", allow_negative_numbers = true)]
    active_tokens: Option<OptionValue<Count>>,
    /// How long a replaced token stays valid: seconds, or a duration like 10m [default: 0]
    #[arg(long, alias = "replace-grace-seconds", value_name = "DURATION", allow_negative_numbers = true)]
    replace_grace: Option<OptionValue<Duration>>,
    /// The algorithm that signs its tokens: ES256, EdDSA, RS256 or PS256 [default: tokens.signing_alg]
    #[arg(long, value_name = "ALG")]
    signing_alg: Option<OptionValue<String>>,
    /// When it expires: a date like 2027-01-31 (00:00 UTC), an instant, a duration from now, or `never` [default: never]
    #[arg(long, value_name = "DATE", allow_negative_numbers = true)]
    expires_at: Option<OptionValue<End>>,
    /// A pair of metadata; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    metadata: Vec<Pair>,
    /// Remove a pair of metadata; may be repeated
    #[arg(long, value_name = "KEY")]
    remove_metadata: Vec<String>,
}

impl Change {
    /// The body of the request that sets the members given by these options.
    pub(super) fn into_body(self) -> Value {
        Members::default()
            .with("label", self.label)
            .with("description", self.description)
            .with_list("products", self.products)
            .with_list("permissions", self.permissions)
            .with("token_expiry", self.token_expiry)
            .with_list("notification_emails", self.notification_emails)
            .with_list("allowed_ips", self.allowed_ips)
            .with("active_tokens", self.active_tokens)
            .with("replace_grace_seconds", self.replace_grace)
            .with("signing_alg", self.signing_alg)
            .with("expires_at", self.expires_at)
            .with_pairs("metadata", self.metadata, self.remove_metadata)
            .into_body()
    }
}
