//! Compares roots and proofs with a tree that is computed as RFC 6962 §2.1 defines it, and verifies the proofs as RFC 9162
//! §2.1.3.2 and §2.1.4.2 do.

use ring::signature::{Ed25519KeyPair, KeyPair as _};

use super::hash::{Edge, Hash, Node, leaf_hash, node_hash, plain_hash, root_over};
use super::keys::origin;
use super::note::{AuditKey, Checkpoint, NoteError, sign};
use super::path::{Leaves, consistency, inclusion};

fn leaves(count: i64) -> Vec<Hash> {
    (0..count).map(|n| leaf_hash(format!("entry {n}").as_bytes())).collect()
}

fn naive_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => plain_hash(&[]),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            node_hash(&naive_root(left), &naive_root(right))
        }
    }
}

fn hashes_of(leaves: &[Hash], path: &[Leaves]) -> Vec<Hash> {
    let range = |part: &Leaves| usize::try_from(part.from).unwrap()..usize::try_from(part.to).unwrap();
    path.iter().map(|part| naive_root(&leaves[range(part)])).collect()
}

fn edge(leaves: &[Hash]) -> (Edge, Vec<Node>) {
    let (mut edge, mut nodes) = (Edge::default(), Vec::new());
    for leaf in leaves {
        edge.push(*leaf, |node| nodes.push(node));
    }
    (edge, nodes)
}

/// Verifies an inclusion proof (RFC 9162 §2.1.3.2).
fn is_included(leaf: Hash, seq: i64, size: i64, proof: &[Hash], root: Hash) -> bool {
    let (mut at, mut last, mut hash) = (seq, size - 1, leaf);
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = node_hash(sibling, &hash);
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0 && hash == root
}

