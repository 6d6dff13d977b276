//! A temporary PostgreSQL cluster for the test process, and databases cloned from a migrated template.
//!
//! The cluster is in a temporary folder and listens on a unix socket there. A shell (`cluster.sh`) starts it and holds a pipe
//! from this process: when the pipe closes, for any reason, the shell stops the cluster and removes its files.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use mintmark::storage::Storage;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

const TEMPLATE: &str = "mintmark_template";

const MISSING: &str = "PostgreSQL 15 or newer is needed to run the tests (its programs, not a running server). \
    Install it with `apt-get install postgresql`, or put `pg_config` on the PATH";

/// A database for one test. It is dropped with this value.
#[derive(Debug)]
pub(super) struct PostgresDatabase {
    name: String,
    cluster: &'static Cluster,
}

#[derive(Debug)]
struct Cluster {
    folder: PathBuf,
    /// Held while a database is cloned: PostgreSQL cannot clone a template that is in use.
    cloning: Mutex<()>,
    /// Holds the pipe that keeps the cluster running.
    _keeper: Child,
}

impl PostgresDatabase {
    /// A migrated, empty database.
    pub(super) fn migrated() -> Self {
        // Copying files is several times faster here than PostgreSQL's default, which writes everything to its log (WAL).
        Self::create(cluster(), &format!("TEMPLATE {TEMPLATE} STRATEGY FILE_COPY"))
    }

    /// A database without any table.
    pub(super) fn blank() -> Self {
        Self::create(cluster(), "STRATEGY FILE_COPY")
    }

    /// A database without any table in its own cluster, which can be stopped without stopping other tests.
    pub(super) fn alone() -> Self {
        let cluster = Box::leak(Box::new(Cluster::start().expect("another cluster starts")));
        Self::create(cluster, "STRATEGY FILE_COPY")
    }

    /// Stops all processes of its cluster, like a machine that hangs: connections stay open, and new ones get no answer.
    pub(super) fn freeze(&self) {
        self.cluster.signal("STOP");
    }

    /// Lets the stopped processes continue.
    pub(super) fn thaw(&self) {
        self.cluster.signal("CONT");
    }

    fn create(cluster: &'static Cluster, options: &str) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let _turn = cluster.cloning.lock().unwrap_or_else(PoisonError::into_inner);
        cluster.administer(format!("CREATE DATABASE {name} {options}"));
        Self { name, cluster }
    }

    /// Its `postgres://` URL.
    pub(super) fn url(&self) -> String {
        self.cluster.url(&self.name)
    }

    /// Ends all connections to this database and accepts no new ones.
    pub(super) fn go_away(&self) {
        let name = &self.name;
        self.cluster.administer(format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"));
        let theirs = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname";
        self.cluster.administer(format!("{theirs} = '{name}'"));
    }

    /// Accepts connections again.
    pub(super) fn come_back(&self) {
        self.cluster.administer(format!("ALTER DATABASE {} ALLOW_CONNECTIONS true", self.name));
    }
}

impl Drop for PostgresDatabase {
    fn drop(&mut self) {
        self.cluster.administer(format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}

/// The cluster of this process, started by the first test that needs it.
fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Result<Cluster, String>> = OnceLock::new();
    match CLUSTER.get_or_init(Cluster::start) {
        Ok(cluster) => cluster,
        Err(why) => panic!("{why}"),
    }
}

impl Cluster {
    fn start() -> Result<Self, String> {
        let programs = programs().ok_or(MISSING)?;
        let temporary = tempfile::Builder::new()
            .prefix("mintmark-pg-")
            .tempdir_in(fastest_place())
            .map_err(|error| error.to_string())?;
        let mut keeper = Command::new("sh")
            .args(["-c", include_str!("cluster.sh"), "cluster.sh"])
            .args([temporary.path(), &programs])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C goes to all of a process group. The shell has its own group, so that it lives on to clean up.
            .process_group(0)
            .spawn()
            .map_err(|error| format!("cannot start a shell: {error}"))?;
        // From here on the shell removes the folder.
        let folder = temporary.keep();
        let mut said = String::new();
        for line in BufReader::new(keeper.stdout.take().ok_or("no pipe from the shell")?).lines() {
            let line = line.map_err(|error| error.to_string())?;
            if line == "ready" {
                let cluster = Self { folder, cloning: Mutex::new(()), _keeper: keeper };
                cluster.make_template();
                return Ok(cluster);
            }
            said.push_str(&line);
            said.push('\n');
        }
        Err(format!("PostgreSQL ({}) does not start:\n{said}{MISSING}", programs.display()))
    }

