//! Programs that get and check tokens, for the help page. Each is a file in which only the address of the service is filled in.
//! Client id, secret and token come from the environment, or are typed in by the reader.

/// A program, as the page shows it.
#[derive(Debug, Clone)]
pub(super) struct Snippet {
    /// Part of the `id` of its text on the page.
    pub(super) id: &'static str,
    /// The program or the system that it is for.
    pub(super) name: &'static str,
    /// What to know about it.
    pub(super) note: &'static str,
    /// The text, with the address of this service.
    pub(super) text: String,
}

/// The address of the service in the files.
const PLACEHOLDER: &str = "https://tokens.example.com";

/// `id`, `name`, `note` and `text` of a [`Snippet`].
type File = (&'static str, &'static str, &'static str, &'static str);

/// The programs that get a token.
const TOKEN: [File; 7] = [
    (
        "token-curl",
        "curl",
        "The reply is JSON; the token is its access_token.",
        include_str!("snippets/token.sh"),
    ),
    (
        "token-powershell",
        "PowerShell",
        "Works with Windows PowerShell 5.1 and PowerShell 7.",
        include_str!("snippets/token.ps1"),
    ),
    (
        "token-abap",
        "ABAP",
        "The certificate of this service has to be in the PSE “SSL Client (Anonymous)”, transaction STRUST. To get tokens without code, create an OAuth 2.0 client in transaction OA2C_CONFIG.",
        include_str!("snippets/token.abap"),
    ),
    (
        "token-oracle",
        "Oracle Database (UTL_HTTP)",
        "The database needs a network ACL for this host (DBMS_NETWORK_ACL_ADMIN) and a wallet with the certificate of the CA that issued the certificate of this host.",
        include_str!("snippets/token.sql"),
    ),
    (
        "token-power-query",
        "Power Query (Excel, Power BI)",
        "Set the data source to Anonymous: the query sends the credentials itself.",
        include_str!("snippets/token.pq"),
    ),
    ("token-python", "Python", "Needs nothing but Python 3.", include_str!("snippets/token.py")),
    (
        "token-java",
        "Java",
        "Java 11 or newer, without a library: java Token.java",
        include_str!("snippets/Token.java"),
    ),
];

/// The programs that check a token.
const VERIFY: [File; 4] = [
    (
        "verify-curl",
        "curl: ask this service",
        "200 if the token is valid and opens the product, with its client and workspace in the headers; else 401 or 403, with the reason in WWW-Authenticate. nginx, Traefik, Caddy and Envoy can call this address for each request.",
        include_str!("snippets/verify.sh"),
    ),
    (
        "introspect-curl",
        "curl: look into a token",
        "The reply says whether the token is active, and what is in it.",
        include_str!("snippets/introspect.sh"),
    ),
    (
        "verify-python",
        "Python: check it offline",
        "Reads the published keys and keeps them. A revoked token is accepted until its exp: to know earlier, read the status list that the token names, or ask this service. Tokens that never expire are accepted: refuse those with never_expires if you do not want them.",
        include_str!("snippets/verify.py"),
    ),
    (
        "verify-java",
        "Java: ask this service",
        "Java 11 or newer: java Verify.java",
        include_str!("snippets/Verify.java"),
    ),
];

/// The programs that get a token from `issuer`.
pub(super) fn token(issuer: &str) -> Vec<Snippet> {
    TOKEN.iter().map(|file| snippet(*file, issuer)).collect()
}

/// The programs that check a token of `issuer`.
pub(super) fn verify(issuer: &str) -> Vec<Snippet> {
    VERIFY.iter().map(|file| snippet(*file, issuer)).collect()
}

fn snippet((id, name, note, text): File, issuer: &str) -> Snippet {
    Snippet { id, name, note, text: text.trim_end().replace(PLACEHOLDER, issuer) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_has_the_address_of_this_service_and_lines_that_fit() {
        let issuer = "https://auth.acme.example/tenant";
        let all = [token(issuer), verify(issuer)].concat();
        assert_eq!(all.len(), 11);
        for snippet in all {
            assert!(snippet.text.contains(issuer) && !snippet.text.contains(PLACEHOLDER), "{}", snippet.id);
            assert!(snippet.text.lines().all(|line| line.chars().count() <= 120), "{}", snippet.id);
        }
    }
}
