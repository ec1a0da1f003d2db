//! What a pull or a push may move: pure functions, which are asked with the answers to what they have to know.

use plumbing::Id;

/// What becomes of a local image when its remote's is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pull {
    /// There was none; there is now.
    New,
    /// It is what the remote has.
    UpToDate,
    /// It holds what the remote has, and more.
    Ahead,
    /// It moves to a descendant.
    FastForward,
    /// It moves to something else: it held nothing that wasn't the remote's.
    Follow,
    /// Both have what the other hasn't.
    Diverged,
}

impl Pull {
    /// Whether the local image moves.
    pub fn moves(self) -> bool {
        matches!(self, Pull::New | Pull::FastForward | Pull::Follow)
    }
}

/// Decide on a local image at `local` whose remote was seen at `before` the last time and is at `now`.
///
/// `descends(a, b)` says whether `b` is `a` or descends from it.
pub fn pull<E>(
    local: Option<Id>,
    before: Option<Id>,
    now: Id,
    mut descends: impl FnMut(Id, Id) -> Result<bool, E>,
) -> Result<Pull, E> {
    let Some(local) = local else { return Ok(Pull::New) };
    if local == now {
        return Ok(Pull::UpToDate);
    }
    if descends(local, now)? {
        return Ok(Pull::FastForward);
    }
    // A tag that was built anew, or moved back: nothing of the user's is lost, and docker would follow too.
    if let Some(before) = before.filter(|before| *before != now)
        && descends(local, before)?
    {
        return Ok(Pull::Follow);
    }
    Ok(if descends(now, local)? { Pull::Ahead } else { Pull::Diverged })
}

/// How much a push may overwrite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Force {
    /// Nothing.
    #[default]
    No,
    /// What was there when it was fetched last, and nothing newer.
    WithLease,
    /// Whatever is there.
    Yes,
}

/// What a remote has by the name that is pushed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Present {
    /// Nothing.
    Nothing,
    /// A commit that this store has, too.
    Known(Id),
    /// Something that this store doesn't have.
    Unknown,
}

/// What a push does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Push {
    /// The name is new there.
    New,
    /// It has that already.
    UpToDate,
    /// It moves to a descendant.
    FastForward,
    /// It moves to something else, as was asked for.
    Forced,
    /// It isn't moved.
    Refused(Refusal),
}

impl Push {
    /// Whether something is sent.
    pub fn moves(self) -> bool {
        matches!(self, Push::New | Push::FastForward | Push::Forced)
    }
}

/// Why a push isn't done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The remote has what this store never saw.
    FetchFirst,
    /// The remote has what isn't in what is pushed.
    NotFastForward,
    /// The remote isn't where it was when it was fetched last.
    Stale,
}

impl Refusal {
    /// git's words for it.
    pub fn word(self) -> &'static str {
        match self {
            Refusal::FetchFirst => "fetch first",
            Refusal::NotFastForward => "non-fast-forward",
            Refusal::Stale => "stale info",
        }
    }
}

