//! A browser without scripts, as far as tests need one: it keeps cookies, follows redirects, reads forms and sends them.
//!
//! It checks that every page of the console has a title, a language, one main heading, unique ids, security headers, and no
//! inline scripts or styles.

use std::collections::BTreeMap;
use std::sync::Mutex;

use reqwest::Method;
use reqwest::header::HeaderMap;

use super::TestApp;

/// A browser with its cookies.
pub(crate) struct Browser<'a> {
    app: &'a TestApp,
    cookies: Mutex<BTreeMap<String, String>>,
    /// The values of all `Set-Cookie` headers so far.
    lines: Mutex<Vec<String>>,
    origin: String,
}

impl<'a> Browser<'a> {
    /// A browser without cookies.
    pub(crate) fn new(app: &'a TestApp) -> Self {
        Self { app, cookies: Mutex::default(), lines: Mutex::default(), origin: app.base.clone() }
    }

    /// A browser without cookies whose pages have this origin, such as one with a host name in place of an IP address.
    pub(crate) fn at(app: &'a TestApp, origin: &str) -> Self {
        Self { origin: origin.to_owned(), ..Self::new(app) }
    }

    /// The origin of its pages.
    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// Sets a cookie.
    pub(crate) fn set_cookie(&self, name: &str, value: &str) {
        self.cookies.lock().unwrap().insert(name.to_owned(), value.to_owned());
    }

    /// The value of a cookie.
    pub(crate) fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.lock().unwrap().get(name).cloned()
    }

    /// Removes a cookie.
    pub(crate) fn forget(&self, name: &str) {
        self.cookies.lock().unwrap().remove(name);
    }

    /// Every `Set-Cookie` of that name so far.
    pub(crate) fn cookie_lines(&self, name: &str) -> Vec<String> {
        let lines = self.lines.lock().unwrap();
        lines.iter().filter(|line| line.split('=').next() == Some(name)).cloned().collect()
    }

    /// Another tab: a browser with a copy of the cookies.
    pub(crate) fn tab(&self) -> Self {
        let cookies = self.cookies.lock().unwrap().clone();
        Self { cookies: Mutex::new(cookies), ..Self::at(self.app, &self.origin) }
    }

    /// This browser with the cookies and the origin of `other`, as if `other` sent its requests to the app of this browser.
    pub(crate) fn with_cookies_of(self, other: &Browser<'_>) -> Self {
        let cookies = other.cookies.lock().unwrap().clone();
        Self { cookies: Mutex::new(cookies), origin: other.origin.clone(), ..self }
    }

    /// A GET, without following a redirect.
    pub(crate) async fn get(&self, path: &str) -> Page {
        self.request(Method::GET, path, None, &[]).await
    }

    /// A GET that follows redirects.
    pub(crate) async fn open(&self, path: &str) -> Page {
        let first = self.get(path).await;
        self.follow(first).await
    }

    /// Follows redirects from a page.
    pub(crate) async fn follow(&self, mut page: Page) -> Page {
        for _ in 0..8 {
            if page.status != 303 {
                return page;
            }
            page = self.get(&page.location()).await;
        }
        panic!("too many redirects: {}", page.path);
    }

    /// Sends a form, as the button of its page does, without following a redirect. Every line end is sent as CR LF.
    pub(crate) async fn send(&self, form: &HtmlForm) -> Page {
        let origin = [("origin", self.origin.as_str()), ("sec-fetch-site", "same-origin")];
        self.request(Method::POST, &form.action, Some(&form.fields), &origin).await
    }

    /// Sends a form and follows redirects.
    pub(crate) async fn submit(&self, form: &HtmlForm) -> Page {
        let page = self.send(form).await;
        self.follow(page).await
    }

    /// Sends a form with these headers in place of `Origin` and `Sec-Fetch-Site`.
    pub(crate) async fn send_with(&self, form: &HtmlForm, headers: &[(&str, &str)]) -> Page {
        self.request(Method::POST, &form.action, Some(&form.fields), headers).await
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        fields: Option<&[(String, String)]>,
        headers: &[(&str, &str)],
    ) -> Page {
        let mut request = self.app.request(method, path);
        let cookies: Vec<String> =
            self.cookies.lock().unwrap().iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() {
            request = request.header("cookie", cookies.join("; "));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(fields) = fields {
            let crlf = |text: &str| text.replace("\r\n", "\n").replace('\r', "\n").replace('\n', "\r\n");
            let fields = fields.iter().map(|(name, value)| (name, crlf(value)));
            request = request.form(&fields.collect::<Vec<_>>());
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        for line in headers.get_all("set-cookie") {
            let line = line.to_str().unwrap();
            self.lines.lock().unwrap().push(line.to_owned());
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            if line.contains("Max-Age=0") {
                self.cookies.lock().unwrap().remove(name);
            } else {
                self.set_cookie(name, value);
            }
        }
        let page = Page { path: path.to_owned(), status, headers, html: response.text().await.unwrap() };
        page.must_follow_the_rules_of_the_console();
        page
    }
}

/// A page that a browser got.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) path: String,
    pub(crate) status: u16,
    headers: HeaderMap,
    pub(crate) html: String,
}

