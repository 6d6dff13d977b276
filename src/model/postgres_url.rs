//! The URL of a PostgreSQL database: which parameters it may have.

/// The parameters that the driver knows, besides `options[NAME]`. A parameter of another name may be a part of a password with
/// an unescaped `&`, so its name is neither shown nor logged.
pub(crate) const PARAMETERS: [&str; 18] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "ssl-mode",
    "ssl-root-cert",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
];
