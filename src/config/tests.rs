//! Tests how the layers of settings are merged and checked.

use super::*;

mod console;
mod smtp;

fn load(file: &str, env: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mintmark.toml");
    std::fs::write(&path, file).unwrap();
    Settings::load(Some(&path), env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

fn problems(file: &str, env: &[(&str, &str)]) -> Vec<Problem> {
    load(file, env).expect_err(file).problems
}

/// The only problem of a file: its key, and its whole text.
fn problem(file: &str) -> (String, String) {
    match problems(file, &[]).as_slice() {
        [only] => (only.key.clone(), only.to_string()),
        more => panic!("{file}: {more:?}"),
    }
}

fn shown(settings: &Settings, key: &str) -> (serde_json::Value, Source) {
    let entry = settings.effective().iter().find(|entry| entry.key == key).unwrap();
    (entry.value.clone(), entry.source)
}

#[test]
fn settings_have_the_documented_defaults() {
    let settings = Settings::load(None, std::iter::empty()).unwrap();
    let server = &settings.server;
    assert_eq!(server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(server.management_listen, None);
    assert_eq!(server.console_origin(), "http://127.0.0.1:8080");
    assert_eq!(server.public_url.as_str(), "http://127.0.0.1:8080");
    assert!(server.workers >= 1);
    assert_eq!(server.trusted_proxies, TrustedProxies::default());
    assert_eq!(server.tls, None);
    assert_eq!(settings.database.url.expose(), "sqlite://data/mintmark.db");
    let master_key = MasterKey::File { path: "data/master.key".into(), explicit: false };
    assert_eq!(settings.keys.master_key, master_key);
    assert_eq!((settings.keys.jwks_max_age_seconds, settings.keys.pending_seconds), (300, 900));
    assert_eq!(settings.keys.rotate_every_days, Some(90));
    assert_eq!(settings.tokens.signing_alg, Alg::ES256);
    assert_eq!(settings.tokens.default_audience, "http://127.0.0.1:8080/products");
    assert_eq!(settings.tokens.default_lifetime_seconds, 3600);
    assert_eq!(settings.tokens.record_above_seconds, 86_400);
    assert_eq!(settings.tokens.serve_stale_seconds, 0);
    assert_eq!(settings.status_lists.ttl_seconds, 60);
    assert_eq!(settings.audit.keep_days, None);
    assert_eq!(settings.tokens.never_expires_exp, NeverExpiresExp::Far);
    assert_eq!(settings.tokens.never_expires_in, Some(31_536_000));
    assert_eq!(settings.verify.token_headers, [""; 0]);
    assert_eq!(settings.log.format, LogFormat::Text);
    assert_eq!(settings.log.level.to_string(), "info");
}

#[test]
fn the_file_overrides_the_defaults_and_the_environment_both() {
    let file = "[server]\nlisten = \"0.0.0.0:9000\"\nworkers = 3\n[tokens]\nsigning_alg = \"EdDSA\"\n";
    let env = [
        ("MINTMARK__SERVER__WORKERS", "5"),
        ("MINTMARK__SERVER__TRUSTED_PROXIES", "10.0.0.0/8, 192.0.2.1"),
        ("MINTMARK__TOKENS__NEVER_EXPIRES__EXP", "omit"),
        ("MINTMARK_PORT", "tcp://10.0.0.1:80"),
        ("PATH", "/bin"),
    ];
    let settings = load(file, &env).unwrap();
    assert_eq!(settings.server.listen.to_string(), "0.0.0.0:9000");
    assert_eq!(settings.server.public_url.as_str(), "http://127.0.0.1:9000");
    assert_eq!(settings.server.workers, 5);
    assert_eq!(settings.tokens.signing_alg, Alg::EdDSA);
    assert_eq!(settings.tokens.never_expires_exp, NeverExpiresExp::Omit);
    assert_eq!(shown(&settings, "server.workers"), (5.into(), Source::Env));
    assert_eq!(shown(&settings, "server.listen"), ("0.0.0.0:9000".into(), Source::File));
    assert_eq!(shown(&settings, "log.level"), ("info".into(), Source::Default));
    // A setting that is derived from others is shown with the derived value.
    assert_eq!(shown(&settings, "server.public_url"), ("http://127.0.0.1:9000".into(), Source::Default));
    assert_eq!(shown(&settings, "tokens.default_audience").0, "http://127.0.0.1:9000/products");
    assert_eq!(settings.effective().len(), Settings::from_toml_layers(&[]).unwrap().effective().len());
}

#[test]
fn later_texts_override_earlier_ones() {
    let settings = Settings::from_toml_layers(&["log.level = \"warn\"", "[log]\nformat = \"json\""]).unwrap();
    assert_eq!((settings.log.level.to_string().as_str(), settings.log.format), ("warn", LogFormat::Json));
}

#[test]
fn all_problems_are_listed_together() {
    let file = "colour = 1\n[server]\nlisten = \"here\"\nworkers = \"many\"\npublic_url = \"http://h.example\"\nlissten = \"x\"\n\
                [database]\nurl = \"mysql://h\"\n[tokens]\nsigning_alg = \"HS256\"\n[tls]\n[server.workers2]\nx = 1\n";
    let env = [("MINTMARK__LOG__LEVEL", "loud"), ("MINTMARK__LOG__LEVL", "info"), ("MINTMARK__SERVER", "x")];
    let error = load(file, &env).unwrap_err();
    let keys: Vec<&str> = error.problems.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "MINTMARK__LOG__LEVL",
            "MINTMARK__SERVER",
            "colour",
            "database.url",
            "log.level",
            "server.lissten",
            "server.listen",
            "server.public_url",
            "server.workers",
            "server.workers2.x",
            "tls",
            "tokens.signing_alg",
        ]
    );
    let text = error.to_string();
    assert!(text.contains("12 problems"), "{text}");
    assert!(text.contains("Did you mean server.listen?"), "{text}");
    assert!(text.contains("Did you mean MINTMARK__LOG__LEVEL?"), "{text}");
    assert!(text.contains("log.level (set by MINTMARK__LOG__LEVEL)"), "{text}");
    assert!(text.contains("it must be a whole number, not a string"), "{text}");
    assert!(error.problems.iter().all(|problem| !problem.reason.is_empty() && !problem.remedy.is_empty()));
}

#[test]
fn a_value_of_another_type_or_in_another_case_is_refused() {
    for (file, key) in [
        ("server.workers = \"2\"", "server.workers"),
        ("server.workers = 2.0", "server.workers"),
        ("server.workers = true", "server.workers"),
        ("server.listen = 8080", "server.listen"),
        ("server.listen = []", "server.listen"),
        ("server.trusted_proxies = \"10.0.0.0/8\"", "server.trusted_proxies"),
        ("server.trusted_proxies = [1]", "server.trusted_proxies"),
        ("[server.listen]\nx = 1", "server.listen.x"),
        ("[server.listen]", "server.listen"),
        ("server = 1", "server"),
        ("log.format = \"TEXT\"", "log.format"),
    ] {
        assert_eq!(problem(file).0, key, "{file}");
    }
    let keys: Vec<String> =
        problems("", &[("MINTMARK__SERVER__WORKERS", "")]).into_iter().map(|problem| problem.key).collect();
    assert_eq!(keys, ["server.workers"]);
}

#[test]
fn ranges_are_inclusive() {
    for (key, from, to) in [
        ("server.workers", 0, 1024),
        ("server.request_timeout_seconds", 1, 300),
        ("server.keep_alive_seconds", 0, 3600),
        ("server.drain_seconds", 0, 300),
        ("server.shutdown_timeout_seconds", 1, 3600),
        ("server.max_connections", 1, 1_000_000),
        ("database.max_connections", 1, 1000),
        ("keys.rotate_every_days", 0, 3650),
        ("tokens.default_lifetime_seconds", 60, 31_536_000),
        ("tokens.record_above_seconds", 60, 86_400),
        ("tokens.serve_stale_seconds", 0, 86_400),
        ("status_lists.ttl_seconds", 1, 3600),
        ("audit.keep_days", 0, 3650),
    ] {
        for good in [from, to] {
            assert!(load(&format!("{key} = {good}"), &[]).is_ok(), "{key} = {good}");
        }
        for bad in [from - 1, to + 1, i64::MIN, i64::MAX] {
            assert_eq!(problem(&format!("{key} = {bad}")).0, key);
        }
    }
    assert!(load("keys.jwks_max_age_seconds = 1\nkeys.pending_seconds = 1", &[]).is_ok());
    assert!(load("keys.jwks_max_age_seconds = 86400\nkeys.pending_seconds = 2592000", &[]).is_ok());
    assert_eq!(problem("keys.jwks_max_age_seconds = 0").0, "keys.jwks_max_age_seconds");
    assert_eq!(problem("keys.jwks_max_age_seconds = 86401").0, "keys.jwks_max_age_seconds");
    assert_eq!(problem("keys.pending_seconds = 2592001").0, "keys.pending_seconds");
}

#[test]
fn invalid_values_and_contradictions_are_refused_with_the_reason() {
    for (file, key, reason) in [
        ("console.second_factor = \"sometimes\"", "console.second_factor", "is not a valid value"),
        (
            "server.public_url = \"https://t.example\"\nconsole.second_factor = \"optional\"",
            "console.second_factor",
            "a service that others can reach",
        ),
        ("keys.pending_seconds = 299", "keys.pending_seconds", "less than keys.jwks_max_age_seconds"),
        (
            "keys.pending_seconds = 90000\nkeys.rotate_every_days = 1",
            "keys.rotate_every_days",
            "before they sign",
        ),
        (
            "keys.master_key = \"canary\"\nkeys.master_key_file = \"f\"",
            "keys.master_key",
            "only one master key",
        ),
        ("keys.master_key_file = \"\"", "keys.master_key_file", "no master key"),
        (
            "server.management_listen = \"127.0.0.1:8080\"",
            "server.management_listen",
            "same address as server.listen",
        ),
        ("server.management_listen = \"8081\"", "server.management_listen", "not an IP address with a port"),
        ("server.listen = \"127.0.0.1:0\"", "server.public_url", "has port 0"),
        ("server.management_listen = \"0.0.0.0:8081\"", "server.management_url", "is not loopback"),
        ("server.management_listen = \"127.0.0.1:0\"", "server.management_url", "has port 0"),
        ("server.management_url = \"https://m.example\"", "server.management_url", "is not set"),
        (
            "server.management_listen = \"127.0.0.1:8081\"\nserver.management_url = \"https://m.example/a\"",
            "server.management_url",
            "has a path",
        ),
        (
            "server.management_listen = \"127.0.0.1:8081\"\nserver.management_url = \"http://m.example\"",
            "server.management_url",
            "not loopback",
        ),
        ("server.trusted_proxies = [\"0.0.0.0/0\"]", "server.trusted_proxies", "trusts everyone"),
        ("server.trusted_proxies = [\"::/0\"]", "server.trusted_proxies", "trusts everyone"),
        ("server.trusted_proxies = [\"::ffff:0:0/96\"]", "server.trusted_proxies", "trusts everyone"),
        ("server.trusted_proxies = [\"proxy.local\"]", "server.trusted_proxies", "not a network"),
        ("verify.token_headers = [\"X Token\"]", "verify.token_headers", "not a valid header name"),
        ("verify.token_headers = [\"\"]", "verify.token_headers", "not a valid header name"),
        ("verify.token_headers = [\"AUTHORIZATION\"]", "verify.token_headers", "always read"),
        ("verify.token_headers = [\"x-token\", \"X-Token\"]", "verify.token_headers", "listed twice"),
        ("tokens.default_audience = \"http://127.0.0.1:8080\"", "tokens.default_audience", "is the issuer"),
        ("tokens.default_audience = \"products\"", "tokens.default_audience", "absolute URI"),
        ("tokens.default_audience = \"https://a.example#b\"", "tokens.default_audience", "absolute URI"),
        ("database.url = \"sqlite://\"", "database.url", "has no path"),
        ("database.url = \"sqlite://:memory:\"", "database.url", "lose every API client"),
        ("database.url = \"sqlite://a.db?mode=ro\"", "database.url", "takes no options"),
    ] {
        let (found, text) = problem(file);
        assert_eq!(found, key, "{file}");
        assert!(text.contains(reason), "{file}: {text}");
        assert!(!text.contains("canary"), "{text}");
    }
    // An empty key file does not contradict the key, and a problem with one setting does not cause a second problem.
    assert!(load("keys.master_key = \"x\"\nkeys.master_key_file = \"\"", &[]).is_ok());
    assert_eq!(problem("keys.jwks_max_age_seconds = 90000").0, "keys.jwks_max_age_seconds");
}

#[test]
fn tls_needs_both_files_and_an_https_issuer() {
    let folder = tempfile::tempdir().unwrap();
    let pem = folder.path().join("some.pem");
    std::fs::write(&pem, "").unwrap();
    let pem = pem.to_str().unwrap();
    let cert = format!("server.tls.cert_file = \"{pem}\"\n");
    let key = format!("server.tls.key_file = \"{pem}\"\n");
    let issuer = "server.public_url = \"https://h.example\"\n";
    assert!(load(&format!("{cert}{key}{issuer}"), &[]).unwrap().server.tls.is_some());
    assert_eq!(problem(&format!("{cert}{issuer}")).0, "server.tls.key_file");
    assert_eq!(problem(&format!("{key}{issuer}")).0, "server.tls.cert_file");
    assert!(problem(&format!("{cert}{key}")).1.contains("https URL"));
    assert!(
        problem(&format!("{cert}{key}server.public_url = \"http://localhost\"")).1.contains("speaks https")
    );
    let (name, text) = problem(&format!("{cert}server.tls.key_file = \"{pem}x\"\n{issuer}"));
    assert_eq!(name, "server.tls.key_file");
    assert!(text.contains("cannot be read"), "{text}");
    // A folder can be opened, but it is no PEM file.
    let (name, text) = problem(&format!("{cert}server.tls.key_file = \"/\"\n{issuer}"));
    assert_eq!(name, "server.tls.key_file");
    assert!(text.contains("cannot be read"), "{text}");
}

#[test]
fn secrets_are_never_shown() {
    let file = "[database]\nurl = \"postgres://me:canary@db.example/mintmark?sslpassword=canary\"\n[keys]\nmaster_key = \"canary\"\n";
    let settings = load(file, &[]).unwrap();
    let url = "postgres://me:[redacted]@db.example/mintmark?sslpassword=[redacted]";
    assert_eq!(shown(&settings, "database.url"), (url.into(), Source::File));
    assert_eq!(shown(&settings, "keys.master_key").0, REDACTED);
    assert!(!format!("{settings:?}").contains("canary"));
    assert!(!serde_json::to_string(settings.effective()).unwrap().contains("canary"));
    assert!(settings.database.url.expose().contains("canary"));
    // The unescaped & ends the value of `password`: the rest becomes parameters with unknown names.
    let cut = load("database.url = \"postgres://db.example/m?password=can&ary&canary=1\"", &[]).unwrap();
    let cut = shown(&cut, "database.url").0.to_string();
    assert!(!cut.contains("ary"), "{cut}");
    for broken in [
        "keys.master_key = [\"canary\"]",
        "database.url = \"postgres://me:can/ary@db.example/m\"",
        "database.url = \"postgres://me:12/canary@db.example/m\"",
        "database.url = \"postgres://me:12#canary@db.example/m\"",
        "database.url = \"postgres://me:12?canary@db.example/m\"",
        "database.url = \"postgres://me:?canary@db.example/m\"",
        "database.url = \"postgres://me:12/can?ary@db.example/m\"",
        "database.url = \"postgresql://me:12?password=can&ary@db.example/m\"",
        "database.url = \"canary\"",
        "database.url = \"postgres://me:p w@h/canary\"",
    ] {
        let text = problem(broken).1;
        assert!(!text.contains("canary") && !text.contains("ary@"), "{text}");
    }
}

#[test]
fn a_secret_can_be_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("url");
    std::fs::write(&path, "postgres://me:pw@h/db\n").unwrap();
    let path = path.to_str().unwrap();
    let settings = load("", &[("MINTMARK__DATABASE__URL_FILE", path)]).unwrap();
    assert_eq!(settings.database.url.expose(), "postgres://me:pw@h/db");
    assert_eq!(shown(&settings, "database.url").1, Source::Env);

    let both = [("MINTMARK__DATABASE__URL_FILE", path), ("MINTMARK__DATABASE__URL", "sqlite://x.db")];
    let twice = problems("", &both);
    assert!(
        twice.iter().any(|problem| problem.key == "database.url" && problem.reason.contains("set twice"))
    );
    let missing = problems("", &[("MINTMARK__DATABASE__URL_FILE", "/nowhere/url")]);
    assert!(missing[0].reason.contains("cannot be read: /nowhere/url"), "{missing:?}");
    // Of the settings without `_FILE` in their own name, only database.url can be read from a file.
    assert_eq!(problems("", &[("MINTMARK__LOG__LEVEL_FILE", path)])[0].key, "MINTMARK__LOG__LEVEL_FILE");

    // `keys.master_key_file` is a setting itself, whose file is not read with the settings.
    let settings = load("", &[("MINTMARK__KEYS__MASTER_KEY_FILE", "/run/secrets/master")]).unwrap();
    let master_key = MasterKey::File { path: "/run/secrets/master".into(), explicit: true };
    assert_eq!(settings.keys.master_key, master_key);
}