/// Decide on pushing `new` to a remote that has `present` and was seen at `tracked` the last time.
///
/// `descends(a, b)` says whether `b` is `a` or descends from it.
pub fn push<E>(
    present: Present,
    tracked: Option<Id>,
    new: Id,
    force: Force,
    mut descends: impl FnMut(Id, Id) -> Result<bool, E>,
) -> Result<Push, E> {
    let is_seen = match present {
        Present::Nothing => tracked.is_none(),
        Present::Known(id) => tracked == Some(id),
        Present::Unknown => false,
    };
    Ok(match (present, force) {
        (Present::Known(id), _) if id == new => Push::UpToDate,
        (_, Force::WithLease) if !is_seen => Push::Refused(Refusal::Stale),
        (Present::Nothing, _) => Push::New,
        (Present::Known(id), _) if descends(id, new)? => Push::FastForward,
        (_, Force::Yes | Force::WithLease) => Push::Forced,
        (Present::Known(_), Force::No) => Push::Refused(Refusal::NotFastForward),
        (Present::Unknown, Force::No) => Push::Refused(Refusal::FetchFirst),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Commits by letter: `b` descends from `a`, `c` from `b`; `x` from `a`; `n` and `m` are strangers.
    fn id(letter: char) -> Id {
        Id::from_hex(format!("{:064x}", letter as u32).as_bytes()).unwrap()
    }

    fn descends(old: Id, new: Id) -> Result<bool, ()> {
        let pairs = ["ab", "bc", "ac", "ax"];
        let is = |pair: &str| pair.chars().map(id).eq([old, new]);
        Ok(old == new || pairs.into_iter().any(is))
    }

    fn one(text: &str) -> Option<Id> {
        text.chars().next().map(id)
    }

    #[test]
    fn a_pull_moves_what_holds_nothing_of_its_own() {
        for (local, before, now, expected) in [
            ("", "", 'a', Pull::New),
            ("", "a", 'n', Pull::New),
            ("a", "", 'a', Pull::UpToDate),
            ("a", "a", 'a', Pull::UpToDate),
            ("a", "", 'b', Pull::FastForward),
            ("a", "b", 'c', Pull::FastForward),
            // The tag was built anew upstream.
            ("a", "a", 'n', Pull::Follow),
            ("a", "c", 'n', Pull::Follow),
            ("b", "c", 'x', Pull::Follow),
            // The tag was moved back upstream.
            ("c", "c", 'a', Pull::Follow),
            // Work of the user's on top of what was fetched.
            ("b", "a", 'a', Pull::Ahead),
            ("b", "", 'a', Pull::Ahead),
            ("b", "a", 'x', Pull::Diverged),
            ("b", "a", 'n', Pull::Diverged),
            ("a", "", 'n', Pull::Diverged),
            ("a", "n", 'm', Pull::Diverged),
            ("a", "n", 'n', Pull::Diverged),
        ] {
            let outcome = pull(one(local), one(before), id(now), descends).unwrap();
            assert_eq!(outcome, expected, "local {local:?}, before {before:?}, now {now}");
        }
    }

    #[test]
    fn a_push_overwrites_nothing_unless_forced() {
        use Force::{No, WithLease, Yes};
        use Present::{Known, Nothing, Unknown};
        let (a, b, n) = (id('a'), id('b'), id('n'));
        for (present, tracked, new, force, expected) in [
            (Nothing, "", 'a', No, Push::New),
            (Nothing, "a", 'b', No, Push::New),
            (Known(a), "", 'a', No, Push::UpToDate),
            (Known(a), "n", 'a', WithLease, Push::UpToDate),
            (Known(a), "", 'b', No, Push::FastForward),
            (Known(b), "b", 'a', No, Push::Refused(Refusal::NotFastForward)),
            (Known(b), "b", 'x', No, Push::Refused(Refusal::NotFastForward)),
            (Known(n), "n", 'a', No, Push::Refused(Refusal::NotFastForward)),
            (Unknown, "a", 'b', No, Push::Refused(Refusal::FetchFirst)),
            (Unknown, "", 'b', No, Push::Refused(Refusal::FetchFirst)),
            (Known(b), "", 'a', Yes, Push::Forced),
            (Unknown, "", 'a', Yes, Push::Forced),
            (Nothing, "", 'a', Yes, Push::New),
            (Known(b), "b", 'a', WithLease, Push::Forced),
            (Known(b), "a", 'a', WithLease, Push::Refused(Refusal::Stale)),
            (Known(b), "", 'a', WithLease, Push::Refused(Refusal::Stale)),
            (Known(a), "a", 'b', WithLease, Push::FastForward),
            (Known(a), "n", 'b', WithLease, Push::Refused(Refusal::Stale)),
            (Unknown, "a", 'b', WithLease, Push::Refused(Refusal::Stale)),
            (Nothing, "", 'a', WithLease, Push::New),
            (Nothing, "a", 'a', WithLease, Push::Refused(Refusal::Stale)),
        ] {
            let outcome = push(present, one(tracked), id(new), force, descends).unwrap();
            assert_eq!(outcome, expected, "{present:?}, tracked {tracked:?}, new {new}, {force:?}");
        }
    }
}
