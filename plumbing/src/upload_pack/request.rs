//! What a client asks for, in the words of either protocol.

use gix::bstr::{BStr, ByteSlice};

use super::depth::Deepen;
use super::invalid;
use super::select::Filter;
use crate::view::View;
use crate::{Id, Result};

/// Wants, haves and how to go about it.
#[derive(Default)]
pub(super) struct Fetch {
    pub(super) wants: Vec<Id>,
    pub(super) haves: Vec<Id>,
    /// Commits whose parents the client doesn't have.
    pub(super) shallow: Vec<Id>,
    pub(super) deepen: Option<Deepen>,
    pub(super) done: bool,
    pub(super) include_tags: bool,
    pub(super) filter: Filter,
}

impl Fetch {
    /// Take one argument.
    pub(super) fn add(&mut self, argument: &BStr) -> Result<()> {
        let (word, value) = argument.split_once_str(" ").unwrap_or((argument, b""));
        let id = || Id::from_hex(value).map_err(|_| invalid(&format!("'{argument}' has no id")));
        match word {
            b"want" => self.wants.push(id()?),
            b"have" => self.haves.push(id()?),
            b"shallow" => self.shallow.push(id()?),
            b"done" => self.done = true,
            b"include-tag" => self.include_tags = true,
            b"filter" => self.filter = Filter::parse(value.as_bstr())?,
            b"deepen" | b"deepen-since" | b"deepen-relative" => self.deepen(word, value.as_bstr(), argument)?,
            b"deepen-not" => {
                return Err(crate::Error::Unsupported {
                    what: "'deepen-not'".into(),
                    why: "rd cuts histories by depth and by date (git's --depth and --shallow-since)".into(),
                });
            }
            // What a client could also take, of which no use is made.
            b"thin-pack" | b"no-progress" | b"ofs-delta" => {}
            _ => return Err(invalid(&format!("unknown argument '{argument}'"))),
        }
        Ok(())
    }

    /// `deepen-relative` comes before or after the `deepen` that it makes relative.
    fn deepen(&mut self, word: &[u8], value: &BStr, argument: &BStr) -> Result<()> {
        let number = || {
            let number = value.to_str().ok().and_then(|text| text.parse::<u32>().ok()).filter(|number| *number > 0);
            number.ok_or_else(|| invalid(&format!("'{argument}' has no number")))
        };
        self.deepen = Some(match (word, self.deepen) {
            (b"deepen-since", _) => Deepen::Since(i64::from(number()?)),
            (b"deepen-relative", Some(Deepen::Commits(number))) => Deepen::More(number),
            (b"deepen-relative", _) => Deepen::More(0),
            (_, Some(Deepen::More(_))) => Deepen::More(number()?),
            (_, _) => Deepen::Commits(number()?),
        });
        Ok(())
    }

    /// All that is wanted must be there.
    pub(super) fn check_wants(&self, view: &View<'_>) -> Result<()> {
        for id in &self.wants {
            if !view.look_for(id)? {
                return Err(invalid(&format!("not our ref {id}")));
            }
        }
        Ok(())
    }
}
