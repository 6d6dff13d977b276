//! Which hashes a proof consists of (RFC 6962 §2.1.1, §2.1.2), and from which stored hashes these are computed.

use super::hash::LEVEL_BITS;

/// The leaves from number `from` to before `to`. A proof contains the root over them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Leaves {
    pub(super) from: i64,
    pub(super) to: i64,
}

impl Leaves {
    fn count(self) -> i64 {
        self.to - self.from
    }

    /// The left part, which is the largest full subtree that is not the whole, and the rest.
    fn halves(self) -> (Self, Self) {
        let middle = self.from + (1 << (self.count() - 1).ilog2());
        (Self { to: middle, ..self }, Self { from: middle, ..self })
    }

    /// The full subtrees that these leaves consist of, from the left.
    pub(super) fn subtrees(self) -> Vec<Subtree> {
        let mut subtrees = Vec::new();
        let mut from = self.from;
        while from < self.to {
            let height = from.trailing_zeros().min((self.to - from).ilog2());
            subtrees.push(Subtree { height, position: from >> height });
            from += 1 << height;
        }
        subtrees
    }
}

/// A full subtree: the one of this height at this position among those of its height.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Subtree {
    pub(super) height: u32,
    pub(super) position: i64,
}

impl Subtree {
    /// The stored hashes from which the root of the subtree is computed: their level (0: the leaves), and the positions of the
    /// first and of the one after the last.
    pub(super) fn stored(self) -> (i64, i64, i64) {
        let (level, above) = (self.height / LEVEL_BITS, self.height % LEVEL_BITS);
        (i64::from(level), self.position << above, (self.position + 1) << above)
    }
}

/// The proof that leaf `seq` is in the tree of `size` leaves, from the leaf's sibling up. `seq` is below `size`.
pub(super) fn inclusion(seq: i64, size: i64) -> Vec<Leaves> {
    let mut path = Vec::new();
    let mut tree = Leaves { from: 0, to: size };
    while tree.count() > 1 {
        let (left, right) = tree.halves();
        let (within, beside) = if seq < right.from { (left, right) } else { (right, left) };
        path.push(beside);
        tree = within;
    }
    path.reverse();
    path
}

/// The proof that the tree of `size` leaves begins with the one of `from` leaves. `from` is not above `size`.
pub(super) fn consistency(from: i64, size: i64) -> Vec<Leaves> {
    let mut path = Vec::new();
    if from == 0 {
        return path;
    }
    let mut tree = Leaves { from: 0, to: size };
    // The old root itself is known to the caller, so it is left out if the old tree is a full subtree.
    let mut is_known = true;
    while from != tree.to {
        let (left, right) = tree.halves();
        if from <= left.to {
            path.push(right);
            tree = left;
        } else {
            path.push(left);
            tree = right;
            is_known = false;
        }
    }
    if !is_known {
        path.push(tree);
    }
    path.reverse();
    path
}
