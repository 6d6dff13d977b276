//! The parts of a mail, before they are put into a template.

use super::MailFacts;
use super::changes::Change;
use crate::model::ids::is_client_id;

/// A fact of a mail: `Workspace: acme-in`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) value: String,
    /// Whether it is an id, an address or the like, set in type of one width.
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

/// How a mail looks at first sight. It is also said in words.
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
    /// What happened, in a few words without any text of others: the heading and the begin of the subject.
    pub(super) headline: String,
    /// What it means.
    pub(super) lead: Vec<String>,
    /// What was before and is now.
    pub(super) changes: Vec<Change>,
    /// The facts of this kind of mail.
    pub(super) rows: Vec<Row>,
    /// What comes before the advice.
    pub(super) advice_title: &'static str,
    /// What to do.
    pub(super) advice: Vec<String>,
    /// The page of the console about it, from its root.
    pub(super) page: Option<String>,
    /// What that page shows.
    pub(super) page_name: &'static str,
    /// A link that the mail is about.
    pub(super) link: Option<String>,
    pub(super) tone: Tone,
    /// The tone in words, since a colour alone says nothing to many readers.
    pub(super) tone_word: &'static str,
    /// Whether it goes to the person whom it is about, whose name is not in the subject.
    pub(super) is_personal: bool,
}

impl Letter {
    /// A mail that something happened.
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

    /// A mail that something will happen.
    pub(super) fn warning(headline: impl Into<String>) -> Self {
        Self { advice_title: "What to do", tone: Tone::Warning, tone_word: "Reminder", ..Self::new(headline) }
    }

    /// A mail that something has ended.
    pub(super) fn ended(headline: impl Into<String>) -> Self {
        Self { tone: Tone::Ended, tone_word: "Access has ended", ..Self::new(headline) }
    }

    /// A sentence of what it means.
    pub(super) fn says(mut self, sentence: impl Into<String>) -> Self {
        self.lead.push(sentence.into());
        self
    }

    /// The same, if there is one.
    pub(super) fn may_say(mut self, sentence: Option<String>) -> Self {
        self.lead.extend(sentence);
        self
    }

    /// A fact, if there is one.
    pub(super) fn row(mut self, row: Option<Row>) -> Self {
        self.rows.extend(row);
        self
    }

    /// A sentence of advice.
    pub(super) fn advises(mut self, sentence: impl Into<String>) -> Self {
        self.advice.push(sentence.into());
        self
    }

    /// The page of the console that it is about, if it does not say another.
    pub(super) fn of(mut self, mail: &MailFacts) -> Self {
        if self.page.is_none() && mail.kind.is_about_client() && is_client_id(&mail.about_id) {
            self.page = Some(format!("/api-clients/{}", mail.about_id));
        }
        // The page of what was deleted is gone.
        if self.page.as_deref() == Some("") {
            self.page = None;
        }
        self
    }

    /// The class of its colour.
    pub(super) fn tone_name(&self) -> &'static str {
        match self.tone {
            Tone::Plain => "plain",
            Tone::Warning => "warning",
            Tone::Ended => "ended",
        }
    }

    /// Its colour on white.
    pub(super) fn tone_colour(&self) -> &'static str {
        match self.tone {
            Tone::Plain => "#0b7a5b",
            Tone::Warning => "#7a4d00",
            Tone::Ended => "#b3261e",
        }
    }
}