impl Page {
    /// A header, empty if it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Every header except the named ones, sorted.
    pub(crate) fn headers_but(&self, names: &[&str]) -> Vec<(String, String)> {
        let all = self.headers.iter().filter(|(name, _)| !names.contains(&name.as_str()));
        let mut all: Vec<_> =
            all.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
        all.sort();
        all
    }

    /// Where a redirect leads.
    #[track_caller]
    pub(crate) fn location(&self) -> String {
        assert_eq!(self.status, 303, "{}: {}", self.path, self.text());
        self.header("location").to_owned()
    }

    /// Checks the status.
    #[track_caller]
    pub(crate) fn must_be(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}: {}", self.path, self.text());
        self
    }

    /// The text of the first element with this tag; empty if there is none.
    pub(crate) fn inside(&self, tag: &str) -> String {
        let open = self.html.find(&format!("<{tag}")).map(|at| &self.html[at..]).unwrap_or_default();
        let body = open.split_once('>').map(|(_, rest)| rest).unwrap_or_default();
        text_of(body.split(&format!("</{tag}>")).next().unwrap_or_default())
    }

    /// The title.
    pub(crate) fn title(&self) -> String {
        self.inside("title")
    }

    /// The text of the element with that `id`.
    pub(crate) fn by_id(&self, id: &str) -> String {
        let at =
            self.html.find(&format!("id=\"{id}\"")).unwrap_or_else(|| panic!("no {id}: {}", self.text()));
        let start = self.html[..at].rfind('<').unwrap();
        let tag = self.html[start + 1..].split([' ', '>']).next().unwrap();
        let body = self.html[at..].split_once('>').unwrap().1;
        let (open, close) = (format!("<{tag}"), format!("</{tag}>"));
        let (mut depth, mut end) = (1, 0);
        while depth > 0 {
            let next = body[end..].find(&close).unwrap() + end;
            depth += body[end..next].matches(&open).count();
            depth -= 1;
            end = next + close.len();
        }
        text_of(&body[..end - close.len()])
    }

    /// The words of the page, without tags.
    pub(crate) fn text(&self) -> String {
        text_of(&self.html)
    }

    /// Whether the words are on the page.
    pub(crate) fn says(&self, words: &str) -> bool {
        self.text().contains(words)
    }

    /// The first form whose `action` contains this text.
    #[track_caller]
    pub(crate) fn form(&self, action: &str) -> HtmlForm {
        let forms = self.html.split("<form").skip(1).map(|rest| rest.split("</form>").next().unwrap());
        let mut forms = forms.map(HtmlForm::read).filter(|form| form.action.contains(action));
        forms.next().unwrap_or_else(|| panic!("no form for {action} on {}: {}", self.path, self.text()))
    }

    /// Every form.
    pub(crate) fn forms(&self) -> Vec<HtmlForm> {
        let forms = self.html.split("<form").skip(1).map(|rest| rest.split("</form>").next().unwrap());
        forms.map(HtmlForm::read).collect()
    }

    /// Whether there is a form whose `action` contains this text.
    pub(crate) fn has_form(&self, action: &str) -> bool {
        self.html.split("<form").skip(1).any(|rest| HtmlForm::read(rest).action.contains(action))
    }

    /// The address of the link with these words.
    #[track_caller]
    pub(crate) fn link(&self, words: &str) -> String {
        let links = self.html.split("<a ").skip(1).filter_map(|rest| rest.split_once('>'));
        let mut links = links.filter(|(_, body)| text_of(body.split("</a>").next().unwrap()) == words);
        let (head, _) = links.next().unwrap_or_else(|| panic!("no link {words}: {}", self.text()));
        attribute(head, "href").unwrap()
    }

    fn must_follow_the_rules_of_the_console(&self) {
        if !self.path.contains("/console") {
            return;
        }
        let at = &self.path;
        assert!(
            self.header("content-security-policy").starts_with("default-src 'none'; script-src 'self'"),
            "{at}"
        );
        assert!(self.header("content-security-policy").contains("frame-ancestors 'none'"), "{at}");
        assert_eq!(self.header("x-content-type-options"), "nosniff", "{at}");
        assert_eq!(self.header("referrer-policy"), "same-origin", "{at}");
        assert!(!self.header("x-request-id").is_empty(), "{at}");
        if !at.contains("/assets/") {
            assert_eq!(self.header("cache-control"), "no-store", "{at}");
        }
        if !self.header("content-type").starts_with("text/html") {
            return;
        }
        let html = &self.html;
        assert!(html.starts_with("<!doctype html>\n<html lang=\"en\">"), "{at}: {html}");
        // Charts in the body are SVG drawings, which have their own `<title>` elements.
        let head = html.split("</head>").next().unwrap();
        assert_eq!(head.matches("<title>").count(), 1, "{at}");
        let title = self.title();
        assert!(title.strip_suffix(" – Mintmark").is_some_and(|own| !own.is_empty()), "{at}: {title}");
        assert_eq!(html.matches("<h1").count(), 1, "{at}: {html}");
        let lower = html.to_lowercase();
        assert!(
            !lower.contains(" style=") && !lower.contains("<style") && !lower.contains("=\"javascript:"),
            "{at}"
        );
        assert_eq!(
            lower.matches("<script").count(),
            lower.matches("<script type=\"module\" src=\"").count(),
            "{at}"
        );
        let ids: Vec<&str> =
            html.split(" id=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        let mut once = ids.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), ids.len(), "{at}: two elements have the same id: {ids:?}");
    }
}

