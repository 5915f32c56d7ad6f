//! A Redis server, or Valkey under its Redis name.

use std::{
    net::SocketAddr,
    path::PathBuf,
    process::{Command, Stdio},
};

use tempfile::TempDir;

use super::{Process, accepts, find, loopback, start, start_on};

/// Every write is on disk before it is answered, so that nothing is lost by killing it.
#[derive(Debug)]
pub(crate) struct Redis {
    process: Option<Process>,
    port: u16,
    program: PathBuf,
    options: Vec<String>,
    data: TempDir,
}

impl Redis {
    /// `None`: not installed, and the test is to end.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    /// With options as on the command line: `["--requirepass", "x"]`.
    pub(crate) fn start_with(options: &[&str]) -> Option<Self> {
        let program = find("redis-server", [])?;
        let options: Vec<_> = options.iter().map(|&option| option.to_owned()).collect();
        let data = tempfile::tempdir().expect("a folder");
        let server = |port| command(&program, port, &options, &data);
        let (process, port) = start(server, accepts);
        Some(Self {
            process: Some(process),
            port,
            program,
            options,
            data,
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        loopback(self.port)
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}/", self.address())
    }

    /// Kills it, without a chance to tidy up.
    pub(crate) fn stop(&mut self) {
        self.process = None;
    }

    /// Starts it again after [`stop`](Self::stop), on the same port with its data.
    pub(crate) fn resume(&mut self) {
        let server = command(&self.program, self.port, &self.options, &self.data);
        let process = start_on(self.port, server, |_| self.ping());
        self.process = Some(process.expect("the port is still free"));
    }

    /// What `redis-cli` prints.
    pub(crate) fn cli(&self, arguments: &[&str]) -> String {
        let output = Command::new("redis-cli")
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string()])
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .expect("redis-cli");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Whether it has read its data.
    fn ping(&self) -> bool {
        let answer = self.cli(&["PING"]);
        answer == "PONG" || answer.starts_with("NOAUTH")
    }
}

fn command(program: &PathBuf, port: u16, options: &[String], data: &TempDir) -> Command {
    let mut command = Command::new(program);
    command
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--appendonly", "yes", "--appendfsync", "always"])
        .args(["--save", "", "--daemonize", "no", "--dir"])
        .arg(data.path())
        .args(options)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}
