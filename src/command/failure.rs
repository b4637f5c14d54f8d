//! Why a command did not do what it was asked, as an exit code.

use std::process::ExitCode;

#[derive(Debug)]
pub enum Failure {
    /// 1
    Failed(anyhow::Error),
    /// 2: the command line is wrong.
    Usage(String),
    /// 3: it would lose messages, or a check failed.
    Refused(String),
}

impl Failure {
    /// Tells the person, on standard error.
    pub fn report(self) -> ExitCode {
        let (code, message) = match self {
            // `eso-relay status | head` is no failure.
            Self::Failed(error) if is_broken_pipe(&error) => return ExitCode::SUCCESS,
            Self::Failed(error) => (1, format!("{error:#}")),
            Self::Usage(message) => (2, message),
            Self::Refused(message) => (3, message),
        };
        eprintln!("error: {message}");
        ExitCode::from(code)
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}
