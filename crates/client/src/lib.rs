//! Client of the Assay programs and of the sequencer's API.
