//! Why a file is not imported.

use std::fmt;

use assay_tensor::program::ProgramError;

/// Which operator of the graph an error is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeName {
    /// Its place in the file.
    pub index: usize,
    /// Its operator, such as `Conv`.
    pub op_type: String,
    /// Its name, which may be empty.
    pub name: String,
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "node {} {:?} ({})",
            self.index,
            clipped(&self.name),
            clipped(&self.op_type).escape_debug()
        )
    }
}

/// The first 96 characters: names come from the file, and a message is read by people.
pub(crate) fn clipped(text: &str) -> String {
    text.chars().take(96).collect()
}

/// Why a file is not imported. Every message names what to look at.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file is longer than [`Limits::file_bytes`](crate::Limits::file_bytes).
    #[error("the file has {bytes} bytes; the limit is {limit}")]
    FileTooLarge {
        /// Its length.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// The bytes are not an ONNX model, or end early.
    #[error("not an ONNX model, or cut short: {what}: {reason}")]
    Malformed {
        /// The part that could not be read.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The bytes are a message without what every model has.
    #[error("not an ONNX model: {0}")]
    NotAModel(String),
    /// A count in the file is over its limit.
    #[error("too many {what}: the limit is {limit}")]
    TooMany {
        /// What was counted.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// The constants and what is made of them need more memory than the limit.
    #[error("{what} needs more memory than is left of the limit of {limit} bytes")]
    TooLarge {
        /// What was to be made.
        what: String,
        /// [`Limits::memory_bytes`](crate::Limits::memory_bytes).
        limit: u64,
    },
    /// A constant's type, dimensions and bytes do not fit each other.
    #[error("tensor {name:?}: {reason}")]
    Tensor {
        /// The constant's name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An input or output of the graph cannot be one of a tensor program.
    #[error("{port:?}: {reason}")]
    Port {
        /// The input's or output's name.
        port: String,
        /// Why not.
        reason: String,
    },
    /// Two definitions of one name.
    #[error("{node} defines {value:?}, which is defined already")]
    DefinedTwice {
        /// The second definition.
        node: NodeName,
        /// The name.
        value: String,
    },
    /// A name that nothing defines.
    #[error("{node} reads {value:?}, which nothing defines")]
    Undefined {
        /// Who reads it.
        node: NodeName,
        /// The name.
        value: String,
    },
    /// The graph has a cycle.
    #[error("{node} is part of a cycle, or behind one")]
    Cycle {
        /// The first such node in the file.
        node: NodeName,
    },
    /// Something that the importer has no integer operator for.
    #[error("{node} is not supported: {reason}")]
    Unsupported {
        /// The node.
        node: NodeName,
        /// What about it.
        reason: String,
    },
    /// Shapes that do not fit each other.
    #[error("{node}: shape mismatch: {reason}")]
    Shape {
        /// The node.
        node: NodeName,
        /// Which shapes.
        reason: String,
    },
    /// A value of the node is not a number that makes sense there.
    #[error("{node}: {reason}")]
    Value {
        /// The node.
        node: NodeName,
        /// What is wrong with it.
        reason: String,
    },
    /// An `i32` accumulator of the node could overflow for some input.
    #[error("{node} may overflow: an accumulator can reach {reach}, more than 2^31 - 1")]
    Overflow {
        /// The node.
        node: NodeName,
        /// The accumulator's largest magnitude.
        reach: u64,
    },
    /// The tensor program's own check refuses what the node was lowered to.
    #[error("{node} is not supported: {source}")]
    Program {
        /// The node.
        node: NodeName,
        /// Why.
        source: ProgramError,
    },
    /// The tensor program's own check refuses the program as a whole.
    #[error("the program {0}")]
    NotAProgram(ProgramError),
}
