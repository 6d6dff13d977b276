//! The templates escape every value, and have no inline scripts or styles.

use std::fs;
use std::path::Path;

#[test]
fn templates_escape_everything_and_have_nothing_inline() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/console/templates");
    let mut read = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        assert_eq!(path.extension().unwrap(), "html", "{name}: only .html is escaped");
        for banned in [
            "|safe",
            "| safe",
            "{% autoescape",
            "escape none",
            " style=",
            "<style",
            "onclick",
            "onsubmit",
            "javascript:",
            "http://",
            "https://",
        ] {
            assert!(!text.contains(banned), "{name}: {banned}");
        }
        // Each POST form has the CSRF token, and no form relies on checks by the browser.
        for form in text.split("<form").skip(1).map(|rest| rest.split("</form>").next().unwrap()) {
            if form.contains("method=\"post\"") {
                assert!(form.contains("name=\"csrf\""), "{name}: a form without its CSRF token");
            }
            assert!(!form.contains(" required"), "{name}: the server checks forms");
        }
        // Every page extends the layout, which has the title and the language.
        let parts = [
            "layout",
            "problems",
            "guides",
            "fields",
            "chips",
            "choice",
            "new_password",
            "passkey_button",
            "totp",
        ];
        let is_part = parts.iter().any(|part| name == format!("{part}.html"));
        assert!(is_part || text.starts_with("{% extends \"layout.html\" %}"), "{name}");
        read += 1;
    }
    assert!(read >= 15, "only {read} templates are read");
}
