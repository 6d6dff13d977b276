//! The parts of a mail, before they are put into a template.

use super::MailFacts;
use super::changes::Change;
use crate::model::ids::is_client_id;

/// A fact of a mail: `Workspace: acme-in`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) value: String,
    /// Whether the value is an id, an address or the like, which is shown in a monospaced font.
    pub(super) is_code: bool,
}

impl Row {
    pub(super) fn new(name: &'static str, value: impl Into<String>) -> Self {
        Self { name, value: value.into(), is_code: false }
    }

    pub(super) fn code(name: &'static str, value: impl Into<String>) -> Self {
        Self { is_code: true, ..Self::new(name, value) }
    }
}

/// How a mail looks at first sight. [`Letter::tone_word`] says it in words, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    /// Something was done.
    Plain,
    /// Something will happen unless somebody acts.
    Warning,
    /// Something has ended.
    Ended,
}

/// What a mail says.
#[derive(Debug)]
pub(super) struct Letter {
    /// What happened, in a few words without labels or names: the heading and the beginning of the subject.
    pub(super) headline: String,
    /// What that means, in sentences.
    pub(super) lead: Vec<String>,
    /// The settings that were changed, each before and after.
    pub(super) changes: Vec<Change>,
    /// The facts of this kind of mail.
    pub(super) rows: Vec<Row>,
    /// The heading of the advice.
    pub(super) advice_title: &'static str,
    /// What to do.
    pub(super) advice: Vec<String>,
    /// The path of the page that the mail links to, below `/console`. A mail that must link to no page sets an empty path,
    /// which [`Letter::of`] turns into `None`.
    pub(super) page: Option<String>,
    /// What the link to that page is called.
    pub(super) page_name: &'static str,
    /// The link that the mail is about: a setup link.
    pub(super) link: Option<String>,
    pub(super) tone: Tone,
    /// The tone in words, since a colour alone says nothing to many readers.
    pub(super) tone_word: &'static str,
    /// Whether the mail goes to the person whom it is about. Their name is then not in the subject.
    pub(super) is_personal: bool,
}

impl Letter {
    /// A mail that says that something happened.
    pub(super) fn new(headline: impl Into<String>) -> Self {
        Self {
            headline: headline.into(),
            lead: Vec::new(),
            changes: Vec::new(),
            rows: Vec::new(),
            advice_title: "If you did not expect this",
            advice: Vec::new(),
            page: None,
            page_name: "The API client in the console",
            link: None,
            tone: Tone::Plain,
            tone_word: "For your information",
            is_personal: false,
        }
    }

    /// A mail that warns that something will happen.
    pub(super) fn warning(headline: impl Into<String>) -> Self {
        Self { advice_title: "What to do", tone: Tone::Warning, tone_word: "Reminder", ..Self::new(headline) }
    }

    /// A mail that says that something has ended.
    pub(super) fn ended(headline: impl Into<String>) -> Self {
        Self { tone: Tone::Ended, tone_word: "Access has ended", ..Self::new(headline) }
    }

    /// Adds a sentence to the lead.
    pub(super) fn says(mut self, sentence: impl Into<String>) -> Self {
        self.lead.push(sentence.into());
        self
    }

    /// Adds a sentence to the lead, if there is one.
    pub(super) fn may_say(mut self, sentence: Option<String>) -> Self {
        self.lead.extend(sentence);
        self
    }

    /// Adds a fact, if there is one.
    pub(super) fn row(mut self, row: Option<Row>) -> Self {
        self.rows.extend(row);
        self
    }

    /// Adds a sentence of advice.
    pub(super) fn advises(mut self, sentence: impl Into<String>) -> Self {
        self.advice.push(sentence.into());
        self
    }

    /// Sets the page to that of the API client that `mail` is about, if the letter names no page itself.
    pub(super) fn of(mut self, mail: &MailFacts) -> Self {
        if self.page.is_none() && mail.kind.is_about_client() && is_client_id(&mail.about_id) {
            self.page = Some(format!("/api-clients/{}", mail.about_id));
        }
        // No page, for example because the client was deleted.
        if self.page.as_deref() == Some("") {
            self.page = None;
        }
        self
    }

    /// The CSS class of the tone.
    pub(super) fn tone_name(&self) -> &'static str {
        match self.tone {
            Tone::Plain => "plain",
            Tone::Warning => "warning",
            Tone::Ended => "ended",
        }
    }

    /// The colour of the tone, on a white background.
    pub(super) fn tone_colour(&self) -> &'static str {
        match self.tone {
            Tone::Plain => "#0b7a5b",
            Tone::Warning => "#7a4d00",
            Tone::Ended => "#b3261e",
        }
    }
}
