//! Tables in Markdown, for the README.

#![allow(clippy::print_stdout, reason = "a benchmark prints")]

use crate::peer::No;

pub(crate) struct Table {
    columns: usize,
    notes: Vec<String>,
}

impl Table {
    /// Prints the head of a table.
    pub(crate) fn new(title: &str, columns: &[&str]) -> Self {
        println!("\n### {title}\n");
        print_row("", columns.iter().map(|&column| column.to_owned()));
        print_row("---", columns.iter().map(|_| "---:".to_owned()));
        Self {
            columns: columns.len(),
            notes: Vec::new(),
        }
    }

    pub(crate) fn row(&mut self, name: &str, cells: Vec<String>) {
        print_row(name, cells.into_iter());
    }

    /// A row without figures. The reason stands below the table.
    pub(crate) fn no(&mut self, name: &str, No(reason): No) {
        print_row(name, (0..self.columns).map(|_| "no".to_owned()));
        self.notes.push(format!("- {name}: {reason}."));
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        if !self.notes.is_empty() {
            println!("\n{}", self.notes.join("\n"));
        }
    }
}

fn print_row(first: &str, others: impl Iterator<Item = String>) {
    let cells: String = others.map(|cell| format!(" {cell:>16} |")).collect();
    println!("| {first:<44} |{cells}");
}
