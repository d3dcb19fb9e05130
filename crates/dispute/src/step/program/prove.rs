//! Finding a program's flaw.

use super::{Leaf, Placed, clash, is_flawed, place};
use alloc::vec::Vec;
use assay_tensor::header::ProgramHeader;
use assay_tensor::leaves::{List, MAX_LEAF};
use assay_tensor::merkle::Levels;
use assay_tensor::program::CheckedProgram;

/// The bytes of all leaves of a program, well-formed or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leaves {
    /// The inputs' types.
    pub inputs: Vec<Vec<u8>>,
    /// The parameters' types.
    pub parameters: Vec<Vec<u8>>,
    /// The operators.
    pub operators: Vec<Vec<u8>>,
    /// The outputs.
    pub outputs: Vec<Vec<u8>>,
}

impl Leaves {
    /// The leaves of a program.
    pub fn of(program: &CheckedProgram) -> Self {
        let count = program.program().nodes.len() as u32;
        let operators = (0..count).filter_map(|index| program.operator_leaf(index));
        let types = |leaves: Vec<_>| -> Vec<_> {
            let leaves = leaves.iter();
            leaves.map(assay_tensor::leaves::TypeLeaf::encode).collect()
        };
        Self {
            inputs: types(program.input_leaves()),
            parameters: types(program.parameter_leaves()),
            operators: operators.map(|leaf| leaf.encode()).collect(),
            outputs: program.output_leaves().iter().map(|l| l.encode()).collect(),
        }
    }

    /// Those of one list.
    pub fn list(&self, list: List) -> &[Vec<u8>] {
        match list {
            List::Inputs => &self.inputs,
            List::Parameters => &self.parameters,
            List::Operators => &self.operators,
            List::Outputs => &self.outputs,
        }
    }

    /// The tree over those of one list.
    fn tree(&self, list: List) -> Levels {
        let leaves = self.list(list).iter();
        Levels::new(leaves.map(|leaf| list.hash(leaf)).collect())
    }
}

/// The proof that no program that passes its check has this header, whose leaves are `leaves`. `None` if
/// the header is a program's, or the leaves are not its. Nor if only leaves of more than [`MAX_LEAF`] bytes
/// are wrong: the proof might fit no buffer, but no demand for such a leaf can be answered.
pub fn prove_flaw(header: &ProgramHeader, leaves: &Leaves) -> Option<Vec<u8>> {
    if header.is_flawed() {
        return Some(Vec::new());
    }
    let trees = List::ALL.map(|list| leaves.tree(list));
    let committed = List::ALL.iter().zip(&trees).all(|(list, tree)| {
        tree.count() == u64::from(header.count(*list)) && tree.root() == *header.list(*list)
    });
    if !committed {
        return None;
    }
    let lists = List::ALL.map(|list| placed(list, leaves.list(list)));
    let short = |leaf: &Placed| {
        let bytes = leaves.list(leaf.list).get(leaf.index as usize);
        bytes.is_some_and(|bytes| bytes.len() <= MAX_LEAF)
    };
    let flawed = flaw(header, &lists, short)?;
    let mut proof = Vec::new();
    for leaf in flawed {
        let bytes = leaves.list(leaf.list).get(leaf.index as usize)?;
        let path = trees[leaf.list as usize].path(u64::from(leaf.index))?;
        proof.push(leaf.list as u8);
        proof.extend(leaf.index.to_le_bytes());
        proof.extend((bytes.len() as u32).to_le_bytes());
        proof.extend_from_slice(bytes);
        proof.extend(path.into_iter().flatten());
    }
    Some(proof)
}

fn placed(list: List, leaves: &[Vec<u8>]) -> Vec<Placed> {
    (0u32..)
        .zip(leaves)
        .map(|(index, bytes)| Placed::new(list, index, bytes))
        .collect()
}

/// The leaf or the two that break a rule, of those that are `short`.
fn flaw<'a>(
    header: &ProgramHeader,
    lists: &'a [Vec<Placed>; 4],
    short: impl Fn(&Placed) -> bool,
) -> Option<Vec<&'a Placed>> {
    let all = || lists.iter().flatten().filter(|leaf| short(leaf));
    if let Some(leaf) = all().find(|leaf| is_flawed(header, leaf)) {
        return Some(Vec::from([leaf]));
    }
    let at = |(list, index): (List, u32)| lists[list as usize].get(index as usize);
    let before = |leaf: &Placed| at((leaf.list, leaf.index.checked_sub(1)?));
    let earlier_outputs = |leaf: &Placed| {
        let outputs: &[Placed] = match leaf.list {
            List::Outputs => &lists[List::Outputs as usize],
            _ => &[],
        };
        outputs.iter().take(leaf.index as usize)
    };
    let named = |leaf: &Placed| match &leaf.leaf {
        Some(Leaf::Operator(leaf)) => leaf.operands.iter().map(|(o, _)| place(*o)).collect(),
        Some(Leaf::Output(leaf)) => Vec::from([(List::Operators, leaf.value)]),
        _ => Vec::new(),
    };
    all().find_map(|leaf| {
        let named = named(leaf).into_iter().filter_map(at);
        let others = before(leaf).into_iter().chain(named);
        let mut others = others.chain(earlier_outputs(leaf));
        let other = others.find(|other| short(other) && clash(other, leaf))?;
        Some(Vec::from([other, leaf]))
    })
}
