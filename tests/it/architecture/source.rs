//! What the architecture rules need to know about a source file: its module, the modules it declares, and every path that it
//! names in code, macros and attributes.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path as FilePath;

use syn::buffer::{Cursor, TokenBuffer};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, ItemUse, Macro, Meta, UseTree};

/// A path, as in `use crate::model::ids`, or `super::Form` in a signature.
#[derive(Debug, Clone)]
struct Path {
    parts: Vec<String>,
    /// The module that contains the path: that of the file, and inline modules in the file.
    inside: Vec<String>,
    /// Whether the path is in an inline module for tests.
    is_for_tests: bool,
}

/// A file below `src`.
#[derive(Debug, Default)]
pub(super) struct Source {
    /// The path from `src`, as in `oauth/token.rs`.
    pub(super) file: String,
    /// The path of the module in the crate, as in `oauth`, `token`.
    pub(super) module: Vec<String>,
    pub(super) text: String,
    paths: Vec<Path>,
    /// Whether the file has an `allow` attribute, also within `cfg_attr`.
    pub(super) has_allow: bool,
    /// The modules that the file declares and that have files of their own.
    children: BTreeSet<String>,
    /// The names that the file imports from this crate, each with the full path of what it names.
    imports: Vec<(String, Vec<String>)>,
    /// While the file is visited: the inline modules around the current item.
    inline: Vec<String>,
    /// While the file is visited: whether the current item is in an inline module for tests.
    is_in_tests: bool,
}

impl Source {
    /// Reads a file; `file` is its path from `src`.
    pub(super) fn read(file: &str, text: &str) -> Self {
        let module = file.trim_end_matches(".rs").trim_end_matches("/mod").split('/');
        let mut module: Vec<String> = module.map(str::to_owned).collect();
        // `key_tests.rs` is the module `tests` of `key.rs`.
        let tested = module.last().and_then(|name| name.strip_suffix("_tests")).map(str::to_owned);
        if let Some(tested) = tested {
            module.splice(module.len() - 1.., [tested, "tests".to_owned()]);
        }
        let mut source = Self { file: file.to_owned(), module, text: text.to_owned(), ..Self::default() };
        let parsed = syn::parse_file(text).unwrap_or_else(|error| panic!("{file}: {error}"));
        // The names of the declared modules must be known first: `use grant::Lifetime` may come before `mod grant`.
        for item in &parsed.items {
            if let Item::Mod(ItemMod { ident, content: None, .. }) = item {
                source.children.insert(ident.to_string());
            }
        }
        source.visit_file(&parsed);
        source
    }

    /// The module directly in `src` that the file is in.
    pub(super) fn top_module(&self) -> &str {
        &self.module[0]
    }

    pub(super) fn is_for_tests(&self) -> bool {
        self.module.iter().any(|name| name == "tests")
    }

    /// The full path of what `path` names, from the root of the crate; `None` if that is in another crate or in the same file.
    fn target(&self, path: &Path) -> Option<Vec<String>> {
        let first = path.parts.first()?;
        let rest = |from: &[String], skipped: usize| {
            from.iter().chain(&path.parts[skipped..]).cloned().collect::<Vec<_>>()
        };
        match first.as_str() {
            // The program (`main.rs`) names the library by its crate name.
            "crate" | "mintmark" => Some(rest(&[], 1)),
            "self" => Some(rest(&path.inside, 1)),
            "super" => {
                let up = path.parts.iter().take_while(|part| *part == "super").count();
                let left = path.inside.len().checked_sub(up)?;
                Some(rest(&path.inside[..left], up))
            }
            child if self.children.contains(child) && path.parts.len() > 1 => Some(rest(&self.module, 0)),
            _ => None,
        }
    }

    /// The full path of a name that this file imports from the crate.
    pub(super) fn import(&self, name: &str) -> Option<&[String]> {
        self.imports.iter().find(|(imported, _)| imported == name).map(|(_, target)| target.as_slice())
    }

    /// The full paths of what this file uses in the crate.
    pub(super) fn targets(&self) -> impl Iterator<Item = Vec<String>> {
        self.paths.iter().filter_map(|path| self.target(path))
    }

    /// The full paths of what this file uses in the crate outside of tests.
    pub(super) fn targets_outside_tests(&self) -> impl Iterator<Item = Vec<String>> {
        let paths = self.paths.iter().filter(|path| !path.is_for_tests && !self.is_for_tests());
        paths.filter_map(|path| self.target(path))
    }

    /// Whether the file names a crate. A module or an import of this crate with the same name does not count.
    pub(super) fn names_crate(&self, name: &str) -> bool {
        self.paths.iter().any(|path| path.parts.len() > 1 && path.parts[0] == name)
            && !self.children.contains(name)
            && self.import(name).is_none()
    }