/// A form of a page, with the values of its fields.
#[derive(Debug, Clone)]
pub(crate) struct HtmlForm {
    pub(crate) action: String,
    pub(crate) fields: Vec<(String, String)>,
}

impl HtmlForm {
    /// Reads what follows `<form`.
    fn read(html: &str) -> Self {
        let (head, body) = html.split_once('>').unwrap();
        let mut fields: Vec<(String, String)> = Vec::new();
        let mut is_first_option = false;
        for part in body.split('<').skip(1) {
            let (tag, after) = part.split_once('>').unwrap_or((part, ""));
            let kind = tag.split([' ', '\n']).next().unwrap();
            let name = attribute(tag, "name");
            match (kind, name) {
                ("input", Some(name)) => {
                    let is_choice = matches!(attribute(tag, "type").as_deref(), Some("checkbox" | "radio"));
                    let is_off = is_choice && !has_word(tag, "checked");
                    if !is_off && !has_word(tag, "disabled") {
                        let value = attribute(tag, "value");
                        fields.push((
                            name,
                            value.unwrap_or(if is_choice { "on".to_owned() } else { String::new() }),
                        ));
                    }
                }
                ("textarea", Some(name)) => {
                    let after = after.replace("\r\n", "\n").replace('\r', "\n");
                    fields.push((name, unescape(after.strip_prefix('\n').unwrap_or(&after))));
                }
                ("select", Some(name)) => {
                    fields.push((name, String::new()));
                    is_first_option = true;
                }
                ("option", _) => {
                    if has_word(tag, "selected") || is_first_option {
                        let value = attribute(tag, "value");
                        fields.last_mut().unwrap().1 = value.unwrap_or_else(|| unescape(after.trim()));
                    }
                    is_first_option = false;
                }
                _ => {}
            }
        }
        Self { action: attribute(head, "action").unwrap_or_default(), fields }
    }

    /// The form with this as the only value of a field.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.retain(|(known, _)| known != name);
        self.and(name, value)
    }

    /// The form with one more value of a field.
    #[must_use]
    pub(crate) fn and(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The value of a field.
    pub(crate) fn value(&self, name: &str) -> &str {
        self.fields.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

/// The value of an attribute. `tag` is the text between `<` and `>`.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let rest = tag.split_once(&format!(" {name}=\"")).or_else(|| tag.split_once(&format!("{name}=\"")))?.1;
    Some(unescape(rest.split('"').next().unwrap()))
}

fn has_word(tag: &str, word: &str) -> bool {
    tag.split([' ', '\n']).any(|part| part.trim_end_matches('/') == word)
}

fn text_of(html: &str) -> String {
    let mut parts = html.split('<');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push(' ');
        text.push_str(part.split_once('>').map_or("", |(_, after)| after));
    }
    unescape(&text).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn unescape(text: &str) -> String {
    [
        ("&#60;", "<"),
        ("&#62;", ">"),
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
    ]
    .iter()
    .fold(text.to_owned(), |text, (entity, character)| text.replace(entity, character))
    .replace("&#38;", "&")
    .replace("&amp;", "&")
}
