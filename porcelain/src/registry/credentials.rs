//! Credentials for registries as docker keeps them: in `config.json`, or with the helper that it names.
//!
//! rd reads and writes docker's own file, so that who logged in with docker is logged in here, and the other way round.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::helper::Helper;
use crate::{Error, IoResultExt, Result};

/// What docker.io's credentials are kept under.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// Who we are at a registry.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// A name and a password.
    Password {
        /// The name.
        user: String,
        /// The password, or what stands for it.
        password: String,
    },
    /// A token that access tokens are had for.
    Identity(String),
}

impl std::fmt::Debug for Credential {
    /// Without what is secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Password { user, .. } => write!(f, "Password of {user:?}"),
            Self::Identity(_) => f.write_str("Identity"),
        }
    }
}

/// Docker's configuration, of which the credentials matter here. All else is kept.
#[derive(Debug)]
pub struct Credentials {
    file: PathBuf,
    config: Map<String, Value>,
}

impl Credentials {
    /// Read `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`. None at all is fine.
    pub fn read() -> Result<Self> {
        let folder = std::env::var_os("DOCKER_CONFIG").filter(|folder| !folder.is_empty()).map(PathBuf::from);
        let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| "/root".into())).join(".docker");
        Self::read_from(folder.unwrap_or_else(home).join("config.json"))
    }

    /// Read the file at `file`.
    pub fn read_from(file: PathBuf) -> Result<Self> {
        // The file itself is written, not a link to it.
        let file = file.canonicalize().unwrap_or(file);
        let text = match fs::read(&file) {
            Ok(text) if !text.trim_ascii().is_empty() => text,
            Ok(_) => return Ok(Self { file, config: Map::new() }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self { file, config: Map::new() }),
            Err(error) => return Err(Error::io("read", file, error)),
        };
        match serde_json::from_slice(&text) {
            Ok(Value::Object(config)) => Ok(Self { file, config }),
            Ok(_) => Err(Error::invalid("docker configuration", file.display(), "it is no JSON object")),
            Err(error) => Err(Error::invalid("docker configuration", file.display(), error)),
        }
    }

    /// Where they are kept.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Who we are at `registry`, where anything is known.
    pub fn get(&self, registry: &str) -> Result<Option<Credential>> {
        let key = key(registry);
        if let Some(helper) = self.helper(registry)
            && let Some(credential) = helper.get(&key)?
        {
            return Ok(Some(credential));
        }
        let Some(entry) = self.entry(registry) else { return Ok(None) };
        let text = |key: &str| entry.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        if let Some(token) = text("identitytoken") {
            return Ok(Some(Credential::Identity(token.into())));
        }
        let invalid = |why: &str| Error::invalid("docker configuration", self.file.display(), format!("{key}: {why}"));
        let Some(auth) = text("auth") else { return Ok(None) };
        let plain = BASE64.decode(auth).map_err(|_| invalid("'auth' is no base64"))?;
        let plain = String::from_utf8(plain).map_err(|_| invalid("'auth' is no text"))?;
        let (user, password) = plain.split_once(':').ok_or_else(|| invalid("'auth' has no colon"))?;
        Ok(Some(Credential::Password { user: user.into(), password: password.trim_end_matches('\0').into() }))
    }

    /// Keep `credential` for `registry`. Gives where: a helper's name, or the file.
    pub fn store(&mut self, registry: &str, credential: &Credential) -> Result<String> {
        let key = key(registry);
        if let Some(helper) = self.helper(registry) {
            helper.store(&key, credential)?;
            return Ok(helper.program());
        }
        let entry = match credential {
            Credential::Password { user, password } => json!({ "auth": BASE64.encode(format!("{user}:{password}")) }),
            Credential::Identity(token) => json!({ "auth": BASE64.encode("<token>:"), "identitytoken": token }),
        };
        self.remove_entries(registry);
        let auths = self.config.entry("auths").or_insert_with(|| json!({}));
        if !auths.is_object() {
            *auths = json!({});
        }
        auths.as_object_mut().expect("because it was made one").insert(key, entry);
        self.write()?;
        Ok(self.file.display().to_string())
    }

    /// Forget what is kept for `registry`; false where nothing is.
    pub fn erase(&mut self, registry: &str) -> Result<bool> {
        let key = key(registry);
        let mut erased = false;
        if let Some(helper) = self.helper(registry) {
            erased = helper.get(&key)?.is_some();
            if erased {
                helper.erase(&key)?;
            }
        }
        if self.remove_entries(registry) {
            self.write()?;
            erased = true;
        }
        Ok(erased)
    }

    /// The registries that credentials are kept for in the file.
    pub fn registries(&self) -> Vec<String> {
        let auths = self.config.get("auths").and_then(Value::as_object);
        auths.into_iter().flat_map(Map::keys).map(|key| registry_of(key)).collect()
    }

    /// The helper for `registry`, where the file names one.
    fn helper(&self, registry: &str) -> Option<Helper> {
        let own = self.config.get("credHelpers").and_then(Value::as_object);
        let own = own.and_then(|helpers| helpers.get(registry).or_else(|| helpers.get(&key(registry))));
        let name = own.or_else(|| self.config.get("credsStore")).and_then(Value::as_str)?;
        (!name.is_empty()).then(|| Helper::new(name))
    }

    fn entry(&self, registry: &str) -> Option<&Map<String, Value>> {
        let auths = self.config.get("auths").and_then(Value::as_object)?;
        let exact = auths.get(&key(registry));
        let similar = || auths.iter().find(|(key, _)| registry_of(key) == registry).map(|(_, entry)| entry);
        exact.or_else(similar).and_then(Value::as_object)
    }

    fn remove_entries(&mut self, registry: &str) -> bool {
        let Some(auths) = self.config.get_mut("auths").and_then(Value::as_object_mut) else { return false };
        let before = auths.len();
        auths.retain(|key, _| registry_of(key) != registry);
        auths.len() != before
    }

    /// Replace the file in one step. Nobody else may read it.
    fn write(&self) -> Result<()> {
        let folder = self.file.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(folder).on("create", folder)?;
        let mut draft = tempfile::NamedTempFile::new_in(folder).on("create a file in", folder)?;
        let mut text = Vec::new();
        let indent = serde_json::ser::PrettyFormatter::with_indent(b"\t");
        let written = self.config.serialize(&mut serde_json::Serializer::with_formatter(&mut text, indent));
        written.expect("because a JSON object can be written");
        draft.write_all(&text).on("write", draft.path())?;
        draft.as_file().sync_all().on("flush", draft.path())?;
        draft.persist(&self.file).map_err(|error| Error::io("replace", &self.file, error.error))?;
        Ok(())
    }
}