    fn add(&mut self, parts: Vec<String>) {
        let inside = self.module.iter().chain(&self.inline).cloned().collect();
        self.paths.push(Path { parts, inside, is_for_tests: self.is_in_tests });
    }

    fn add_use(&mut self, before: &[String], tree: &UseTree) {
        let with = |name: &dyn ToString| before.iter().cloned().chain([name.to_string()]).collect::<Vec<_>>();
        let (parts, name) = match tree {
            UseTree::Path(path) => return self.add_use(&with(&path.ident), &path.tree),
            UseTree::Group(group) => {
                return group.items.iter().for_each(|tree| self.add_use(before, tree));
            }
            UseTree::Glob(_) => (before.to_vec(), "*".to_owned()),
            UseTree::Name(name) if name.ident == "self" => {
                (before.to_vec(), before.last().cloned().unwrap_or_default())
            }
            UseTree::Name(name) => (with(&name.ident), name.ident.to_string()),
            UseTree::Rename(rename) => (with(&rename.ident), rename.rename.to_string()),
        };
        self.add(parts);
        let target = self.paths.last().and_then(|path| self.target(path));
        self.imports.extend(target.map(|target| (name, target)));
    }

    /// Adds the paths in the arguments of a macro or an attribute.
    fn add_tokens(&mut self, mut cursor: Cursor<'_>) {
        let mut parts: Vec<String> = Vec::new();
        let mut follows_colons = false;
        while !cursor.eof() {
            if let Some((ident, next)) = cursor.ident() {
                if !follows_colons {
                    self.add_if_path(std::mem::take(&mut parts));
                }
                parts.push(ident.to_string());
                (follows_colons, cursor) = (false, next);
            } else if let Some(next) = double_colon(cursor) {
                (follows_colons, cursor) = (!parts.is_empty(), next);
            } else {
                self.add_if_path(std::mem::take(&mut parts));
                follows_colons = false;
                cursor = match cursor.any_group() {
                    Some((inside, _, _, next)) => {
                        self.add_tokens(inside);
                        next
                    }
                    None => cursor.token_tree().unwrap().1,
                };
            }
        }
        self.add_if_path(parts);
    }

    fn add_if_path(&mut self, parts: Vec<String>) {
        if parts.len() > 1 {
            self.add(parts);
        }
    }
}

fn double_colon(cursor: Cursor<'_>) -> Option<Cursor<'_>> {
    let (first, next) = cursor.punct()?;
    let (second, next) = next.punct()?;
    (first.as_char() == ':' && second.as_char() == ':').then_some(next)
}

impl<'ast> Visit<'ast> for Source {
    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        if module.content.is_none() {
            return visit::visit_item_mod(self, module);
        }
        let was_in_tests = self.is_in_tests;
        self.is_in_tests |= module.attrs.iter().any(is_for_tests);
        self.inline.push(module.ident.to_string());
        visit::visit_item_mod(self, module);
        self.inline.pop();
        self.is_in_tests = was_in_tests;
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        item.attrs.iter().for_each(|attribute| self.visit_attribute(attribute));
        self.add_use(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.add_if_path(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.visit_path(&call.path);
        self.add_tokens(TokenBuffer::new2(call.tokens.clone()).begin());
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        self.has_allow |= attribute.path().is_ident("allow");
        if let Meta::List(list) = &attribute.meta {
            self.has_allow |= attribute.path().is_ident("cfg_attr")
                && list.tokens.to_string().split(|c: char| !c.is_alphanumeric()).any(|word| word == "allow");
            self.add_tokens(TokenBuffer::new2(list.tokens.clone()).begin());
        }
        visit::visit_attribute(self, attribute);
    }
}

fn is_for_tests(attribute: &Attribute) -> bool {
    let is_test = |list: &syn::MetaList| list.tokens.to_string() == "test";
    attribute.path().is_ident("cfg") && attribute.meta.require_list().is_ok_and(is_test)
}

/// Calls `visit` with each file below `folder` that has one of these extensions: with its path from `folder`, and its text.
pub(super) fn walk(folder: &FilePath, extensions: &[&str], visit: &mut impl FnMut(&str, &str)) {
    walk_from(folder, "", extensions, visit);
}

fn walk_from(folder: &FilePath, inside: &str, extensions: &[&str], visit: &mut impl FnMut(&str, &str)) {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let name = format!("{inside}{}", path.file_name().unwrap().to_string_lossy());
        if path.is_dir() {
            walk_from(&path, &format!("{name}/"), extensions, visit);
        } else if path.extension().is_some_and(|found| extensions.iter().any(|one| found == *one)) {
            visit(&name, &fs::read_to_string(&path).unwrap());
        }
    }
}
