//! A page of a list: its size, where it starts, and the number of items in the whole list.

/// The part of a list that is requested. A list is ordered by a unique key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// At most this many items, 1 to 200.
    pub limit: u32,
    /// The ordering key of the last item of the page before; `None` for the first page.
    pub after: Option<String>,
    /// Whether to count the items of all pages.
    pub count: bool,
}

impl Page {
    /// The default number of items.
    pub const DEFAULT_LIMIT: u32 = 50;
    /// The largest number of items.
    pub const MAX_LIMIT: u32 = 200;

    /// The first `limit` items, without a count.
    pub fn first(limit: u32) -> Self {
        Self { limit, after: None, count: false }
    }
}

/// Items of a page, and the ordering key after which the next page starts, if there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Items<T> {
    /// The items.
    pub items: Vec<T>,
    /// The ordering key of the last item when more follow.
    pub next_after: Option<String>,
    /// How many items all pages have, if that was asked for.
    pub total: Option<u64>,
}

impl<T> Items<T> {
    /// Makes a page of rows that were read with a limit of `limit + 1`: one row more means that another page follows. `key`
    /// gives an item's ordering key.
    pub fn cut(mut rows: Vec<T>, limit: u32, key: impl Fn(&T) -> String) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next_after = if more { rows.last().map(key) } else { None };
        Self { items: rows, next_after, total: None }
    }

    /// Cuts a page out of the whole list, which is in order of `key`.
    pub fn of_whole_list(mut all: Vec<T>, page: &Page, key: impl Fn(&T) -> String) -> Self {
        let total = page.count.then(|| u64::try_from(all.len()).unwrap_or(u64::MAX));
        if let Some(after) = &page.after {
            all.retain(|item| key(item) > *after);
        }
        Self { total, ..Self::cut(all, page.limit, key) }
    }

    /// A page of an empty list.
    pub fn none(page: &Page) -> Self {
        Self { items: Vec::new(), next_after: None, total: page.count.then_some(0) }
    }

    /// The same page with the count that the database gave, if one was asked for.
    #[must_use]
    pub fn counted(self, total: Option<i64>) -> Self {
        Self { total: total.map(|total| u64::try_from(total).unwrap_or_default()), ..self }
    }

    /// Turns each item into another.
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Items<U> {
        Items {
            items: self.items.into_iter().map(f).collect(),
            next_after: self.next_after,
            total: self.total,
        }
    }
}
