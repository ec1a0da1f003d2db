//! Orders in which no commit comes before all of its children.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::graph::{Graph, Number};

/// The order of a walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// By commit date alone, as the commits are found.
    #[default]
    Date,
    /// No commit before all its children, and lines of history not mixed.
    Topological,
    /// No commit before all its children, else by commit date.
    TopologicalDate,
    /// No commit before all its children, else by author date.
    TopologicalAuthorDate,
}

/// What is ready to be shown.
enum Ready {
    /// The last one first.
    Stack(Vec<Number>),
    /// The newest first, then as they came.
    Dates { heap: BinaryHeap<(i64, Reverse<usize>, Number)>, came: usize, author: bool },
}

impl Ready {
    fn push(&mut self, graph: &Graph<'_>, number: Number) {
        match self {
            Ready::Stack(stack) => stack.push(number),
            Ready::Dates { heap, came, author } => {
                let commit = graph.at(number);
                *came += 1;
                heap.push((if *author { commit.author_date } else { commit.date }, Reverse(*came), number));
            }
        }
    }

    fn pop(&mut self) -> Option<Number> {
        match self {
            Ready::Stack(stack) => stack.pop(),
            Ready::Dates { heap, .. } => heap.pop().map(|(_, _, number)| number),
        }
    }
}

/// The commits of `list` in this order.
pub(super) fn sorted(graph: &Graph<'_>, list: &[Number], order: Order) -> Vec<Number> {
    if order == Order::Date {
        return list.to_vec();
    }
    topological(graph, list, order)
}

/// The commits of `list` with no commit before all its children; `Date` counts as `Topological`.
pub(super) fn topological(graph: &Graph<'_>, list: &[Number], order: Order) -> Vec<Number> {
    let mut waiting: std::collections::HashMap<Number, usize> = list.iter().map(|number| (*number, 0)).collect();
    for parent in list.iter().flat_map(|number| &graph.at(*number).parents) {
        if let Some(children) = waiting.get_mut(parent) {
            *children += 1;
        }
    }
    let mut ready = match order {
        Order::Date | Order::Topological => Ready::Stack(Vec::new()),
        _ => Ready::Dates { heap: BinaryHeap::new(), came: 0, author: order == Order::TopologicalAuthorDate },
    };
    list.iter().filter(|number| waiting[number] == 0).for_each(|number| ready.push(graph, *number));
    if let Ready::Stack(stack) = &mut ready {
        stack.reverse();
    }
    let mut out = Vec::with_capacity(list.len());
    while let Some(number) = ready.pop() {
        for parent in &graph.at(number).parents {
            if let Some(children) = waiting.get_mut(parent) {
                *children -= 1;
                if *children == 0 {
                    ready.push(graph, *parent);
                }
            }
        }
        out.push(number);
    }
    out
}
