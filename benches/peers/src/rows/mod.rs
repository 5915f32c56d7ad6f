//! The rows of the tables. A file for each group.

pub(crate) mod accounts;
pub(crate) mod chain;
pub(crate) mod dropped;
pub(crate) mod expiry;
pub(crate) mod failing;
pub(crate) mod token;

/// The first contender, entered once more: its ratio has to come out at 1.00.
const NOISE: &str = "the first once more: the noise";

/// `ratio (figure unit)`.
fn cell(figure: f64, first: f64, unit: &str) -> String {
    let decimals = if figure < 10.0 { 1 } else { 0 };
    format!("{:.2} ({figure:.decimals$} {unit})", figure / first)
}
