//! Common ancestors, by git's rules and in git's order (git-merge-base(1)).

use std::collections::{BinaryHeap, HashMap, HashSet};

use super::graph::{Graph, Number};
use crate::{Id, Result, Store};

const ONE: u8 = 1;
const TWO: u8 = 2;
/// A common ancestor of both sides is known that reaches it.
const STALE: u8 = 4;
const RESULT: u8 = 8;

/// The best common ancestors of `one` and any of `others`, the newest first.
pub fn merge_bases(store: &Store, one: Id, others: &[Id]) -> Result<Vec<Id>> {
    let mut graph = Graph::new(store);
    let one = graph.number(one);
    let others: Vec<Number> = others.iter().map(|id| graph.number(*id)).collect();
    let bases = bases(&mut graph, one, &others)?;
    Ok(bases.into_iter().map(|number| graph.at(number).id).collect())
}

/// The best common ancestors of all of `commits` together, for a merge of all of them.
pub fn octopus_bases(store: &Store, commits: &[Id]) -> Result<Vec<Id>> {
    let mut graph = Graph::new(store);
    let commits: Vec<Number> = commits.iter().map(|id| graph.number(*id)).collect();
    let mut found: Vec<Number> = commits.first().copied().into_iter().collect();
    for next in commits.iter().skip(1) {
        let mut common = Vec::new();
        for base in found {
            common.extend(bases(&mut graph, *next, &[base])?);
        }
        found = common;
    }
    let found = independent_of(&mut graph, &found)?;
    Ok(found.into_iter().map(|number| graph.at(number).id).collect())
}

/// Those of `commits` that no other one reaches, in their order.
pub fn independent(store: &Store, commits: &[Id]) -> Result<Vec<Id>> {
    let mut graph = Graph::new(store);
    let commits: Vec<Number> = commits.iter().map(|id| graph.number(*id)).collect();
    let found = independent_of(&mut graph, &commits)?;
    Ok(found.into_iter().map(|number| graph.at(number).id).collect())
}

/// Whether `descendant` is or reaches `ancestor`.
pub fn is_ancestor(store: &Store, ancestor: Id, descendant: Id) -> Result<bool> {
    let mut graph = Graph::new(store);
    let (one, two) = (graph.number(ancestor), graph.number(descendant));
    let (_, flags) = paint(&mut graph, one, &[two])?;
    Ok(ancestor == descendant || has(&flags, one, TWO))
}

fn has(flags: &HashMap<Number, u8>, number: Number, wanted: u8) -> bool {
    flags.get(&number).is_some_and(|flags| flags & wanted != 0)
}

fn bases(graph: &mut Graph<'_>, one: Number, others: &[Number]) -> Result<Vec<Number>> {
    graph.read(one)?;
    if others.contains(&one) {
        return Ok(vec![one]);
    }
    let (found, _) = paint(graph, one, others)?;
    let mut left = if found.len() > 1 { independent_of(graph, &found)? } else { found };
    left.sort_by_key(|number| std::cmp::Reverse(graph.at(*number).date));
    Ok(left)
}

/// Those of `commits` that no other one reaches, in their order, each once.
pub(super) fn independent_of(graph: &mut Graph<'_>, commits: &[Number]) -> Result<Vec<Number>> {
    let mut seen = HashSet::new();
    let unique: Vec<Number> = commits.iter().copied().filter(|number| seen.insert(*number)).collect();
    let mut redundant: HashSet<Number> = HashSet::new();
    for one in &unique {
        if redundant.contains(one) {
            continue;
        }
        let others: Vec<Number> =
            unique.iter().copied().filter(|other| other != one && !redundant.contains(other)).collect();
        let (_, flags) = paint(graph, *one, &others)?;
        if has(&flags, *one, TWO) {
            redundant.insert(*one);
        }
        redundant.extend(others.into_iter().filter(|other| has(&flags, *other, ONE)));
    }
    Ok(unique.into_iter().filter(|number| !redundant.contains(number)).collect())
}

/// Mark what both sides reach, down to where they meet; the common ancestors that no other one made stale, the newest
/// first, and the marks.
fn paint(graph: &mut Graph<'_>, one: Number, others: &[Number]) -> Result<(Vec<Number>, HashMap<Number, u8>)> {
    let mut flags: HashMap<Number, u8> = HashMap::new();
    if others.is_empty() {
        graph.read(one)?;
        flags.insert(one, ONE);
        return Ok((vec![one], flags));
    }
    let mut queue = BinaryHeap::new();
    let mut came = 0usize;
    let mut push = |graph: &mut Graph<'_>, queue: &mut BinaryHeap<_>, number: Number| {
        graph.read(number)?;
        came += 1;
        queue.push((graph.at(number).date, std::cmp::Reverse(came), number));
        Ok::<_, crate::Error>(())
    };
    *flags.entry(one).or_default() |= ONE;
    push(graph, &mut queue, one)?;
    for other in others {
        *flags.entry(*other).or_default() |= TWO;
        push(graph, &mut queue, *other)?;
    }
    let mut found = Vec::new();
    while queue.iter().any(|(_, _, number)| !has(&flags, *number, STALE)) {
        let Some((_, _, number)) = queue.pop() else { break };
        let own = flags.entry(number).or_default();
        let mut passed_on = *own & (ONE | TWO | STALE);
        if passed_on == ONE | TWO {
            if *own & RESULT == 0 {
                *own |= RESULT;
                found.push(number);
            }
            passed_on |= STALE;
        }
        for parent in graph.at(number).parents.clone() {
            let marks = flags.entry(parent).or_default();
            if *marks & passed_on != passed_on {
                *marks |= passed_on;
                push(graph, &mut queue, parent)?;
            }
        }
    }
    found.retain(|number| !has(&flags, *number, STALE));
    found.sort_by_key(|number| std::cmp::Reverse(graph.at(*number).date));
    Ok((found, flags))
}
