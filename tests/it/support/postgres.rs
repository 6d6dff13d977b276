//! A temporary PostgreSQL cluster for the process of the tests, and databases cloned from a migrated template.
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

/// A database of its own, dropped with this value.
#[derive(Debug)]
pub(super) struct PostgresDatabase {
    name: String,
    cluster: &'static Cluster,
}

#[derive(Debug)]
struct Cluster {
    folder: PathBuf,
    /// PostgreSQL clones one database at a time: a template in use cannot be cloned.
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
        let cluster = Box::leak(Box::new(Cluster::start().expect("another cluster")));
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

    /// Ends all its connections and takes no new ones.
    pub(super) fn go_away(&self) {
        let name = &self.name;
        self.cluster.administer(format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"));
        let theirs = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname";
        self.cluster.administer(format!("{theirs} = '{name}'"));
    }

    /// Takes connections again.
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
            // Ctrl-C reaches a process group: the shell has a group of its own, so that it can clean up.
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
        aside(async {
            let storage = Storage::open(&self.url(TEMPLATE), 1).await.expect("the template migrates");
            storage.close().await;
        });
    }

    /// Sends a signal to the server and all its processes.
    fn signal(&self, name: &str) {
        let server = std::fs::read_to_string(self.folder.join("data/postmaster.pid")).expect("its id");
        let server = server.lines().next().expect("its id").to_owned();
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
        aside(async {
            let mut connection =
                PgConnection::connect(&self.url("postgres")).await.expect("the cluster answers");
            connection.execute(AssertSqlSafe(sql)).await.expect("the cluster runs the statement");
            connection.close().await.expect("the connection closes");
        });
    }
}

/// The folder of the cluster: in memory if there is room, since each test makes a database of 300 files and drops it again.
fn fastest_place() -> PathBuf {
    const MEMORY: &str = "/dev/shm";
    const ROOM_MB: u64 = 3_000;
    let free = Command::new("df").args(["--output=avail", "--block-size=1M", MEMORY]).output();
    let free = free.ok().and_then(|output| String::from_utf8(output.stdout).ok());
    let free = free.and_then(|text| text.lines().last()?.trim().parse::<u64>().ok());
    if free.is_some_and(|free| free >= ROOM_MB) { MEMORY.into() } else { std::env::temp_dir() }
}

/// The folder of `initdb` and the other programs: the newest version in Debian's layout, else what `pg_config` says.
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

/// Runs work to its end on a thread and runtime of its own: for set-up shared by tests, each of which has its own
/// runtime, and for `Drop`, which cannot wait.
fn aside<T: Send>(work: impl Future<Output = T> + Send) -> T {
    let run = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work);
    std::thread::scope(|threads| threads.spawn(run).join())
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
