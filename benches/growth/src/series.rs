//! A line of a plot, and a row of a table.

/// A figure for each number of accounts.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) name: String,
    /// The number of accounts, and the figure.
    pub(crate) points: Vec<(usize, f64)>,
}

impl Series {
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            points: Vec::new(),
        }
    }

    pub(crate) fn at(&self, accounts: usize) -> Option<f64> {
        let mut points = self.points.iter();
        points.find_map(|&(at, figure)| (at == accounts).then_some(figure))
    }
}
