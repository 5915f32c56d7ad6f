//! A worker process, as the director sees it.

use std::{process::Stdio, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout},
    time::timeout,
};

use super::{
    steps::Step,
    wire::{Command, Report, Results, Setup},
    worker,
};

/// No report of a worker takes as long: the worker hangs.
pub(crate) const HANGS: Duration = Duration::from_secs(120);

/// A running worker, killed when dropped.
pub(crate) struct Process {
    child: Child,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
}

impl Process {
    pub(crate) async fn start(setup: &Setup) -> Self {
        let program = std::env::current_exe().expect("a path");
        Self::run(tokio::process::Command::new(program), setup).await
    }

    /// Starts a worker that finds every disk full. (A limit for one process holds for root, too.)
    pub(crate) async fn start_with_full_disk(setup: &Setup) -> Self {
        let program = std::env::current_exe().expect("a path");
        let mut shell = tokio::process::Command::new("sh");
        shell
            // Without the trap, the limit would end the process.
            .args(["-c", r#"trap "" XFSZ; ulimit -f 0; exec "$@""#, "sh"])
            .arg(program);
        Self::run(shell, setup).await
    }

    /// Starts a worker with this user and group. Only root can.
    pub(crate) async fn start_as((user, group): (u32, u32), setup: &Setup) -> Self {
        // The user may be denied the way to the program, not the program itself.
        let mut program = tokio::process::Command::new("/proc/self/exe");
        program.uid(user).gid(group);
        Self::run(program, setup).await
    }

    async fn run(mut program: tokio::process::Command, setup: &Setup) -> Self {
        let mut child = program
            .arg(worker::ARGUMENT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("a process");
        let mut process = Self {
            stdin: child.stdin.take().expect("piped"),
            stdout: BufReader::new(child.stdout.take().expect("piped")).lines(),
            child,
        };
        process.write(setup).await;
        process
    }

    pub(crate) async fn command(&mut self, command: Command) {
        self.write(&command).await;
    }

    /// Sends a command that is reported as done, and waits for the report.
    pub(crate) async fn run_command(&mut self, command: Command) {
        self.command(command).await;
        match self.report().await {
            Report::Done => {}
            other => panic!("{other:?} instead of the end of the command"),
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id().expect("running")
    }

    async fn write(&mut self, message: &impl serde::Serialize) {
        let mut line = serde_json::to_vec(message).expect("JSON");
        line.push(b'\n');
        let written = self.stdin.write_all(&line).await;
        written.expect("a worker that listens");
    }

    async fn report(&mut self) -> Report {
        let line = timeout(HANGS, self.stdout.next_line()).await;
        let line = line.expect("no hanging worker").expect("a pipe");
        serde_json::from_str(&line.expect("a living worker")).expect("a report")
    }

    /// Sends this number of requests at once, and waits for the results.
    pub(crate) async fn request(&mut self, at_once: usize) -> Results {
        self.command(Command::Request { at_once }).await;
        self.results().await
    }

    /// Waits for the results of the last [`Command::Request`].
    pub(crate) async fn results(&mut self) -> Results {
        match self.report().await {
            Report::Requested(results) => results,
            other => panic!("{other:?} instead of results"),
        }
    }

    /// Starts a request, and waits until the worker stops at the step.
    pub(crate) async fn request_until(&mut self, step: Step) {
        self.command(Command::StopAt(step)).await;
        self.command(Command::Request { at_once: 1 }).await;
        let mut report = self.report().await;
        // The request may end before the worker releases the lease.
        if step == Step::LeaseReleased && matches!(report, Report::Requested(_)) {
            report = self.report().await;
        }
        match report {
            Report::At(reached) if reached == step => {}
            other => panic!("{other:?} instead of {step:?}"),
        }
    }

    /// Kills the process. The process cannot clean up.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.expect("killed");
    }

    /// Stops all threads of the process.
    pub(crate) async fn pause(&self) {
        self.signal("STOP").await;
    }

    pub(crate) async fn resume(&self) {
        self.signal("CONT").await;
    }

    async fn signal(&self, signal: &str) {
        let pid = self.id().to_string();
        let status = tokio::process::Command::new("kill")
            .args(["-s", signal, &pid])
            .status()
            .await;
        assert!(status.expect("kill").success());
    }
}
