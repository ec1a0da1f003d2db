//! The lines beside a log that show how commits follow one another, drawn as git draws them.
//!
//! Own code: no kept crate draws git's form. A lane is a column that waits for a commit; lane `n` has its sign
//! at position `2n`. A commit takes the lane that waits for it and leaves edges to its parents; edges to the same commit
//! run together, a position to the left in each row.

use std::collections::VecDeque;

use plumbing::Id;

/// The graph so far.
#[derive(Debug, Default)]
pub struct Graph {
    lanes: Vec<Id>,
    /// Whether a row parts each commit from the one before.
    has_separators: bool,
    /// Rows that are still to be drawn for the commit: its own first.
    rows: VecDeque<String>,
    width: usize,
    /// Rows above the commit's own, without text beside them.
    leading: Vec<String>,
    /// The row that parts the last commit from this one.
    separator: String,
    /// What the last of the rows does.
    last: LastRow,
    /// The same of the row that was drawn last, rows without a turn aside.
    drawn: LastRow,
}

/// What a row does that the next commit's row can go on with.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
enum LastRow {
    #[default]
    Other,
    /// It spread a merge's edges to the right of this lane.
    Spread(usize),
    /// It let edges run together: the row itself.
    Collapse(String),
}

/// Edges by position, each with the lane that it leads to.
type Edges = Vec<Option<usize>>;

impl Graph {
    /// A graph without commits.
    pub fn new(has_separators: bool) -> Self {
        Self { has_separators, ..Self::default() }
    }

    /// Go on with the commit `id`, whose row comes next.
    pub fn begin(&mut self, id: Id, parents: &[Id]) {
        let before = self.lanes.len();
        let at = self.lanes.iter().position(|lane| *lane == id).unwrap_or(before);
        if at == before {
            self.lanes.push(id);
        }
        let old = self.lanes.clone();
        let merge = Merge::new(&old, at, parents);
        let edges = self.follow(&merge);
        self.separator = self.pad("| ".repeat(before));
        self.leading = merge.expansion(&self.drawn).into_iter().map(|row| self.pad(row)).collect();
        let above = if self.has_separators && self.leading.is_empty() { &LastRow::Other } else { &self.drawn };
        let commit_row = merge.commit_row(above, &edges);
        self.push(commit_row);
        self.last = LastRow::Other;
        if parents.len() > 1 {
            self.push(merge.row());
            if merge.spreads() {
                self.last = LastRow::Spread(at);
            }
        }
        self.collapse(edges);
    }

    fn push(&mut self, row: String) {
        let row = self.pad(row);
        self.rows.push_back(row);
    }

    fn pad(&self, row: String) -> String {
        format!("{row:width$}", width = self.width)
    }

    /// What stands before the next line of the commit.
    pub fn next_row(&mut self) -> String {
        let row = self.rows.pop_front();
        if row.is_some() && self.rows.is_empty() {
            self.drawn = std::mem::take(&mut self.last);
        }
        row.unwrap_or_else(|| self.pad("| ".repeat(self.lanes.len())))
    }

    /// What stands in the line between the last commit and this one; a row that is needed anyway is one.
    pub fn take_separator(&mut self) -> String {
        if self.leading.is_empty() { std::mem::take(&mut self.separator) } else { self.leading.remove(0) }
    }

    /// Rows between the separator and the commit's own.
    pub fn leading(&self) -> &[String] {
        &self.leading
    }

    /// Whether rows are left that the next commit can't do without.
    pub fn has_rows(&self) -> bool {
        !self.rows.is_empty()
    }

    /// Columns that the rows of this commit take.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The lanes after the commit, and the edges that lead to them from where they are after its rows.
    fn follow(&mut self, merge: &Merge<'_>) -> Edges {
        let slots = merge.slots();
        let mut lanes: Vec<Id> = Vec::new();
        for (_, id) in &slots {
            if !lanes.contains(id) {
                lanes.push(*id);
            }
        }
        let mut edges = Edges::new();
        for (position, id) in &slots {
            let lane = lanes.iter().position(|lane| lane == id);
            set(&mut edges, *position, lane);
        }
        let last = slots.iter().map(|(position, _)| position / 2 + 1).max().unwrap_or(0);
        self.width = 2 * last.max(merge.at + 1).max(merge.old.len() + merge.added());
        self.lanes = lanes;
        edges
    }

