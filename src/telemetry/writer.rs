//! Writes the log. A thread that logs never waits for the reader of the log: lines are buffered in memory, one
//! thread writes them, and lines beyond the buffer are dropped and counted.

use std::{
    io::{self, ErrorKind, Write},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use prometheus_client::metrics::counter::Counter;
use tracing::warn;
use tracing_subscriber::fmt::MakeWriter;

/// Bytes that may wait, beside as many that are being written: some 20,000 lines.
const CAPACITY: usize = 4 * 1024 * 1024;
/// Memory that is kept between two writes; more is freed.
const KEPT: usize = 64 * 1024;
/// Lines of this time are written together: to wake the thread and to write costs a busy process as much as
/// many lines.
const GATHER: Duration = Duration::from_millis(5);
/// The pause before a non-blocking output that is full is tried again.
const PAUSE: Duration = Duration::from_millis(10);
/// For the last lines of a process.
const FLUSH: Duration = Duration::from_secs(1);

/// Takes lines, each by a single write. Clones share one queue.
#[derive(Clone)]
pub(super) struct LogWriter(Arc<Shared>);

/// Dropping it waits until what was logged so far is written, for a second at most: a reader that has stopped
/// must not keep the process from ending.
#[must_use = "what was logged last is written when it is dropped"]
pub struct Flush(Arc<Shared>);

struct Shared {
    queue: Mutex<Queue>,
    filled: Condvar,
    written: Condvar,
    capacity: usize,
    /// Lines that are lost.
    dropped: Counter,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<u8>,
    /// Lines that were dropped since the last write ended.
    dropped: u64,
    /// The writing thread sleeps until it is woken.
    idle: bool,
    /// The writing thread is writing lines.
    writing: bool,
}

impl LogWriter {
    pub(super) fn new(dropped: Counter) -> Self {
        Self::of(CAPACITY, dropped)
    }

    fn of(capacity: usize, dropped: Counter) -> Self {
        Self(Arc::new(Shared {
            queue: Mutex::default(),
            filled: Condvar::new(),
            written: Condvar::new(),
            capacity,
            dropped,
        }))
    }

    /// Starts the thread that writes to `out`; it ends with the process.
    pub(super) fn start(&self, out: impl Write + Send + 'static) -> io::Result<Flush> {
        let shared = Arc::clone(&self.0);
        let writing = move || shared.write(out);
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(writing)?;
        Ok(Flush(Arc::clone(&self.0)))
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

impl Write for &LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // OK to go on after a panic elsewhere: the queue is whole after each statement.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: &[u8]) {
        let mut queue = self.lock();
        if queue.waiting.len() + line.len() > self.capacity {
            queue.dropped += 1;
            self.dropped.inc();
            return;
        }
        queue.waiting.extend_from_slice(line);
        // Once for many lines: while the thread writes it needs no waking.
        let wake = mem::take(&mut queue.idle);
        drop(queue);
        if wake {
            self.filled.notify_one();
        }
    }

    fn write(&self, mut out: impl Write) {
        let (mut lines, mut unsaid) = (Vec::new(), 0);
        loop {
            self.next(&mut lines);
            let written = write_all(&mut out, &lines);
            if written.is_err() {
                let lost = lines.split_inclusive(|&byte| byte == b'\n').count() as u64;
                self.dropped.inc_by(lost);
                unsaid += lost;
            }
            lines.clear();
            lines.shrink_to(KEPT);
            unsaid += mem::take(&mut self.lock().dropped);
            // Not to a broken output, where it cannot be read.
            if unsaid > 0 && written.is_ok() {
                warn!(
                    dropped = mem::take(&mut unsaid),
                    "log lines were dropped: the reader of the log is too slow, or paused for a while"
                );
            }
        }
    }

    /// Waits for lines, and takes all that arrive within [`GATHER`]. The previous ones have been written.
    fn next(&self, lines: &mut Vec<u8>) {
        let mut queue = self.lock();
        queue.writing = false;
        self.written.notify_all();
        while queue.waiting.is_empty() {
            queue.idle = true;
            let waited = self.filled.wait(queue);
            queue = waited.unwrap_or_else(PoisonError::into_inner);
        }
        queue.idle = false;
        drop(queue);
        thread::sleep(GATHER);
        let mut queue = self.lock();
        queue.writing = true;
        mem::swap(&mut queue.waiting, lines);
    }
}

/// As [`Write::write_all`], also for a non-blocking output.
fn write_all(out: &mut impl Write, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match out.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(PAUSE),
            Err(error) => return Err(error),
        }
    }
    out.flush()
}

