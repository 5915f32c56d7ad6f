//! Tables in Markdown, on the standard output.

use std::time::Duration;

use crate::{SIZES, series::Series};

/// A row for each series, a column for each number of accounts.
pub(crate) fn print_series(title: &str, all: &[Series]) {
    let headings = SIZES.map(|size| size.to_string());
    let row = |series: &Series| {
        let cell = |size| series.at(size).map_or("–".to_owned(), three_digits);
        (series.name.clone(), SIZES.map(cell).to_vec())
    };
    let rows: Vec<_> = all.iter().map(row).collect();
    print_table(
        title,
        "accounts",
        &headings.each_ref().map(|text| &**text),
        &rows,
    );
}

pub(crate) fn print_table(
    title: &str,
    first: &str,
    headings: &[&str],
    rows: &[(String, Vec<String>)],
) {
    println!("\n{title}\n");
    println!("| {first} | {} |", headings.join(" | "));
    println!("|---|{}", "---:|".repeat(headings.len()));
    for (name, cells) in rows {
        println!("| {name} | {} |", cells.join(" | "));
    }
}

pub(crate) fn seconds(time: Duration) -> String {
    three_digits(time.as_secs_f64())
}

/// The figure with three digits, or with all digits before the point.
pub(crate) fn three_digits(figure: f64) -> String {
    let before_point = figure.abs().log10().floor().max(0.0) as usize + 1;
    format!("{figure:.*}", 3_usize.saturating_sub(before_point))
}
