//! Every wait for PostgreSQL has a time limit (`src/storage/engine/limits.rs`), except that for a migration. These tests read
//! the source code, because for most statements there is no test with a server that hangs.

use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Arm, Expr, ExprAwait, ExprCall, ExprIf, ExprLet, Pat, Signature};

/// Functions that limit their own waits. In this one only the migration itself has no limit, because it may take long.
const LIMITED_ITSELF: [&str; 1] = ["migrate_postgres"];

#[test]
fn every_wait_for_postgresql_has_a_limit() {
    let mut files = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/storage"), &mut files);
    let (mut places, mut found) = (0, Vec::new());
    for file in files {
        let waits = waits(&fs::read_to_string(&file).unwrap());
        places += waits.places;
        found.extend(waits.found.into_iter().map(|function| format!("{}: {function}", file.display())));
    }
    assert!(places > 15, "only {places} places for PostgreSQL are found");
    assert!(found.is_empty(), "put the wait into `within_limit`:\n{}", found.join("\n"));
}

#[test]
fn a_wait_without_a_limit_is_found() {
    let unlimited = |body: &str| waits(&format!("async fn f() {{ {body} }}")).found.len();
    for (body, count) in [
        ("match db { Db::Postgres(pool) => sql.execute(pool).await?, Db::Sqlite(_) => other.await }", 1),
        ("match db { DbTx::Postgres(tx) => within_limit(sql.execute(tx)).await?, _ => {} }", 0),
        ("match db { DbTx::Postgres(tx) => { a.await; within_limit(async { b.await }).await; c.await } }", 2),
        ("if let Self::Postgres(tx) = &mut db { sql.execute(tx).await?; }", 1),
        ("if let Db::Postgres(tx) = &mut db { within_limit(sql.execute(tx)).await?; }", 0),
        ("match db { Self::Postgres(pool) => migrate_postgres(pool).await }", 0),
        ("match db { Db::Sqlite(pool) => sql.execute(pool).await }", 0),
    ] {
        assert_eq!(unlimited(body), count, "{body}");
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}

fn waits(text: &str) -> Waits {
    let mut waits = Waits::default();
    waits.visit_file(&syn::parse_file(text).unwrap());
    waits
}

/// The waits of a file for PostgreSQL.
#[derive(Default)]
struct Waits {
    /// Whether the part of the file that is being read is for PostgreSQL alone.
    is_postgres: bool,
    /// How many parts of the file are for PostgreSQL alone.
    places: usize,
    /// The function that is being read.
    function: String,
    /// The functions with waits that have no limit, one for each wait.
    found: Vec<String>,
}

impl Waits {
    fn for_postgres(&mut self, walk: impl FnOnce(&mut Self)) {
        let outside = std::mem::replace(&mut self.is_postgres, true);
        self.places += 1;
        walk(self);
        self.is_postgres = outside;
    }
}

impl<'ast> Visit<'ast> for Waits {
    fn visit_signature(&mut self, signature: &'ast Signature) {
        self.function = signature.ident.to_string();
    }

    fn visit_arm(&mut self, arm: &'ast Arm) {
        if names_postgres(&arm.pat) {
            self.for_postgres(|waits| visit::visit_arm(waits, arm));
        } else {
            visit::visit_arm(self, arm);
        }
    }

    fn visit_expr_if(&mut self, branch: &'ast ExprIf) {
        if !matches!(&*branch.cond, Expr::Let(ExprLet { pat, .. }) if names_postgres(pat)) {
            return visit::visit_expr_if(self, branch);
        }
        self.for_postgres(|waits| waits.visit_block(&branch.then_branch));
        if let Some((_, otherwise)) = &branch.else_branch {
            self.visit_expr(otherwise);
        }
    }

    fn visit_expr_await(&mut self, wait: &'ast ExprAwait) {
        if self.is_postgres
            && !is_call_of(&wait.base, &["within_limit"])
            && !is_call_of(&wait.base, &LIMITED_ITSELF)
        {
            self.found.push(self.function.clone());
        }
        visit::visit_expr_await(self, wait);
    }

    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        // The limit holds for everything within the call.
        if !is_function(&call.func, &["within_limit"]) {
            visit::visit_expr_call(self, call);
        }
    }
}

fn names_postgres(pattern: &Pat) -> bool {
    match pattern {
        Pat::TupleStruct(pattern) => {
            pattern.path.segments.last().is_some_and(|name| name.ident == "Postgres")
        }
        _ => false,
    }
}

fn is_call_of(expression: &Expr, names: &[&str]) -> bool {
    matches!(expression, Expr::Call(call) if is_function(&call.func, names))
}

fn is_function(function: &Expr, names: &[&str]) -> bool {
    let Expr::Path(path) = function else { return false };
    path.path.segments.last().is_some_and(|name| names.iter().any(|wanted| name.ident == wanted))
}
