//! How the programs are packed, first run and released: the files say the same, and what the programs know.

mod archive;
mod compose;
mod image;
mod man;
mod workflows;