/// Verifies a consistency proof (RFC 9162 §2.1.4.2).
fn is_consistent(first: i64, second: i64, roots: (Hash, Hash), proof: &[Hash]) -> bool {
    if first == second {
        return proof.is_empty() && roots.0 == roots.1;
    }
    let mut path = proof.to_vec();
    if first.count_ones() == 1 {
        path.insert(0, roots.0);
    }
    let (mut at, mut last) = (first - 1, second - 1);
    while at & 1 == 1 {
        (at, last) = (at >> 1, last >> 1);
    }
    let Some((start, rest)) = path.split_first() else { return false };
    let (mut old, mut new) = (*start, *start);
    for hash in rest {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            (old, new) = (node_hash(hash, &old), node_hash(hash, &new));
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            new = node_hash(&new, hash);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0 && (old, new) == roots
}

#[test]
fn roots_are_those_of_the_reference_implementation() {
    let hex = |hash: Hash| hash.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    // The test vectors of Certificate Transparency's reference implementation: eight entries.
    let entries: [&[u8]; 8] = [
        b"",
        b"\x00",
        b"\x10",
        b"\x20\x21",
        b"\x30\x31",
        b"\x40\x41\x42\x43",
        b"\x50\x51\x52\x53\x54\x55\x56\x57",
        b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
    ];
    let roots = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let leaves: Vec<Hash> = entries.into_iter().map(leaf_hash).collect();
    for (size, root) in roots.into_iter().enumerate() {
        assert_eq!(hex(edge(&leaves[..size]).0.root()), root, "{size}");
    }
}

#[test]
fn every_proof_of_small_trees_is_right() {
    let all = leaves(70);
    for size in 0..=70_usize {
        let leaves = &all[..size];
        let (edge, _) = edge(leaves);
        let root = naive_root(leaves);
        assert_eq!(edge.root(), root, "{size}");
        let count = i64::try_from(size).unwrap();
        assert_eq!(Edge::read(count, &edge.bytes()).as_ref(), Some(&edge));
        for seq in 0..count {
            let proof = hashes_of(leaves, &inclusion(seq, count));
            let leaf = leaves[usize::try_from(seq).unwrap()];
            assert!(is_included(leaf, seq, count, &proof, root), "{seq} of {count}");
            assert!(!is_included(leaf_hash(b"other"), seq, count, &proof, root), "{seq} of {count}");
        }
        for from in 1..=count {
            let roots = (naive_root(&leaves[..usize::try_from(from).unwrap()]), root);
            let proof = hashes_of(leaves, &consistency(from, count));
            assert!(is_consistent(from, count, roots, &proof), "{from} of {count}");
            let wrong = (leaf_hash(b"other"), root);
            assert!(!is_consistent(from, count, wrong, &proof), "{from} of {count}");
        }
        assert!(consistency(0, count).is_empty());
    }
    // The edge of three leaves has two hashes, and a hash has 32 bytes.
    assert_eq!(Edge::read(3, &[0; 32]), None);
    assert_eq!(Edge::read(1, &[0; 31]), None);
}

#[test]
fn parts_of_large_trees_are_made_of_stored_subtrees() {
    // A few more than 2^16, so that there are stored nodes of both levels.
    let all = leaves(66_000);
    let (edge, nodes) = edge(&all);
    assert_eq!(edge.root(), naive_root(&all));
    let at = |level: i64, position: i64| {
        nodes.iter().find(|node| (node.level, node.position) == (level, position)).unwrap().hash
    };
    // The full subtrees of 256 leaves, and one of 65,536.
    assert_eq!(nodes.len(), 66_000 / 256 + 1);
    assert_eq!(at(2, 0), naive_root(&all[..65_536]));
    assert_eq!(at(1, 256), naive_root(&all[256 * 256..257 * 256]));
    for (seq, size) in [(0, 66_000), (65_999, 66_000), (40_000, 65_537), (300, 66_000), (65_536, 66_000)] {
        for part in inclusion(seq, size).into_iter().chain(consistency(seq + 1, size)) {
            let hashes: Vec<Hash> = part
                .subtrees()
                .into_iter()
                .map(|subtree| {
                    let (level, from, to) = subtree.stored();
                    assert!(to - from <= 128 && from / 256 == (to - 1) / 256, "{subtree:?}");
                    let mut row: Vec<Hash> = (from..to)
                        .map(|n| if level == 0 { all[usize::try_from(n).unwrap()] } else { at(level, n) })
                        .collect();
                    while row.len() > 1 {
                        row = row.chunks(2).map(|pair| node_hash(&pair[0], &pair[1])).collect();
                    }
                    row[0]
                })
                .collect();
            let range = usize::try_from(part.from).unwrap()..usize::try_from(part.to).unwrap();
            assert_eq!(root_over(&hashes), naive_root(&all[range]), "{part:?}");
        }
    }
}

#[test]
fn a_checkpoint_is_a_signed_note_and_a_changed_or_malformed_one_is_refused() {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let key = AuditKey::new("tokens.example.com/audit", pair.public_key().as_ref()).unwrap();
    let note = sign(&key.origin, 3, &[1; 32], &pair).unwrap();
    let read = Checkpoint::read(&note).unwrap();
    assert_eq!((read.origin.as_str(), read.size, read.root), ("tokens.example.com/audit", 3, [1; 32]));
    assert_eq!(read.must_be_signed_by(&key), Ok(()));
    assert_eq!(Checkpoint::read(&format!("{note}\n")).as_ref(), Ok(&read), "an editor added a line end");
    let changed = Checkpoint::read(&note.replacen("\n3\n", "\n4\n", 1)).unwrap();
    assert_eq!(changed.must_be_signed_by(&key), Err(NoteError::Signature));
    let stranger = Ed25519KeyPair::from_seed_unchecked(&[8; 32]).unwrap();
    let other = AuditKey::new(&key.origin, stranger.public_key().as_ref()).unwrap();
    assert_eq!(read.must_be_signed_by(&other), Err(NoteError::OtherKey));
    for bad in [
        "",
        "a\n1\n",
        &note.replacen("\n3\n", "\n03\n", 1),
        &note.replacen("\n3\n", "\n-3\n", 1),
        // The root is one byte.
        "a\n1\nAA==\n\n— a AA==\n",
        // It has no signature.
        note.split_once('—').unwrap().0,
    ] {
        assert_eq!(Checkpoint::read(bad), Err(NoteError::Malformed), "{bad}");
    }
}

/// The example of Go's `golang.org/x/mod/sumdb/note`.
#[test]
fn a_verifier_key_is_written_as_go_writes_it() {
    let text = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    let public =
        base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text.rsplit_once('+').unwrap().1);
    assert_eq!(AuditKey::new("PeterNeumann", &public.unwrap()[1..]).unwrap().to_string(), text);
}

#[test]
fn a_log_is_named_after_the_issuer() {
    assert_eq!(origin("https://tokens.example.com", 1), "tokens.example.com/audit");
    assert_eq!(origin("http://127.0.0.1:8080/a+b/", 2), "127.0.0.1:8080/a%2Bb/audit/2");
}