    /// Draw rows until each edge is at its lane.
    fn collapse(&mut self, mut edges: Edges) {
        let arrived = |edges: &Edges| edges.iter().enumerate().all(|(at, lane)| lane.is_none_or(|lane| lane == at / 2));
        while !arrived(&edges) {
            let row = step(&mut edges);
            self.last = LastRow::Collapse(row.clone());
            self.push(row);
        }
    }
}

/// A commit in its lane, and where its parents' edges go.
struct Merge<'a> {
    old: &'a [Id],
    at: usize,
    parents: &'a [Id],
    /// The lane further left that waits for the first parent of a merge: the edge goes there at once.
    left: Option<usize>,
    /// The last parent is what the next lane waits for: the edge joins it at once.
    joins_next: bool,
}

impl<'a> Merge<'a> {
    fn new(old: &'a [Id], at: usize, parents: &'a [Id]) -> Self {
        let is_merge = parents.len() > 1;
        let left =
            parents.first().filter(|_| is_merge).and_then(|first| old[..at].iter().position(|lane| lane == first));
        let mut merge = Self { old, at, parents, left, joins_next: false };
        merge.joins_next = merge.added() > 0 && old.get(at + 1).is_some_and(|next| parents.last() == Some(next));
        merge
    }

    /// Lanes that the commit opens.
    fn added(&self) -> usize {
        self.parents.len().max(1) - 1 - usize::from(self.left.is_some()) - usize::from(self.joins_next)
    }

    /// Whether lanes further right must give way.
    fn spreads(&self) -> bool {
        self.added() > 0
    }

    /// The positions of all edges after the commit's rows, and the commits they lead to.
    fn slots(&self) -> Vec<(usize, Id)> {
        let lanes = |from: usize, ids: &[Id]| -> Vec<(usize, Id)> {
            ids.iter().enumerate().map(|(index, id)| (2 * (from + index), *id)).collect()
        };
        let mut slots = lanes(0, &self.old[..self.at]);
        match self.left {
            Some(left) => {
                let position = if self.at - left > 1 { 2 * left + 3 } else { 2 * left + 1 };
                slots.push((position, self.parents[0]));
                slots.extend(lanes(self.at, &self.parents[1..]));
            }
            None => slots.extend(lanes(self.at, self.parents)),
        }
        slots.extend(lanes(self.at + 1 + self.added(), &self.old[self.at + 1..]));
        slots
    }

    /// Rows that make room for an octopus, whose dashes would cross the lanes to its right.
    fn expansion(&self, above: &LastRow) -> Vec<String> {
        let right = self.old.len() - self.at - 1;
        let steps = if right == 0 { 0 } else { self.dashes() };
        let row = |shift: usize| {
            let sign = match above {
                LastRow::Spread(at) if *at <= self.at => "\\ ",
                _ if shift > 0 => "\\ ",
                _ => "| ",
            };
            format!("{}{}{}", "| ".repeat(self.at + 1), " ".repeat(shift), sign.repeat(right))
        };
        (0..steps).map(row).collect()
    }

    /// Positions that an octopus takes on its right.
    fn dashes(&self) -> usize {
        2 * (self.parents.len() - usize::from(self.left.is_some())).saturating_sub(2)
    }