impl Drop for Flush {
    fn drop(&mut self) {
        let busy = |queue: &mut Queue| queue.writing || !queue.waiting.is_empty();
        let queue = self.0.lock();
        // An error is a panic elsewhere, and nothing is left to do.
        self.0.written.wait_timeout_while(queue, FLUSH, busy).ok();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// An output that accepts a piece for each permit of the test, and sends back what it accepted.
    struct Output {
        permits: Receiver<()>,
        taken: Sender<Vec<u8>>,
    }

    impl Write for Output {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let closed = |_| io::Error::from(ErrorKind::BrokenPipe);
            self.permits.recv().map_err(closed)?;
            self.taken.send(bytes.to_vec()).unwrap();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Tested {
        writer: LogWriter,
        flush: Flush,
        permits: Sender<()>,
        taken: Receiver<Vec<u8>>,
        dropped: Counter,
    }

    impl Tested {
        fn new(capacity: usize) -> Self {
            let dropped = Counter::default();
            let writer = LogWriter::of(capacity, dropped.clone());
            let ((permits, permitted), (taking, taken)) = (channel(), channel());
            let output = Output {
                permits: permitted,
                taken: taking,
            };
            Self {
                flush: writer.start(output).unwrap(),
                writer,
                permits,
                taken,
                dropped,
            }
        }

        fn log(&self, line: &str) {
            (&self.writer).write_all(line.as_bytes()).unwrap();
        }

        /// Waits until the thread has taken what waits into its hands.
        fn in_hand(&self) {
            while !self.writer.0.lock().waiting.is_empty() {
                thread::yield_now();
            }
        }

        fn written(&self) -> String {
            self.permits.send(()).unwrap();
            String::from_utf8(self.taken.recv().unwrap()).unwrap()
        }
    }

    #[test]
    fn a_stuck_output_holds_up_nobody_and_what_finds_no_room_is_counted() {
        let tested = Tested::new(10);
        tested.log("in hand\n");
        tested.in_hand();
        for line in ["1\n", "2\n", "3\n", "4\n", "5\n", "6\n", "7\n"] {
            tested.log(line);
        }
        assert_eq!(tested.dropped.get(), 2);
        assert_eq!(tested.written(), "in hand\n");
        assert_eq!(tested.written(), "1\n2\n3\n4\n5\n");
        tested.log("8\n");
        assert_eq!(tested.written(), "8\n");
        assert_eq!(tested.dropped.get(), 2);
    }

    #[test]
    fn what_a_broken_output_did_not_take_is_counted() {
        let tested = Tested::new(100);
        drop(tested.permits);
        (&tested.writer).write_all(b"1\n").unwrap();
        drop(tested.flush);
        assert_eq!(tested.dropped.get(), 1);
    }

    #[test]
    fn the_last_lines_are_written_and_a_stuck_output_keeps_no_process_alive() {
        let tested = Tested::new(100);
        tested.log("last\n");
        tested.permits.send(()).unwrap();
        let again = Flush(Arc::clone(&tested.flush.0));
        drop(tested.flush);
        assert_eq!(tested.taken.try_recv().unwrap(), b"last\n");
        // Never read, and dropping returns all the same.
        (&tested.writer).write_all(b"stuck\n").unwrap();
        drop(again);
    }
}
