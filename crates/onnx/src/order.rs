//! The order in which the nodes of a graph can be computed.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use crate::error::{ImportError, clipped};
use crate::node::NodeView;

/// The nodes such that each comes after those whose results it reads, otherwise in the file's order.
/// `given` are the names of inputs and constants.
pub(crate) fn order<'a>(
    nodes: &[NodeView<'a>],
    given: &HashSet<&str>,
) -> Result<Vec<NodeView<'a>>, ImportError> {
    let mut defined_by = HashMap::new();
    for node in nodes {
        for output in node.proto.output.iter().filter(|o| !o.is_empty()) {
            if given.contains(output.as_str()) || defined_by.insert(output, node.index).is_some() {
                return Err(ImportError::DefinedTwice {
                    node: node.name(),
                    value: clipped(output),
                });
            }
        }
    }
    let mut waits_for = vec![0u32; nodes.len()];
    let mut readers = vec![Vec::new(); nodes.len()];
    for node in nodes {
        for input in node.proto.input.iter().filter(|i| !i.is_empty()) {
            match defined_by.get(input) {
                Some(definer) => {
                    waits_for[node.index] += 1;
                    readers[*definer].push(node.index);
                }
                None if given.contains(input.as_str()) => {}
                None => {
                    return Err(ImportError::Undefined {
                        node: node.name(),
                        value: clipped(input),
                    });
                }
            }
        }
    }
    let mut ready: BinaryHeap<_> = (0..nodes.len())
        .filter(|i| waits_for[*i] == 0)
        .map(Reverse)
        .collect();
    let mut ordered = Vec::with_capacity(nodes.len());
    while let Some(Reverse(i)) = ready.pop() {
        ordered.push(nodes[i]);
        for reader in std::mem::take(&mut readers[i]) {
            waits_for[reader] -= 1;
            if waits_for[reader] == 0 {
                ready.push(Reverse(reader));
            }
        }
    }
    match waits_for.iter().position(|n| *n > 0) {
        None => Ok(ordered),
        Some(i) => Err(ImportError::Cycle {
            node: nodes[i].name(),
        }),
    }
}
