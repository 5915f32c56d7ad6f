//! The log of one thread, as the feature `tracing` writes it.

use std::{
    io,
    sync::{Arc, Mutex},
};

use tracing::{
    Dispatch, Level,
    subscriber::{DefaultGuard, NoSubscriber},
};
use tracing_subscriber::fmt::format::FmtSpan;

/// Collects the log of the calling thread until the drop.
pub(crate) struct Log {
    text: Text,
    /// Tests in other threads must not switch these events off.
    _second: Dispatch,
    _guard: DefaultGuard,
}

#[derive(Clone, Default)]
struct Text(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(crate) fn up_to(level: Level) -> Self {
        Self::new(level, FmtSpan::NONE)
    }

    /// With a line for each span that ends.
    pub(crate) fn with_ends_of_spans() -> Self {
        Self::new(Level::INFO, FmtSpan::CLOSE)
    }

    fn new(level: Level, spans: FmtSpan) -> Self {
        let text = Text::default();
        let writer = text.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(level)
            .with_span_events(spans)
            .with_ansi(false)
            .without_time()
            .with_writer(move || writer.clone())
            .finish();
        Self {
            text,
            _second: Dispatch::new(NoSubscriber::default()),
            _guard: tracing::subscriber::set_default(subscriber),
        }
    }

    /// The log so far.
    pub(crate) fn text(&self) -> String {
        let bytes = self.text.0.lock().expect("not poisoned").clone();
        String::from_utf8(bytes).expect("text")
    }
}

impl io::Write for Text {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("not poisoned").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
