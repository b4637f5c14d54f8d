//! What the demo says: the story on standard output, long work on standard error.

use std::{
    fmt::Display,
    io::{IsTerminal as _, Write as _},
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use eso_relay_lab::wait;
use serde_json::{Value, json};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Output {
    #[default]
    Text,
    Json,
}

/// Writes each step as it happens.
pub(crate) struct Teller {
    output: Output,
    colours: bool,
    started: Instant,
}

/// ECMA-48 (SGR).
#[derive(Clone, Copy)]
enum Style {
    Bold = 1,
    Dim = 2,
    Red = 31,
    Green = 32,
}

impl Teller {
    /// In colours on a terminal, unless `NO_COLOR` is set (<https://no-color.org>).
    pub(crate) fn new(output: Output) -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            output,
            colours: !plain && std::io::stdout().is_terminal(),
            started: Instant::now(),
        }
    }

    pub(crate) fn scene(&self, title: &str) {
        let line = format!("\n{}", self.styled(Style::Bold, title));
        self.step("scene", title, json!({}), &line);
    }

    pub(crate) fn say(&self, text: impl Display) {
        self.fact(&text.to_string(), json!({}));
    }

    /// A line of numbers: `text` for people, `facts` for scripts.
    pub(crate) fn fact(&self, text: &str, facts: Value) {
        self.step("fact", text.trim(), facts, &format!("  {text}"));
    }

    /// What a command printed.
    pub(crate) fn command(&self, command: &str, output: &str) {
        let command_line = self.styled(Style::Dim, &format!("$ {command}"));
        let lines = std::iter::once(command_line.as_str()).chain(output.trim_end().lines());
        let text = lines
            .map(|line| format!("  {line}"))
            .collect::<Vec<_>>()
            .join("\n");
        self.step("command", command, json!({ "output": output }), &text);
    }

    /// Something that was promised and has happened.
    pub(crate) fn holds(&self, claim: impl Display) {
        let line = format!("  {} {claim}", self.styled(Style::Green, "ok"));
        self.step("holds", &claim.to_string(), json!({}), &line);
    }

    /// Waits until `probe` says that the claim holds, and says so.
    ///
    /// # Errors
    /// As [`expect`].
    pub(crate) async fn claim<T, E: Display, F: Future<Output = Result<T, E>>>(
        &self,
        claim: impl Display,
        deadline: Duration,
        probe: impl FnMut() -> F,
    ) -> anyhow::Result<T> {
        let value = expect(&claim, deadline, probe).await?;
        self.holds(claim);
        Ok(value)
    }

    /// Says on standard error what takes long.
    pub(crate) async fn during<T>(&self, what: &str, work: impl Future<Output = T>) -> T {
        // Progress that cannot be shown stops nothing.
        writeln!(std::io::stderr(), "  … {what}").ok();
        work.await
    }

    /// The whole demo has gone as it should.
    pub(crate) fn finished(&self) -> ExitCode {
        let text = format!("All of it held, in {:.0?}.", self.started.elapsed());
        let line = format!("\n{}", self.styled(Style::Bold, &text));
        self.step("finished", &text, json!({ "ok": true }), &line);
        ExitCode::SUCCESS
    }

    /// Something did not; `logs` may tell why.
    pub(crate) fn failed(&self, error: &anyhow::Error, logs: &str) -> ExitCode {
        let text = format!("{error:#}");
        let line = format!("  {} {text}\n{logs}", self.styled(Style::Red, "FAILED"));
        let facts = json!({ "ok": false, "logs": logs });
        self.step("finished", &text, facts, &line);
        ExitCode::FAILURE
    }

    fn step(&self, step: &str, text: &str, mut facts: Value, line: &str) {
        let mut stdout = std::io::stdout();
        // When standard output is closed, the exit code still counts.
        if self.output == Output::Text {
            writeln!(stdout, "{line}").ok();
        } else {
            facts["step"] = step.into();
            facts["text"] = text.into();
            facts["at_seconds"] = self.started.elapsed().as_secs_f64().into();
            writeln!(stdout, "{facts}").ok();
        }
    }

    fn styled(&self, style: Style, text: &str) -> String {
        if self.colours {
            format!("\x1b[{}m{text}\x1b[0m", style as u8)
        } else {
            text.to_owned()
        }
    }
}

/// Waits until `probe` says that it is as claimed.
///
/// # Errors
/// It is not within `deadline`: what was expected, and the last reason why not.
pub(crate) async fn expect<T, E: Display, F: Future<Output = Result<T, E>>>(
    claim: impl Display,
    deadline: Duration,
    probe: impl FnMut() -> F,
) -> anyhow::Result<T> {
    wait::until_shown("it", deadline, probe)
        .await
        .with_context(|| format!("expected: {claim}"))
}

/// `3.2 ms`, `140 ms`, `2.4 s`: never wider than eight characters.
pub(crate) fn short(duration: Duration) -> String {
    let millis = duration.as_secs_f64() * 1000.0;
    match millis {
        ..10.0 => format!("{millis:.1} ms"),
        ..1000.0 => format!("{millis:.0} ms"),
        _ => format!("{:.1} s", millis / 1000.0),
    }
}
