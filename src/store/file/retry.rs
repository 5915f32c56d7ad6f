//! Windows does not rename or remove a file that another program has open.

use std::{io, thread, time::Duration};

const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// The pauses double, and take 1.27 s together.
const MOST_RETRIES: u32 = 7;

/// Calls `work` again if another program, a virus scanner for example, has the file open.
///
/// `work` takes `input`, and returns it beside its error.
pub(super) fn retry_while_open<I, T>(
    mut input: I,
    mut work: impl FnMut(I) -> Result<T, (I, io::Error)>,
) -> io::Result<T> {
    let mut retries = 0;
    loop {
        let error = match work(input) {
            Ok(output) => return Ok(output),
            Err((again, error)) => {
                input = again;
                error
            }
        };
        let code = error.raw_os_error().filter(|_| cfg!(windows));
        let Some(pause) = pause_before_retry(code, retries) else {
            return Err(error);
        };
        thread::sleep(pause);
        retries += 1;
    }
}

/// `code` is Windows' code of an error. `None`: no retry helps.
fn pause_before_retry(code: Option<i32>, retries: u32) -> Option<Duration> {
    const ERROR_ACCESS_DENIED: i32 = 5;
    const ERROR_SHARING_VIOLATION: i32 = 32;

    let is_open = matches!(code, Some(ERROR_ACCESS_DENIED | ERROR_SHARING_VIOLATION));
    (is_open && retries < MOST_RETRIES).then(|| FIRST_PAUSE * 2_u32.pow(retries))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_retries_for_about_a_second_while_another_program_has_the_file_open() {
        for code in [5, 32] {
            let pauses = (0..).map_while(|retries| pause_before_retry(Some(code), retries));
            let all: Duration = pauses.sum();
            assert_eq!(all, Duration::from_millis(1270), "code {code}");
        }
        for code in [None, Some(2), Some(112)] {
            assert_eq!(pause_before_retry(code, 0), None, "code {code:?}");
        }
    }

    #[test]
    fn an_error_that_no_retry_helps_is_returned_at_once() {
        let mut calls = 0;
        let result = retry_while_open((), |()| {
            calls += 1;
            Err::<(), _>(((), io::ErrorKind::StorageFull.into()))
        });
        let error = result.expect_err("the disk is full");
        assert_eq!((error.kind(), calls), (io::ErrorKind::StorageFull, 1));
    }
}