    fn make_template(&self) {
        self.administer(format!("CREATE DATABASE {TEMPLATE}"));
        on_new_thread(async {
            let storage = Storage::open(&self.url(TEMPLATE), 1).await.expect("the template migrates");
            storage.close().await;
        });
    }

    /// Sends a signal to the server and all its processes.
    fn signal(&self, name: &str) {
        let server = std::fs::read_to_string(self.folder.join("data/postmaster.pid"))
            .expect("the id of the server process");
        let server = server.lines().next().expect("the id of the server process").to_owned();
        let processes = Command::new("ps").args(["-o", "pid=", "--ppid", &server]).output().expect("ps");
        let processes = String::from_utf8(processes.stdout).expect("numbers");
        // The server first, so that it starts no other process in the meantime.
        for process in std::iter::once(server.as_str()).chain(processes.split_whitespace()) {
            // `kill` fails for a process that has ended in the meantime.
            let _ = Command::new("kill").args([&format!("-{name}"), process]).status();
        }
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://mintmark@localhost/{database}?host={}", self.folder.display())
    }

    fn administer(&self, sql: String) {
        on_new_thread(async {
            let mut connection =
                PgConnection::connect(&self.url("postgres")).await.expect("the cluster answers");
            connection.execute(AssertSqlSafe(sql)).await.expect("the cluster runs the statement");
            connection.close().await.expect("the connection closes");
        });
    }
}

/// The folder for the cluster: in memory if there is space, since each test creates and drops a database of 300 files.
fn fastest_place() -> PathBuf {
    const MEMORY: &str = "/dev/shm";
    const ROOM_MB: u64 = 3_000;
    let free = Command::new("df").args(["--output=avail", "--block-size=1M", MEMORY]).output();
    let free = free.ok().and_then(|output| String::from_utf8(output.stdout).ok());
    let free = free.and_then(|text| text.lines().last()?.trim().parse::<u64>().ok());
    if free.is_some_and(|free| free >= ROOM_MB) { MEMORY.into() } else { std::env::temp_dir() }
}

/// The folder of `initdb` and the other programs: the newest version in Debian's folders, else the one that `pg_config` names.
fn programs() -> Option<PathBuf> {
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    installed
        .filter_map(|version| {
            Some((version.file_name().to_str()?.parse::<u32>().ok()?, version.path().join("bin")))
        })
        .filter(|(_, folder)| has_programs(folder))
        .max()
        .map(|(_, folder)| folder)
        .or_else(|| {
            let said = Command::new("pg_config").arg("--bindir").output().ok()?;
            let folder = PathBuf::from(String::from_utf8(said.stdout).ok()?.trim());
            has_programs(&folder).then_some(folder)
        })
}

fn has_programs(folder: &Path) -> bool {
    ["initdb", "pg_ctl", "postgres"].iter().all(|program| folder.join(program).is_file())
}

/// Runs a future to its end on a new thread with its own runtime: for set-up that several tests share, each of which has its
/// own runtime, and for `Drop`, which cannot await.
fn on_new_thread<T: Send>(work: impl Future<Output = T> + Send) -> T {
    let run = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work);
    std::thread::scope(|threads| threads.spawn(run).join())
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
