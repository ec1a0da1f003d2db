//! Programs that keep credentials for docker: `docker-credential-NAME get|store|erase`.

use std::io::Write;
use std::process::{Command, Stdio};

use serde::Deserialize;
use serde_json::json;

use super::credentials::Credential;
use crate::{Error, Result};

/// The user of an identity token.
const TOKEN: &str = "<token>";

/// What programs say where they keep nothing.
const NOTHING: &str = "credentials not found";

/// One of these programs.
pub(super) struct Helper(String);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

impl Helper {
    pub(super) fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The program's name.
    pub(super) fn program(&self) -> String {
        format!("docker-credential-{}", self.0)
    }

    /// What it keeps for `server`.
    pub(super) fn get(&self, server: &str) -> Result<Option<Credential>> {
        let Some(text) = self.ask("get", server)? else { return Ok(None) };
        let answer: Answer = serde_json::from_slice(&text)
            .map_err(|error| Error::invalid("answer of a credential helper", self.program(), error))?;
        Ok(Some(match answer.username.as_str() {
            TOKEN => Credential::Identity(answer.secret),
            _ => Credential::Password { user: answer.username, password: answer.secret },
        }))
    }

    /// Let it keep `credential`.
    pub(super) fn store(&self, server: &str, credential: &Credential) -> Result<()> {
        let (user, secret) = match credential {
            Credential::Password { user, password } => (user.as_str(), password),
            Credential::Identity(token) => (TOKEN, token),
        };
        let input = json!({ "ServerURL": server, "Username": user, "Secret": secret }).to_string();
        self.ask("store", &input).map(drop)
    }

    /// Let it forget what it keeps for `server`.
    pub(super) fn erase(&self, server: &str) -> Result<()> {
        self.ask("erase", server).map(drop)
    }

    /// `None` where it keeps nothing.
    fn ask(&self, verb: &str, input: &str) -> Result<Option<Vec<u8>>> {
        let program = self.program();
        let failed = |error| Error::runtime(format!("can't ask '{program}'"), [std::io::Error::to_string(&error)]);
        let mut command = Command::new(&program);
        command.arg(verb).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(failed)?;
        let mut stdin = child.stdin.take().expect("because it is piped");
        // It may have ended without a look at its input.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        let output = child.wait_with_output().map_err(failed)?;
        if output.status.success() {
            return Ok(Some(output.stdout));
        }
        let said = [&output.stdout[..], &output.stderr[..]].concat();
        let said = String::from_utf8_lossy(&said).trim().to_owned();
        if verb == "get" && said.contains(NOTHING) {
            return Ok(None);
        }
        Err(Error::runtime(format!("'{program} {verb}' failed"), [said]))
    }
}
