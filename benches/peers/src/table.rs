//! Tables in Markdown, for the README.

#![allow(clippy::print_stdout, reason = "a benchmark prints")]

use crate::peer::No;

pub(crate) struct Table {
    columns: usize,
    /// Reasons, and the contenders that have no figures.
    without: Vec<(&'static str, Vec<&'static str>)>,
}

impl Table {
    /// Prints the head of a table.
    pub(crate) fn new(title: &str, columns: &[&str]) -> Self {
        println!("\n### {title}\n");
        print_row("", columns.iter().map(|&column| column.to_owned()));
        print_row("---", columns.iter().map(|_| "---:".to_owned()));
        Self {
            columns: columns.len(),
            without: Vec::new(),
        }
    }

    pub(crate) fn row(&mut self, name: &str, cells: Vec<String>) {
        print_row(name, cells.into_iter());
    }

    /// A row without figures comes last. The reason stands below the table.
    pub(crate) fn no(&mut self, name: &'static str, No(reason): No) {
        match self.without.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, names)) => names.push(name),
            None => self.without.push((reason, vec![name])),
        }
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        for name in self.without.iter().flat_map(|(_, names)| names) {
            print_row(name, (0..self.columns).map(|_| "no".to_owned()));
        }
        println!();
        for (reason, names) in &self.without {
            println!("- {}: {reason}.", names.join("; "));
        }
    }
}

fn print_row(first: &str, others: impl Iterator<Item = String>) {
    let cells: String = others.map(|cell| format!(" {cell:>16} |")).collect();
    println!("| {first:<44} |{cells}");
}