/// What credentials for `registry` are kept under.
fn key(registry: &str) -> String {
    if registry == "docker.io" { DOCKER_HUB.into() } else { registry.into() }
}

/// The registry that a key is for, however it was spelled.
fn registry_of(key: &str) -> String {
    let bare = key.strip_prefix("https://").or(key.strip_prefix("http://")).unwrap_or(key);
    let host = bare.split('/').next().unwrap_or_default();
    if matches!(host, "index.docker.io" | "registry-1.docker.io") { "docker.io".into() } else { host.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str) -> (tempfile::TempDir, Credentials) {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("config.json"), text).unwrap();
        let credentials = Credentials::read_from(dir.path().join("config.json")).unwrap();
        (dir, credentials)
    }

    fn password(user: &str, password: &str) -> Credential {
        Credential::Password { user: user.into(), password: password.into() }
    }

    #[test]
    fn dockers_spellings_are_read() {
        let (_dir, credentials) = with(
            r#"{"auths": {"https://index.docker.io/v1/": {"auth": "bWU6cDp3"}, "http://old.example/v1/": {"auth": "YTpi"},
            "id.example": {"auth": "PHRva2VuPjo=", "identitytoken": "t"}, "empty.example": {}}}"#,
        );
        assert_eq!(credentials.get("docker.io").unwrap(), Some(password("me", "p:w")));
        assert_eq!(credentials.get("old.example").unwrap(), Some(password("a", "b")));
        assert_eq!(credentials.get("id.example").unwrap(), Some(Credential::Identity("t".into())));
        assert_eq!(credentials.get("empty.example").unwrap(), None);
        assert_eq!(credentials.get("other.example").unwrap(), None);
    }

    #[test]
    fn storing_and_erasing_keep_all_else() {
        let (dir, mut credentials) = with(r#"{"z": [1, 2.50], "auths": {"a.example": {"auth": "YTpi"}}, "b": {}}"#);
        credentials.store("docker.io", &password("me", "x")).unwrap();
        credentials.store("localhost:5000", &password("u", "v")).unwrap();
        let text = fs::read_to_string(dir.path().join("config.json")).unwrap();
        assert!(text.starts_with("{\n\t\"z\": [\n\t\t1,"), "{text}");
        assert!(text.contains("\"https://index.docker.io/v1/\": {\n\t\t\t\"auth\": \"bWU6eA==\""), "{text}");
        let mut again = Credentials::read_from(dir.path().join("config.json")).unwrap();
        assert_eq!(again.get("docker.io").unwrap(), Some(password("me", "x")));
        assert!(again.erase("docker.io").unwrap());
        assert!(!again.erase("docker.io").unwrap());
        assert_eq!(again.registries(), ["a.example", "localhost:5000"]);
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(again.file()).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn what_is_no_configuration_is_refused() {
        for text in ["[]", "{", r#"{"auths": {"a": {"auth": "?"}}}"#, r#"{"auths": {"a": {"auth": "YQ=="}}}"#] {
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join("config.json"), text).unwrap();
            let read = Credentials::read_from(dir.path().join("config.json"));
            assert!(read.and_then(|credentials| credentials.get("a")).is_err(), "{text}");
        }
    }
}
