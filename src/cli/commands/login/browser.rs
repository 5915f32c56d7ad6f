//! The user's browser, where there is one.

use std::env;

use webbrowser::{Browser, BrowserOptions};

/// Opens a page. Returns whether a browser opens: without a desktop there is at most a browser for the
/// terminal, which would take the terminal from this program.
pub(super) fn open(url: &str) -> bool {
    let mut options = BrowserOptions::new();
    // A browser's own messages do not belong between ours.
    options.with_suppress_output(true);
    has_desktop() && webbrowser::open_browser_with_options(Browser::Default, url, &options).is_ok()
}

fn has_desktop() -> bool {
    let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    if cfg!(any(windows, target_os = "macos")) {
        !is_set("SSH_CONNECTION")
    } else {
        ["BROWSER", "DISPLAY", "WAYLAND_DISPLAY"]
            .into_iter()
            .any(is_set)
    }
}
