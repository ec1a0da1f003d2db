//! Who writes a commit and when, by git's rules (git-commit-tree(1), "Commit information").

use plumbing::Store;
use plumbing::gix::actor::Signature;
use plumbing::gix::config::File;
use plumbing::gix::date::Time;

use crate::report::Failure;

/// The author and the committer that the environment and git's configuration name.
pub fn author_and_committer(store: &Store) -> Result<(Signature, Signature), Failure> {
    let global = File::from_globals().unwrap_or_default();
    let who = |role| signature(role, &Settings { store, global: &global });
    Ok((who("AUTHOR")?, who("COMMITTER")?))
}

/// Who moves a ref, for its log: as for a commit, but never without a name.
pub fn committer(store: &Store) -> Signature {
    let global = File::from_globals().unwrap_or_default();
    let named = signature("COMMITTER", &Settings { store, global: &global });
    named.unwrap_or_else(|_| {
        let (name, email) = plumbing::commit::host_identity();
        Signature { name: name.into(), email: email.into(), time: Time::now_local_or_utc() }
    })
}

/// Git's configuration: the repository's before the user's and the system's.
struct Settings<'a> {
    store: &'a Store,
    global: &'a File,
}

impl Settings<'_> {
    fn get(&self, key: &str) -> Option<String> {
        let own = self.store.repo().config_snapshot().string(key).map(|value| value.to_string());
        own.or_else(|| self.global.string(key).map(|value| value.to_string()))
    }
}

fn signature(role: &str, settings: &Settings<'_>) -> Result<Signature, Failure> {
    let variable = |part: &str| std::env::var(format!("GIT_{role}_{part}")).ok();
    let setting = |key: &str| {
        settings.get(&format!("{}.{key}", role.to_lowercase())).or_else(|| settings.get(&format!("user.{key}")))
    };
    let (host_name, host_email) = plumbing::commit::host_identity();
    let name = variable("NAME").or_else(|| setting("name")).unwrap_or(host_name);
    let email = variable("EMAIL").or_else(|| setting("email"));
    let email = email.or_else(|| std::env::var("EMAIL").ok()).unwrap_or(host_email);
    let clean_name = without_crud(&name);
    if clean_name.is_empty() {
        return Err(Failure::fatal(format!("empty ident name (for <{email}>) not allowed")));
    }
    let time = match variable("DATE").filter(|date| !date.is_empty()) {
        Some(date) => {
            plumbing::date::parse(&date).map_err(|_| Failure::fatal(format!("invalid date format: {date}")))?
        }
        None => Time::now_local_or_utc(),
    };
    Ok(Signature { name: clean_name.into(), email: without_crud(&email).into(), time })
}

/// A name without what git takes off its ends, and without what would end it in a commit.
fn without_crud(text: &str) -> String {
    let crud = |c: char| c <= ' ' || ",:;<>\"\\'".contains(c);
    text.trim_matches(crud).replace(['\n', '<', '>'], "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crud_is_taken_off_as_git_does() {
        for (name, want) in [(" A. B., ", "A. B."), ("\"x\"", "x"), ("a<b>c\n", "abc"), (",:;", ""), ("J. R.", "J. R.")]
        {
            assert_eq!(without_crud(name), want);
        }
    }
}
