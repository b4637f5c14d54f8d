//! HTTP in, stream out.

pub mod publish;
