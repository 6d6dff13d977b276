//! Tests of master keys in every form, and of every way in which a file can be wrong.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use base64::engine::general_purpose::STANDARD_NO_PAD;
use tempfile::TempDir;

use super::*;

const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff";
const BASE64URL: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHv8";

fn raw() -> [u8; LEN] {
    std::array::from_fn(|i| if i == 31 { 0xff } else { u8::try_from(i).unwrap() })
}

fn file(content: &[u8], mode: u32) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master.key");
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    (folder, path)
}

#[test]
fn every_form_is_read_as_the_same_key() {
    let padded = format!("{BASE64URL}=");
    let newline = format!("{BASE64URL}\n");
    let upper = HEX.to_uppercase();
    for text in [BASE64URL, &padded, &newline, HEX, &upper, &format!(" {HEX}\r\n")] {
        assert_eq!(MasterKey::parse(text).unwrap().bytes(), &raw(), "{text:?}");
        let (_folder, path) = file(text.as_bytes(), 0o600);
        assert_eq!(MasterKey::read(&path).unwrap().bytes(), &raw(), "{text:?} in a file");
    }
    let (_folder, path) = file(&raw(), 0o640);
    assert_eq!(MasterKey::read(&path).unwrap().bytes(), &raw());
}

#[test]
fn both_base64_alphabets_are_read() {
    let key = [0xfb_u8, 0xff].repeat(16);
    for text in [URL_SAFE_NO_PAD.encode(&key), STANDARD_NO_PAD.encode(&key)] {
        assert_eq!(MasterKey::parse(&text).unwrap().bytes().as_slice(), key, "{text}");
    }
}

#[test]
fn malformed_keys_are_refused_with_the_reason() {
    for (text, fault) in [
        ("", MasterKeyFault::Empty),
        (" \n", MasterKeyFault::Empty),
        ("change me!", MasterKeyFault::NotEncoded),
        ("AAECAwQFBgcICQoLDA0ODw", MasterKeyFault::Length(16)),
        (&HEX[..62], MasterKeyFault::Length(31)),
        (&"0".repeat(64), MasterKeyFault::NotRandom),
    ] {
        assert_eq!(MasterKey::parse(text).unwrap_err(), fault, "{text:?}");
        let (_folder, path) = file(text.as_bytes(), 0o600);
        let error = MasterKey::read(&path).unwrap_err();
        assert!(matches!(&error, MasterKeyError::File { fault: f, .. } if *f == fault), "{text:?}: {error}");
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    }
    let (_folder, path) = file(&[0xff; 33], 0o600);
    let error = MasterKey::read(&path).unwrap_err();
    assert!(matches!(error, MasterKeyError::File { fault: MasterKeyFault::Length(33), .. }), "{error}");
}

#[test]
fn a_file_that_others_can_read_or_write_is_refused() {
    for mode in [0o604, 0o602, 0o644, 0o666] {
        let (_folder, path) = file(BASE64URL.as_bytes(), mode);
        let error = MasterKey::read(&path).unwrap_err();
        assert!(matches!(error, MasterKeyError::Exposed { .. }), "{mode:o}: {error}");
        assert!(error.to_string().contains(&format!("chmod 0600 {}", path.display())), "{error}");
    }
    for mode in [0o600, 0o400, 0o640, 0o660] {
        let (_folder, path) = file(BASE64URL.as_bytes(), mode);
        assert!(MasterKey::read(&path).is_ok(), "{mode:o}");
    }
}

#[test]
fn a_folder_is_not_a_key_file() {
    let folder = tempfile::tempdir().unwrap();
    let error = MasterKey::read(folder.path()).unwrap_err();
    assert!(matches!(error, MasterKeyError::Unreadable { .. }), "{error}");
}

#[test]
fn a_new_key_is_written_once_and_only_for_its_owner() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data/master.key");
    let random = Random::new();
    let key = MasterKey::create(&path, &random).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", URL_SAFE_NO_PAD.encode(key.bytes())));
    assert_eq!(MasterKey::read(&path).unwrap().bytes(), key.bytes());

    let before = fs::read(&path).unwrap();
    assert!(matches!(MasterKey::create(&path, &random), Err(MasterKeyError::NotCreated { .. })));
    assert_eq!(fs::read(&path).unwrap(), before, "an existing key is never overwritten");
}

