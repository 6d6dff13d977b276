//! Who runs a command, for the audit trail: the name of the account on this machine. The name is not verified: a user who has
//! access to the database can set another name.

use std::os::unix::fs::MetadataExt as _;

use crate::kernel::Manager;

/// A name that is longer than this, in bytes, is not used.
const NAME_MAX: usize = 64;

/// The caller of a command.
pub(super) fn manager() -> Manager {
    Manager::command_line_of(&name(|variable| std::env::var(variable).ok()))
}

/// The account that called `sudo`, else the account of the process, both as the environment names them. If the environment has
/// no usable name: `uid-` and the user id of the process, or `unknown` where `/proc` cannot be read.
fn name(variable: impl Fn(&str) -> Option<String>) -> String {
    ["SUDO_USER", "USER", "LOGNAME"]
        .into_iter()
        .filter_map(variable)
        .find(|name| is_name(name))
        .unwrap_or_else(|| {
            std::fs::metadata("/proc/self")
                .map_or("unknown".to_owned(), |process| format!("uid-{}", process.uid()))
        })
}

fn is_name(name: &str) -> bool {
    (1..=NAME_MAX).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'@' | b'\\'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_that_called_sudo_comes_first_and_without_a_usable_name_the_user_id_is_given() {
        let of = |set: &'static [(&str, &str)]| {
            name(|wanted| set.iter().find(|(name, _)| *name == wanted).map(|(_, value)| (*value).to_owned()))
        };
        assert_eq!(of(&[("USER", "root"), ("SUDO_USER", "ada")]), "ada");
        assert_eq!(of(&[("USER", "root"), ("LOGNAME", "other")]), "root");
        assert_eq!(of(&[("LOGNAME", "DOMAIN\\ada.l@corp")]), "DOMAIN\\ada.l@corp");
        for unusable in
            [&[][..], &[("USER", "")], &[("USER", "a b")], &[("USER", "a\nb")], &[("USER", "cli:x")]]
        {
            let set: Vec<(&str, &str)> = unusable.to_vec();
            let found =
                name(|wanted| set.iter().find(|(name, _)| *name == wanted).map(|(_, v)| (*v).to_owned()));
            assert!(found.starts_with("uid-"), "{unusable:?}: {found}");
        }
    }
}
