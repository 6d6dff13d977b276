//! Starts servers as processes pinned to the first core, reads their address, measures their memory, and stops them.

use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// A server process. It is killed when this is dropped.
pub(crate) struct Server {
    child: Child,
    /// Reads the log on the second core; ends with the server.
    log_reader: Option<Child>,
    pub(crate) address: String,
}

impl Server {
    /// This program, running as the bare loop.
    pub(crate) fn bare() -> Self {
        let mut command = pinned("0", &std::env::current_exe().expect("own path").display().to_string());
        command.arg("bare").stdout(Stdio::piped());
        let mut child = command.spawn().expect("taskset starts the bare loop");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("its address");
        Self { child, log_reader: None, address: line.trim().to_owned() }
    }

    /// Starts a server with a command; returns once the server listens on `address`. Its log goes to a pipe that is read.
    pub(crate) fn spawn(mut command: Command, address: String) -> Self {
        let mut child =
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the server starts");
        let log = child.stderr.take().expect("piped");
        let reader = pinned("1", "cat").stdin(log).stdout(Stdio::null()).spawn().expect("taskset starts cat");
        let mut server = Self { child, log_reader: Some(reader), address };
        while TcpStream::connect(&server.address).is_err() {
            server.check_runs();
            std::hint::spin_loop();
        }
        server
    }

    /// Panics if the process has ended.
    pub(crate) fn check_runs(&mut self) {
        if let Some(status) = self.child.try_wait().expect("its status") {
            panic!("the server has ended ({status}): start it by hand to see why");
        }
    }

    /// Resident memory in MB (`VmRSS`).
    pub(crate) fn resident_mb(&self) -> f64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("a Linux /proc");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
        let kb: f64 = line.split_whitespace().nth(1).expect("a number").parse().expect("a number");
        kb / 1024.0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = &mut self.log_reader {
            let _ = reader.wait();
        }
    }
}

/// A command that runs on one core only.
pub(crate) fn pinned(core: &str, program: &str) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", core, program]);
    command
}

/// The time in ms that `start` takes: the shortest of five. Other work on the machine makes a start longer, never shorter.
pub(crate) fn shortest_ms(mut start: impl FnMut()) -> f64 {
    let times = (0..5).map(|_| {
        let started = Instant::now();
        start();
        started.elapsed().as_secs_f64() * 1000.0
    });
    times.fold(f64::INFINITY, f64::min)
}

/// The time in ms from the start of the bare loop's process to its first reply.
pub(crate) fn cold_start_bare_ms() -> f64 {
    shortest_ms(|| {
        let server = Server::bare();
        crate::generate::one(&server.address, "cl_x", "mms_x");
    })
}
