//! What the demo says: on standard output the story, on standard error how far long work is.

use std::{
    fmt::{Debug, Display},
    io::{IsTerminal as _, Write as _},
    pin::pin,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use eso_relay_lab::wait;
use serde_json::{Value, json};
use tokio::time::interval;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Output {
    #[default]
    Text,
    Json,
}

/// Writes each step as it happens.
pub(crate) struct Narrator {
    output: Output,
    colours: bool,
    live: bool,
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

impl Narrator {
    /// In colours on a terminal, unless `NO_COLOR` is set (<https://no-color.org>).
    pub(crate) fn new(output: Output) -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            output,
            colours: !plain && std::io::stdout().is_terminal(),
            live: std::io::stderr().is_terminal(),
            started: Instant::now(),
        }
    }

    pub(crate) fn scene(&self, title: &str) {
        self.step("scene", title, json!({}));
        self.line(&format!("\n{}", self.styled(Style::Bold, title)));
    }

    pub(crate) fn say(&self, text: impl Display) {
        self.step("note", &text.to_string(), json!({}));
        self.line(&format!("  {text}"));
    }

    /// A line of numbers: `text` for people, `facts` for scripts.
    pub(crate) fn fact(&self, text: &str, facts: Value) {
        self.step("fact", text.trim(), facts);
        self.line(&format!("  {text}"));
    }

    /// What a command printed.
    pub(crate) fn command(&self, command: &str, output: &str) {
        self.step("command", command, json!({ "output": output }));
        self.line(&format!(
            "  {}",
            self.styled(Style::Dim, &format!("$ {command}"))
        ));
        for line in output.trim_end().lines() {
            self.line(&format!("  {line}"));
        }
    }

    /// Something that was promised and has happened.
    pub(crate) fn holds(&self, claim: impl Display) {
        self.step("holds", &claim.to_string(), json!({}));
        self.line(&format!("  {} {claim}", self.styled(Style::Green, "ok")));
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

    /// Runs long work, with its time on standard error.
    pub(crate) async fn during<T>(&self, what: &str, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        let started = Instant::now();
        let mut ticks = interval(Duration::from_secs(if self.live { 1 } else { 15 }));
        let result = loop {
            tokio::select! {
                result = &mut work => break result,
                _ = ticks.tick() => self.progress(what, started.elapsed()),
            }
        };
        if self.live {
            // Erases the line (ECMA-48).
            write!(std::io::stderr(), "\r\x1b[K").ok();
        }
        result
    }

    /// The whole demo has gone as it should.
    pub(crate) fn finished(&self) -> ExitCode {
        let text = format!("All of it held, in {:.0?}.", self.started.elapsed());
        self.step("finished", &text, json!({ "ok": true }));
        self.line(&format!("\n{}", self.styled(Style::Bold, &text)));
        ExitCode::SUCCESS
    }

    /// Something did not; `logs` may tell why.
    pub(crate) fn failed(&self, error: &anyhow::Error, logs: &str) -> ExitCode {
        let text = format!("{error:#}");
        self.step("finished", &text, json!({ "ok": false, "logs": logs }));
        self.line(&format!(
            "  {} {text}\n{logs}",
            self.styled(Style::Red, "FAILED")
        ));
        ExitCode::FAILURE
    }

    fn progress(&self, what: &str, elapsed: Duration) {
        let elapsed = match elapsed.as_secs() {
            0 => String::new(),
            seconds => format!(" ({seconds} s)"),
        };
        let (start, end) = if self.live {
            ("\r", "\x1b[K")
        } else {
            ("", "\n")
        };
        // Progress that cannot be shown stops nothing.
        write!(std::io::stderr(), "{start}  … {what}{elapsed}{end}").ok();
    }

    fn step(&self, step: &str, text: &str, mut facts: Value) {
        if self.output == Output::Json {
            facts["step"] = step.into();
            facts["text"] = text.into();
            facts["at_seconds"] = self.started.elapsed().as_secs_f64().into();
            writeln!(std::io::stdout(), "{facts}").ok();
        }
    }

    fn line(&self, text: &str) {
        if self.output == Output::Text {
            // Nobody reads any more: the exit code still counts.
            writeln!(std::io::stdout(), "{text}").ok();
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
    mut probe: impl FnMut() -> F,
) -> anyhow::Result<T> {
    let attempt = || {
        let answer = probe();
        async { answer.await.map_err(|error| Reason(format!("{error:#}"))) }
    };
    wait::until_ok("it", deadline, attempt)
        .await
        .with_context(|| format!("expected: {claim}"))
}

/// Why not yet, without quotes and backtraces.
struct Reason(String);

impl Debug for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
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
