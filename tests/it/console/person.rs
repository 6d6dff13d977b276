//! Operators for tests of the sign-in pages: created, set up through their setup link, signed in.

use mintmark::kernel::{Manager, Precondition};
use mintmark::model::member::Member;
use mintmark::model::operator::Role;
use mintmark::operators::OperatorChange;
use ring::hmac;
use serde_json::Value;

use crate::support::{Authenticator, Browser, Engine, HtmlForm, Page, TestApp};

pub(crate) const PASSWORD: &str = "correct horse battery";

/// An app whose public URL has a host name, which passkeys need.
pub(crate) async fn named_app(engine: Engine) -> TestApp {
    TestApp::start_with(engine, "server.public_url = \"http://localhost:{port}\"").await
}

/// A browser that opens the app of [`named_app`] by its host name.
pub(crate) fn named_browser(app: &TestApp) -> Browser<'_> {
    Browser::at(app, &app.base.replace("127.0.0.1", "localhost"))
}

/// An operator with a setup link.
pub(crate) struct Person {
    pub(crate) operator_id: String,
    pub(crate) email: String,
    /// The path of the setup link.
    pub(crate) link: String,
    /// The key of the authenticator app; empty before it is set up.
    pub(crate) key: Vec<u8>,
    /// The recovery codes; empty before the authenticator app is set up.
    pub(crate) codes: Vec<String>,
}

impl Person {
    /// A platform administrator with this email address.
    pub(crate) async fn new(app: &TestApp, email: &str) -> Self {
        Self::with(app, email, vec![Role::PlatformAdmin]).await
    }

    /// An operator with these roles.
    pub(crate) async fn with(app: &TestApp, email: &str, roles: Vec<Role>) -> Self {
        let change = OperatorChange {
            email: Member::Value(email.to_owned()),
            name: Member::Value(format!("Name of {email}")),
            roles: Member::Value(roles),
            ..OperatorChange::default()
        };
        let operators = &app.core.services.operators;
        let created = operators.create_operator(&Manager::command_line(), &change, None).await.unwrap();
        Self {
            operator_id: created.operator.operator_id,
            email: email.to_owned(),
            link: path_of(created.setup_link.url()),
            key: Vec::new(),
            codes: Vec::new(),
        }
    }

    /// Changes the operator, as the command line does.
    pub(crate) async fn change(&self, app: &TestApp, change: &OperatorChange) {
        let operators = &app.core.services.operators;
        let manager = Manager::command_line();
        operators.change_operator(&manager, &self.operator_id, &Precondition::None, change).await.unwrap();
    }

    /// Makes a new setup link, which replaces the old one. Returns its path.
    pub(crate) async fn new_link(&self, app: &TestApp) -> String {
        let operators = &app.core.services.operators;
        let link = operators.new_setup_link(&Manager::command_line(), &self.operator_id).await.unwrap();
        path_of(link.url())
    }

    /// The code that the authenticator app shows now.
    pub(crate) fn code(&self, app: &TestApp) -> String {
        code(&self.key, app)
    }

    /// Sets up a password and an authenticator app through the setup link, which also signs in.
    pub(crate) async fn set_up(mut self, app: &TestApp, browser: &Browser<'_>) -> Self {
        let page = browser.get(&self.link).await.must_be(200);
        self.key = key_on(&page);
        let form = page.forms().into_iter().find(|form| form.action == self.link).unwrap();
        let form = form.with("password", PASSWORD).with("code", &self.code(app));
        let page = browser.submit(&form.with("next", "/console/account")).await.must_be(200);
        assert_eq!(page.title(), "Keep your recovery codes – Mintmark");
        self.codes = page.by_id("codes").split(' ').map(str::to_owned).collect();
        let page = browser.submit(&page.form("/stored")).await.must_be(200);
        assert_eq!(page.title(), "Your account – Mintmark");
        // The 30 seconds of the code that was used are over, so the app shows a new one.
        app.clock.advance(30);
        self
    }

    /// Signs in with the password and a code of the authenticator app.
    pub(crate) async fn sign_in(&self, app: &TestApp, browser: &Browser<'_>) -> Page {
        let page = self.send_password(browser, PASSWORD).await;
        let page = browser.follow(page).await.must_be(200);
        assert_eq!(page.title(), "Enter a code – Mintmark");
        let page = browser.submit(&page.form("/sign-in/code").with("code", &self.code(app))).await;
        app.clock.advance(30);
        page
    }

    /// Sends the sign-in form with this password. Returns the reply: after the right password, a redirect.
    pub(crate) async fn send_password(&self, browser: &Browser<'_>, password: &str) -> Page {
        let page = browser.get("/console/sign-in?next=/console/account").await.must_be(200);
        let form = password_form(&page).with("email", &self.email).with("password", password);
        browser.send(&form).await
    }

    /// Sets up a passkey through the setup link, which also signs in.
    pub(crate) async fn set_up_passkey(&self, browser: &Browser<'_>) -> Authenticator {
        let mut passkey = Authenticator::new(browser.origin());
        let page = browser.get(&format!("{}?next=/console/account", self.link)).await.must_be(200);
        let form = page.form("/passkey");
        let answer = passkey.register(&options(browser, &form).await);
        let page = browser.submit(&form.with("credential", &answer)).await.must_be(200);
        assert_eq!(page.title(), "Your account – Mintmark");
        passkey
    }
}

/// Signs in with a passkey, without an email address.
pub(crate) async fn sign_in_with(browser: &Browser<'_>, passkey: &mut Authenticator) -> Page {
    let page = browser.get("/console/sign-in?next=/console/account").await.must_be(200);
    let form = page.form("/sign-in/passkey");
    let answer = passkey.sign_in(&options(browser, &form).await);
    browser.send(&form.with("credential", &answer)).await
}

/// The WebAuthn options that the script of a page asks for, for this form.
pub(crate) async fn options(browser: &Browser<'_>, form: &HtmlForm) -> Value {
    let mut asks = form.clone();
    asks.action.push_str("/options");
    let reply = browser.send(&asks).await.must_be(200);
    assert_eq!(reply.header("content-type"), "application/json");
    serde_json::from_str(&reply.html).unwrap()
}

/// The form of the sign-in page that takes a password.
pub(crate) fn password_form(page: &Page) -> HtmlForm {
    page.forms().into_iter().find(|form| form.action == "/console/sign-in").unwrap()
}

/// The key that a page shows for an authenticator app, decoded from base32.
pub(crate) fn key_on(page: &Page) -> Vec<u8> {
    let (mut key, mut buffer, mut bits) = (Vec::new(), 0_u32, 0);
    for letter in page.by_id("totp-key").chars().filter(|c| !c.is_whitespace()) {
        let value = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".find(letter).unwrap();
        buffer = (buffer << 5 | u32::try_from(value).unwrap()) & 0xffff;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            key.push(u8::try_from(buffer >> bits & 0xff).unwrap());
        }
    }
    assert_eq!(key.len(), 20);
    key
}

/// The code (RFC 6238) that an authenticator app with this key shows now.
pub(crate) fn code(key: &[u8], app: &TestApp) -> String {
    let step = app.core.services.clock().now() / 30;
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let at = usize::from(tag.as_ref()[19] & 15);
    let word = u32::from_be_bytes(tag.as_ref()[at..at + 4].try_into().unwrap());
    format!("{:06}", (word & 0x7fff_ffff) % 1_000_000)
}

fn path_of(url: &str) -> String {
    url[url.find("/console/setup/").unwrap()..].to_owned()
}