#[test]
fn an_empty_database_gets_a_key_and_then_accepts_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master.key");
    let random = Random::new();
    let (key, origin) = MasterKey::obtain(None, &path, None, &random).unwrap();
    assert_eq!(origin, Origin::Created(path.clone()));
    let known = key.fingerprint();

    // Until the database has the key, it is not at `path`. A start that was interrupted before that gets the same key again.
    assert!(!path.exists());
    let (again, origin) = MasterKey::obtain(None, &path, None, &random).unwrap();
    assert_eq!((again.bytes(), origin), (key.bytes(), Origin::Created(path.clone())));
    // A start that was interrupted a little later: the database has the key, but it is not at `path` yet. A database with
    // another fingerprint does not get the key.
    let error = MasterKey::obtain(None, &path, Some(&[7; 16]), &random).unwrap_err();
    assert!(matches!(error, MasterKeyError::Missing(_)), "{error}");
    let (again, origin) = MasterKey::obtain(None, &path, Some(&known), &random).unwrap();
    assert_eq!((again.bytes(), origin), (key.bytes(), Origin::File(path.clone())));
    // `obtain` has just done this, as another process may have.
    MasterKey::put_in_place(&path).unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);

    let (again, origin) = MasterKey::obtain(None, &path, Some(&known), &random).unwrap();
    assert_eq!((again.bytes(), origin), (key.bytes(), Origin::File(path.clone())));

    let error = MasterKey::obtain(Some(HEX), &path, Some(&known), &random).unwrap_err();
    assert!(matches!(&error, MasterKeyError::Other { .. }), "{error}");
    assert!(
        error.to_string().contains(&URL_SAFE_NO_PAD.encode(known))
            && error.to_string().contains("keys.master_key"),
        "{error}"
    );

    fs::remove_file(&path).unwrap();
    let error = MasterKey::obtain(None, &path, Some(&known), &random).unwrap_err();
    assert!(matches!(error, MasterKeyError::Missing(_)), "{error}");
    assert!(!path.exists(), "a database that has a key must not be given another");
}

#[test]
fn a_new_key_file_that_is_incomplete_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let (path, beside) = (folder.path().join("master.key"), folder.path().join("master.key.new"));
    for left in [&b""[..], b"AAEC"] {
        fs::write(&beside, left).unwrap();
        fs::set_permissions(&beside, fs::Permissions::from_mode(0o600)).unwrap();
        let (key, _) = MasterKey::obtain(None, &path, None, &Random::new()).unwrap();
        assert_eq!(MasterKey::read(&beside).unwrap().bytes(), key.bytes());
    }
    MasterKey::put_in_place(&path).unwrap();
    assert!(path.exists() && !beside.exists());
    // Another process may have been faster; but without either file there is no key.
    MasterKey::put_in_place(&path).unwrap();
    fs::remove_file(&path).unwrap();
    assert!(matches!(MasterKey::put_in_place(&path), Err(MasterKeyError::NotCreated { .. })));
}

#[test]
fn a_key_in_the_settings_is_used_and_no_file_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master.key");
    let (key, origin) = MasterKey::obtain(Some(HEX), &path, None, &Random::new()).unwrap();
    assert_eq!((key.bytes(), origin), (&raw(), Origin::Settings));
    assert!(!path.exists());
}

#[test]
fn the_fingerprint_identifies_the_key_and_does_not_reveal_it() {
    let key = MasterKey::parse(HEX).unwrap();
    let fingerprint = key.fingerprint();
    assert_eq!(fingerprint, MasterKey::parse(BASE64URL).unwrap().fingerprint());
    assert!(!raw().windows(4).any(|bytes| fingerprint.starts_with(bytes)));
    let mut other = raw();
    other[0] = 1;
    assert_ne!(fingerprint, MasterKey::from_slice(&other).unwrap().fingerprint());
    assert_eq!(format!("{key:?}"), "MasterKey(…)");
}

#[test]
fn a_key_to_move_to_is_read_or_made_and_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let (path, random) = (folder.path().join("new/master.key"), Random::new());
    let (made, origin) = MasterKey::ensure(&path, &random).unwrap();
    assert_eq!(origin, Origin::Created(path.clone()));
    let (read, origin) = MasterKey::ensure(&path, &random).unwrap();
    assert_eq!((read.fingerprint(), origin), (made.fingerprint(), Origin::File(path.clone())));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(MasterKey::ensure(&path, &random), Err(MasterKeyError::Exposed { .. })));
    let nothing = folder.path().join("nothing");
    fs::write(&nothing, "").unwrap();
    fs::set_permissions(&nothing, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(matches!(MasterKey::ensure(&nothing, &random), Err(MasterKeyError::File { .. })));
    assert_eq!(fs::read(&nothing).unwrap(), b"");
}
