//! The hashes of the audit tree (RFC 6962 §2.1): of a leaf, of a node, and of the right edge, from which the root is computed.

use ring::digest::{Context, SHA256};

/// SHA-256.
pub(crate) type Hash = [u8; 32];

/// Hashes are stored of the full subtrees whose height is a multiple of this: of 2^8 leaves (level 1), of 2^16 (level 2), and
/// so on.
pub(super) const LEVEL_BITS: u32 = 8;

fn sha256(parts: &[&[u8]]) -> Hash {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// The hash of the bytes of an entry.
pub(crate) fn leaf_hash(entry: &[u8]) -> Hash {
    sha256(&[&[0], entry])
}

/// The hash of a node with these two below it.
pub(super) fn node_hash(left: &Hash, right: &Hash) -> Hash {
    sha256(&[&[1], left, right])
}

/// SHA-256 of any bytes, for the id of a key.
pub(super) fn plain_hash(parts: &[&[u8]]) -> Hash {
    sha256(parts)
}

/// The root over the hashes of full subtrees, each smaller than the one before.
pub(super) fn root_over(hashes: &[Hash]) -> Hash {
    let mut from_right = hashes.iter().rev();
    let Some(last) = from_right.next() else { return sha256(&[]) };
    from_right.fold(*last, |right, left| node_hash(left, &right))
}

/// A full subtree of which the last leaf was just added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Node {
    /// Its height divided by [`LEVEL_BITS`].
    pub(super) level: i64,
    /// Which subtree of its level it is, from the left, from 0.
    pub(super) position: i64,
    pub(super) hash: Hash,
}

/// The right edge of a tree: the hashes of the full subtrees that its leaves consist of, from the left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Edge {
    size: i64,
    hashes: Vec<Hash>,
}

impl Edge {
    /// The edge of a tree of this size, as it was stored; `None` if it does not fit the size.
    pub(super) fn read(size: i64, bytes: &[u8]) -> Option<Self> {
        let (hashes, rest) = bytes.as_chunks::<32>();
        let fits = rest.is_empty() && u32::try_from(hashes.len()).ok() == Some(size.count_ones());
        fits.then(|| Self { size, hashes: hashes.to_vec() })
    }

    /// The bytes to store.
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.hashes.concat()
    }

    pub(super) fn size(&self) -> i64 {
        self.size
    }

    pub(super) fn root(&self) -> Hash {
        root_over(&self.hashes)
    }

    /// Adds a leaf. Calls `completed` for each subtree that the leaf completes and that is stored.
    pub(super) fn push(&mut self, leaf: Hash, mut completed: impl FnMut(Node)) {
        let (mut hash, mut height) = (leaf, 0);
        // Each full subtree of the same height becomes the left half of one that is twice as large.
        while (self.size >> height) & 1 == 1 {
            let Some(left) = self.hashes.pop() else { break };
            hash = node_hash(&left, &hash);
            height += 1;
            if height % LEVEL_BITS == 0 {
                let level = i64::from(height / LEVEL_BITS);
                completed(Node { level, position: self.size >> height, hash });
            }
        }
        self.hashes.push(hash);
        self.size += 1;
    }
}
