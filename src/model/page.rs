//! A page of a list: how many, and after which item.

/// What part of a list is asked for. Lists are ordered by an immutable, unique key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// At most this many items, 1 to 200.
    pub limit: u32,
    /// The ordering key of the last item of the page before; `None` for the first page.
    pub after: Option<String>,
}

impl Page {
    /// The default number of items.
    pub const DEFAULT_LIMIT: u32 = 50;
    /// The largest number of items.
    pub const MAX_LIMIT: u32 = 200;
}

/// Items of a page, and the ordering key to go on after, if there are more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Items<T> {
    /// The items.
    pub items: Vec<T>,
    /// The ordering key of the last item when more follow.
    pub next_after: Option<String>,
}

impl<T> Items<T> {
    /// Cuts a read of `limit + 1` rows into a page. `key` gives an item's ordering key.
    pub fn cut(mut rows: Vec<T>, limit: u32, key: impl Fn(&T) -> String) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next_after = if more { rows.last().map(key) } else { None };
        Self { items: rows, next_after }
    }

    /// Turns each item into another.
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Items<U> {
        Items { items: self.items.into_iter().map(f).collect(), next_after: self.next_after }
    }
}
