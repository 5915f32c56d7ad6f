//! A worker, as its director sees it.

use std::{process::Stdio, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout},
    time::timeout,
};

use super::{
    steps::Step,
    wire::{Answer, Command, Results, Setup},
    worker,
};

/// Only for what would otherwise hang.
pub(crate) const HANGS: Duration = Duration::from_secs(120);

/// A running worker, killed when dropped.
pub(crate) struct Process {
    child: Child,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
}

impl Process {
    pub(crate) async fn start(setup: &Setup) -> Self {
        let program = std::env::current_exe().expect("our own path");
        Self::run(tokio::process::Command::new(program), setup).await
    }

    /// Every file that it writes to is full. (A limit of its own, which holds for root as well.)
    pub(crate) async fn start_without_room(setup: &Setup) -> Self {
        let program = std::env::current_exe().expect("our own path");
        let mut shell = tokio::process::Command::new("sh");
        shell
            // Without the trap, the limit would end the process.
            .args(["-c", r#"trap "" XFSZ; ulimit -f 0; exec "$@""#, "sh"])
            .arg(program);
        Self::run(shell, setup).await
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

    pub(crate) async fn tell(&mut self, command: Command) {
        self.write(&command).await;
    }

    async fn write(&mut self, message: &impl serde::Serialize) {
        let mut line = serde_json::to_vec(message).expect("is JSON");
        line.push(b'\n');
        self.stdin.write_all(&line).await.expect("it listens");
    }

    async fn answer(&mut self) -> Answer {
        let line = timeout(HANGS, self.stdout.next_line()).await;
        let line = line.expect("not hanging").expect("a pipe");
        serde_json::from_str(&line.expect("alive")).expect("an answer")
    }

    /// Sends so many requests at once, and waits for what becomes of them.
    pub(crate) async fn request(&mut self, at_once: usize) -> Results {
        self.tell(Command::Request { at_once }).await;
        self.results().await
    }

    /// What became of the requests that it was told to send.
    pub(crate) async fn results(&mut self) -> Results {
        match self.answer().await {
            Answer::Requested(results) => results,
            other => panic!("{other:?} instead of results"),
        }
    }

    /// Lets it begin a request and stop in the middle.
    pub(crate) async fn request_until(&mut self, step: Step) {
        self.tell(Command::StopAt(step)).await;
        self.tell(Command::Request { at_once: 1 }).await;
        let mut answer = self.answer().await;
        // The request is served before the lease is given back.
        if step == Step::Released && matches!(answer, Answer::Requested(_)) {
            answer = self.answer().await;
        }
        match answer {
            Answer::At(reached) if reached == step => {}
            other => panic!("{other:?} instead of {step:?}"),
        }
    }

    /// Kills it, without a chance to tidy up.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.expect("killed");
    }

    /// Stops it as a whole: none of its threads does anything.
    pub(crate) async fn pause(&self) {
        self.signal("STOP").await;
    }

    pub(crate) async fn resume(&self) {
        self.signal("CONT").await;
    }

    async fn signal(&self, signal: &str) {
        let pid = self.child.id().expect("running").to_string();
        let status = tokio::process::Command::new("kill")
            .args(["-s", signal, &pid])
            .status()
            .await;
        assert!(status.expect("kill").success());
    }
}
