//! Operators who are signed in: created and signed in by calls of the service, so that tests of pages need not open the
//! sign-in pages.

use mintmark::kernel::Manager;
use mintmark::model::member::Member;
use mintmark::model::operator::Role;
use mintmark::operators::{OperatorChange, SignedIn, Source, WayIn};
use serde_json::Value;

use super::{Browser, TestApp};

/// A passkey that nothing has verified: that is the work of the setup page, which is skipped here.
fn passkey(credential_id: &[u8]) -> WayIn {
    WayIn::Passkey {
        credential_id: credential_id.to_vec(),
        public_key: vec![1],
        alg: -7,
        sign_count: 0,
        name: "Laptop".to_owned(),
    }
}

impl TestApp {
    /// The browser of a new operator with these roles, signed in.
    pub(crate) async fn operator(&self, email: &str, roles: Vec<Role>) -> Browser<'_> {
        let operators = &self.core.services.operators;
        let change = OperatorChange {
            email: Member::Value(email.to_owned()),
            name: Member::Value(email.split('@').next().unwrap().to_owned()),
            roles: Member::Value(roles),
            ..OperatorChange::default()
        };
        let made = operators.create_operator(&Manager::command_line(), &change, None).await.unwrap();
        let token = made.setup_link.url().rsplit('/').next().unwrap().to_owned();
        operators.use_setup_link(&token, passkey(email.as_bytes()), &Source::default()).await.unwrap();
        self.signed_in(email).await
    }

    /// Sets up a passkey with the setup link in a reply of `/v1/operators`.
    pub(crate) async fn use_setup_link(&self, reply: &Value) -> SignedIn {
        let (_, token) = reply["setup_link"].as_str().unwrap().rsplit_once('/').unwrap();
        self.core.services.operators.use_setup_link(token, passkey(&[1]), &Source::default()).await.unwrap()
    }

    /// Another browser of an operator that [`TestApp::operator`] made, with its own session.
    pub(crate) async fn signed_in(&self, email: &str) -> Browser<'_> {
        let operators = &self.core.services.operators;
        let passkey = operators.passkey(email.as_bytes()).await.unwrap().unwrap();
        let signed_in = operators.passkey_used(&passkey, 0, &Source::default()).await.unwrap().unwrap();
        let session = operators.start_session(&signed_in, &Source::default()).await.unwrap().unwrap();
        let browser = Browser::new(self);
        browser.set_cookie("mintmark", &session.cookie);
        browser
    }

    /// A platform administrator, signed in.
    pub(crate) async fn platform_admin(&self) -> Browser<'_> {
        self.operator("root@example.com", vec![Role::PlatformAdmin]).await
    }
}