    /// The commit's own row; lanes that move on in the direction of the row above are drawn so.
    fn commit_row(&self, above: &LastRow, edges: &Edges) -> String {
        let mut row = "| ".repeat(self.at) + "*";
        if self.dashes() > 0 {
            row += &"-".repeat(self.dashes() - 1);
            row += ".";
        }
        row += " ";
        for lane in self.at + 1..self.old.len() {
            let moves_left = || edges.get(2 * lane).copied().flatten().is_some_and(|to| to < lane);
            row += match above {
                _ if self.added() > 1 => "\\ ",
                LastRow::Spread(at) if *at < lane && self.added() == 1 => "\\ ",
                LastRow::Collapse(row) if row.as_bytes().get(2 * lane + 1) == Some(&b'/') && moves_left() => "/ ",
                _ => "| ",
            };
        }
        row
    }

    /// The row below a merge, in which its edges part.
    fn row(&self) -> String {
        let mut row = String::new();
        for lane in 0..self.at {
            row += "|";
            // From the lane that waits for the first parent the edge is drawn up to the commit.
            row += match self.left {
                Some(_) if lane + 1 == self.at => "/",
                Some(left) if lane > left => "_",
                _ => " ",
            };
        }
        row += "|";
        let spread = self.parents.len() - 1 - usize::from(self.left.is_some());
        row += &vec!["\\"; spread].join(" ");
        row += if self.joins_next { "" } else { " " };
        let right = if self.added() > 0 && !self.joins_next { "\\ " } else { "| " };
        row + &right.repeat(self.old.len() - self.at - 1)
    }
}

fn set(edges: &mut Edges, position: usize, lane: Option<usize>) {
    if edges.len() <= position {
        edges.resize(position + 1, None);
    }
    edges[position] = lane;
}

/// Move each edge a position towards its lane; the first that moves runs level over the lanes between. The row that
/// shows it.
fn step(edges: &mut Edges) -> String {
    let mut moved = vec![None; edges.len()];
    let mut signs = vec![' '; edges.len()];
    let mut first = true;
    for (at, lane) in edges.iter().enumerate() {
        let Some(lane) = *lane else { continue };
        if at / 2 == lane && at % 2 == 0 {
            moved[at] = Some(lane);
            signs[at] = '|';
            continue;
        }
        let to = match moved[at - 1] {
            None => at - 1,
            // It has met an edge to the same commit.
            Some(other) if other == lane => continue,
            Some(_) => at - 2,
        };
        signs[to] = if to == 2 * lane { '|' } else { '/' };
        let mut end = to;
        if std::mem::take(&mut first) && to % 2 == 1 {
            while end > 2 * lane + 3 && moved[end - 2].is_none() {
                end -= 2;
                signs[end] = '_';
            }
        }
        moved[end] = Some(lane);
    }
    *edges = moved;
    signs.into_iter().collect::<String>().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(letter: char) -> Id {
        plumbing::store::hash_content(letter.to_string().as_bytes())
    }

    /// Draw commits given as a letter and its parents' letters.
    fn draw(commits: &[&str]) -> String {
        let mut graph = Graph::default();
        let mut out = String::new();
        for commit in commits {
            let mut letters = commit.chars();
            let name = letters.next().unwrap();
            while graph.has_rows() {
                out += graph.next_row().trim_end();
                out.push('\n');
            }
            graph.begin(id(name), &letters.map(id).collect::<Vec<_>>());
            graph.leading().iter().for_each(|row| out += &format!("{}\n", row.trim_end()));
            out += &format!("{}{name}\n", graph.next_row());
        }
        out
    }

    #[test]
    fn a_line_is_a_line() {
        assert_eq!(draw(&["cb", "ba", "a"]), "* c\n* b\n* a\n");
    }

    #[test]
    fn an_octopus_makes_room() {
        let drawn = draw(&["qcz", "cbxy", "yb", "xb", "ba", "za", "a"]);
        let start: Vec<&str> = drawn.lines().take(6).collect();
        assert_eq!(start, ["*   q", "|\\", "| \\", "|  \\", "*-. \\   c", "|\\ \\ \\"]);
    }

    #[test]
    fn a_branch_leaves_and_comes_back() {
        assert_eq!(draw(&["mcx", "xb", "cb", "ba", "a"]), "*   m\n|\\\n| * x\n* | c\n|/\n* b\n* a\n");
    }
}
