//! A Redis server, or a Valkey server if Redis is not installed.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

use super::{
    Process, accepts, ending::ends_with_the_program, find_one_of, loopback, start, start_on,
};

/// Every write is on disk before the server responds, so a killed server loses no data.
#[derive(Debug)]
pub(crate) struct Redis {
    process: Option<Process>,
    port: u16,
    program: PathBuf,
    options: Vec<String>,
    data: TempDir,
}

impl Redis {
    /// Starts a server. `None`: no server is installed, and the test is skipped.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    /// Starts a server with command-line options, for example `["--requirepass", "x"]`.
    pub(crate) fn start_with(options: &[&str]) -> Option<Self> {
        Self::start_with_each(|| options.iter().map(|&option| option.to_owned()).collect())
    }

    /// Starts a server with options that are made anew for each attempt.
    pub(super) fn start_with_each(mut options: impl FnMut() -> Vec<String>) -> Option<Self> {
        let program = find_one_of(&["redis-server", "valkey-server"], [])?;
        let data = tempfile::tempdir().expect("a folder");
        let mut used = Vec::new();
        let server = |port| {
            used = options();
            command(&program, port, &used, &data)
        };
        let (process, port) = start(server, accepts);
        Some(Self {
            process: Some(process),
            port,
            program,
            options: used,
            data,
        })
    }

    pub(crate) fn data(&self) -> &Path {
        self.data.path()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        loopback(self.port)
    }

    /// The URL of a user who has the rights that the documentation lists, and no more.
    pub(crate) fn url(&self) -> String {
        format!("redis://app:right@{}/", self.address())
    }

    /// Kills the process, which has no time to tidy up.
    pub(crate) fn stop(&mut self) {
        self.process = None;
    }

    /// Starts the server again after [`stop`](Self::stop), on the same port with the same data.
    pub(crate) fn resume(&mut self) {
        let server = command(&self.program, self.port, &self.options, &self.data);
        let process = start_on(self.port, server, |_| self.ping());
        self.process = Some(process.expect("the port is still free"));
    }

    /// Stops the process; connections stay open, and the server does not respond.
    pub(crate) fn freeze(&self) {
        self.signal("STOP");
    }

    /// Lets the process continue after [`freeze`](Self::freeze).
    pub(crate) fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, signal: &str) {
        let process = self.process.as_ref().expect("it runs");
        assert!(process.signal(signal), "{signal} is not sent");
    }

    /// Runs `redis-cli`, and returns the response of the server, which may be an error.
    ///
    /// Panics if the server does not respond.
    pub(crate) fn cli(&self, arguments: &[&str]) -> String {
        let response = self.try_cli(arguments);
        response.unwrap_or_else(|error| panic!("{arguments:?}: {error}"))
    }

    /// The response of the server, or the words of `redis-cli` about a server that does not respond.
    pub(super) fn try_cli(&self, arguments: &[&str]) -> Result<String, String> {
        let port = self.port.to_string();
        let output = self
            .cli_command()
            .args(["-h", "127.0.0.1", "-p", &port])
            .args(arguments)
            .output()
            .expect("redis-cli");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        match output.status.success() {
            true => Ok(text(&output.stdout)),
            false => Err(text(&output.stderr)),
        }
    }

    /// The client program of the installed server.
    pub(super) fn cli_command(&self) -> Command {
        let name = self.program.file_name().expect("a program");
        let name = name.to_string_lossy().replace("-server", "-cli");
        let beside = self.program.with_file_name(&name);
        let mut command = match beside.is_file() {
            true => Command::new(beside),
            false => Command::new(name),
        };
        command.stdin(Stdio::null());
        command
    }

    /// Whether the server has read its data.
    fn ping(&self) -> bool {
        let response = self.try_cli(&["PING"]);
        response.is_ok_and(|response| response == "PONG" || response.starts_with("NOAUTH"))
    }
}

/// The rules for the user of the store, as the documentation shows them.
const RULES: &str = include_str!("../../src/store/redis/acl.txt");

/// The documented rules of a user with the password `right`, who may list accounts. The third command has
/// the further rules for the nodes of a cluster.
pub(crate) fn documented_rules(is_cluster: bool) -> Vec<String> {
    let commands = RULES
        .lines()
        .filter(|line| line.starts_with("ACL SETUSER "));
    let rules = commands
        .take(2 + usize::from(is_cluster))
        .flat_map(|command| command.split(' ').skip(3));
    rules
        .map(|rule| rule.replace(">PASSWORD", ">right"))
        .collect()
}

fn command(program: &Path, port: u16, options: &[String], data: &TempDir) -> Command {
    let is_cluster = options.iter().any(|option| option == "--cluster-enabled");
    let mut command = ends_with_the_program(program, data.path());
    command
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--appendonly", "yes", "--appendfsync", "always"])
        .args(["--save", "", "--daemonize", "no", "--dir"])
        .arg(data.path())
        .args(options)
        .args(["--user", "app"])
        .args(documented_rules(is_cluster));
    command
}
