//! Notices about what has just been done. The redirect after a change has a word in its query, such as `?done=saved`, and the
//! page shows the sentence for this word.

use actix_web::HttpRequest;

use super::page::{Notice, Shell};

/// The words, each with its tone and its sentence. Any other word shows nothing.
const DONE: [(&str, &str, &str); 33] = [
    ("stored", "ok", "Good: the secret is stored with you and erased here."),
    ("token-stored", "ok", "Good: the token is stored with you and erased here."),
    ("saved", "ok", "Your changes are saved."),
    ("unchanged", "", "Nothing was different, so nothing was changed."),
    (
        "disabled",
        "warn",
        "The API client is disabled. It gets no tokens, and none of its tokens is accepted until it is enabled.",
    ),
    ("enabled", "ok", "The API client is enabled. Its tokens are accepted again."),
    ("secret-deleted", "ok", "The secret is deleted. Whatever still uses it is refused from now on."),
    ("token-revoked", "ok", "The token is revoked."),
    ("tokens-revoked", "ok", "All tokens of this client are revoked. It can get new ones with its secret."),
    ("deleted", "ok", "The API client is deleted, and so are its secrets and tokens."),
    ("product-created", "ok", "The product is created. Grant it to the API clients that are to open it."),
    (
        "product-saved",
        "ok",
        "The product is changed. A changed limit counts for tokens that are issued from now on.",
    ),
    ("product-deleted", "ok", "The product is deleted."),
    ("workspace-created", "ok", "The workspace is created. Its first API client is next."),
    ("workspace-saved", "ok", "The workspace is changed."),
    (
        "workspace-suspended",
        "warn",
        "The workspace is suspended. None of its tokens is accepted until it is resumed.",
    ),
    ("workspace-resumed", "ok", "The workspace is active again."),
    ("workspace-deleted", "ok", "The workspace is deleted. Its id is never used again."),
    (
        "key-created",
        "ok",
        "The new key is published. Until it takes over, the key before it goes on signing.",
    ),
    ("key-deleted", "ok", "The key is deleted, and no token that it signed is accepted any more."),
    ("link-stored", "ok", "Good: the setup link is passed on and no longer shown here."),
    ("operator-saved", "ok", "The operator is changed."),
    ("operator-disabled", "warn", "The operator is disabled and signed out everywhere."),
    ("operator-enabled", "ok", "The operator can sign in again."),
    ("sent-again", "ok", "The delivery waits again and is sent in a moment, under the same id."),
    ("operator-deleted", "ok", "The operator is deleted and signed out everywhere."),
    ("webhook-stored", "ok", "Good: the secret is stored with you and erased here."),
    ("webhook-saved", "ok", "The webhook is changed."),
    ("webhook-disabled", "warn", "The webhook is disabled. Nothing is queued for it."),
    ("webhook-enabled", "ok", "The webhook is active. It gets what happens from now on."),
    (
        "webhook-tested",
        "ok",
        "A test is on its way. Load this page again in a moment to see what became of it.",
    ),
    ("webhook-deleted", "ok", "The webhook is deleted."),
    (
        "delivery-resent",
        "ok",
        "The delivery is sent again. Load this page again in a moment to see what became of it.",
    ),
];

/// The frame of a page, with the notice that its address asks for.
pub(super) fn noticed(shell: Shell, request: &HttpRequest) -> Shell {
    let query = form_urlencoded::parse(request.query_string().as_bytes());
    let done = query.into_iter().find(|(name, _)| name == "done").map(|(_, word)| word);
    let found = DONE.iter().find(|(word, ..)| done.as_deref() == Some(word));
    let notice = found.map(|(_, tone, text)| Notice { tone, text: (*text).to_owned() });
    Shell { notice, ..shell }
}
