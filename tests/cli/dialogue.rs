//! Commands that are talked to: each answer comes before the next question.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::sandbox::Sandbox;

/// rd with a pipe to talk to, on the sandbox's store; killed at the end of the test at the latest.
pub struct Dialogue {
    child: Child,
    answers: BufReader<ChildStdout>,
}

impl Dialogue {
    pub fn begin(sandbox: &Sandbox, args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rd"));
        command.arg("--git-dir").arg(sandbox.store_dir()).args(args);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Self { child, answers }
    }

    pub fn say(&mut self, text: &str) {
        self.child.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// The next line.
    pub fn hear(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Nothing more is said: what is left of the answers, and the exit status.
    pub fn end(mut self) -> (String, Option<i32>) {
        drop(self.child.stdin.take());
        let mut rest = String::new();
        self.answers.read_to_string(&mut rest).unwrap();
        (rest, self.child.wait().unwrap().code())
    }
}

impl Drop for Dialogue {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