#[test]
fn a_file_that_cannot_be_used_is_named() {
    let missing = Settings::load(Some(Path::new("/nowhere/my.toml")), std::iter::empty()).unwrap_err();
    assert!(missing.to_string().contains("/nowhere/my.toml: it cannot be read"), "{missing}");
    let broken = problem("server.listen = 1\nserver.listen = 2");
    assert!(broken.0.ends_with("mintmark.toml") && broken.1.contains("line 2"), "{broken:?}");
}

#[test]
fn white_space_at_the_end_of_a_value_does_not_count() {
    let file = "[server]\nlisten = \"127.0.0.1:9000 \"\npublic_url = \"https://tokens.example.com\\n\"\n\
                trusted_proxies = [\"10.0.0.0/8\\r\\n\"]\n[tokens]\nsigning_alg = \"EdDSA\\t \"\n";
    let secret = std::env::temp_dir().join(format!("mintmark-url-{}", std::process::id()));
    std::fs::write(&secret, "sqlite://data/other.db \r\n").unwrap();
    let env = [
        ("MINTMARK__SERVER__WORKERS", "5\n"),
        ("MINTMARK__LOG__FORMAT", "json\r\n"),
        ("MINTMARK__VERIFY__TOKEN_HEADERS", "X-Token \n"),
        ("MINTMARK__DATABASE__URL_FILE", &format!("{}\n", secret.display())),
    ];
    let settings = load(file, &env).unwrap();
    std::fs::remove_file(&secret).unwrap();
    assert_eq!(settings.server.listen.to_string(), "127.0.0.1:9000");
    assert_eq!(settings.server.public_url.as_str(), "https://tokens.example.com");
    assert_ne!(settings.server.trusted_proxies, TrustedProxies::default());
    assert_eq!(settings.tokens.signing_alg, Alg::EdDSA);
    assert_eq!(settings.server.workers, 5);
    assert_eq!(settings.log.format, LogFormat::Json);
    assert_eq!(settings.verify.token_headers, ["x-token"]);
    assert_eq!(settings.database.url.expose(), "sqlite://data/other.db");
}

#[test]
fn the_console_has_the_origin_of_the_issuer_or_of_the_management_listener() {
    for (file, origin) in [
        ("server.public_url = \"https://t.example/tenant\"", "https://t.example"),
        ("server.management_listen = \"127.0.0.1:8081\"", "http://127.0.0.1:8081"),
        (
            "server.management_listen = \"0.0.0.0:8081\"\nserver.management_url = \"https://m.example\"",
            "https://m.example",
        ),
    ] {
        let settings = Settings::from_toml_layers(&[file]).unwrap();
        assert_eq!(settings.server.console_origin(), origin, "{file}");
    }
}
