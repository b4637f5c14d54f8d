//! What others do to a daemon, and a well-behaved sender is answered 202 meanwhile.

mod log_pipe;
mod secret_file;
